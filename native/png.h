// PNG files of 8-bit pixels, as reports and TensorBoard show them.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace pinhole {

/// `pixels`: rows from the top, 1 (grey) or 3 (RGB) channels.
std::string encode_png(std::span<const std::uint8_t> pixels, int height, int width, int channels);

}  // namespace pinhole
