#include "check_layer.h"
#include "json.h"

namespace pinhole {

TEST(ReLU6, covers_shapes) {
  check_layer(R"({"type": "ReLU6"})", {2, 3, 5, 7});
  check_layer(R"({"type": "ReLU6"})", {1, 1, 1, 1});
}

TEST(ReLU6, passes_a_gradient_between_0_and_6_alone) {
  const auto backend = make_backend("reference", 1);
  const Shape shape{1, 1, 1, 5};
  const auto layer =
      make_layer(parse_json(R"({"type": "ReLU6"})", "spec"),
                 {.input = shape, .flattened = shape, .classes = 0, .prefix = "r"}, "[r]");
  Tensor x(shape), y(shape), dy(shape), dx(shape);
  const real in[] = {-1, 0.5, 5.5, 6.5, 100};
  std::copy_n(in, 5, x.data());
  dy.fill(2);
  RunContext context{*backend};
  layer->forward(context, x, y);
  layer->backward(context, x, y, dy, &dx);
  const real out[] = {0, 0.5, 5.5, 6, 6}, gradient[] = {0, 2, 2, 0, 0};
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(y.data()[i], out[i]);
    EXPECT_EQ(dx.data()[i], gradient[i]);
  }
}

}  // namespace pinhole
