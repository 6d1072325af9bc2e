// Training as a whole on every backend: that it learns, that a seed fixes every bit whatever the number of threads, that batches,
// epochs and scores are counted right, and that a step takes no memory once the first is done. Metrics by hand numbers.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <new>
#include <numeric>

#if defined(__SANITIZE_ADDRESS__)
extern "C" std::size_t
__sanitizer_get_current_allocated_bytes();  // g++ 12 comes without the header that declares it
#else
#include <malloc.h>
#endif

#include "backend.h"
#include "dataset.h"
#include "error.h"
#include "json.h"
#include "loss.h"
#include "metrics.h"
#include "model.h"
#include "rng.h"
#include "trainer.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define PINHOLE_COUNTS_NEW
namespace {
/// Blocks of this many bytes or more are data, not the small change of a vector of pointers.
constexpr std::size_t kLargeBlock = 1024;
std::atomic<std::int64_t> large_blocks{0};
}  // namespace

// The whole test program's, so that a temporary inside a step is seen too; sanitizers bring their own. Not inlined, or the compiler
// sees malloc's pointer given to delete.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (size >= kLargeBlock) ++large_blocks;
  if (void* pointer = std::malloc(size == 0 ? 1 : size)) return pointer;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* pointer) noexcept { std::free(pointer); }
[[gnu::noinline]] void operator delete(void* pointer, std::size_t) noexcept { std::free(pointer); }
#endif

namespace pinhole {
namespace {

/// Bytes that are allocated now, by new, malloc or aligned_alloc.
std::size_t heap_in_use() {
#if defined(__SANITIZE_ADDRESS__)
  return __sanitizer_get_current_allocated_bytes();
#else
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
#endif
}

Json with_input(Json spec, int height, int width) {
  spec["input"][0] = height;
  spec["input"][1] = width;
  return spec;
}

// The lesson's networks and fashion_cnn, as models/*.json have them but for the image size.
const char* const kBinary =
    R"({"format": "pinhole/1", "name": "BinaryCNN", "input": [224, 224, 3], "layers": [
  {"type": "Conv2d", "name": "conv1", "out_channels": 16, "kernel_size": 3, "stride": 1, "padding": 1},
  {"type": "ReLU", "name": "relu"}, {"type": "MaxPool2d", "name": "pool", "kernel_size": 2, "stride": 2},
  {"type": "Flatten", "name": "flatten"}, {"type": "Linear", "name": "fc1", "out_features": 1}, {"type": "Sigmoid", "name": "sigmoid"}]})";
const char* const kMultiClass =
    R"({"format": "pinhole/1", "name": "MultiClassCNN", "input": [224, 224, 3], "layers": [
  {"type": "Conv2d", "name": "conv1", "out_channels": 16, "kernel_size": 3, "stride": 1, "padding": 1},
  {"type": "ReLU", "name": "relu"}, {"type": "MaxPool2d", "name": "pool", "kernel_size": 2, "stride": 2},
  {"type": "Flatten", "name": "flatten"}, {"type": "Linear", "name": "fc", "out_features": "classes"}, {"type": "Softmax", "name": "softmax"}]})";
const char* const kFashion =
    R"({"format": "pinhole/1", "name": "FashionCNN", "input": [28, 28, 1], "layers": [
  {"type": "Conv2d", "name": "conv1", "out_channels": 32, "kernel_size": 3, "padding": 1}, {"type": "ReLU"}, {"type": "MaxPool2d", "kernel_size": 2},
  {"type": "Conv2d", "name": "conv2", "out_channels": 64, "kernel_size": 3, "padding": 1}, {"type": "ReLU"}, {"type": "MaxPool2d", "kernel_size": 2},
  {"type": "Flatten"}, {"type": "Linear", "name": "fc1", "out_features": 128}, {"type": "ReLU"},
  {"type": "Linear", "name": "fc2", "out_features": "classes"}, {"type": "Softmax"}]})";
