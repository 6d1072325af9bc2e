#include "feature_cache.h"

#include <algorithm>
#include <numeric>

namespace pinhole {

FeatureCache::FeatureCache(Model& model, const ImageDataset& data)
    : model_(model), data_(data), features_(data.size() * model.feature_shape().item()) {}

bool FeatureCache::pays(const Model& model, const ImageDataset& data) {
  return model.frozen_layers() > 0 &&
         model.feature_shape().item() * sizeof(real) <= data.image_bytes();
}

bool FeatureCache::step(int batch_size) {
  const std::size_t count = std::min(static_cast<std::size_t>(batch_size), data_.size() - done_);
  if (count == 0) return false;
  std::vector<std::uint32_t> indices(count);
  std::iota(indices.begin(), indices.end(), static_cast<std::uint32_t>(done_));
  std::vector<int> labels;
  data_.batch(indices, x_, labels, model_.backend().pool());
  const Tensor& features = model_.features(x_);
  std::copy_n(features.data(), features.size(),
              features_.data() + done_ * model_.feature_shape().item());
  done_ += count;
  return done_ < data_.size();
}

void FeatureCache::gather(std::span<const std::uint32_t> indices, Tensor& x) const {
  const Shape shape = model_.feature_shape();
  const std::size_t item = shape.item();
  x.resize(shape.with_n(static_cast<int>(indices.size())));
  for (std::size_t i = 0; i < indices.size(); ++i)
    std::copy_n(features_.data() + indices[i] * item, item, x.data() + i * item);
}

}  // namespace pinhole
