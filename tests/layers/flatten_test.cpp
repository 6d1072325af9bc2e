#include "check_layer.h"

namespace pinhole {

TEST(Flatten, keeps_every_value) {
  check_layer(R"({"type": "Flatten"})", {2, 3, 4, 5});
  check_layer(R"({"type": "Flatten"})", {3, 1, 1, 6});
}

}  // namespace pinhole
