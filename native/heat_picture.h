// A heat map over its picture, as the page shows it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "explain.h"

namespace pinhole {

/// `pixels`: height x width x channels (1 or 3). Returns height x width RGB: where the map is 0 the picture shines through a dark veil, and
/// over dark red and orange it goes to a light yellow, which is readable without colour too.
std::vector<std::uint8_t> heat_picture(const HeatMap& map, std::span<const std::uint8_t> pixels,
                                       int height, int width, int channels);

}  // namespace pinhole
