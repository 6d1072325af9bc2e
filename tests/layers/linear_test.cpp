#include "check_layer.h"

namespace pinhole {

TEST(Linear, computes_x_times_w_transposed_plus_b) {
  for (const int in : {1, 3, 8, 17, 64}) {
    for (const int out : {1, 2, 5, 16, 33}) {
      for (const int n : {1, 3})
        check_layer(text(R"({"type": "Linear", "out_features": )", out, "}"), {n, 1, 1, in});
    }
  }
  check_layer(R"({"type": "Linear", "out_features": 3, "bias": false})", {2, 1, 1, 9});
  check_layer(R"({"type": "Linear", "out_features": "classes", "in_features": 9})", {2, 1, 1, 9});
}

TEST(Linear, says_what_does_not_fit) {
  expect_layer_error(R"({"type": "Linear", "out_features": 3})", {1, 4, 5, 6},
                     "needs a flat input (put a Flatten before it), got 4x5x6");
  expect_layer_error(R"({"type": "Linear", "out_features": 0})", {1, 1, 1, 6},
                     "out_features expected an integer from 1 to 16777216 or \"classes\", got 0");
  expect_layer_error(R"({"type": "Linear"})", {1, 1, 1, 6}, "needs \"out_features\"");
  expect_layer_error(R"({"type": "Linear", "out_features": 3, "in_features": 7})", {1, 1, 1, 6},
                     "in_features is 7, but the input has 6 values");
  expect_layer_error(R"({"type": "Linear", "out_features": 16777216})", {1, 1, 1, 6000},
                     "more than the 268435456");
}

}  // namespace pinhole
