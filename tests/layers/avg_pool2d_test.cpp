#include "check_layer.h"

namespace pinhole {

TEST(AvgPool2d, averages_over_kernels_strides_and_paddings) {
  check_layer(R"({"type": "AvgPool2d", "kernel_size": 2})", {2, 4, 6, 5});
  check_layer(R"({"type": "AvgPool2d", "kernel_size": 3, "stride": 2, "padding": 1})",
              {2, 7, 6, 3});
  check_layer(
      R"({"type": "AvgPool2d", "kernel_size": [1, 3], "stride": [2, 1], "padding": [0, 1]})",
      {2, 4, 5, 4});
}

TEST(AvgPool2d, says_what_does_not_fit) {
  expect_layer_error(R"({"type": "AvgPool2d", "kernel_size": 4})", {1, 3, 5, 1},
                     "[layer] kernel 4x4 does not fit input 3x5");
}

}  // namespace pinhole
