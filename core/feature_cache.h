// What the frozen layers of a model give for every image of a data set: computed once, because it never changes, so that training
// what comes after them costs almost nothing.
#pragma once

#include <cstdint>
#include <span>

#include "dataset.h"
#include "model.h"

namespace pinhole {

class FeatureCache {
 public:
  /// The looks that each image is kept in: as it is, or as it is changed in the epochs 1 to `count` of a training.
  struct Views {
    Augmentation augmentation;
    std::uint64_t seed = 0;
    int count = 1;
  };

  /// So many images go through the frozen layers at once: the activations of a deep trunk are large.
  static constexpr int kMostAtOnce = 4;

  /// Both must outlive the cache; the frozen layers must not change while it is used.
  FeatureCache(Model& model, const ImageDataset& data);
  FeatureCache(Model& model, const ImageDataset& data, Views views);

  /// Is it worth it? Only when there are frozen layers and their features take no more room than the images.
  static bool pays(const Model& model, const ImageDataset& data, int views = 1);

  /// Computes the features of the next images, at most `batch_size` and not many; false when all are there.
  bool step(int batch_size);
  /// Images that are done, and all there are to do; each counts once for every view.
  std::size_t done() const { return done_; }
  std::size_t total() const { return data_.size() * static_cast<std::size_t>(views_.count); }

  /// Of image `index`, as the first view has it.
  std::span<const real> at(std::size_t index) const {
    const std::size_t item = model_.feature_shape().item();
    return std::span(features_).subspan(index * item, item);
  }
  /// The features of images `indices`, in that order, into `x` (resized to fit); `view` counts from 1.
  void gather(std::span<const std::uint32_t> indices, Tensor& x, int view = 1) const;

 private:
  Model& model_;
  const ImageDataset& data_;
  Views views_;
  std::vector<real> features_;
  std::size_t done_ = 0;
  Tensor x_;
};

}  // namespace pinhole
