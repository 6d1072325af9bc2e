#include "check_layer.h"

namespace pinhole {

TEST(SiLU, covers_shapes) {
  check_layer(R"({"type": "SiLU"})", {2, 3, 5, 7});
  check_layer(R"({"type": "SiLU"})", {1, 1, 1, 1});
}

}  // namespace pinhole
