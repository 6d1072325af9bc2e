#include "check_layer.h"
#include "json.h"

namespace pinhole {

TEST(MaxPool2d, routes_the_gradient_to_the_largest_value_over_kernels_strides_and_paddings) {
  check_layer(R"({"type": "MaxPool2d", "kernel_size": 2})", {2, 4, 6, 5});
  check_layer(R"({"type": "MaxPool2d", "kernel_size": 2, "stride": 2})", {2, 5, 7, 17});
  check_layer(R"({"type": "MaxPool2d", "kernel_size": 3, "stride": 2, "padding": 1})",
              {2, 7, 6, 3});
  check_layer(R"({"type": "MaxPool2d", "kernel_size": 3, "stride": 1})", {1, 5, 5, 8});
  check_layer(
      R"({"type": "MaxPool2d", "kernel_size": [1, 3], "stride": [2, 1], "padding": [0, 1]})",
      {2, 4, 5, 4});
}

TEST(MaxPool2d, routes_the_gradient_to_the_largest_value_when_all_are_negative) {
  for (const std::string& name : backend_names()) {
    const auto backend = make_backend(name, 1);
    const Shape shape{1, 2, 2, 1};
    const auto layer =
        make_layer(parse_json(R"({"type": "MaxPool2d", "kernel_size": 2})", "spec"),
                   {.input = shape, .flattened = shape, .classes = 0, .prefix = "pool"}, "[pool]");
    Tensor x(shape), y({1, 1, 1, 1}), dy({1, 1, 1, 1}), dx(shape);
    const real values[] = {-3, -1, -2, -4};
    std::copy_n(values, 4, x.data());
    dy.fill(5);
    RunContext context{*backend};
    layer->prepare(shape, Pass::kTrain);
    layer->forward(context, x, y);
    layer->backward(context, x, y, dy, &dx);
    EXPECT_EQ(y.data()[0], -1) << name;
    EXPECT_EQ((std::vector<real>(dx.data(), dx.data() + 4)), (std::vector<real>{0, 5, 0, 0}))
        << name;
  }
}

TEST(MaxPool2d, gives_the_gradient_to_the_first_of_equal_values) {
  for (const std::string& name : backend_names()) {
    const auto backend = make_backend(name, 1);
    const Shape shape{1, 2, 2, 1};
    const auto layer =
        make_layer(parse_json(R"({"type": "MaxPool2d", "kernel_size": 2})", "spec"),
                   {.input = shape, .flattened = shape, .classes = 0, .prefix = "pool"}, "[pool]");
    Tensor x(shape), y({1, 1, 1, 1}), dy({1, 1, 1, 1}), dx(shape);
    x.fill(2);
    dy.fill(1);
    RunContext context{*backend};
    layer->prepare(shape, Pass::kTrain);
    layer->forward(context, x, y);
    layer->backward(context, x, y, dy, &dx);
    EXPECT_EQ((std::vector<real>(dx.data(), dx.data() + 4)), (std::vector<real>{1, 0, 0, 0}))
        << name;
  }
}

TEST(MaxPool2d, says_what_does_not_fit) {
  expect_layer_error(R"({"type": "MaxPool2d", "kernel_size": 5})", {1, 3, 3, 1},
                     "[layer] kernel 5x5 does not fit input 3x3");
  expect_layer_error(R"({"type": "MaxPool2d", "kernel_size": 2, "padding": 2})", {1, 3, 3, 1},
                     "padding 2,2 is more than half of kernel 2x2");
  expect_layer_error(R"({"type": "MaxPool2d"})", {1, 3, 3, 1}, "needs \"kernel_size\"");
}

}  // namespace pinhole
