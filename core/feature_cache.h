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
  /// Both must outlive the cache; the frozen layers must not change while it is used.
  FeatureCache(Model& model, const ImageDataset& data);

  /// Is it worth it? Only when there are frozen layers and their features take no more room than the images.
  static bool pays(const Model& model, const ImageDataset& data);

  /// Computes the features of the next `batch_size` images; false when all are there.
  bool step(int batch_size);
  std::size_t done() const { return done_; }

  /// The features of images `indices`, in that order, into `x` (resized to fit).
  void gather(std::span<const std::uint32_t> indices, Tensor& x) const;

 private:
  Model& model_;
  const ImageDataset& data_;
  std::vector<real> features_;
  std::size_t done_ = 0;
  Tensor x_;
};

}  // namespace pinhole
