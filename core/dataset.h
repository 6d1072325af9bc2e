// Labelled images held as uint8 at the model's input size, resized once. Images never change and are shared: a copy or
// a subset of a data set costs no pixels.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "augment.h"
#include "tensor.h"
#include "thread_pool.h"

namespace pinhole {

/// torchvision's ImageFolder in memory: images, labels, `classes`. All images have the same height, width, channels.
class ImageDataset {
 public:
  ImageDataset(int height, int width, int channels, std::vector<std::string> classes);

  int height() const { return height_; }
  int width() const { return width_; }
  int channels() const { return channels_; }
  const std::vector<std::string>& classes() const { return classes_; }
  std::size_t size() const { return labels_.size(); }
  int label(std::size_t index) const { return labels_[index]; }
  /// Where the image came from (a path or file name); may be empty.
  const std::string& name(std::size_t index) const { return names_[index]; }
  /// height * width * channels bytes of one image.
  std::span<const std::uint8_t> pixels(std::size_t index) const {
    if (on_read_) on_read_(1);
    return {images_[index].get(), image_bytes()};
  }
  std::size_t image_bytes() const;

  void reserve(std::size_t images);
  /// Throws Error when the byte count or the label does not fit.
  void add(std::span<const std::uint8_t> pixels, int label, std::string name = {});
  /// image_bytes() that somebody else holds, a mapped file for one: they must not change.
  void add(std::shared_ptr<const std::uint8_t[]> pixels, int label, std::string name);
  /// Called before images are read, from any thread, with their number: so a file's holder can let go of what was read before.
  void on_read(std::function<void(std::size_t images)> reading) { on_read_ = std::move(reading); }

  /// How batch() changes images on their way: which it is follows from seed, epoch and the image's index.
  struct Change {
    const Augmentation& augmentation;
    std::uint64_t seed = 0;
    int epoch = 0;
  };

  /// ToTensor: writes images `indices` as float [n, height, width, channels] in [0, 1] (divided by 255) into `x` (resized to fit)
  /// and their labels into `labels`.
  void batch(std::span<const std::uint32_t> indices, Tensor& x, std::vector<int>& labels,
             ThreadPool& pool, const Change* change = nullptr) const;
  /// One image as such a batch has it, before it becomes float.
  std::vector<std::uint8_t> changed_pixels(std::size_t index, const Change& change) const;

  /// The images at `indices`, in that order.
  ImageDataset subset(std::span<const std::uint32_t> indices) const;
  /// 16 hexadecimal digits from sizes, classes, labels and pixels, in order: who has the same has the same images.
  /// Names do not count.
  const std::string& fingerprint() const;
  /// How many images each class has.
  std::vector<std::size_t> class_counts() const;

 private:
  int height_, width_, channels_;
  std::vector<std::string> classes_;
  std::vector<std::shared_ptr<const std::uint8_t[]>> images_;
  std::vector<int> labels_;
  std::vector<std::string> names_;
  std::function<void(std::size_t)> on_read_;
  mutable std::string fingerprint_;  // once somebody asked
};

struct Split {
  std::vector<std::uint32_t> train, val;  // ascending indices
};

/// Splits by class: `val_fraction` of every class (rounded, halves up; at least one image of each class stays in training)
/// goes to validation, chosen by `seed`; the same for the same labels on every platform. Throws Error unless 0 <= val_fraction < 1.
Split stratified_split(const ImageDataset& dataset, double val_fraction, std::uint64_t seed);

}  // namespace pinhole