// Every kind of layer that has a state or works in place.
const char* const kMixed =
    R"({"format": "pinhole/1", "name": "Mixed", "input": [17, 15, 3], "layers": [
  {"type": "Conv2d", "out_channels": 8, "kernel_size": 3, "stride": 2}, {"type": "ReLU"}, {"type": "Dropout", "p": 0.3},
  {"type": "Conv2d", "out_channels": 8, "kernel_size": 3, "padding": 1, "groups": 2}, {"type": "Sigmoid"},
  {"type": "MaxPool2d", "kernel_size": 3, "stride": 2, "padding": 1}, {"type": "AvgPool2d", "kernel_size": 2}, {"type": "Flatten"},
  {"type": "Dropout"}, {"type": "Linear", "out_features": 12}, {"type": "ReLU"}, {"type": "Linear", "out_features": "classes"}]})";

Json spec_of(const char* json) { return parse_json(json, "spec"); }

/// Random images; the label is the place in the list, modulo the classes.
ImageDataset random_images(const Json& spec, int images, int classes, std::uint64_t seed = 1) {
  std::vector<std::string> names;
  for (int c = 0; c < classes; ++c) names.push_back("class " + std::to_string(c));
  ImageDataset data(spec["input"][0].get<int>(), spec["input"][1].get<int>(),
                    spec["input"][2].get<int>(), names);
  std::vector<std::uint8_t> pixels(
      static_cast<std::size_t>(data.height() * data.width() * data.channels()));
  for (int i = 0; i < images; ++i) {
    const Rng rng(seed, static_cast<std::uint64_t>(i));
    for (std::size_t j = 0; j < pixels.size(); ++j)
      pixels[j] = static_cast<std::uint8_t>(rng.at(j) & 255);
    data.add(pixels, i % classes);
  }
  return data;
}

std::vector<real> weights_of(Model& model) {
  std::vector<real> all;
  for (const Parameter* parameter : model.parameters()) {
    all.insert(all.end(), parameter->value.data(),
               parameter->value.data() + parameter->value.size());
  }
  return all;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "expected an Error";
  return {};
}

bool says(const std::string& message, const std::string& part) {
  return message.find(part) != std::string::npos;
}
#define EXPECT_SAYS(message, part) EXPECT_PRED2(says, message, part)

class Training : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Backends, Training, testing::ValuesIn(backend_names()),
                         [](const auto& backend) { return backend.param; });

TEST_P(Training, EachLessonNetworkLearnsEightRandomImagesByHeart) {
  const auto backend = make_backend(GetParam(), 2);
  struct Case {
    Json spec;
    int classes;
  };
  const std::vector<Case> cases{{with_input(spec_of(kBinary), 32, 28), 2},
                                {with_input(spec_of(kMultiClass), 28, 32), 4},
                                {with_input(spec_of(kFashion), 12, 12), 8}};
  for (const auto& [spec, classes] : cases) {
    SCOPED_TRACE(spec["name"].get<std::string>());
    const ImageDataset data = random_images(spec, 8, classes);
    Model model(spec, classes, backend);
    Trainer trainer(model, data,
                    {.optimizer = {.name = "adam", .lr = 3e-3}, .batch_size = 4, .seed = 5});
    const double before = evaluate(model, data).loss;
    for (int i = 0; i < 120; ++i) trainer.step();
    const EvaluationResult after = evaluate(model, data);
    EXPECT_GT(before, 0.3);
    EXPECT_LT(after.loss, 0.05);
    EXPECT_EQ(after.confusion.accuracy(), 1.0);
  }
}

TEST_P(Training, SeedFixesEveryBitOfARun) {
  const Json spec = spec_of(kMixed);
  const ImageDataset data = random_images(spec, 11, 3);
  const auto run = [&](std::uint64_t model_seed, std::uint64_t trainer_seed) {
    Model model(spec, 3, make_backend(GetParam(), 2));
    model.init(model_seed);
    Trainer trainer(
        model, data,
        {.optimizer = {.name = "sgd", .lr = 0.1}, .batch_size = 4, .seed = trainer_seed});
    for (int i = 0; i < 7; ++i) trainer.step();
    return weights_of(model);
  };
  const std::vector<real> first = run(1, 2);
  EXPECT_EQ(run(1, 2), first);
  EXPECT_NE(run(1, 3), first)
      << "the trainer's seed must change the order of the images and Dropout's masks";
  EXPECT_NE(run(2, 2), first) << "the model's seed must change the first weights";
}

