// Recipes: schedules, losses, clipping and averages against PyTorch (golden/make_recipe_goldens.py), the JSON, and what the
// trainer makes of them.
#include "recipe.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <iterator>

#include "error.h"
#include "model_file.h"
#include "rng.h"
#include "training_state.h"

namespace pinhole {
namespace {

Safetensors golden() {
  std::ifstream stream(PINHOLE_SOURCE_DIR "/tests/golden/recipes.safetensors", std::ios::binary);
  const std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(stream), {}};
  return read_safetensors(bytes, "recipes.safetensors");
}

Json cases_of(const Safetensors& file, const char* key) {
  return parse_json(file.metadata.at(key), key);
}

TrainerOptions from(const char* json) { return recipe_from_json(parse_json(json, "r"), "r.json"); }

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

TEST(RecipeGolden, SchedulesGivePyTorchsLearningRates) {
  const Safetensors file = golden();
  const Json cases = cases_of(file, "schedules");
  ASSERT_GE(cases.size(), 11U);
  for (const Json& test : cases) {
    SCOPED_TRACE(test["name"].get<std::string>());
    const TrainerOptions options = recipe_from_json({{"schedule", test["schedule"]}}, "case");
    check_schedule(options.schedule);
    const std::vector<float>& want = file.tensors.at(test["key"].get<std::string>()).values;
    const double lr = test["lr"];
    ASSERT_EQ(want.size(),
              test["steps_per_epoch"].get<std::size_t>() * test["epochs"].get<std::size_t>());
    for (std::size_t step = 0; step < want.size(); ++step) {
      const double got = learning_rate(options.schedule, lr, static_cast<std::int64_t>(step),
                                       test["steps_per_epoch"], test["epochs"]);
      EXPECT_NEAR(got, want[step], 1e-7 * lr) << "step " << step;
    }
  }
}

TEST(RecipeGolden, SmoothedWeightedAndMixedLossesGivePyTorchsValuesAndGradients) {
  const Safetensors file = golden();
  for (const Json& test : cases_of(file, "losses")) {
    SCOPED_TRACE(test["name"].get<std::string>());
    const std::string key = test["key"].get<std::string>();
    const StoredTensor& stored = file.tensors.at(key + "/logits");
    Tensor logits(
        Shape{static_cast<int>(stored.shape[0]), 1, 1, static_cast<int>(stored.shape[1])});
    std::copy(stored.values.begin(), stored.values.end(), logits.data());
    const auto labels = test["labels"].get<std::vector<int>>();
    const LossOptions options{.label_smoothing = test["label_smoothing"],
                              .class_weights = test["class_weights"].get<std::vector<double>>()};
    SecondLabels second;
    std::vector<int> before;
    if (test["share"].is_number()) {
      labels_before(labels, before);
      second = {.labels = before, .share = test["share"]};
    }
    Tensor dlogits;
    const LossKind kind =
        stored.shape[1] == 1 ? LossKind::kBinaryCrossEntropy : LossKind::kCrossEntropy;
    const double value = loss(kind, logits, labels, dlogits, options, second);
    const double want = file.tensors.at(key + "/value").values[0];
    EXPECT_NEAR(value, want, 2e-7 * want);
    const std::vector<float>& gradient = file.tensors.at(key + "/dlogits").values;
    for (std::size_t i = 0; i < gradient.size(); ++i)
      EXPECT_NEAR(dlogits.data()[i], gradient[i], 1e-7) << i;
  }
}

TEST(RecipeGolden, GradientsAreClippedAsPyTorchDoes) {
  const Safetensors file = golden();
  for (const Json& test : cases_of(file, "clipping")) {
    const std::string key = test["key"].get<std::string>();
    SCOPED_TRACE(key);
    std::vector<Parameter> parameters(test["parameters"].get<std::size_t>());
    std::vector<Parameter*> pointers;
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      const std::vector<float>& grad = file.tensors.at(text(key, "/grad", p)).values;
      const Shape shape{1, 1, 1, static_cast<int>(grad.size())};
      parameters[p].value.resize(shape);
      parameters[p].take_beta();
      std::copy(grad.begin(), grad.end(), parameters[p].grad.data());
      pointers.push_back(&parameters[p]);
    }
    const double norm = clip_grad_norm(pointers, test["max_norm"]);
    const double want = file.tensors.at(key + "/norm").values[0];
    EXPECT_NEAR(norm, want, 1e-6 * want);
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      const std::vector<float>& clipped = file.tensors.at(text(key, "/clipped", p)).values;
      for (std::size_t i = 0; i < clipped.size(); ++i)
        EXPECT_NEAR(parameters[p].grad.data()[i], clipped[i], 2e-7 * want);
    }
  }
}

