#include "check_layer.h"

namespace pinhole {

TEST(Sigmoid, is_the_logistic_function) {
  check_layer(R"({"type": "Sigmoid"})", {2, 3, 2, 5});
  check_layer(R"({"type": "Sigmoid"})", {1, 1, 1, 1});
}

}  // namespace pinhole
