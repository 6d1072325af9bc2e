#include "crc32.h"

#include <array>
#include <bit>
#include <cstring>

namespace pinhole {

namespace {

constexpr std::size_t kSlices = 8;

using Tables = std::array<std::array<std::uint32_t, 256>, kSlices>;

/// [k][b]: the remainder of byte b followed by k zero bytes.
Tables remainders() {
  Tables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit)
      value = (value & 1U) != 0 ? 0xedb88320U ^ (value >> 1U) : value >> 1U;
    tables[0][i] = value;
  }
  for (std::size_t k = 1; k < kSlices; ++k) {
    for (std::size_t i = 0; i < 256; ++i) {
      const std::uint32_t shorter = tables[k - 1][i];
      tables[k][i] = (shorter >> 8U) ^ tables[0][shorter & 0xffU];
    }
  }
  return tables;
}

}  // namespace

// Eight bytes a round ("slicing-by-8": Kounavis and Berry, A Systematic Approach to Building High Performance Software-based
// CRC Generators, 2005): eight lookups that do not wait for one another.
std::uint32_t crc32(std::uint32_t crc, std::span<const std::uint8_t> bytes) {
  static_assert(std::endian::native == std::endian::little);
  // Made when first needed, and by no constant expression: in a download 8 KB of tables would not compress.
  static const Tables kTables = remainders();
  const auto entry = [](std::size_t table, std::uint32_t byte) {
    return kTables[table][byte & 0xffU];
  };
  crc = ~crc;
  std::size_t at = 0;
  for (; at + kSlices <= bytes.size(); at += kSlices) {
    std::array<std::uint32_t, 2> words{};
    std::memcpy(words.data(), bytes.data() + at, kSlices);
    const std::uint32_t a = words[0] ^ crc, b = words[1];
    crc = entry(7, a) ^ entry(6, a >> 8U) ^ entry(5, a >> 16U) ^ entry(4, a >> 24U) ^  //
          entry(3, b) ^ entry(2, b >> 8U) ^ entry(1, b >> 16U) ^ entry(0, b >> 24U);
  }
  for (; at < bytes.size(); ++at) crc = entry(0, crc ^ bytes[at]) ^ (crc >> 8U);
  return ~crc;
}

}  // namespace pinhole
