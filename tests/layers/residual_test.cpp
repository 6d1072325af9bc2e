#include "check_layer.h"

namespace pinhole {

namespace {
const char* const kConv =
    R"({"type": "Conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1})";
}

TEST(Residual, adds_its_input_to_what_its_body_gives) {
  check_layer(text(R"({"type": "Residual", "body": [)", kConv, "]}"), {2, 4, 5, 3});
  check_layer(text(R"({"type": "Residual", "body": [)", kConv,
                   R"(, {"type": "BatchNorm2d"}, {"type": "ReLU"}, )", kConv,
                   R"(, {"type": "BatchNorm2d"}]})"),
              {3, 5, 4, 3});
}

TEST(Residual, projects_its_input_with_a_shortcut) {
  check_layer(
      R"({"type": "Residual",
          "body": [{"type": "Conv2d", "out_channels": 4, "kernel_size": 3, "stride": 2, "padding": 1}, {"type": "ReLU"},
                   {"type": "Conv2d", "out_channels": 5, "kernel_size": 1}],
          "shortcut": [{"type": "Conv2d", "out_channels": 5, "kernel_size": 1, "stride": 2, "bias": false}, {"type": "BatchNorm2d"}]})",
      {2, 6, 5, 3});
}

TEST(Residual, holds_others) {
  check_layer(text(R"({"type": "Residual", "body": [{"type": "Residual", "body": [)", kConv,
                   R"(, {"type": "SiLU"}]}, )", kConv, "]}"),
              {2, 4, 4, 3});
}

TEST(Residual, may_end_in_a_layer_that_reads_its_own_output) {
  check_layer(text(R"({"type": "Residual", "body": [)", kConv, R"(, {"type": "ReLU"}]})"),
              {2, 4, 5, 3});
}

TEST(Residual, says_what_does_not_fit) {
  expect_layer_error(R"({"type": "Residual"})", {1, 4, 4, 3}, "needs a \"body\", a list of layers");
  expect_layer_error(
      R"({"type": "Residual", "body": [{"type": "Conv2d", "out_channels": 4, "kernel_size": 1}]})",
      {1, 4, 4, 3},
      "its body gives 4x4x4, its input (there is no shortcut) is 4x4x3; both are added");
  expect_layer_error(R"({"type": "Residual", "body": [{"type": "Conv9d"}]})", {1, 4, 4, 3},
                     "[Conv9d layer.body.#0] unknown layer type");
  expect_layer_error(text(R"({"type": "Residual", "body": [)", kConv, R"(], "shortcut": [)", kConv,
                          R"(, {"type": "ReLU"}]})"),
                     {1, 4, 4, 3}, "its shortcut ends in ReLU");
}

}  // namespace pinhole