TEST_P(Training, BitsDoNotDependOnTheNumberOfThreads) {
  struct Case {
    Json spec;
    int classes, images, batch_size;
    const char* optimizer;
  };
  const std::vector<Case> cases{{with_input(spec_of(kMultiClass), 64, 60), 3, 9, 8, "sgd"},
                                {with_input(spec_of(kBinary), 61, 65), 2, 9, 8, "adam"},
                                {spec_of(kFashion), 10, 24, 16, "adamw"},
                                {spec_of(kMixed), 3, 10, 7, "sgd"}};
  for (const Case& test : cases) {
    SCOPED_TRACE(test.spec["name"].get<std::string>());
    const ImageDataset data = random_images(test.spec, test.images, test.classes);
    std::vector<real> first;
    double first_loss = 0;
    for (const int threads : {1, 2, 3}) {
      Model model(test.spec, test.classes, make_backend(GetParam(), threads));
      ASSERT_EQ(model.backend().pool().threads(), threads);
      Trainer trainer(model, data,
                      {.optimizer = {.name = test.optimizer, .lr = 1e-2, .weight_decay = 1e-3},
                       .batch_size = test.batch_size});
      for (int i = 0; i < 4; ++i) trainer.step();
      const double loss = evaluate(model, data, 5).loss;
      if (threads == 1) {
        first = weights_of(model);
        first_loss = loss;
      } else {
        EXPECT_EQ(weights_of(model), first) << threads << " threads";
        EXPECT_EQ(loss, first_loss) << threads << " threads";
      }
    }
  }
}

TEST_P(Training, StepAfterTheFirstTakesNoMemory) {
  for (const char* json : {kBinary, kMultiClass, kFashion, kMixed}) {
    const Json spec = json == kMixed ? spec_of(json) : with_input(spec_of(json), 28, 28);
    SCOPED_TRACE(spec["name"].get<std::string>());
    const int classes = json == kBinary ? 2 : 3;
    const ImageDataset data = random_images(spec, 20, classes);
    for (const char* optimizer : {"sgd", "adam"}) {
      Model model(spec, classes, make_backend(GetParam(), 2));
      Trainer trainer(model, data, {.optimizer = {.name = optimizer, .lr = 1e-3}, .batch_size = 8});
      // One epoch: full batches and the last, smaller one.
      for (int i = 0; i < trainer.steps_per_epoch() + 1; ++i) trainer.step();
#if defined(PINHOLE_COUNTS_NEW)
      const std::int64_t blocks = large_blocks;
#endif
      // The allocator may give a block made anew a little more than was asked for, and takes that back another time; what a step
      // keeps never goes away. So the largest of a few epochs is held against the smallest of later ones.
      const auto heap_after_epoch = [&] {
        for (int i = 0; i < trainer.steps_per_epoch(); ++i) trainer.step();
        return heap_in_use();
      };
      std::size_t heap = heap_in_use();
      for (int epoch = 0; epoch < 3; ++epoch) heap = std::max(heap, heap_after_epoch());
      std::size_t after = heap_after_epoch();
      for (int epoch = 0; epoch < 3; ++epoch) after = std::min(after, heap_after_epoch());
      EXPECT_LE(after, heap + 64) << optimizer << ": the heap grew";
#if defined(PINHOLE_COUNTS_NEW)
      EXPECT_EQ(large_blocks, blocks) << optimizer << ": blocks of " << kLargeBlock
                                      << " bytes or more were allocated inside a step";
#endif
    }
  }
}

