// Pretrained, frozen layers: that the imported trunk computes what PyTorch computes with it, that kept features train the same head,
// and what is said when weights do not fit.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "error.h"
#include "image.h"
#include "json.h"
#include "loss.h"
#include "model_file.h"
#include "trainer.h"

namespace pinhole {
namespace {

const std::filesystem::path kSource = PINHOLE_SOURCE_DIR;

std::vector<std::uint8_t> read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Json read_spec(const std::filesystem::path& path) {
  const auto bytes = read(path);
  return parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string());
}

const char* const kSmall =
    R"({"format": "pinhole/1", "name": "Small", "input": [12, 10, 3], "pretrained": "small", "layers": [
  {"type": "Conv2d", "name": "stem", "out_channels": 6, "kernel_size": 3, "stride": 2, "requires_grad": false},
  {"type": "BatchNorm2d", "name": "bn", "requires_grad": false}, {"type": "ReLU6"},
  {"type": "AdaptiveAvgPool2d", "output_size": 1}, {"type": "BatchNorm2d", "name": "standardize", "affine": false},
  {"type": "Flatten"}, {"type": "Linear", "name": "fc", "out_features": "classes"}, {"type": "Softmax"}]})";

ImageDataset noise(int images, int height = 12, int width = 10) {
  ImageDataset data(height, width, 3, {"a", "b", "c"});
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(height * width * 3));
  for (int i = 0; i < images; ++i) {
    const Rng rng(4, static_cast<std::uint64_t>(i));
    for (std::size_t j = 0; j < pixels.size(); ++j)
      pixels[j] = static_cast<std::uint8_t>(rng.at(j) & 255);
    data.add(pixels, i % 3);
  }
  return data;
}

Model small(std::string_view backend) {
  return {parse_json(kSmall, "spec"), 3, make_backend(backend, 2)};
}

std::vector<real> all_values(Model& model) {
  std::vector<real> all;
  for (const Parameter* p : model.state())
    all.insert(all.end(), p->value.data(), p->value.data() + p->value.size());
  return all;
}

class Transfer : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Backends, Transfer, testing::ValuesIn(backend_names()),
                         [](const auto& parameter) {
                           std::string name = parameter.param;
                           std::replace(name.begin(), name.end(), ':', '_');
                           return name;
                         });

TEST_P(Transfer, TrunkGivesPyTorchsFeatures) {
  const auto weights = kSource / "models/mobilenet_v2_trunk.safetensors";
  if (!std::filesystem::exists(weights))
    GTEST_SKIP() << weights << " is not there; scripts/backbone.mjs makes it";
  const Safetensors golden =
      read_safetensors(read(kSource / "tests/golden/trunk.safetensors"), "trunk");
  const Json photos = parse_json(golden.metadata.at("photos"), "photos");
  Model model(read_spec(kSource / "models/transfer.json"), 4, make_backend(GetParam(), 2));
  load_pretrained(model, read_safetensors(read(weights), "trunk"), "trunk");
  EXPECT_EQ(model.pretrained(), "mobilenet_v2_trunk");
  ASSERT_EQ(model.feature_shape(), (Shape{1, 1, 1, 96}));
  ImageDataset data(224, 224, 3, {"a", "b", "c", "d"});
  for (const Json& photo : photos) {
    const Image image =
        decode_image(read(kSource / "web/public/samples/photos" / photo.get<std::string>()));
    data.add(to_input(image, 224, 224, 3), 0);
  }
  FeatureCache cache(model, data);
  while (cache.step(3)) {}
  std::vector<std::uint32_t> indices(data.size());
  for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<std::uint32_t>(i);
  Tensor features;
  cache.gather(indices, features);
  const std::vector<float>& want = golden.tensors.at("features").values;
  ASSERT_EQ(features.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i)
    ASSERT_NEAR(features.data()[i], want[i], 1e-3) << "at " << i;
}

