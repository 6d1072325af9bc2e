#include "nearest_mean.h"

#include <algorithm>
#include <vector>

#include "error.h"
#include "layers/batch_norm2d.h"

namespace pinhole {

namespace {

/// What there is behind the frozen layers.
struct Head {
  BatchNorm2d* norm = nullptr;  // may be null
  Layer* linear = nullptr;  // null: not a head of the kind that is looked for
};

Head head_of(const Model& model) {
  Head head;
  if (model.frozen_layers() == 0) return head;
  if (const Shape shape = model.feature_shape(); shape.h != 1 || shape.w != 1) return head;
  for (const auto& layer : model.chain().subspan(model.frozen_layers())) {
    if (layer->type == "Linear" && head.linear == nullptr) {
      head.linear = layer.get();
    } else if (layer->type == "BatchNorm2d" && head.norm == nullptr && head.linear == nullptr) {
      head.norm = static_cast<BatchNorm2d*>(layer.get());
    } else if (layer->type != "Flatten" && layer->type != "Dropout" && layer->type != "Softmax" &&
               layer->type != "Sigmoid") {
      return {};
    }
  }
  return head;
}

void assign(Parameter& parameter, std::span<const double> values) {
  std::transform(values.begin(), values.end(), parameter.value.data(),
                 [](double value) { return static_cast<real>(value); });
  parameter.changed();
}

/// Of every feature, the mean over all images and the unbiased variance.
void set_statistics(BatchNorm2d& norm, const FeatureCache& features, std::size_t images,
                    std::size_t channels) {
  std::vector<double> mean(channels), variance(channels);
  for (std::size_t i = 0; i < images; ++i) {
    const std::span<const real> x = features.at(i);
    for (std::size_t c = 0; c < channels; ++c) mean[c] += x[c] / static_cast<double>(images);
  }
  const double others = static_cast<double>(std::max<std::size_t>(images, 2) - 1);
  for (std::size_t i = 0; i < images; ++i) {
    const std::span<const real> x = features.at(i);
    for (std::size_t c = 0; c < channels; ++c)
      variance[c] += (x[c] - mean[c]) * (x[c] - mean[c]) / others;
  }
  const std::vector<Parameter*> buffers = norm.buffers();
  assign(*buffers[0], mean);
  assign(*buffers[1], variance);
}

}  // namespace

void check_nearest_mean(const Model& model) {
  if (head_of(model).linear != nullptr) return;
  throw Error(
      text("nearest_mean_start expected a model that trains one Linear on the features of frozen "
           "layers, ",
           model.name(), " is none"));
}

void set_to_nearest_mean(Model& model, const FeatureCache& features, const ImageDataset& data) {
  check_nearest_mean(model);
  const Head head = head_of(model);
  const std::size_t images = data.size();
  const auto channels = static_cast<std::size_t>(model.feature_shape().c);
  std::vector<real> scale(channels, 1), shift(channels, 0);
  if (head.norm != nullptr) {
    set_statistics(*head.norm, features, images, channels);
    head.norm->scale_and_shift(scale.data(), shift.data());
  }

  const auto classes = static_cast<std::size_t>(model.classes());
  const std::vector<std::size_t> counts = data.class_counts();
  std::vector<double> means(classes * channels);
  for (std::size_t i = 0; i < images; ++i) {
    const std::span<const real> x = features.at(i);
    const auto label = static_cast<std::size_t>(data.label(i));
    for (std::size_t c = 0; c < channels; ++c)
      means[label * channels + c] +=
          (x[c] * scale[c] + shift[c]) / static_cast<double>(counts[label]);
  }

  // log p(class | z) = -t |z - mean|^2 / 2 up to a constant = t mean z - t |mean|^2 / 2. With standardised features the squared
  // distances grow like their number, and 10 makes probabilities of them that are about right for the sample photos.
  const double t = 10.0 / static_cast<double>(channels);
  std::vector<double> weight(classes * channels), bias(classes);
  for (std::size_t k = 0; k < classes; ++k) {
    for (std::size_t c = 0; c < channels; ++c) {
      const double mean = means[k * channels + c];
      weight[k * channels + c] = t * mean;
      bias[k] -= t * mean * mean / 2;
    }
  }
  // A class without images is never the nearest: it answers as one that has some, with less.
  const auto some = static_cast<std::size_t>(data.label(0));
  for (std::size_t k = 0; k < classes; ++k) {
    if (counts[k] > 0) continue;
    for (std::size_t c = 0; c < channels; ++c)
      weight[k * channels + c] = weight[some * channels + c];
    bias[k] = bias[some] - 1;
  }
  if (model.outputs() == 1) {  // p of the second class
    for (std::size_t c = 0; c < channels; ++c) weight[c] = weight[channels + c] - weight[c];
    bias[0] = bias[1] - bias[0];
  }
  const std::vector<Parameter*> parameters = head.linear->parameters();
  assign(*parameters[0], std::span(weight).first(parameters[0]->value.size()));
  if (parameters.size() > 1)
    assign(*parameters[1], std::span(bias).first(parameters[1]->value.size()));
}

}  // namespace pinhole
