// A training that is saved, thrown away and taken up again must go on as if nothing had happened, to the last bit, wherever the
// pause falls; and a state that does not fit says why.
#include "training_state.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "error.h"
#include "recipe.h"
#include "rng.h"

namespace pinhole {
namespace {

// Dropout's masks are chance, BatchNorm2d has buffers.
const char* const kSpec =
    R"({"format": "pinhole/1", "name": "Small", "input": [6, 5, 3], "layers": [
  {"type": "Conv2d", "name": "conv1", "out_channels": 4, "kernel_size": 3, "padding": 1}, {"type": "BatchNorm2d", "name": "bn1"},
  {"type": "ReLU"}, {"type": "Dropout", "p": 0.3},
  {"type": "Flatten"}, {"type": "Linear", "name": "fc", "out_features": "classes"}, {"type": "Softmax"}]})";

ImageDataset images(int count, std::uint64_t seed = 1) {
  ImageDataset data(6, 5, 3, {"a", "b", "c"});
  std::vector<std::uint8_t> pixels(data.image_bytes());
  for (int i = 0; i < count; ++i) {
    const Rng rng(seed, static_cast<std::uint64_t>(i));
    for (std::size_t j = 0; j < pixels.size(); ++j)
      pixels[j] = static_cast<std::uint8_t>(rng.at(j) & 255U);
    data.add(pixels, i % 3);
  }
  return data;
}

Model make_model(int threads = 1, const char* spec = kSpec, std::uint64_t seed = 7) {
  Model model(parse_json(spec, "spec"), 3, make_backend("auto", threads));
  model.init(seed);
  return model;
}

/// `steps` more steps, each epoch closed with made-up scores.
void run(Trainer& trainer, int steps) {
  for (int i = 0; i < steps && !trainer.finished(); ++i) {
    trainer.step();
    if (trainer.epoch_ended())
      trainer.end_epoch(1.0 / 3 / trainer.progress().epoch, 0.1 * trainer.progress().epoch);
  }
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

#define EXPECT_SAYS(message, part) EXPECT_NE((message).find(part), std::string::npos) << (message)

class Resume : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Optimizers, Resume, testing::Values("sgd", "adam", "adamw"));

TEST_P(Resume, GoesOnBitForBitFromEveryStepForAnyNumberOfThreads) {
  const ImageDataset data = images(11), val = images(4, 2);
  TrainerOptions options{.optimizer = {}, .batch_size = 4, .seed = 5, .epochs = 3};
  options.optimizer.name = GetParam();
  options.optimizer.weight_decay = 0.01;
  Model whole = make_model();
  Trainer never_stopped(whole, data, options);
  run(never_stopped, 9);
  ASSERT_TRUE(never_stopped.finished());
  const std::vector<std::uint8_t> expected = save_training_state(never_stopped, &val);
  for (int pause = 0; pause <= 9; ++pause) {
    std::vector<std::uint8_t> bytes;
    {
      Model model = make_model(1 + pause % 2);
      Trainer trainer(model, data, options);
      run(trainer, pause);
      bytes = save_training_state(trainer, &val, {{"pause", pause}});
      EXPECT_EQ(bytes, save_training_state(trainer, &val, {{"pause", pause}}));
    }
    const TrainingState state = read_training_state(bytes, "state");
    EXPECT_EQ(state.notes.at("pause"), pause);
    Model model = make_model(2 - pause % 2, kSpec, 99);  // other weights: they must not matter
    Trainer trainer(model, data, options_of(state));
    resume_training(trainer, state, &val);
    run(trainer, 9 - pause);
    EXPECT_EQ(save_training_state(trainer, &val), expected) << "paused after step " << pause;
  }
}

TEST(TrainingStateFile, TheBestWeightsSurviveThePauseAndComeBackInTheEnd) {
  const ImageDataset data = images(8);
  const TrainerOptions options{.optimizer = {}, .batch_size = 4, .epochs = 4, .keep_best = true};
  const std::vector<double> accuracy{0.5, 0.75, 0.75, 0.25},
      loss{1, 2, 3, 1};  // the second is best
  std::vector<std::uint8_t> expected, first;
  for (int pause = 1; pause <= 5; ++pause) {  // 5: never
    Model model = make_model(), other = make_model(1, kSpec, 99);
    std::optional<Trainer> trainer(std::in_place, model, data, options);
    for (std::size_t epoch = 0; epoch < 4; ++epoch) {
      while (!trainer->epoch_ended()) trainer->step();
      trainer->end_epoch(loss[epoch], accuracy[epoch]);
      if (pause == static_cast<int>(epoch) + 1) {
        const std::vector<std::uint8_t> bytes = save_training_state(*trainer, nullptr);
        const TrainingState state = read_training_state(bytes, "state");
        trainer.emplace(other, data, options_of(state));
        resume_training(*trainer, state, nullptr);
        EXPECT_EQ(save_training_state(*trainer, nullptr), bytes);
      }
      if (pause == 5 && epoch == 1) expected = save_model(model, {.classes = data.classes()});
    }
    EXPECT_EQ(trainer->progress().best_epoch, 2);
    const std::vector<std::uint8_t> last =
        save_model(trainer->model(), {.classes = data.classes()});
    EXPECT_TRUE(trainer->finish());
    const std::vector<std::uint8_t> kept =
        save_model(trainer->model(), {.classes = data.classes()});
    EXPECT_NE(kept, last);
    if (first.empty()) first = kept;
    EXPECT_EQ(kept, first) << "paused after epoch " << pause;
    if (pause == 5) {
      EXPECT_EQ(kept, expected);
    }
  }
}

