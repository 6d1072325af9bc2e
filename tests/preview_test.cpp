#include "preview.h"

#include <gtest/gtest.h>

#include "image.h"
#include "json.h"

namespace pinhole {
namespace {

/// Images of one grey each: 10, 20, ... ; labels as given.
ImageDataset plain_images(int side, int channels, const std::vector<int>& labels) {
  ImageDataset images(side, side, channels, {"a", "b"});
  const auto bytes = static_cast<std::size_t>(side * side * channels);
  for (std::size_t i = 0; i < labels.size(); ++i)
    images.add(std::vector<std::uint8_t>(bytes, static_cast<std::uint8_t>(10 * (i + 1))),
               labels[i]);
  return images;
}

Image decoded(const std::string& png) {
  return decode_image({reinterpret_cast<const std::uint8_t*>(png.data()), png.size()});
}

/// The red of the pixel at (y, x).
int red(const Image& image, int y, int x) {
  return image
      .rgba[std::size_t{4} * (static_cast<std::size_t>(y) * static_cast<std::size_t>(image.width) +
                              static_cast<std::size_t>(x))];
}

TEST(Preview, shows_each_image_and_beside_it_what_every_epoch_makes_of_it) {
  ImageDataset images(64, 64, 3, {"a", "b"});
  std::vector<std::uint8_t> half(std::size_t{64} * 64 * 3, 0);  // white on the left
  for (std::size_t i = 0; i < half.size(); ++i) half[i] = i / 3 % 64 < 32 ? 255 : 0;
  images.add(half, 0);
  const Augmentation flips(Json::parse(R"([{"type": "RandomHorizontalFlip"}])"), "augment");
  const int looks = 5;
  const Image sheet = decoded(preview_sheet(images, flips, 3, looks));
  ASSERT_EQ(sheet.height, 4 + 68);
  ASSERT_EQ(sheet.width, 4 + 68 * (1 + looks));
  EXPECT_EQ(red(sheet, 10, 4 + 10), 255);  // the image itself
  EXPECT_EQ(red(sheet, 10, 4 + 50), 0);
  int flipped = 0;
  for (int epoch = 1; epoch <= looks; ++epoch) {
    const std::vector<std::uint8_t> expected = images.changed_pixels(0, {flips, 3, epoch});
    const int left = 4 + 68 * epoch;
    EXPECT_EQ(red(sheet, 10, left + 10), expected[std::size_t{3} * (10 * 64 + 10)]);
    EXPECT_EQ(red(sheet, 10, left + 50), expected[std::size_t{3} * (10 * 64 + 50)]);
    flipped += red(sheet, 10, left + 10) == 0;
  }
  EXPECT_GT(flipped, 0);
  EXPECT_LT(flipped, looks);
}

TEST(Preview, takes_images_of_all_classes_in_turn_and_draws_small_ones_larger) {
  const ImageDataset images = plain_images(10, 1, {0, 0, 0, 1});
  const Augmentation none;
  const Image sheet = decoded(preview_sheet(images, none, 0, 1, 3));
  const int step = 60 + 4;  // six times as large
  ASSERT_EQ(sheet.height, 4 + 3 * step);
  ASSERT_EQ(sheet.width, 4 + 2 * step);
  for (const auto& [row, grey] : {std::pair(0, 10), std::pair(1, 40), std::pair(2, 20)}) {
    EXPECT_EQ(red(sheet, 4 + row * step, 4), grey);
    EXPECT_EQ(red(sheet, 4 + row * step + 59, 4 + step + 59), grey);
    EXPECT_EQ(red(sheet, 4 + row * step, 2), 255);  // the gap
  }
}

}  // namespace
}  // namespace pinhole