TEST_P(Training, EvaluatingAndPredictingBetweenStepsChangesNothing) {
  const Json spec = spec_of(kMixed);
  const ImageDataset data = random_images(spec, 11, 3);
  const TrainerOptions options{
      .optimizer = {.name = "adam", .lr = 1e-2}, .batch_size = 4, .seed = 9};
  Model plain(spec, 3, make_backend(GetParam(), 2));
  Trainer straight(plain, data, options);
  std::vector<double> losses;
  for (int i = 0; i < 8; ++i) losses.push_back(straight.step().loss);

  Model model(spec, 3, make_backend(GetParam(), 2));
  Trainer trainer(model, data, options);
  for (std::size_t i = 0; i < losses.size(); ++i) {
    EXPECT_EQ(trainer.step().loss, losses[i]) << "step " << i + 1;
    evaluate(model, data, 11);  // a larger batch than training's
    Evaluation half(model, data, 2);
    half.step();  // and one that is never ended
    Tensor x;
    std::vector<int> labels;
    const std::vector<std::uint32_t> one{3};
    data.batch(one, x, labels, model.backend().pool());
    model.predict(x);
  }
  EXPECT_EQ(weights_of(model), weights_of(plain));
}

TEST_P(Training, StoppedTrainerLeavesAModelThatAnotherTrainerGoesOnWith) {
  const Json spec = with_input(spec_of(kMultiClass), 16, 16);
  const ImageDataset data = random_images(spec, 8, 4);
  Model model(spec, 4, make_backend(GetParam(), 2));
  {
    Trainer trainer(model, data, {.optimizer = {.name = "adam", .lr = 1e-3}, .batch_size = 3});
    trainer.step();  // in the middle of an epoch
  }
  const double between = evaluate(model, data).loss;
  Trainer trainer(model, data, {.optimizer = {.name = "adam", .lr = 1e-3}, .batch_size = 8});
  EXPECT_NEAR(trainer.step().loss, between, 1e-5);
  EXPECT_LT(evaluate(model, data).loss, between);
}

TEST_P(Training, LossThatIsNotANumberStopsWithAnErrorThatNamesTheStep) {
  const Json spec = with_input(spec_of(kBinary), 12, 12);
  const ImageDataset data = random_images(spec, 8, 2);
  Model model(spec, 2, make_backend(GetParam(), 2));
  Trainer trainer(model, data, {.optimizer = {}, .batch_size = 4});
  trainer.step();
  trainer.step();
  Parameter& bias = *model.parameters().back();
  bias.value.data()[0] = std::numeric_limits<real>::quiet_NaN();
  bias.changed();
  const std::string message = message_of([&] { trainer.step(); });
  EXPECT_SAYS(message, "step 3");
  EXPECT_SAYS(message, "finite");
  EXPECT_SAYS(message, bias.name + " holds NaN");
}

TEST_P(Training, NaNInTheFirstLayersWeightsReachesTheLoss) {
  // A ReLU or a maximum that drops NaN would hide a broken training.
  for (const char* json : {kMultiClass, kMixed}) {
    const Json spec = json == kMixed ? spec_of(json) : with_input(spec_of(json), 12, 12);
    SCOPED_TRACE(spec["name"].get<std::string>());
    const ImageDataset data = random_images(spec, 6, 3);
    Model model(spec, 3, make_backend(GetParam(), 2));
    Parameter& weight = *model.parameters().front();
    weight.value.data()[0] = std::numeric_limits<real>::quiet_NaN();
    weight.changed();
    Trainer trainer(model, data, {.optimizer = {}, .batch_size = 6});
    EXPECT_SAYS(message_of([&] { trainer.step(); }), weight.name + " holds NaN");
  }
}

TEST_P(Training, AnOverflowIsSaidWithTheLayerThatItBeginsIn) {
  const Json spec =
      Json::parse(R"({"format": "pinhole/1", "name": "Over", "input": [6, 6, 3], "layers": [
      {"type": "Conv2d", "name": "quiet", "out_channels": 4, "kernel_size": 1},
      {"type": "Conv2d", "name": "loud", "out_channels": 4, "kernel_size": 3, "padding": 1},
      {"type": "ReLU"}, {"type": "Flatten"}, {"type": "Linear", "name": "fc", "out_features": "classes"}]})");
  const ImageDataset data = random_images(spec, 6, 3);
  Model model(spec, 3, make_backend(GetParam(), 2));
  for (Parameter* p : model.parameters()) {
    if (p->name == "quiet.weight" || p->name == "loud.weight") {
      p->value.fill(static_cast<real>(p->name == "quiet.weight" ? 1e20 : 1e25));
      p->changed();
    }
  }
  Trainer trainer(model, data, {.optimizer = {}, .batch_size = 6});
  EXPECT_SAYS(message_of([&] { trainer.step(); }), "[Conv2d loud] gives NaN or infinity");
}

