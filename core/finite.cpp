#include "finite.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <type_traits>

namespace pinhole {

namespace {

constexpr std::size_t kGrain = 65536;

using Bits = std::conditional_t<sizeof(real) == 4, std::uint32_t, std::uint64_t>;
constexpr Bits kInfinity = sizeof(real) == 4 ? Bits{0x7f800000} : Bits{0x7ff} << 52;

/// A sum of floats could not be vectorised; the largest of their bits can, and of a number without its sign they are in order.
bool range_is_finite(const real* values, std::size_t count) {
  Bits largest = 0;
  for (std::size_t i = 0; i < count; ++i)
    largest =
        std::max(largest, std::bit_cast<Bits>(values[i]) & ~(Bits{1} << (8 * sizeof(Bits) - 1)));
  return largest < kInfinity;
}

}  // namespace

bool all_finite(ThreadPool& pool, const Tensor& values) {
  std::atomic<bool> finite = true;
  pool.parallel_ranges(values.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    if (!range_is_finite(values.data() + begin, end - begin)) finite = false;
  });
  return finite;
}

}  // namespace pinhole
