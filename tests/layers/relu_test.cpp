#include "check_layer.h"

namespace pinhole {

TEST(ReLU, passes_positive_values_and_their_gradients) {
  check_layer(R"({"type": "ReLU"})", {2, 3, 5, 7});
  check_layer(R"({"type": "ReLU"})", {1, 1, 1, 1});
}

TEST(ReLU, refuses_a_key_it_does_not_know) {
  expect_layer_error(R"({"type": "ReLU", "slope": 1})", {1, 2, 2, 1},
                     "[layer] unknown key \"slope\"; known are type, name, requires_grad");
}

}  // namespace pinhole
