// TIFF 6.0, section 2: a header with the byte order and the offset of a directory of 12-byte entries. Offsets come
// from the file and may point anywhere: every read is checked, nothing is followed twice.
#include "exif.h"

#include <cstddef>
#include <cstring>

namespace pinhole {
namespace {

constexpr std::uint32_t kOrientationTag = 0x0112;
constexpr std::uint32_t kByte = 1, kShort = 3, kLong = 4, kSignedShort = 8, kSignedLong = 9;

struct TiffReader {
  std::span<const std::uint8_t> bytes;
  bool big_endian = false;

  bool holds(std::uint64_t offset, std::uint64_t count) const {
    return offset + count <= bytes.size();
  }
  std::uint32_t u16(std::size_t at) const {
    return big_endian ? bytes[at] << 8 | bytes[at + 1] : bytes[at + 1] << 8 | bytes[at];
  }
  std::uint32_t u32(std::size_t at) const {
    return big_endian ? u16(at) << 16 | u16(at + 2) : u16(at + 2) << 16 | u16(at);
  }
};

}  // namespace

int exif_orientation(std::span<const std::uint8_t> tiff) {
  if (tiff.size() >= 6 && std::memcmp(tiff.data(), "Exif\0\0", 6) == 0) tiff = tiff.subspan(6);
  if (tiff.size() < 8) return 1;
  TiffReader reader{tiff};
  if (tiff[0] == 'M' && tiff[1] == 'M') {
    reader.big_endian = true;
  } else if (tiff[0] != 'I' || tiff[1] != 'I') {
    return 1;
  }
  if (reader.u16(2) != 42) return 1;
  const std::uint64_t directory = reader.u32(4);
  if (!reader.holds(directory, 2)) return 1;
  const std::uint32_t entries = reader.u16(directory);
  for (std::uint32_t i = 0; i < entries; ++i) {
    const std::uint64_t entry = directory + 2 + 12 * std::uint64_t{i};
    if (!reader.holds(entry, 12)) return 1;
    if (reader.u16(entry) != kOrientationTag) continue;
    const std::uint32_t type = reader.u16(entry + 2);
    // It should be a short; some cameras write other whole numbers.
    const std::uint32_t value = type == kShort || type == kSignedShort ? reader.u16(entry + 8)
                                : type == kLong || type == kSignedLong ? reader.u32(entry + 8)
                                : type == kByte                        ? tiff[entry + 8]
                                                                       : 0;
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace pinhole
