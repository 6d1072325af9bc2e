#include "check_layer.h"

namespace pinhole {

TEST(Normalize, covers_one_number_a_channel_and_one_for_all) {
  check_layer(R"({"type": "Normalize", "mean": [0.5, 0.25, -1], "std": [0.5, 2, 3]})",
              {2, 3, 4, 3});
  check_layer(R"({"type": "Normalize", "mean": [0.5], "std": [0.25]})", {1, 2, 2, 5});
}

TEST(Normalize, says_what_does_not_fit) {
  expect_layer_error(R"({"type": "Normalize", "mean": [0, 0], "std": [1]})", {1, 2, 2, 3},
                     "mean and std expected 1 or 3 numbers, one a channel, got 2");
  expect_layer_error(R"({"type": "Normalize", "mean": [0], "std": [0]})", {1, 2, 2, 3},
                     "std expected numbers above 0, got 0");
  expect_layer_error(R"({"type": "Normalize", "mean": "x", "std": [1]})", {1, 2, 2, 3},
                     "mean expected a list of numbers, got \"x\"");
}

}  // namespace pinhole