/// Trains `whole` by hand, every image through the whole network, and expects the trainer's losses of its first `steps` steps.
void expect_steps(Trainer& trainer, Model& whole, int steps) {
  const TrainerOptions& options = trainer.options();
  const ImageDataset& data = trainer.data();
  const auto optimizer = make_optimizer(options.optimizer);
  const int images = static_cast<int>(data.size());
  Tensor x, dlogits;
  std::vector<int> labels;
  for (int step = 1; step <= steps; ++step) {
    const StepResult result = trainer.step();
    const int epoch = (step - 1) / trainer.steps_per_epoch();
    const int first = (step - 1) % trainer.steps_per_epoch() * options.batch_size;
    std::vector<std::uint32_t> indices;
    for (int i = first; i < std::min(first + options.batch_size, images); ++i)
      indices.push_back(static_cast<std::uint32_t>(i));
    const int views = options.augment_views;
    const ImageDataset::Change change{options.augment, options.seed,
                                      (views == 0 ? epoch : epoch % views) + 1};
    data.batch(indices, x, labels, whole.backend().pool(),
               options.augment.empty() ? nullptr : &change);
    const double want =
        loss(whole.loss(),
             whole.forward(x, Pass::kTrain, options.seed, static_cast<std::uint64_t>(step)), labels,
             dlogits);
    whole.zero_grad();
    whole.backward(x, dlogits);
    optimizer->step(whole.backend(), whole.parameters());
    EXPECT_DOUBLE_EQ(result.loss, want) << "step " << step;
  }
}

TEST_P(Transfer, HeadLearnsTheSameFromKeptFeaturesAsFromImages) {
  const ImageDataset data = noise(10);
  Model kept = small(GetParam());
  Trainer trainer(kept, data, {.optimizer = {}, .batch_size = 4, .shuffle = false});
  EXPECT_TRUE(FeatureCache::pays(kept, data));
  Model whole = small(GetParam());
  expect_steps(trainer, whole, 6);
  EXPECT_EQ(all_values(kept), all_values(whole));
  // Scores agree too, through the trainer's kept features and without.
  Evaluation with = trainer.evaluation(data);
  while (with.step()) {}
  EXPECT_DOUBLE_EQ(with.result().loss, evaluate(whole, data).loss);
}

TEST(FeatureCache, OfNoImagesHasNothingToDo) {
  Model model = small("reference");
  const ImageDataset data = noise(0);
  FeatureCache cache(model, data);
  EXPECT_EQ(cache.total(), 0U);
  EXPECT_FALSE(cache.step(4));
}

Augmentation flips_and_shifts() {
  return {parse_json(R"([{"type": "RandomHorizontalFlip"}, {"type": "RandomCrop", "padding": 2}])",
                     "augment"),
          "augment"};
}

TEST_P(Transfer, HeadLearnsTheSameFromKeptLooksAsFromImagesChangedAnew) {
  const ImageDataset data = noise(10);
  Model kept = small(GetParam());
  Trainer trainer(kept, data,
                  {.optimizer = {},
                   .batch_size = 4,
                   .seed = 3,
                   .shuffle = false,
                   .augment = flips_and_shifts(),
                   .augment_views = 2});
  EXPECT_EQ(trainer.to_prepare(), 20U);
  EXPECT_EQ(trainer.prepared(), 0U);
  EXPECT_TRUE(trainer.prepare_step());
  EXPECT_EQ(trainer.prepared(), 4U);
  Model whole = small(GetParam());
  expect_steps(trainer, whole, 12);  // four epochs: each look twice
  EXPECT_EQ(trainer.prepared(), 20U);
  EXPECT_EQ(all_values(kept), all_values(whole));
}

TEST(TrainerLooks, AreTheSameInTurnWithoutFrozenLayersToo) {
  const ImageDataset data = noise(10);
  Json spec = parse_json(kSmall, "spec");
  for (Json& layer : spec["layers"]) layer.erase("requires_grad");
  Model trained(spec, 3, make_backend("simd", 1));
  Model by_hand(spec, 3, make_backend("simd", 1));
  Trainer trainer(trained, data,
                  {.optimizer = {},
                   .batch_size = 5,
                   .shuffle = false,
                   .augment = flips_and_shifts(),
                   .augment_views = 2});
  EXPECT_EQ(trainer.to_prepare(), 0U);
  expect_steps(trainer, by_hand, 8);
}

