#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "error.h"
#include "image.h"

namespace pinhole {

Image center_crop(const Image& image, int height, int width) {
  if (std::min({image.height, image.width, height, width}) < 1) {
    throw Error(text("an image of ", image.width, 'x', image.height, " pixels has no part of ",
                     width, ':', height));
  }
  const auto part = [](int size, int other, int mine, int theirs) {
    return static_cast<int>(std::clamp<std::int64_t>(std::int64_t{other} * mine / theirs, 1, size));
  };
  Image middle{.width = part(image.width, image.height, width, height),
               .height = part(image.height, image.width, height, width),
               .rgba = {}};
  const int left = (image.width - middle.width) / 2, top = (image.height - middle.height) / 2;
  const std::size_t row = static_cast<std::size_t>(middle.width) * 4;
  middle.rgba.resize(middle.height * row);
  for (int y = 0; y < middle.height; ++y) {
    const std::size_t from = (static_cast<std::size_t>(top + y) * image.width + left) * 4;
    std::copy_n(image.rgba.data() + from, row, middle.rgba.data() + y * row);
  }
  return middle;
}

std::vector<std::uint8_t> to_input(const Image& image, const Preparation& preparation) {
  const auto& [height, width, channels, crops] = preparation;
  if (crops) return to_input(center_crop(image, height, width), height, width, channels);
  return to_input(image, height, width, channels);
}

}  // namespace pinhole
