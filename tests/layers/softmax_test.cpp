#include "check_layer.h"

namespace pinhole {

TEST(Softmax, is_over_the_channels) {
  check_layer(R"({"type": "Softmax"})", {3, 1, 1, 10});
  check_layer(R"({"type": "Softmax", "dim": 1})", {2, 2, 3, 4});
}

TEST(Softmax, refuses_another_dim) {
  expect_layer_error(R"({"type": "Softmax", "dim": 2})", {1, 1, 1, 4}, "dim expected 1");
}

}  // namespace pinhole
