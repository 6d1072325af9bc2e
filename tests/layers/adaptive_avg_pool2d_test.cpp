#include "check_layer.h"

namespace pinhole {

TEST(AdaptiveAvgPool2d, is_the_mean_of_each_channel) {
  check_layer(R"({"type": "AdaptiveAvgPool2d", "output_size": 1})", {2, 4, 6, 5});
  check_layer(R"({"type": "AdaptiveAvgPool2d", "output_size": [1, 1]})", {3, 1, 1, 17});
}

TEST(AdaptiveAvgPool2d, refuses_another_size) {
  expect_layer_error(R"({"type": "AdaptiveAvgPool2d", "output_size": 2})", {1, 4, 4, 1},
                     "output_size expected 1");
}

}  // namespace pinhole
