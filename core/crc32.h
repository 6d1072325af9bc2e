// CRC-32 as in zlib and PNG (ISO 3309).
#pragma once

#include <cstdint>
#include <span>

namespace pinhole {

/// Of what `crc` is of (0: of nothing), followed by `bytes`.
std::uint32_t crc32(std::uint32_t crc, std::span<const std::uint8_t> bytes);

}  // namespace pinhole
