// Tensor: rank 4, NHWC, contiguous, 64-byte aligned. No strides, dtypes, laziness or tape.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "real.h"

namespace pinhole {

/// a * b, or the largest size where that overflows (on wasm at 4 GiB): a size that every allocation refuses.
constexpr std::size_t saturating_product(std::size_t a, std::size_t b) {
  std::size_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? static_cast<std::size_t>(-1) : product;
}

struct Shape {
  int n = 0, h = 0, w = 0, c = 0;

  std::size_t size() const { return saturating_product(static_cast<std::size_t>(n), item()); }
  /// Values of one image.
  std::size_t item() const {
    return saturating_product(
        saturating_product(static_cast<std::size_t>(h), static_cast<std::size_t>(w)),
        static_cast<std::size_t>(c));
  }
  Shape with_n(int batch) const { return {batch, h, w, c}; }
  bool operator==(const Shape&) const = default;
};

/// "224x224x3": height, width, channels of one item.
std::string item_text(const Shape& shape);

/// `count` values, 64-byte aligned, followed by 128 bytes that kernels may read (XNN_EXTRA_BYTES). Not initialised.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t count);
  real* data() const { return data_.get(); }
  std::size_t size() const { return count_; }
  /// Grows when too small (contents are lost); never shrinks.
  void reserve(std::size_t count) {
    if (count > count_) *this = Buffer(count);
  }

 private:
  struct Free {
    void operator()(real* pointer) const;
  };
  std::unique_ptr<real, Free> data_;
  std::size_t count_ = 0;
};

/// Values that a tensor of `values` takes where tensors follow each other in memory: it starts on a cache line and is followed by the slack
/// that vector kernels may read.
constexpr std::size_t room_for(std::size_t values) { return (values + 32 + 15) / 16 * 16; }

/// A shape and its values: owned, or borrowed from an arena that outlives the tensor.
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(const Shape& shape) { resize(shape); }
  static Tensor borrow(const Shape& shape, real* data);

  const Shape& shape() const { return shape_; }
  real* data() { return data_; }
  const real* data() const { return data_; }
  std::size_t size() const { return shape_.size(); }
  /// Owned memory grows as needed; contents are lost when it does. A borrowed tensor must fit what it borrowed.
  void resize(const Shape& shape);
  void fill(real value);

 private:
  Shape shape_;
  Buffer own_;
  real* data_ = nullptr;
  std::size_t capacity_ = 0;
};

}  // namespace pinhole