TEST_P(Training, AGradientThatOverflowsStopsBeforeTheWeightsAreChanged) {
  const Json spec =
      Json::parse(R"({"format": "pinhole/1", "name": "Steep", "input": [8, 8, 3], "layers": [
      {"type": "Normalize", "mean": [0], "std": [1e-37]},
      {"type": "Conv2d", "name": "conv", "out_channels": 4, "kernel_size": 1, "bias": false},
      {"type": "Flatten"}, {"type": "Linear", "name": "fc", "out_features": "classes"}]})");
  ImageDataset data(8, 8, 3, {"a", "b"});
  for (int i = 0; i < 8; ++i) data.add(std::vector<std::uint8_t>(8 * 8 * 3, 255), 1 - i / 7);
  Model model(spec, 2, make_backend(GetParam(), 2));
  Parameter& conv = *model.parameters()[0];
  Parameter& fc = *model.parameters()[1];
  ASSERT_EQ(conv.name, "conv.weight");
  conv.value.fill(static_cast<real>(1e-37));
  fc.value.fill(0);
  for (std::size_t i = 0; i < fc.value.size() / 2; ++i) fc.value.data()[i] = 5;  // of class a
  conv.changed();
  fc.changed();
  const std::vector<real> before(conv.value.data(), conv.value.data() + conv.value.size());
  Trainer trainer(model, data, {.optimizer = {.name = "sgd"}, .batch_size = 8});
  const std::string message = message_of([&] { trainer.step(); });
  EXPECT_SAYS(message, "the gradient of conv.weight is not finite at step 1");
  EXPECT_SAYS(message, "learning rate");
  EXPECT_TRUE(std::equal(before.begin(), before.end(), conv.value.data()));
}

TEST_P(Training, AnAbsurdLearningRateEndsInAnErrorNotInANetworkOfNaNs) {
  const Json spec = with_input(spec_of(kFashion), 12, 12);
  const ImageDataset data = random_images(spec, 16, 4);
  Model model(spec, 4, make_backend(GetParam(), 2));
  Trainer trainer(model, data, {.optimizer = {.name = "sgd", .lr = 1e12}, .batch_size = 4});
  EXPECT_SAYS(message_of([&] {
                for (int i = 0; i < 50; ++i) trainer.step();
              }),
              "learning rate");
}

TEST_P(Training, GradientsOfOneStepAreNotAddedToTheNext) {
  const Json spec = with_input(spec_of(kMultiClass), 16, 16);
  const ImageDataset data = random_images(spec, 4, 4);
  Model model(spec, 4, make_backend(GetParam(), 2));
  Trainer trainer(
      model, data,
      {.optimizer = {.name = "sgd", .lr = 0, .momentum = 0}, .batch_size = 4, .shuffle = false});
  const auto gradients = [&] {
    std::vector<real> all;
    for (const Parameter* p : model.parameters())
      all.insert(all.end(), p->grad.data(), p->grad.data() + p->grad.size());
    return all;
  };
  trainer.step();
  const std::vector<real> first = gradients();
  EXPECT_GT(*std::max_element(first.begin(), first.end()), 0);
  trainer.step();
  EXPECT_EQ(gradients(), first);
}

/// A model and data small enough to follow by hand.
struct Small {
  Json spec = with_input(spec_of(kMultiClass), 8, 8);
  std::shared_ptr<Backend> backend = make_backend("reference", 1);
};

