#include "tensor.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <limits>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "error.h"

namespace pinhole {

namespace {
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kSlackBytes = 128;
#if defined(__linux__)
// Large buffers ask for huge pages: kernels that walk many rows far apart otherwise wait for address translation.
constexpr std::size_t kHugePage = std::size_t{2} << 20U;
#endif
}  // namespace

std::string item_text(const Shape& shape) { return text(shape.h, 'x', shape.w, 'x', shape.c); }

Buffer::Buffer(std::size_t count) : count_(count) {
  if (count > (std::numeric_limits<std::size_t>::max() - kSlackBytes - (std::size_t{2} << 20U)) /
                  sizeof(real))
    throw std::bad_alloc();
  std::size_t alignment = kAlignment;
#if defined(__linux__)
  if (count * sizeof(real) >= 2 * kHugePage) alignment = kHugePage;
#endif
  const std::size_t bytes =
      (count * sizeof(real) + kSlackBytes + alignment - 1) / alignment * alignment;
  auto* pointer = static_cast<real*>(std::aligned_alloc(alignment, bytes));
  if (pointer == nullptr) throw std::bad_alloc();
#if defined(__linux__)
  if (alignment == kHugePage)
    madvise(pointer, bytes, MADV_HUGEPAGE);  // a wish: nothing depends on it
#endif
  // The slack is read by vector kernels and must not hold signalling garbage.
  std::fill_n(reinterpret_cast<unsigned char*>(pointer + count), kSlackBytes,
              static_cast<unsigned char>(0));
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