TEST(TrainerLooks, ThatAreAsManyAsTheEpochsTakeNoMoreThanThose) {
  const ImageDataset data = noise(10);
  Model model = small("simd");
  const Trainer trainer(
      model, data,
      {.optimizer = {}, .epochs = 3, .augment = flips_and_shifts(), .augment_views = 50});
  EXPECT_EQ(trainer.to_prepare(), 30U);
}

TEST_P(Transfer, FeaturesAreStandardisedByTheBatchThoughNothingOfThatIsTrained) {
  const ImageDataset data = noise(9);
  Model model = small(GetParam());
  EXPECT_EQ(model.frozen_layers(),
            4U);  // up to the average: not "standardize", which has no parameter
  Trainer trainer(model, data, {.optimizer = {}, .batch_size = 9});
  for (int i = 0; i < 200; ++i) trainer.step();
  FeatureCache cache(model, data);
  while (cache.step(9)) {}
  const std::vector<Parameter*> state = model.state();
  const auto running = std::find_if(state.begin(), state.end(), [](const Parameter* p) {
    return p->name == "standardize.running_mean";
  });
  ASSERT_NE(running, state.end());
  for (std::size_t c = 0; c < 6; ++c) {
    double mean = 0;
    for (std::size_t i = 0; i < 9; ++i) mean += cache.at(i)[c] / 9;
    EXPECT_NEAR((*running)->value.data()[c], mean, 1e-4) << "channel " << c;
  }
}

TEST_P(Transfer, FrozenLayersStayAsTheyWere) {
  const ImageDataset data = noise(9);
  Model model = small(GetParam());
  const auto frozen = [&] {
    std::vector<real> all;
    for (const Parameter* p : model.state()) {
      if (p->name.starts_with("stem.") || p->name.starts_with("bn."))
        all.insert(all.end(), p->value.data(), p->value.data() + p->value.size());
    }
    return all;
  };
  const std::vector<real> before = frozen(), all_before = all_values(model);
  Trainer trainer(model, data,
                  {.optimizer = {.name = "adamw", .weight_decay = 0.1}, .batch_size = 4});
  for (int i = 0; i < 5; ++i) trainer.step();
  EXPECT_EQ(frozen(), before);
  EXPECT_NE(all_values(model), all_before);
}

TEST(Trainer, LastSingleImageJoinsTheBatchBeforeItWhereBatchNormNeedsTwo) {
  const ImageDataset data = noise(9);
  Model model = small("reference");
  Trainer trainer(model, data, {.optimizer = {}, .batch_size = 4});
  EXPECT_EQ(trainer.steps_per_epoch(), 2);
  EXPECT_EQ(trainer.step().images, 4);
  const StepResult last = trainer.step();
  EXPECT_EQ(last.images, 5);
  EXPECT_TRUE(last.end_of_epoch);
  EXPECT_EQ(trainer.step().epoch, 2);
}

TEST(Pretrained, LeavesANewHeadAloneAndListsWhatDoesNotFit) {
  Model model = small("reference");
  model.init(3);
  Safetensors file = read_safetensors(save_model(model, {.classes = {"a", "b", "c"}}), "file");
  Model other = small("reference");
  other.init(8);
  const real head = other.parameters().back()->value.data()[0];
  file.tensors.erase("fc.weight");
  file.tensors.erase("fc.bias");
  load_pretrained(other, file, "file");
  EXPECT_EQ(other.parameters().front()->value.data()[0],
            model.parameters().front()->value.data()[0]);
  EXPECT_EQ(other.parameters().back()->value.data()[0], head);
  file.tensors["stem.bias"].shape = {2, 3};
  file.tensors["extra.weight"] = file.tensors["stem.weight"];
  try {
    load_pretrained(other, file, "file");
    FAIL();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("unexpected: extra.weight"), std::string::npos) << message;
    EXPECT_NE(message.find("stem.bias is [2, 3], expected [6]"), std::string::npos) << message;
    EXPECT_EQ(message.find("missing"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace pinhole