TEST(Trainer, LastBatchOfAnEpochHoldsWhatIsLeft) {
  const Small small;
  const ImageDataset data = random_images(small.spec, 10, 3);
  Model model(small.spec, 3, small.backend);
  Trainer trainer(model, data,
                  {.optimizer = {.name = "sgd", .lr = 0}, .batch_size = 4, .shuffle = false});
  EXPECT_EQ(trainer.steps_per_epoch(), 3);
  for (std::int64_t i = 0; i < 9; ++i) {
    const StepResult step = trainer.step();
    EXPECT_EQ(step.step, i + 1);
    EXPECT_EQ(step.epoch, i / 3 + 1);
    EXPECT_EQ(step.images, i % 3 == 2 ? 2 : 4);
    EXPECT_EQ(step.end_of_epoch, i % 3 == 2);
    // The mean over the batch that was there, not over the batch size.
    std::vector<std::uint32_t> indices(static_cast<std::size_t>(step.images));
    std::iota(indices.begin(), indices.end(), static_cast<std::uint32_t>(i % 3 * 4));
    const EvaluationResult same = evaluate(model, data.subset(indices));
    EXPECT_NEAR(step.loss, same.loss, 1e-6);
    EXPECT_EQ(step.correct, std::lround(same.confusion.accuracy() * step.images));
  }
}

TEST(Trainer, BatchLargerThanTheDataIsTheWholeData) {
  const Small small;
  const ImageDataset data = random_images(small.spec, 5, 3);
  Model model(small.spec, 3, small.backend);
  Trainer trainer(model, data, {.optimizer = {}, .batch_size = 32});
  EXPECT_EQ(trainer.steps_per_epoch(), 1);
  const StepResult step = trainer.step();
  EXPECT_EQ(step.images, 5);
  EXPECT_TRUE(step.end_of_epoch);
}

TEST(Trainer, EveryEpochShowsEachImageOnceInAnotherOrder) {
  const Small small;
  const ImageDataset data = random_images(small.spec, 12, 3);
  Model model(small.spec, 3, small.backend);
  const auto epochs = [&](const TrainerOptions& options) {
    Trainer trainer(model, data, options);
    std::vector<std::vector<double>> losses(2);
    for (auto& epoch : losses) {
      for (int i = 0; i < 12; ++i) epoch.push_back(trainer.step().loss);
    }
    return losses;
  };
  // Nothing is learned, so an image is known by its loss.
  const TrainerOptions still{.optimizer = {.name = "sgd", .lr = 0}, .batch_size = 1, .seed = 3};
  TrainerOptions in_order = still;
  in_order.shuffle = false;
  const auto plain = epochs(in_order), shuffled = epochs(still);
  EXPECT_EQ(plain[0], plain[1]);
  EXPECT_NE(shuffled[0], plain[0]);
  EXPECT_NE(shuffled[0], shuffled[1]);
  for (const auto& epoch : shuffled)
    EXPECT_TRUE(std::is_permutation(epoch.begin(), epoch.end(), plain[0].begin(), plain[0].end()));
}

TEST(Trainer, DataOfAnotherImageSizeIsRefused) {
  const Small small;
  Model model(small.spec, 3, small.backend);
  const ImageDataset data = random_images(with_input(small.spec, 8, 9), 3, 3);
  const std::string message = message_of([&] { Trainer(model, data, {}); });
  EXPECT_SAYS(message, "8x8x3");
  EXPECT_SAYS(message, "8x9x3");
  EXPECT_EQ(message_of([&] { Evaluation(model, data); }), message);
  Json grey = small.spec;
  grey["input"][2] = 1;
  EXPECT_SAYS(message_of([&] { Trainer(model, random_images(grey, 3, 3), {}); }), "8x8x1");
}

TEST(Trainer, DataWithAnotherNumberOfClassesIsRefused) {
  const Small small;
  Model three(small.spec, 3, small.backend);
  const std::string message =
      message_of([&] { Trainer(three, random_images(small.spec, 4, 4), {}); });
  EXPECT_SAYS(message, "3");
  EXPECT_SAYS(message, "4");
  const Json binary = with_input(spec_of(kBinary), 8, 8);
  Model two(binary, 2, small.backend);
  EXPECT_SAYS(message_of([&] { Trainer(two, random_images(binary, 3, 3), {}); }), "2");
}