TEST(TrainingStateFile, AnEpochThatIsNotYetClosedIsClosedLater) {
  const ImageDataset data = images(8);
  Model model = make_model();
  Trainer trainer(model, data, {.optimizer = {}, .batch_size = 4});
  trainer.step();
  trainer.step();
  ASSERT_TRUE(trainer.epoch_ended());
  const TrainingState state = read_training_state(save_training_state(trainer, nullptr), "state");
  Model other = make_model();
  Trainer resumed(other, data, options_of(state));
  resume_training(resumed, state, nullptr);
  EXPECT_TRUE(resumed.epoch_ended());
  EXPECT_EQ(resumed.end_epoch(0.5, 0.25).train_loss, trainer.end_epoch(0.5, 0.25).train_loss);
  EXPECT_FALSE(resumed.epoch_ended());
  EXPECT_EQ(resumed.step().loss, trainer.step().loss);
}

TEST(TrainingStateFile, WhatDoesNotFitIsOneSentence) {
  const ImageDataset data = images(8), val = images(3, 2);
  Model model = make_model();
  const TrainerOptions options{.optimizer = {}, .batch_size = 4, .seed = 5};
  Trainer trainer(model, data, options);
  run(trainer, 3);
  const std::vector<std::uint8_t> bytes = save_training_state(trainer, &val);
  const TrainingState state = read_training_state(bytes, "s");
  const auto refused = [&](const TrainerOptions& now, const ImageDataset& train,
                           const ImageDataset* validation, const char* spec = kSpec) {
    Model other = make_model(1, spec);
    Trainer resumed(other, train, now);
    return message_of([&] { resume_training(resumed, state, validation); });
  };
  TrainerOptions now = options;
  now.optimizer.lr = 0.5;
  EXPECT_SAYS(refused(now, data, &val), "s was made with optimizer.lr 0.001, here 0.5");
  now = options;
  now.batch_size = 8;
  EXPECT_SAYS(refused(now, data, &val), "batch_size 4, here 8");
  now = options;
  now.seed = 6;
  EXPECT_SAYS(refused(now, data, &val), "seed 5, here 6");
  EXPECT_SAYS(refused(options, images(9), &val), "8 images to train on, here are 9");
  EXPECT_SAYS(refused(options, images(8, 3), &val), "other images to train on");
  EXPECT_SAYS(refused(options, data, nullptr), "3 images to validate on, here are 0");
  const ImageDataset others = images(3, 9);
  EXPECT_SAYS(refused(options, data, &others), "other images to validate on");
  std::string wider = kSpec;
  wider.replace(wider.find(": 4"), 3, ": 5");
  EXPECT_SAYS(refused(options, data, &val, wider.c_str()), "another model");

  EXPECT_SAYS(message_of([&] { options_of(state, {{"epochs", 0}}); }), "epochs");
  EXPECT_EQ(options_of(state, {{"epochs", 20}}).epochs, 20);
  EXPECT_EQ(options_of(state).batch_size, 4);
}

