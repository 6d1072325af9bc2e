#include "dataset.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "error.h"
#include "hash.h"
#include "rng.h"

namespace pinhole {
namespace {

constexpr std::size_t kLargestImage = std::size_t{1} << 30U;
constexpr std::uint64_t kSplitStream = 0x73706c6974;  // "split"

}  // namespace

ImageDataset::ImageDataset(int height, int width, int channels, std::vector<std::string> classes)
    : height_(height), width_(width), channels_(channels), classes_(std::move(classes)) {
  // The upper bound keeps every product of an image's sizes within 32 bits, which is all that wasm has.
  if (height < 1 || width < 1 || channels < 1 ||
      Shape{1, height, width, channels}.item() > kLargestImage) {
    throw Error(text("a data set cannot hold images of ", height, 'x', width, 'x', channels));
  }
  if (classes_.empty()) throw Error("a data set needs at least one class");
}

std::size_t ImageDataset::image_bytes() const {
  return static_cast<std::size_t>(height_) * static_cast<std::size_t>(width_) *
         static_cast<std::size_t>(channels_);
}

void ImageDataset::reserve(std::size_t images) {
  images_.reserve(images);
  labels_.reserve(images);
  names_.reserve(images);
}

void ImageDataset::add(std::span<const std::uint8_t> pixels, int label, std::string name) {
  if (pixels.size() != image_bytes()) {
    throw Error(text("an image of ", pixels.size(), " bytes does not fit a data set of ", height_,
                     'x', width_, 'x', channels_, " images (", image_bytes(), " bytes each)"));
  }
  auto image = std::make_shared<std::uint8_t[]>(pixels.size());
  std::copy(pixels.begin(), pixels.end(), image.get());
  add(std::move(image), label, std::move(name));
}

void ImageDataset::add(std::shared_ptr<const std::uint8_t[]> pixels, int label, std::string name) {
  if (label < 0 || static_cast<std::size_t>(label) >= classes_.size()) {
    throw Error(text("label ", label, " is not one of the ", classes_.size(), " classes"));
  }
  images_.push_back(std::move(pixels));
  labels_.push_back(label);
  names_.push_back(std::move(name));
  fingerprint_.clear();
}

const std::string& ImageDataset::fingerprint() const {
  if (!fingerprint_.empty()) return fingerprint_;
  Hash hash;
  for (const int number : {height_, width_, channels_})
    hash.add(static_cast<std::uint64_t>(number));
  hash.add(classes_.size());
  for (const std::string& name : classes_) hash.add(name);
  for (std::size_t i = 0; i < size(); ++i) {
    hash.add(static_cast<std::uint64_t>(labels_[i]));
    hash.add(pixels(i));
  }
  return fingerprint_ = hash.digits();
}

void ImageDataset::batch(std::span<const std::uint32_t> indices, Tensor& x,
                         std::vector<int>& labels, ThreadPool& pool, const Change* change) const {
  x.resize({static_cast<int>(indices.size()), height_, width_, channels_});
  labels.resize(indices.size());
  const std::size_t bytes = image_bytes();
  if (on_read_) on_read_(indices.size());
  pool.parallel_for(indices.size(), [&](std::size_t n) {
    const std::uint32_t index = indices[n];
    assert(index < size());
    labels[n] = labels_[index];
    const std::uint8_t* in = images_[index].get();
    std::vector<std::uint8_t> changed;
    if (change != nullptr) {
      changed = changed_pixels(index, *change);
      in = changed.data();
    }
    real* const out = x.data() + n * bytes;
    for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<real>(in[i]) / real{255};
  });
}

std::vector<std::uint8_t> ImageDataset::changed_pixels(std::size_t index,
                                                       const Change& change) const {
  const std::span<const std::uint8_t> original = pixels(index);
  augment::Pixels image{.height = height_,
                        .width = width_,
                        .channels = channels_,
                        .bytes = {original.begin(), original.end()}};
  change.augmentation.apply(image, change.seed, change.epoch, static_cast<std::uint32_t>(index));
  return std::move(image.bytes);
}

ImageDataset ImageDataset::subset(std::span<const std::uint32_t> indices) const {
  ImageDataset part(height_, width_, channels_, classes_);
  part.reserve(indices.size());
  part.on_read_ = on_read_;
  for (const std::uint32_t index : indices) {
    if (index >= size())
      throw Error(text("image ", index, " is not in a data set of ", size(), " images"));
    part.images_.push_back(images_[index]);
    part.labels_.push_back(labels_[index]);
    part.names_.push_back(names_[index]);
  }
  return part;
}

std::vector<std::size_t> ImageDataset::class_counts() const {
  std::vector<std::size_t> counts(classes_.size());
  for (const int label : labels_) ++counts[static_cast<std::size_t>(label)];
  return counts;
}

Split stratified_split(const ImageDataset& dataset, double val_fraction, std::uint64_t seed) {
  if (!(val_fraction >= 0 && val_fraction < 1)) {
    throw Error(text("the validation fraction must be at least 0 and below 1, got ", val_fraction));
  }
  std::vector<std::vector<std::uint32_t>> by_class(dataset.classes().size());
  for (std::size_t i = 0; i < dataset.size(); ++i) {
    by_class[static_cast<std::size_t>(dataset.label(i))].push_back(static_cast<std::uint32_t>(i));
  }
  Rng rng(seed, kSplitStream);
  Split split;
  for (std::vector<std::uint32_t>& images : by_class) {
    if (images.empty()) continue;
    const auto wanted = static_cast<std::size_t>(
        std::floor(static_cast<double>(images.size()) * val_fraction + 0.5));
    const auto middle =
        images.begin() + static_cast<std::ptrdiff_t>(std::min(wanted, images.size() - 1));
    shuffle(images, rng);
    split.val.insert(split.val.end(), images.begin(), middle);
    split.train.insert(split.train.end(), middle, images.end());
  }
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.val.begin(), split.val.end());
  return split;
}

}  // namespace pinhole
