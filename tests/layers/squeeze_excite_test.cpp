#include "check_layer.h"

namespace pinhole {

TEST(SqueezeExcite, covers_shapes) {
  check_layer(R"({"type": "SqueezeExcite", "squeeze_channels": 2})", {2, 4, 5, 6});
  check_layer(R"({"type": "SqueezeExcite", "squeeze_channels": 9})", {3, 3, 1, 5});
  check_layer(R"({"type": "SqueezeExcite", "squeeze_channels": 1})", {1, 1, 1, 1});
}

TEST(SqueezeExcite, may_end_a_body_of_Residual) {
  check_layer(
      R"({"type": "Residual", "body": [{"type": "Conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1}, {"type": "ReLU"},
                                       {"type": "SqueezeExcite", "squeeze_channels": 2}]})",
      {2, 4, 5, 3});
}

TEST(SqueezeExcite, says_what_is_missing) {
  expect_layer_error(R"({"type": "SqueezeExcite"})", {1, 4, 4, 3}, "squeeze_channels");
  expect_layer_error(R"({"type": "SqueezeExcite", "squeeze_channels": 0})", {1, 4, 4, 3},
                     "squeeze_channels");
}

}  // namespace pinhole