TEST(TrainingStateFile, SaysWhenOtherKernelsOrAnotherBuildCannotGiveTheSameBits) {
  const ImageDataset data = images(4);
  const auto state_of = [&](const char* backend, const char* replaced, const char* by) {
    Model model(parse_json(kSpec, "spec"), 3, make_backend(backend, 2));
    Trainer trainer(model, data, {.optimizer = {}, .batch_size = 4});
    run(trainer, 1);
    std::vector<std::uint8_t> bytes = save_training_state(trainer, nullptr);
    Safetensors file = read_safetensors(bytes, "state");
    std::string& made_with = file.metadata.at("made_with");
    if (const std::size_t at = made_with.find(replaced); at != std::string::npos)
      made_with.replace(at, std::string_view(replaced).size(), by);
    return read_training_state(write_checked(std::move(file), "pinhole-training/1"), "state");
  };
  const auto backend = [](const char* name) { return make_backend(name, 1); };
  EXPECT_EQ(inexact_because(state_of("auto", "none", ""), *backend("auto")), "");
  EXPECT_EQ(inexact_because(state_of("reference", "none", ""), *backend("reference")), "");
  const std::string kernels = inexact_because(state_of("reference", "none", ""), *backend("simd"));
  EXPECT_SAYS(kernels, "state was made with reference, native, compiler ");
  EXPECT_SAYS(kernels, ", sources ");
  EXPECT_SAYS(kernels, ", here is simd (");
  EXPECT_SAYS(kernels, "differ in its last digits");
  const TrainingState from_tab = state_of("reference", "native", "WebAssembly");
  EXPECT_SAYS(inexact_because(from_tab, *backend("reference")), "reference, WebAssembly, ");
  Model model(parse_json(kSpec, "spec"), 3, backend("simd"));  // gone on with all the same
  Trainer trainer(model, data, {.optimizer = {}, .batch_size = 4});
  resume_training(trainer, from_tab, nullptr);
  EXPECT_EQ(trainer.progress().step, 1);
  EXPECT_SAYS(inexact_because(state_of("simd", ", sources ", ", sources 0"), *backend("simd")),
              ", sources 0");
}

TEST(TrainingStateFile, RemembersEveryBuildThatComputedAPart) {
  const ImageDataset data = images(4);
  const auto saved_by = [&](const char* backend, const TrainingState* from) {
    Model model(parse_json(kSpec, "spec"), 3, make_backend(backend, 1));
    Trainer trainer(model, data, {.optimizer = {}, .batch_size = 4});
    if (from != nullptr) resume_training(trainer, *from, nullptr);
    run(trainer, 1);
    return read_training_state(save_training_state(trainer, nullptr), "state");
  };
  const TrainingState first = saved_by("reference", nullptr);
  const TrainingState same = saved_by("reference", &first);
  EXPECT_EQ(inexact_because(same, *make_backend("reference", 1)), "");
  const TrainingState other = saved_by("simd", &same);
  const std::string after = inexact_because(other, *make_backend("simd", 1));
  EXPECT_SAYS(after, "state was made with reference, native, ");
  EXPECT_SAYS(after, ", then simd (");
  const TrainingState back = saved_by("reference", &other);
  EXPECT_SAYS(inexact_because(back, *make_backend("reference", 1)), ", then simd (");
}

TEST(TrainingStateFile, ADamagedFileIsRefused) {
  const ImageDataset data = images(4);
  Model model = make_model();
  Trainer trainer(model, data, {.optimizer = {}, .batch_size = 4});
  run(trainer, 1);
  const std::vector<std::uint8_t> bytes = save_training_state(trainer, nullptr);
  for (std::size_t at = 0; at < bytes.size(); at += 13) {
    std::vector<std::uint8_t> damaged = bytes;
    damaged[at] ^= 1U;
    EXPECT_THROW(read_training_state(damaged, "state"), Error) << "byte " << at;
    damaged.resize(at);
    EXPECT_THROW(read_training_state(damaged, "state"), Error) << "length " << at;
  }
  EXPECT_SAYS(message_of([&] {
                read_training_state(save_model(model, {.classes = {"a", "b", "c"}}), "model");
              }),
              "model is not a training state");
}

TEST(Fingerprint, ChangesWithEveryPixelLabelAndTheOrderButNotWithNames) {
  const ImageDataset data = images(6);
  const std::string fingerprint = data.fingerprint();
  EXPECT_EQ(fingerprint.size(), 16U);
  ImageDataset same = images(0);
  for (std::size_t i = 0; i < data.size(); ++i) same.add(data.pixels(i), data.label(i), "name");
  EXPECT_EQ(same.fingerprint(), fingerprint);
  same.add(data.pixels(0), 0);
  EXPECT_NE(same.fingerprint(), fingerprint) << "one more";
  const std::vector<std::uint32_t> swapped{1, 0, 2, 3, 4, 5};
  EXPECT_NE(data.subset(swapped).fingerprint(), fingerprint);
  for (std::size_t byte = 0; byte < data.image_bytes(); ++byte) {
    ImageDataset other = images(0);
    for (std::size_t i = 0; i < data.size(); ++i) {
      std::vector<std::uint8_t> pixels(data.pixels(i).begin(), data.pixels(i).end());
      if (i == 3) pixels[byte] ^= 1U;
      other.add(pixels, data.label(i));
    }
    EXPECT_NE(other.fingerprint(), fingerprint) << "byte " << byte;
  }
  ImageDataset relabelled = images(0);
  for (std::size_t i = 0; i < data.size(); ++i)
    relabelled.add(data.pixels(i), i == 5 ? 0 : data.label(i));
  EXPECT_NE(relabelled.fingerprint(), fingerprint);
}

}  // namespace
}  // namespace pinhole