TEST(Trainer, OptionsThatCannotBeMeantAreRefused) {
  const Small small;
  Model model(small.spec, 3, small.backend);
  const ImageDataset data = random_images(small.spec, 3, 3);
  EXPECT_SAYS(message_of([&] { Trainer(model, data, {.optimizer = {}, .batch_size = 0}); }),
              "batch size");
  EXPECT_SAYS(message_of([&] { Trainer(model, data, {.optimizer = {}, .batch_size = -4}); }), "-4");
  EXPECT_SAYS(message_of([&] { Evaluation(model, data, 0); }), "batch size");
  EXPECT_SAYS(message_of([&] { Trainer(model, random_images(small.spec, 0, 3), {}); }), "empty");
  EXPECT_SAYS(message_of([&] { Trainer(model, data, {.optimizer = {.name = "adagrad"}}); }),
              "adagrad");
  EXPECT_SAYS(message_of([&] { Trainer(model, data, {.optimizer = {.lr = -1}}); }),
              "learning rate");
  EXPECT_SAYS(message_of([&] {
                Trainer(model, data,
                        {.optimizer = {.lr = std::numeric_limits<double>::quiet_NaN()}});
              }),
              "learning rate");
  EXPECT_SAYS(message_of([&] { Trainer(model, data, {.optimizer = {.weight_decay = -0.1}}); }),
              "weight decay");
  EXPECT_SAYS(
      message_of([&] { Trainer(model, data, {.optimizer = {.name = "sgd", .momentum = 1.5}}); }),
      "momentum");
}

TEST(Trainer, TwoClassesTrainABinaryNetworkWithBinaryCrossEntropy) {
  const Small small;
  const Json spec = with_input(spec_of(kBinary), 8, 8);
  const ImageDataset data = random_images(spec, 6, 2);
  Model model(spec, 2, small.backend);
  EXPECT_EQ(model.loss(), LossKind::kBinaryCrossEntropy);
  EXPECT_EQ(model.outputs(), 1);
  EXPECT_EQ(model.classes(), 2);
  Tensor x, dlogits;
  std::vector<int> labels;
  const std::vector<std::uint32_t> all{0, 1, 2, 3, 4, 5};
  data.batch(all, x, labels, model.backend().pool());
  // -log of the probability that the network gives the right class.
  const Tensor& p = model.predict(x);
  double want = 0;
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(p.data()[2 * i] + p.data()[2 * i + 1], 1, 1e-6);
    want -= std::log(p.data()[2 * i + static_cast<std::size_t>(labels[i])]) / 6;
  }
  Trainer trainer(model, data, {.optimizer = {}, .batch_size = 6});
  EXPECT_NEAR(trainer.step().loss, want, 1e-6);
}

TEST(Evaluation, CountsEveryImageOnceWhateverTheBatch) {
  const Small small;
  const ImageDataset data = random_images(small.spec, 10, 3);
  Model model(small.spec, 3, small.backend);
  const EvaluationResult whole = evaluate(model, data, 100);
  EXPECT_EQ(whole.confusion.total(), 10);
  for (int label = 0; label < 3; ++label) {
    std::int64_t row = 0;
    for (int predicted = 0; predicted < 3; ++predicted) row += whole.confusion.at(label, predicted);
    EXPECT_EQ(row, label == 0 ? 4 : 3);
  }
  for (const int batch_size : {1, 3, 10}) {
    Evaluation evaluation(model, data, batch_size);
    std::size_t steps = 0;
    while (evaluation.step()) {
      ++steps;
      EXPECT_EQ(evaluation.done(),
                std::min<std::size_t>(10, steps * static_cast<std::size_t>(batch_size)));
    }
    EXPECT_EQ(steps, static_cast<std::size_t>((10 + batch_size - 1) / batch_size));
    EXPECT_NEAR(evaluation.result().loss, whole.loss, 1e-6);
    for (int label = 0; label < 3; ++label) {
      for (int predicted = 0; predicted < 3; ++predicted) {
        EXPECT_EQ(evaluation.result().confusion.at(label, predicted),
                  whole.confusion.at(label, predicted));
      }
    }
  }
}

