#include "feature_cache.h"

#include <algorithm>
#include <numeric>

namespace pinhole {

FeatureCache::FeatureCache(Model& model, const ImageDataset& data)
    : FeatureCache(model, data, Views{}) {}

FeatureCache::FeatureCache(Model& model, const ImageDataset& data, Views views)
    : model_(model),
      data_(data),
      views_(std::move(views)),
      features_(total() * model_.feature_shape().item()) {}

bool FeatureCache::pays(const Model& model, const ImageDataset& data, int views) {
  return model.frozen_layers() > 0 &&
         model.feature_shape().item() * sizeof(real) * static_cast<std::size_t>(views) <=
             data.image_bytes();
}

bool FeatureCache::step(int batch_size) {
  if (done_ == total()) return false;
  const std::size_t first = done_ % data_.size();
  const std::size_t count =
      std::min(static_cast<std::size_t>(std::min(batch_size, kMostAtOnce)), data_.size() - first);
  std::vector<std::uint32_t> indices(count);
  std::iota(indices.begin(), indices.end(), static_cast<std::uint32_t>(first));
  std::vector<int> labels;
  const ImageDataset::Change change{views_.augmentation, views_.seed,
                                    static_cast<int>(done_ / data_.size()) + 1};
  data_.batch(indices, x_, labels, model_.backend().pool(),
              views_.augmentation.empty() ? nullptr : &change);
  const Tensor& features = model_.features(x_);
  std::copy_n(features.data(), features.size(),
              features_.data() + done_ * model_.feature_shape().item());
  done_ += count;
  return done_ < total();
}

void FeatureCache::gather(std::span<const std::uint32_t> indices, Tensor& x, int view) const {
  const Shape shape = model_.feature_shape();
  const std::size_t item = shape.item();
  const real* const features =
      features_.data() + static_cast<std::size_t>(view - 1) * data_.size() * item;
  x.resize(shape.with_n(static_cast<int>(indices.size())));
  for (std::size_t i = 0; i < indices.size(); ++i)
    std::copy_n(features + indices[i] * item, item, x.data() + i * item);
}

}  // namespace pinhole
