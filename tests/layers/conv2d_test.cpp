#include "check_layer.h"

namespace pinhole {

namespace {
std::string spec(int out, const std::string& kernel, const std::string& more = "") {
  return text(R"({"type": "Conv2d", "out_channels": )", out, R"(, "kernel_size": )", kernel,
              more.empty() ? "" : ", ", more, "}");
}
}  // namespace

TEST(Conv2d, covers_kernels_strides_and_paddings) {
  for (const char* kernel : {"1", "3", "[2, 3]", "5"}) {
    for (const char* stride : {"1", "2", "[2, 1]", "3"}) {
      for (const char* padding : {"0", "1", "[0, 2]"}) {
        check_layer(spec(4, kernel, text(R"("stride": )", stride, R"(, "padding": )", padding)),
                    {2, 7, 6, 3});
      }
    }
  }
}

TEST(Conv2d, covers_dilation) {
  check_layer(spec(3, "3", R"("dilation": 2)"), {1, 7, 8, 2});
  check_layer(spec(3, "[3, 2]", R"("dilation": [1, 3], "stride": [2, 1], "padding": 2)"),
              {2, 6, 7, 5});
}

TEST(Conv2d, covers_groups_with_strides_and_odd_sizes) {
  check_layer(spec(6, "3", R"("groups": 3, "stride": 2, "padding": 1)"), {2, 7, 5, 6});
  check_layer(spec(4, "3", R"("groups": 2, "padding": 1)"), {1, 5, 6, 6});
  check_layer(spec(5, "3", R"("groups": 5, "padding": 1)"), {2, 5, 7, 5});  // depthwise
  check_layer(spec(10, "3", R"("groups": 5, "padding": 1, "stride": 2)"),
              {2, 7, 7, 5});  // depthwise, multiplier 2
}

TEST(Conv2d, pads_to_keep_the_size) {
  for (const char* kernel : {"1", "2", "3", "[5, 4]"}) {
    for (const char* more : {R"("padding": "same")", R"("padding": "same", "stride": 2)",
                             R"("padding": "same", "dilation": 2)",
                             R"("padding": "same", "stride": [3, 2], "groups": 3)"}) {
      check_layer(spec(3, kernel, more), {2, 7, 6, 3});
      check_layer(spec(3, kernel, more), {1, 8, 5, 3});
    }
  }
}

TEST(Conv2d, covers_channels_around_the_vector_width) {
  for (const int in : {1, 3, 4, 7, 8, 9, 16, 17}) {
    for (const int out : {1, 8, 15, 16, 17, 33})
      check_layer(spec(out, "3", R"("padding": 1)"), {1, 4, 5, in});
  }
  check_layer(spec(3, "3", R"("padding": 1, "bias": false)"), {2, 4, 4, 3});
}

TEST(Conv2d, covers_a_kernel_as_large_as_the_input_and_one_pixel) {
  check_layer(spec(2, "[4, 5]"), {2, 4, 5, 3});
  check_layer(spec(2, "1"), {1, 1, 1, 3});
  check_layer(spec(2, "3", R"("padding": 1)"), {1, 1, 1, 3});
}

TEST(Conv2d, says_what_does_not_fit) {
  expect_layer_error(spec(2, "5"), {1, 3, 3, 1}, "[layer] kernel 5x5 does not fit input 3x3");
  expect_layer_error(spec(4, "1", R"("groups": 2)"), {1, 3, 3, 3},
                     "groups 2 does not divide 3 input and 4 output channels");
  expect_layer_error(
      spec(4, "0"), {1, 3, 3, 3},
      "kernel_size expected an integer from 1 to 16777216 or two in brackets, got 0");
  expect_layer_error(
      spec(4, "[1, 2, 3]"), {1, 3, 3, 3},
      "kernel_size expected an integer from 1 to 16777216 or two in brackets, got [1,2,3]");
  expect_layer_error(spec(4, "1", R"("in_channels": 4)"), {1, 3, 3, 3},
                     "in_channels is 4, but the input is 3x3x3");
  expect_layer_error(spec(4, "1", R"("stride": -1)"), {1, 3, 3, 3},
                     "stride expected an integer from 1 to 16777216");
  expect_layer_error(spec(4, "1", R"("bias": 1)"), {1, 3, 3, 3},
                     "bias expected true or false, got 1");
}

}  // namespace pinhole
