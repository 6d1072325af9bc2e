// Random numbers that are the same on every platform: std:: distributions and shuffles are not.
// Counter-based (a number is a hash of key and counter), so a state is two integers and any thread may ask for any element.
#pragma once

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace pinhole {

/// SplitMix64's finaliser (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
constexpr std::uint64_t mix64(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

class Rng {
 public:
  /// Streams of one seed are independent: use one for each purpose.
  explicit Rng(std::uint64_t seed, std::uint64_t stream = 0)
      : key_(mix64(seed + 0x9e3779b97f4a7c15ULL) ^ mix64(stream * 0xd1342543de82ef95ULL + 1)) {}

  std::uint64_t at(std::uint64_t counter) const {
    return mix64(key_ + counter * 0x9e3779b97f4a7c15ULL);
  }
  /// Uniform in [0, 1), 24 bits: exact in float.
  double uniform_at(std::uint64_t counter) const {
    return static_cast<double>(at(counter) >> 40) * 0x1p-24;
  }

  std::uint64_t next() { return at(counter_++); }
  double uniform() { return uniform_at(counter_++); }
  /// Uniform in [0, bound), bound > 0, by multiply-shift on 32 bits.
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>((next() >> 32) * bound >> 32);
  }

 private:
  std::uint64_t key_;
  std::uint64_t counter_ = 0;
};

/// Fisher-Yates.
template <class T>
void shuffle(std::vector<T>& values, Rng& rng) {
  for (std::size_t i = values.size(); i > 1; --i)
    std::swap(values[i - 1], values[rng.below(static_cast<std::uint32_t>(i))]);
}

}  // namespace pinhole
