#include "heat_picture.h"

#include <gtest/gtest.h>

namespace pinhole {
namespace {

TEST(HeatPicture, is_light_where_the_map_is_warm_and_lets_the_picture_through_elsewhere) {
  const HeatMap map{.height = 2, .width = 2, .values = {0, 0, 0, 1}};
  std::vector<std::uint8_t> pixels(std::size_t{8} * 8 * 3, 100);
  pixels[0] = 200;
  const std::vector<std::uint8_t> out = heat_picture(map, pixels, 8, 8, 3);
  ASSERT_EQ(out.size(), pixels.size());
  // 90/255 of (60, 0, 60), and 220/255 of (255, 245, 170).
  EXPECT_EQ((std::vector<int>(out.begin(), out.begin() + 3)), (std::vector<int>{151, 65, 86}));
  EXPECT_EQ((std::vector<int>(out.end() - 3, out.end())), (std::vector<int>{234, 225, 160}));
}

TEST(HeatPicture, takes_grey_pictures_and_fine_maps) {
  HeatMap map{.height = 56, .width = 3, .values = std::vector<real>(168)};
  for (std::size_t i = 0; i < 12; ++i) map.values[i] = 0.5;  // the first four rows
  const std::vector<std::uint8_t> out =
      heat_picture(map, std::vector<std::uint8_t>(std::size_t{56} * 3, 0), 56, 3, 1);
  ASSERT_EQ(out.size(), std::size_t{56} * 3 * 3);
  EXPECT_GT(out[0], 200);  // its average is the largest, which counts as 1
  EXPECT_LT(out[out.size() - 3], 30);
}

}  // namespace
}  // namespace pinhole