TEST(Evaluation, ConfusionIsWhatPredictSays) {
  const Small small;
  const ImageDataset data = random_images(small.spec, 9, 3);
  Model model(small.spec, 3, small.backend);
  const EvaluationResult result = evaluate(model, data, 4);
  ConfusionMatrix want(3);
  double loss = 0;
  for (std::uint32_t i = 0; i < 9; ++i) {
    Tensor x;
    std::vector<int> labels;
    data.batch(std::vector<std::uint32_t>{i}, x, labels, model.backend().pool());
    const real* p = model.predict(x).data();
    want.add(labels[0], static_cast<int>(std::max_element(p, p + 3) - p));
    loss -= std::log(p[labels[0]]) / 9;
  }
  for (int label = 0; label < 3; ++label) {
    for (int predicted = 0; predicted < 3; ++predicted)
      EXPECT_EQ(result.confusion.at(label, predicted), want.at(label, predicted));
  }
  EXPECT_NEAR(result.loss, loss, 1e-5);
}

TEST(Evaluation, DropoutDropsNothing) {
  const Json spec = spec_of(kMixed);
  const ImageDataset data = random_images(spec, 6, 3);
  Model model(spec, 3, make_backend("reference", 1));
  Trainer trainer(model, data, {.optimizer = {}, .batch_size = 6});
  trainer.step();
  EXPECT_EQ(evaluate(model, data).loss, evaluate(model, data).loss);
}

TEST(PredictedClass, IsTheHighestLogitOrForOneOutputItsSign) {
  const real logits[] = {real(-3), real(-1), real(-2)};
  EXPECT_EQ(predicted_class(logits, 3), 1);
  const real tie[] = {real(1), real(2), real(2)};
  EXPECT_EQ(predicted_class(tie, 3), 1);
  const real positive = real(0.01), zero = 0, negative = real(-0.01);
  EXPECT_EQ(predicted_class(&positive, 1), 1);
  EXPECT_EQ(predicted_class(&zero, 1), 0);
  EXPECT_EQ(predicted_class(&negative, 1), 0);
}

TEST(ConfusionMatrix, AccuracyPrecisionAndRecallMatchHandNumbers) {
  //            called 0  1  2
  //  is 0             5  2  1
  //  is 1             0  4  0
  //  is 2             3  1  4
  const std::int64_t counts[3][3] = {{5, 2, 1}, {0, 4, 0}, {3, 1, 4}};
  ConfusionMatrix matrix(3);
  for (int label = 0; label < 3; ++label) {
    for (int predicted = 0; predicted < 3; ++predicted) {
      for (std::int64_t i = 0; i < counts[label][predicted]; ++i) matrix.add(label, predicted);
    }
  }
  EXPECT_EQ(matrix.classes(), 3);
  EXPECT_EQ(matrix.total(), 20);
  EXPECT_EQ(matrix.at(2, 0), 3);
  EXPECT_EQ(matrix.at(0, 2), 1);
  EXPECT_DOUBLE_EQ(matrix.accuracy(), 13.0 / 20);
  EXPECT_DOUBLE_EQ(matrix.precision(0), 5.0 / 8);
  EXPECT_DOUBLE_EQ(matrix.precision(1), 4.0 / 7);
  EXPECT_DOUBLE_EQ(matrix.precision(2), 4.0 / 5);
  EXPECT_DOUBLE_EQ(matrix.recall(0), 5.0 / 8);
  EXPECT_DOUBLE_EQ(matrix.recall(1), 1.0);
  EXPECT_DOUBLE_EQ(matrix.recall(2), 4.0 / 8);
}

TEST(ConfusionMatrix, WhatCannotBeSaidIsNotANumber) {
  ConfusionMatrix matrix(3);
  EXPECT_EQ(matrix.total(), 0);
  EXPECT_EQ(matrix.accuracy(), 0);
  EXPECT_TRUE(std::isnan(matrix.precision(0)));
  EXPECT_TRUE(std::isnan(matrix.recall(0)));
  matrix.add(0, 1);
  EXPECT_EQ(matrix.precision(1), 0);
  EXPECT_TRUE(std::isnan(matrix.precision(0)));  // nothing was called 0
  EXPECT_EQ(matrix.recall(0), 0);
  EXPECT_TRUE(std::isnan(matrix.recall(1)));  // nothing is 1
}

}  // namespace
}  // namespace pinhole
