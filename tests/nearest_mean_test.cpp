// The nearest class mean as a head: that it answers what the definition says, when it is there, and what it leaves alone.
#include "nearest_mean.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "error.h"
#include "json.h"
#include "trainer.h"
#include "training_state.h"

namespace pinhole {
namespace {

/// Frozen convolution, mean of each channel, then `head`.
Model model_with(std::string_view head, int classes, const char* backend = "reference") {
  return {parse_json(text(
                         R"({"format": "pinhole/1", "name": "Small", "input": [6, 5, 3], "layers": [
    {"type": "Conv2d", "name": "stem", "out_channels": 7, "kernel_size": 3, "requires_grad": false},
    {"type": "AdaptiveAvgPool2d", "output_size": 1}, )",
                         head, "]}"),
                     "spec"),
          classes, make_backend(backend, 2)};
}

constexpr const char* kSoftmax =
    R"({"type": "BatchNorm2d", "name": "bn", "affine": false}, {"type": "Flatten"},
    {"type": "Dropout"}, {"type": "Linear", "name": "fc", "out_features": "classes"}, {"type": "Softmax"})";

/// Every class around a colour of its own, the third without any image.
ImageDataset colours(int images, const std::vector<std::string>& classes) {
  ImageDataset data(6, 5, 3, classes);
  std::vector<std::uint8_t> pixels(6 * 5 * 3);
  for (int i = 0; i < images; ++i) {
    const int label = i * 7 % 5 % 2;
    const Rng rng(9, static_cast<std::uint64_t>(i));
    for (std::size_t j = 0; j < pixels.size(); ++j)
      pixels[j] = static_cast<std::uint8_t>(70 + 40 * label * static_cast<int>(j % 2) +
                                            static_cast<int>(rng.at(j) % 100));
    data.add(pixels, label);
  }
  return data;
}

FeatureCache filled(Model& model, const ImageDataset& data) {
  FeatureCache features(model, data);
  while (features.step(4)) {}
  return features;
}

/// The label whose mean of standardised features is nearest to image `i`, from the definition.
int nearest(const FeatureCache& features, const ImageDataset& data, std::size_t i,
            bool standardised) {
  const std::size_t channels = features.at(0).size(), images = data.size();
  std::vector<double> mean(channels), deviation(channels, 1);
  for (std::size_t c = 0; c < channels && standardised; ++c) {
    for (std::size_t k = 0; k < images; ++k) mean[c] += features.at(k)[c];
    mean[c] /= static_cast<double>(images);
    double squares = 0;
    for (std::size_t k = 0; k < images; ++k) squares += std::pow(features.at(k)[c] - mean[c], 2);
    deviation[c] = std::sqrt(squares / static_cast<double>(images - 1) + 1e-5);
  }
  int best = -1;
  double least = std::numeric_limits<double>::infinity();
  for (int label = 0; label < static_cast<int>(data.classes().size()); ++label) {
    double distance = 0;
    int count = 0;
    for (std::size_t c = 0; c < channels; ++c) {
      double centre = 0;
      count = 0;
      for (std::size_t k = 0; k < images; ++k) {
        if (data.label(k) != label) continue;
        centre += (features.at(k)[c] - mean[c]) / deviation[c];
        ++count;
      }
      distance += std::pow((features.at(i)[c] - mean[c]) / deviation[c] - centre / count, 2);
    }
    if (count > 0 && distance < least) {
      least = distance;
      best = label;
    }
  }
  return best;
}

void expect_nearest(Model& model, const ImageDataset& data, bool standardised) {
  const FeatureCache features = filled(model, data);
  set_to_nearest_mean(model, features, data);
  Tensor x;
  std::vector<int> labels;
  int right = 0;
  for (std::uint32_t i = 0; i < data.size(); ++i) {
    data.batch(std::span(&i, 1), x, labels, model.backend().pool());
    const Tensor& logits = model.forward(x);
    const int answer = predicted_class(logits.data(), model.outputs());
    EXPECT_EQ(answer, nearest(features, data, i, standardised)) << "image " << i;
    right += answer == labels[0];
  }
  EXPECT_GT(right, static_cast<int>(data.size()) * 3 / 4);
}

TEST(NearestMean, PicksTheClassWhoseMeanOfStandardisedFeaturesIsNearest) {
  Model model = model_with(kSoftmax, 3);
  expect_nearest(model, colours(23, {"a", "b", "empty"}), true);
}

TEST(NearestMean, WorksForOneOutputWithSigmoidAndWithoutBatchNorm) {
  Model model =
      model_with(R"({"type": "Linear", "name": "fc", "out_features": 1}, {"type": "Sigmoid"})", 2);
  expect_nearest(model, colours(23, {"a", "b"}), false);
}