TEST(RecipeGolden, AveragesArePyTorchs) {
  const Safetensors file = golden();
  for (const Json& test : cases_of(file, "averages")) {
    const std::string key = test["key"].get<std::string>();
    const std::vector<float>& values = file.tensors.at(key + "/values").values;
    const std::vector<float>& want = file.tensors.at(key + "/averages").values;
    const auto steps = test["steps"].get<std::size_t>();
    const std::size_t size = values.size() / steps;
    Parameter parameter;
    parameter.value.resize({1, 1, 1, static_cast<int>(size)});
    Weights average;
    for (std::size_t step = 0; step < steps; ++step) {
      std::copy_n(values.data() + step * size, size, parameter.value.data());
      average_weights({&parameter}, test["decay"], average);
      for (std::size_t i = 0; i < size; ++i)
        EXPECT_NEAR(average[0].data()[i], want[step * size + i], 1e-6) << key << " step " << step;
    }
  }
}

TEST(Recipe, IsReadBackAsItWasWritten) {
  const TrainerOptions options =
      from(R"({"epochs": 3, "batch_size": 17, "seed": 1152921504606846976, "shuffle": false,
    "optimizer": {"name": "sgd", "lr": 0.1, "weight_decay": 0.0001, "momentum": 0.8, "nesterov": true},
    "schedule": {"type": "cosine", "eta_min": 0.001, "warmup_epochs": 0.5}, "label_smoothing": 0.1,
    "mixup_alpha": 0.2, "cutmix_alpha": 1, "class_weights": [1, 2.5], "clip_grad_norm": 1, "ema_decay": 0.99, "patience": 4,
    "augment": [{"type": "RandomCrop", "padding": 2}], "augment_views": 7})");
  EXPECT_EQ(options.augment_views, 7);
  EXPECT_TRUE(options.keep_best) << "patience keeps the best";
  const Json json = recipe_json(options);
  EXPECT_EQ(recipe_json(recipe_from_json(parse_json(json.dump(), "r"), "r")), json);
  EXPECT_EQ(recipe_json(recipe_from_json(Json::object(), "r", options)), json);
  EXPECT_EQ(recipe_difference(options, options), "");
  EXPECT_TRUE(from(R"({"class_weights": "balanced"})").balanced_classes);
}

TEST(Recipe, MoreEpochsAreADifferenceOnlyWhereTheScheduleKnowsTheEnd) {
  EXPECT_EQ(recipe_difference(from(R"({"epochs": 3})"), from(R"({"epochs": 4})")), "");
  EXPECT_EQ(recipe_difference(from(R"({"epochs": 3, "schedule": {"type": "cosine"}})"),
                              from(R"({"epochs": 4, "schedule": {"type": "cosine"}})")),
            "epochs 3, here 4");
}

