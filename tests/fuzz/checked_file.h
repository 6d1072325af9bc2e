// Files that carry their own checksum: a fuzzer cannot guess it, so it is made right before the file is read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace pinhole {

inline std::uint32_t crc32(std::span<const std::uint8_t> bytes) {
  std::uint32_t crc = ~0U;
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
  }
  return ~crc;
}

/// The same bytes; of a PNG each whole chunk with the CRC-32 that it should have.
inline std::vector<std::uint8_t> with_png_checksums(std::span<const std::uint8_t> data) {
  std::vector<std::uint8_t> bytes(data.begin(), data.end());
  if (bytes.size() < 8 || bytes[0] != 0x89 || bytes[1] != 'P') return bytes;
  for (std::size_t at = 8; at + 12 <= bytes.size();) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8U | bytes[at + i];
    if (length > bytes.size() - at - 12) break;
    std::uint32_t crc = crc32(std::span(bytes).subspan(at + 4, 4 + length));
    for (std::size_t i = 4; i-- > 0; crc >>= 8U)
      bytes[at + 8 + length + i] = static_cast<std::uint8_t>(crc);
    at += 12 + length;
  }
  return bytes;
}

/// The same bytes with the CRC-32 that the file itself should have, as model files and training states do.
inline std::vector<std::uint8_t> with_checksum(std::span<const std::uint8_t> data) {
  std::vector<std::uint8_t> bytes(data.begin(), data.end());
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  constexpr std::string_view kKey = "\"checksum\":\"";
  const std::size_t key = text.find(kKey);
  if (key == std::string_view::npos || key + kKey.size() + 8 > bytes.size()) return bytes;
  std::uint8_t* digits = bytes.data() + key + kKey.size();
  std::fill_n(digits, 8, std::uint8_t{'0'});
  std::uint32_t crc = crc32(bytes);
  for (int i = 7; i >= 0; --i, crc >>= 4U)
    digits[i] = static_cast<std::uint8_t>("0123456789abcdef"[crc & 15U]);
  return bytes;
}

}  // namespace pinhole
