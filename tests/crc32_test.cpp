#include "crc32.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <string_view>

namespace pinhole {
namespace {

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

TEST(Crc32, IsZlibs) {
  EXPECT_EQ(crc32(0, {}), 0U);
  EXPECT_EQ(crc32(0, bytes_of("123456789")),
            0xcbf43926U);  // the check value in the catalogue of CRCs
  EXPECT_EQ(crc32(0, bytes_of("The quick brown fox jumps over the lazy dog")), 0x414fa339U);
}

TEST(Crc32, GoesOnFromAnyByte) {
  std::array<std::uint8_t, 61> bytes{};
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{200});
  const std::span<const std::uint8_t> all = bytes;
  for (std::size_t at = 0; at <= all.size(); ++at)
    EXPECT_EQ(crc32(crc32(0, all.first(at)), all.subspan(at)), crc32(0, all)) << at;
}

}  // namespace
}  // namespace pinhole
