#include "preview.h"

#include <algorithm>
#include <span>
#include <vector>

#include "png.h"

namespace pinhole {
namespace {

constexpr int kGap = 4;  // white pixels between two pictures
constexpr int kLeastSide = 64;  // smaller pictures are drawn larger

/// The first image of every class, then the second of every class, and so on.
std::vector<std::size_t> some_of_each_class(const ImageDataset& images, std::size_t count) {
  std::vector<std::vector<std::size_t>> of_class(images.classes().size());
  for (std::size_t i = 0; i < images.size(); ++i) {
    auto& members = of_class[static_cast<std::size_t>(images.label(i))];
    if (members.size() < count) members.push_back(i);
  }
  std::vector<std::size_t> chosen;
  for (std::size_t turn = 0; turn < count; ++turn) {
    for (const auto& members : of_class) {
      if (turn < members.size() && chosen.size() < count) chosen.push_back(members[turn]);
    }
  }
  return chosen;
}

struct Sheet {
  int height, width, channels;
  std::vector<std::uint8_t> pixels;

  void draw(std::span<const std::uint8_t> image, int image_height, int image_width, int top,
            int left, int factor) {
    for (int y = 0; y < image_height * factor; ++y) {
      for (int x = 0; x < image_width * factor; ++x) {
        const auto from = static_cast<std::size_t>((y / factor * image_width + x / factor)) *
                          static_cast<std::size_t>(channels);
        const auto to = (static_cast<std::size_t>(top + y) * static_cast<std::size_t>(width) +
                         static_cast<std::size_t>(left + x)) *
                        static_cast<std::size_t>(channels);
        std::copy_n(image.begin() + static_cast<std::ptrdiff_t>(from), channels,
                    pixels.begin() + static_cast<std::ptrdiff_t>(to));
      }
    }
  }
};

}  // namespace

std::string preview_sheet(const ImageDataset& images, const Augmentation& augmentation,
                          std::uint64_t seed, int looks, int rows) {
  const int height = images.height();
  const int width = images.width();
  const std::vector<std::size_t> chosen =
      some_of_each_class(images, static_cast<std::size_t>(rows));
  const int factor = std::max(1, kLeastSide / std::min(height, width));
  const int step_y = height * factor + kGap;
  const int step_x = width * factor + kGap;
  Sheet sheet{.height = static_cast<int>(chosen.size()) * step_y + kGap,
              .width = (1 + looks) * step_x + kGap,
              .channels = images.channels(),
              .pixels = {}};
  sheet.pixels.assign(static_cast<std::size_t>(sheet.height) *
                          static_cast<std::size_t>(sheet.width) *
                          static_cast<std::size_t>(sheet.channels),
                      255);
  int top = kGap;
  for (const std::size_t index : chosen) {
    sheet.draw(images.pixels(index), height, width, top, kGap, factor);
    for (int epoch = 1; epoch <= looks; ++epoch) {
      sheet.draw(images.changed_pixels(index, {augmentation, seed, epoch}), height, width, top,
                 kGap + epoch * step_x, factor);
    }
    top += step_y;
  }
  return encode_png(sheet.pixels, sheet.height, sheet.width, sheet.channels);
}

}  // namespace pinhole
