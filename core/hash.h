// A hash of bytes in 64 bits, the same on every platform: what tells whether images are the ones that they were.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "rng.h"

namespace pinhole {

/// Four lanes of a multiply and a shift for 32 bytes at a time: as fast as memory is read. Finds accidents, no
/// forgeries.
class Hash {
 public:
  void add(std::span<const std::uint8_t> bytes) {
    add(bytes.size());
    std::size_t i = 0;
    for (; i + 32 <= bytes.size(); i += 32) {
      for (std::size_t lane = 0; lane < 4; ++lane) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data() + i + 8 * lane, 8);
        mix(lane, word);
      }
    }
    for (; i < bytes.size(); ++i) mix(i & 3U, bytes[i]);
  }
  void add(const std::string& name) {
    add(std::span(reinterpret_cast<const std::uint8_t*>(name.data()), name.size()));
  }
  void add(std::uint64_t number) { mix(0, number); }

  std::uint64_t value() const {
    std::uint64_t all = 0;
    for (const std::uint64_t lane : lanes_) all = mix64(all ^ lane) + 1;
    return all;
  }
  /// 16 hexadecimal digits.
  std::string digits() const {
    const std::uint64_t all = value();
    std::string out;
    for (int shift = 60; shift >= 0; shift -= 4) out += "0123456789abcdef"[all >> shift & 15U];
    return out;
  }

 private:
  void mix(std::size_t lane, std::uint64_t word) {
    std::uint64_t h = (lanes_[lane] ^ word) * 0x9e3779b97f4a7c15ULL;
    lanes_[lane] = h ^ (h >> 32U);
  }
  std::array<std::uint64_t, 4> lanes_{1, 2, 3, 4};
};

}  // namespace pinhole
