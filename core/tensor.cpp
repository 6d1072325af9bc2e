#include "tensor.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <limits>
#include <new>

#include "error.h"

namespace pinhole {

namespace {
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kSlackBytes = 128;
}  // namespace

std::string item_text(const Shape& shape) { return text(shape.h, 'x', shape.w, 'x', shape.c); }

Buffer::Buffer(std::size_t count) : count_(count) {
  if (count > (std::numeric_limits<std::size_t>::max() - kSlackBytes - kAlignment) / sizeof(real)) throw std::bad_alloc();
  const std::size_t bytes = (count * sizeof(real) + kSlackBytes + kAlignment - 1) / kAlignment * kAlignment;
  auto* pointer = static_cast<real*>(std::aligned_alloc(kAlignment, bytes));
  if (pointer == nullptr) throw std::bad_alloc();
  // The slack is read by vector kernels and must not hold signalling garbage.
  std::fill_n(reinterpret_cast<unsigned char*>(pointer + count), bytes - count * sizeof(real), static_cast<unsigned char>(0));
  data_.reset(pointer);
}

void Buffer::Free::operator()(real* pointer) const { std::free(pointer); }

Tensor Tensor::borrow(const Shape& shape, real* data) {
  Tensor tensor;
  tensor.shape_ = shape;
  tensor.data_ = data;
  tensor.capacity_ = shape.size();
  return tensor;
}

void Tensor::resize(const Shape& shape) {
  if (shape.size() > capacity_) {
    assert(data_ == own_.data() && "a borrowed tensor cannot grow");
    own_ = Buffer(shape.size());
    data_ = own_.data();
    capacity_ = shape.size();
  }
  shape_ = shape;
}

void Tensor::fill(real value) { std::fill_n(data_, size(), value); }

}  // namespace pinhole
