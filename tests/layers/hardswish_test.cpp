#include "check_layer.h"

namespace pinhole {

TEST(Hardswish, covers_shapes) {
  check_layer(R"({"type": "Hardswish"})", {2, 3, 5, 7});
  check_layer(R"({"type": "Hardswish"})", {1, 1, 1, 1});
}

}  // namespace pinhole