TEST(Recipe, MistakesAreNamed) {
  const auto says = [](const char* json) { return message_of([&] { from(json); }); };
  EXPECT_SAYS(says(R"({"epoch": 3})"), "r.json has a key \"epoch\" that nothing knows");
  EXPECT_SAYS(says(R"({"epochs": 0})"),
              "r.json: \"epochs\" expected a whole number from 1 to 1000000, got 0");
  EXPECT_SAYS(says(R"({"epochs": 1.5})"), "got 1.5");
  EXPECT_SAYS(says(R"({"seed": -1})"), "got -1");
  EXPECT_SAYS(says(R"({"optimizer": "adam"})"), "\"optimizer\" expected an object");
  EXPECT_SAYS(says(R"({"optimizer": {"lr": "fast"}})"), "\"lr\" expected a number, got \"fast\"");
  EXPECT_SAYS(says(R"({"shuffle": 1})"), "\"shuffle\" expected true or false, got 1");
  EXPECT_SAYS(says(R"({"class_weights": "equal"})"), "\"class_weights\" expected \"balanced\"");
  EXPECT_SAYS(says(R"({"keep": "all"})"), "\"keep\" expected \"last\" or \"best\"");
  EXPECT_SAYS(says(R"({"schedule": {"kind": "cosine"}})"), "\"schedule\" has a key \"kind\"");
  EXPECT_SAYS(says(R"({"augment": [{"type": "Blur"}]})"), "unknown transform \"Blur\"");
  EXPECT_SAYS(says(R"({"augment_views": -1})"), "\"augment_views\" expected a whole number from 0");
  EXPECT_SAYS(says("[]"), "expected an object");
}

// ---- in a training

constexpr const char* kSpec =
    R"({"format": "pinhole/1", "name": "Small", "input": [6, 5, 3], "layers": [
  {"type": "Conv2d", "name": "conv1", "out_channels": 4, "kernel_size": 3, "padding": 1}, {"type": "BatchNorm2d", "name": "bn1"},
  {"type": "ReLU"}, {"type": "Flatten"}, {"type": "Linear", "name": "fc", "out_features": "classes"}]})";

ImageDataset images() {
  ImageDataset data(6, 5, 3, {"a", "b", "c"});
  std::vector<std::uint8_t> pixels(data.image_bytes());
  for (int i = 0; i < 12; ++i) {
    const Rng rng(1, static_cast<std::uint64_t>(i));
    for (std::size_t j = 0; j < pixels.size(); ++j)
      pixels[j] = static_cast<std::uint8_t>(rng.at(j) & 255U);
    data.add(pixels, i < 6 ? 0 : i < 10 ? 1 : 2);
  }
  return data;
}

struct Session {
  explicit Session(const char* recipe, const ImageDataset& data, int threads = 1)
      : model(parse_json(kSpec, "spec"), 3, make_backend("auto", threads)) {
    model.init(7);
    trainer.emplace(model, data, from(recipe));
  }
  Model model;
  std::optional<Trainer> trainer;
};

TEST(Recipe, EveryStepTakesTheRateOfItsSchedule) {
  const ImageDataset data = images();
  Session run(
      R"({"epochs": 2, "batch_size": 4, "optimizer": {"lr": 0.01}, "schedule": {"type": "cosine", "warmup_epochs": 1}})",
      data);
  for (std::int64_t step = 0; step < 6; ++step) {
    const TrainerOptions& options = run.trainer->options();
    EXPECT_EQ(run.trainer->step().lr, learning_rate(options.schedule, 0.01, step, 3, 2));
  }
}

TEST(Recipe, TheAverageIsValidatedAndKeptAndTrainingGoesOnWithItsOwnWeights) {
  const ImageDataset data = images();
  const char* recipe = R"({"epochs": 2, "batch_size": 4, "ema_decay": 0.5})";
  Session plain(R"({"epochs": 2, "batch_size": 4})", data), averaged(recipe, data);
  Weights expected;
  for (int step = 1; step <= 6; ++step) {
    EXPECT_EQ(plain.trainer->step().loss, averaged.trainer->step().loss);
    average_weights(plain.model.state(), std::min(0.5, (1.0 + step) / (10 + step)), expected);
    averaged.trainer->use_average(true);  // a validation that sees the average
    const std::vector<Parameter*> state = averaged.model.state();
    for (std::size_t i = 0; i < state.size(); ++i) {
      for (std::size_t j = 0; j < expected[i].size(); ++j)
        ASSERT_EQ(state[i]->value.data()[j], expected[i].data()[j]) << state[i]->name;
    }
    if (step % 2 == 0) averaged.trainer->use_average(false);
  }
  averaged.trainer->finish();
  const std::vector<Parameter*> state = averaged.model.state();
  for (std::size_t i = 0; i < state.size(); ++i)
    EXPECT_EQ(state[i]->value.data()[0], expected[i].data()[0]) << state[i]->name;
}

