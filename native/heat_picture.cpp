#include "heat_picture.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace pinhole {
namespace {

constexpr std::array<std::array<double, 3>, 4> kStops{
    {{60, 0, 60}, {180, 30, 20}, {245, 140, 20}, {255, 245, 170}}};

/// Finer maps are averaged: the single values of a large map are noise to the eye.
constexpr int kMostCells = 28;

HeatMap coarse(const HeatMap& map) {
  const int factor = (std::max(map.height, map.width) + kMostCells - 1) / kMostCells;
  if (factor <= 1) return map;
  HeatMap cells{.height = (map.height + factor - 1) / factor,
                .width = (map.width + factor - 1) / factor,
                .values = {}};
  const auto columns = static_cast<std::size_t>(cells.width);
  cells.values.resize(columns * static_cast<std::size_t>(cells.height));
  for (int y = 0; y < map.height; ++y) {
    for (int x = 0; x < map.width; ++x) {
      cells.values[static_cast<std::size_t>(y / factor) * columns +
                   static_cast<std::size_t>(x / factor)] +=
          map.values[static_cast<std::size_t>(y) * static_cast<std::size_t>(map.width) +
                     static_cast<std::size_t>(x)];
    }
  }
  const real largest = *std::max_element(cells.values.begin(), cells.values.end());
  if (largest > 0) {
    for (real& value : cells.values) value /= largest;
  }
  return cells;
}

/// The cell below and above a pixel of `size`, and how much of the upper one.
struct Between {
  std::size_t low, high;
  double share;
};

Between between(int pixel, int size, int cells) {
  const double place = std::clamp((pixel + 0.5) * cells / size - 0.5, 0.0, cells - 1.0);
  const auto low = static_cast<std::size_t>(place);
  return {low, std::min(low + 1, static_cast<std::size_t>(cells - 1)),
          place - static_cast<double>(low)};
}

}  // namespace

std::vector<std::uint8_t> heat_picture(const HeatMap& map, std::span<const std::uint8_t> pixels,
                                       int height, int width, int channels) {
  const HeatMap cells = coarse(map);
  const auto at = [&](std::size_t y, std::size_t x) {
    return static_cast<double>(cells.values[y * static_cast<std::size_t>(cells.width) + x]);
  };
  const auto mix = [](double from, double to, double share) { return from + (to - from) * share; };
  std::vector<std::uint8_t> out;
  out.reserve(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3);
  const std::uint8_t* pixel = pixels.data();
  for (int y = 0; y < height; ++y) {
    const Between row = between(y, height, cells.height);
    for (int x = 0; x < width; ++x, pixel += channels) {
      const Between column = between(x, width, cells.width);
      const double value =
          mix(mix(at(row.low, column.low), at(row.low, column.high), column.share),
              mix(at(row.high, column.low), at(row.high, column.high), column.share), row.share);
      const double place = std::min(0.9999, value) * (kStops.size() - 1);
      const auto stop = static_cast<std::size_t>(place);
      const double opaque = (90 + 130 * value) / 255;
      for (std::size_t c = 0; c < 3; ++c) {
        const double colour =
            mix(kStops[stop][c], kStops[stop + 1][c], place - static_cast<double>(stop));
        const double under = pixel[channels == 3 ? c : 0];
        out.push_back(static_cast<std::uint8_t>(std::lround(mix(under, colour, opaque))));
      }
    }
  }
  return out;
}

}  // namespace pinhole