TEST(NearestMean, RefusesAModelWithoutSuchAHead) {
  const auto says = [](Model model) -> std::string {
    try {
      const ImageDataset data = colours(4, {"a", "b"});
      Trainer trainer(model, data, {.optimizer = {}, .nearest_mean_start = true});
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  };
  const std::string expected =
      "nearest_mean_start expected a model that trains one Linear on the features of frozen "
      "layers, Small is none";
  EXPECT_EQ(
      says(model_with(
          R"({"type": "Flatten"}, {"type": "Linear", "name": "one", "out_features": 5}, {"type": "ReLU"},
      {"type": "Linear", "name": "fc", "out_features": "classes"})",
          2)),
      expected);
  EXPECT_EQ(
      says({parse_json(R"({"format": "pinhole/1", "name": "Small", "input": [6, 5, 3], "layers": [
      {"type": "Conv2d", "name": "stem", "out_channels": 2, "kernel_size": 3, "requires_grad": false}, {"type": "Dropout"}, {"type": "Flatten"},
      {"type": "Linear", "name": "fc", "out_features": "classes"}]})",
                       "spec"),
            2, make_backend("reference", 1)}),
      expected);  // features that have a height and a width
  EXPECT_EQ(
      says({parse_json(R"({"format": "pinhole/1", "name": "Small", "input": [6, 5, 3], "layers": [
      {"type": "Flatten"}, {"type": "Linear", "name": "fc", "out_features": "classes"}]})",
                       "spec"),
            2, make_backend("reference", 1)}),
      expected);
}

std::vector<real> head_of(Model& model) {
  std::vector<real> all;
  for (const Parameter* p : model.state()) {
    if (!p->name.starts_with("stem."))
      all.insert(all.end(), p->value.data(), p->value.data() + p->value.size());
  }
  return all;
}

TEST(NearestMean, IsTheHeadAsSoonAsOneViewIsThereAndBeforeTheFirstStep) {
  const ImageDataset data = colours(10, {"a", "b"});
  const auto options = [](int views, double mixup) {
    return TrainerOptions{
        .optimizer = {},
        .augment =
            Augmentation(parse_json(R"([{"type": "RandomHorizontalFlip"}])", "augment"), "augment"),
        .augment_views = views,
        .mix = {.mixup_alpha = mixup},
        .nearest_mean_start = true};
  };
  Model model = model_with(kSoftmax, 2);
  Trainer trainer(model, data, options(3, 0));
  const std::vector<real> untrained = head_of(model);
  while (trainer.prepared() < 10) {
    EXPECT_FALSE(trainer.started_from_means());
    EXPECT_EQ(head_of(model), untrained);
    EXPECT_TRUE(trainer.prepare_step());
  }
  EXPECT_TRUE(trainer.started_from_means());
  const std::vector<real> means = head_of(model);
  EXPECT_NE(means, untrained);
  while (trainer.prepare_step()) {}
  EXPECT_EQ(trainer.prepared(), 30U);
  EXPECT_EQ(head_of(model), means);
  trainer.step();
  EXPECT_NE(head_of(model), means);

  // Where the images are new every time, no features are kept: the means are of the images as they are.
  for (const TrainerOptions& anew : {options(0, 0), options(3, 0.5)}) {
    Model other = model_with(kSoftmax, 2);
    Trainer without(other, data, anew);
    EXPECT_EQ(without.to_prepare(), 10U);
    while (without.prepare_step()) {}
    EXPECT_TRUE(without.started_from_means());
    EXPECT_EQ(without.to_prepare(), 0U);
    const std::vector<real> plain = head_of(other);
    set_to_nearest_mean(other, filled(other, data), data);
    EXPECT_EQ(head_of(other), plain);
    without.step();
  }
}

TEST(NearestMean, TrainsToTheSameBytesThroughAState) {
  const ImageDataset data = colours(12, {"a", "b"});
  const TrainerOptions options{
      .optimizer = {}, .batch_size = 4, .epochs = 2, .nearest_mean_start = true};
  Model whole = model_with(kSoftmax, 2), halves = model_with(kSoftmax, 2);
  Trainer at_once(whole, data, options);
  for (int i = 0; i < 6; ++i) at_once.step();
  std::vector<std::uint8_t> file;
  {
    Trainer first(halves, data, options);
    for (int i = 0; i < 4; ++i) first.step();
    file = save_training_state(first, nullptr, Json::object());
  }
  Model other = model_with(kSoftmax, 2);
  const TrainingState state = read_training_state(file, "state");
  Trainer second(other, data, options_of(state, Json::object()));
  EXPECT_TRUE(second.options().nearest_mean_start);
  resume_training(second, state, nullptr);
  for (int i = 0; i < 2; ++i) second.step();
  EXPECT_EQ(head_of(other), head_of(whole));
}

}  // namespace
}  // namespace pinhole