TEST(Recipe, PatienceEndsTheTrainingAndBringsTheBestBack) {
  const ImageDataset data = images();
  Session run(R"({"epochs": 50, "batch_size": 6, "patience": 3})", data);
  const std::vector<double> accuracy{
      0.2, 0.4, 0.3, 0.3, 0.4, 0.9};  // of equals the lower loss, which is the earlier here
  std::vector<std::uint8_t> best;
  for (std::size_t epoch = 0; !run.trainer->finished(); ++epoch) {
    ASSERT_LT(epoch, 5U);
    while (!run.trainer->epoch_ended()) run.trainer->step();
    run.trainer->end_epoch(1.0 + static_cast<double>(epoch), accuracy[epoch]);
    if (epoch == 1) best = save_model(run.model, {.classes = data.classes()});
  }
  EXPECT_EQ(run.trainer->progress().history.size(), 5U);
  EXPECT_TRUE(run.trainer->finish());
  EXPECT_EQ(save_model(run.model, {.classes = data.classes()}), best);
}

TEST(Recipe, AllOfItGoesOnBitForBit) {
  const ImageDataset data = images();
  const char* recipe =
      R"({"epochs": 3, "batch_size": 5, "optimizer": {"name": "sgd", "lr": 0.05, "weight_decay": 0.001},
    "schedule": {"type": "one_cycle"}, "label_smoothing": 0.1, "mixup_alpha": 0.5, "cutmix_alpha": 1, "class_weights": "balanced", "clip_grad_norm": 0.5,
    "ema_decay": 0.9, "keep": "best", "augment": [{"type": "RandomHorizontalFlip"}, {"type": "RandomCrop", "padding": 1}], "augment_views": 2})";
  const auto advance = [](Trainer& trainer, int steps) {
    for (int i = 0; i < steps; ++i) {
      trainer.step();
      if (trainer.epoch_ended()) trainer.end_epoch(1.0, trainer.progress().epoch == 2 ? 0.9 : 0.5);
    }
  };
  Session whole(recipe, data);
  advance(*whole.trainer, 9);
  const std::vector<std::uint8_t> expected = save_training_state(*whole.trainer, nullptr);
  for (int pause = 0; pause <= 9; ++pause) {
    Session before(recipe, data), after(recipe, data, 2);
    advance(*before.trainer, pause);
    const std::vector<std::uint8_t> bytes = save_training_state(*before.trainer, nullptr);
    resume_training(*after.trainer, read_training_state(bytes, "state"), nullptr);
    advance(*after.trainer, 9 - pause);
    EXPECT_EQ(save_training_state(*after.trainer, nullptr), expected)
        << "paused after step " << pause;
  }
}

TEST(Recipe, ValuesThatCannotBeMeantAreRefused) {
  const ImageDataset data = images();
  const auto says = [&](const char* recipe) {
    return message_of([&] { const Session run(recipe, data); });
  };
  EXPECT_SAYS(says(R"({"label_smoothing": 1.5})"), "label smoothing expected a number from 0");
  EXPECT_SAYS(says(R"({"ema_decay": 1})"), "ema_decay expected a number from 0 to below 1");
  EXPECT_SAYS(says(R"({"mixup_alpha": -1})"),
              "mixup_alpha expected a number from 0 to 4.0, got -1.0");
  EXPECT_SAYS(says(R"({"cutmix_alpha": 5})"),
              "cutmix_alpha expected a number from 0 to 4.0, got 5.0");
  EXPECT_SAYS(says(R"({"clip_grad_norm": -1})"), "clip_grad_norm expected a number of at least 0");
  EXPECT_SAYS(says(R"({"class_weights": [1, 2]})"), "one for each of the 3 classes, got 2");
  EXPECT_SAYS(says(R"({"class_weights": [1, 2, 0]})"), "a class weight expected a number above 0");
  EXPECT_SAYS(says(R"({"schedule": {"type": "linear"}})"), "unknown schedule \"linear\"");
  EXPECT_SAYS(says(R"({"schedule": {"type": "one_cycle", "warmup_epochs": 1}})"),
              "its own warm-up");
}

}  // namespace
}  // namespace pinhole
