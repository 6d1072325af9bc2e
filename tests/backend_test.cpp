// Every kernel of every backend, and of every instruction set that this CPU has, against the reference bodies. Most data are small
// integers: every sum is exact in float whatever its order, so results must be equal to the bit, ties between winners included; where
// a convolution goes by Winograd's tiles, it rounds.
#include "backend.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "backends/simd.h"
#include "backends/simd_winograd.h"
#include "error.h"
#include "rng.h"

namespace pinhole {
namespace {

std::vector<std::string> fast_backends() {
  std::vector<std::string> names{"xnnpack"};
  for (const std::string& set : simd_instruction_sets()) names.push_back("simd:" + set);
  return names;
}

/// Values for a kernel, at the end of a buffer with the slack that tensors have.
Tensor values(std::size_t count) { return Tensor(Shape{1, 1, 1, static_cast<int>(count)}); }

/// Integers in [-range, range].
Tensor integers(std::size_t count, std::uint64_t seed, int range = 3) {
  Tensor t = values(count);
  Rng rng(seed);
  for (std::size_t i = 0; i < count; ++i)
    t.data()[i] = static_cast<real>(
        static_cast<int>(rng.next() % static_cast<std::uint64_t>(2 * range + 1)) - range);
  return t;
}

Tensor reals(std::size_t count, std::uint64_t seed, real low = -1, real high = 1) {
  Tensor t = values(count);
  Rng rng(seed);
  for (std::size_t i = 0; i < count; ++i)
    t.data()[i] =
        low + (high - low) * static_cast<real>(rng.next() >> 40U) / static_cast<real>(1 << 24);
  return t;
}

Parameter parameter(Tensor value) {
  Parameter p;
  p.value = std::move(value);
  return p;
}

/// A result that was never written must not pass: it starts as NaN.
Tensor unwritten(std::size_t count) {
  Tensor t = values(count);
  t.fill(std::numeric_limits<real>::quiet_NaN());
  return t;
}

void expect_same(const Tensor& got, const Tensor& want, const std::string& what, real slack = 0) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    const real a = got.data()[i], b = want.data()[i];
    ASSERT_TRUE(a == b || std::abs(a - b) <= slack || (std::isnan(a) && std::isnan(b)))
        << what << " at " << i << " of " << want.size() << ": " << a << ", expected " << b;
  }
}

/// `scale`: the sum of magnitudes behind each value.
void expect_close(const Tensor& got, const Tensor& want, const Tensor& scale,
                  const std::string& what) {
  for (std::size_t i = 0; i < want.size(); ++i)
    ASSERT_NEAR(got.data()[i], want.data()[i], 4e-6 * scale.data()[i] + 1e-30)
        << what << " at " << i;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(real)) == 0;
}

std::string text_of(const Conv2dGeometry& g) {
  return text("conv ", g.n, "x", g.h, "x", g.w, "x", g.c, " -> ", g.oh, "x", g.ow, "x", g.oc,
              " kernel ", g.kh, "x", g.kw, " stride ", g.stride_h, "x", g.stride_w, " padding ",
              g.pad_top, ",", g.pad_left, ",", g.pad_bottom, ",", g.pad_right, " dilation ",
              g.dilation_h, "x", g.dilation_w, " groups ", g.groups, ": ");
}

/// How far a convolution of integers may be from the reference: Winograd's tiles round, every other way is exact. A term that is
/// missing or from the wrong place makes a difference of 1.
real slack_of(const Conv2dGeometry& g) { return simd::winograd_suits(g) ? real(0.02) : real(0); }

struct Conv {
  int n = 1, h = 5, w = 5, c = 1, oc = 1;
  int kh = 3, kw = 3, stride_h = 1, stride_w = 1;
  int pad_top = 1, pad_left = 1, pad_bottom = 1, pad_right = 1;
  int dilation_h = 1, dilation_w = 1, groups = 1;
  Conv2dGeometry geometry() const {
    const int oh = (h + pad_top + pad_bottom - dilation_h * (kh - 1) - 1) / stride_h + 1;
    const int ow = (w + pad_left + pad_right - dilation_w * (kw - 1) - 1) / stride_w + 1;
    return {n,        h,          w,         c,          oh,         ow,
            oc,       kh,         kw,        stride_h,   stride_w,   pad_top,
            pad_left, pad_bottom, pad_right, dilation_h, dilation_w, groups};
  }
};

/// The grid: vector widths and their neighbours, then every other dimension against a few channel counts.
std::vector<Conv2dGeometry> conv_grid() {
  std::vector<Conv2dGeometry> grid;
  for (const int c : {1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 64}) {
    for (const int oc : {1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 64}) {
      Conv conv;
      conv.c = c;
      conv.oc = oc;
      conv.h = 7;
      conv.w = 6 + oc % 3;
      conv.n = 1 + (c + oc) % 2;
      grid.push_back(conv.geometry());
    }
  }
  const int channels[][2] = {{1, 4}, {3, 16}, {5, 9}, {16, 33}, {20, 7}};
  for (const auto& [c, oc] : channels) {
    for (const int stride : {1, 2, 3}) {
      for (const int kernel : {1, 2, 3, 5}) {
        for (const int pad : {0, 1, 2}) {
          for (const int dilation : {1, 2}) {
            Conv conv;
            conv.n = 2;
            conv.c = c;
            conv.oc = oc;
            conv.h = 11;
            conv.w = 10;
            conv.kh = kernel;
            conv.kw = kernel == 5 ? 3 : kernel;
            conv.stride_h = stride;
            conv.stride_w = stride == 3 ? 2 : stride;
            conv.pad_top = conv.pad_bottom = conv.pad_left = conv.pad_right = pad;
            conv.dilation_h = dilation;
            conv.dilation_w = kernel == 2 ? 1 : dilation;
            grid.push_back(conv.geometry());
          }
        }
      }
    }
  }
  // Padding that differs by side, more than the kernel, and sizes that leave rows over.
  for (const int stride : {1, 2, 4}) {
    for (const int size : {4, 9, 13}) {
      Conv conv;
      conv.n = 5;
      conv.c = 6;
      conv.oc = 18;
      conv.h = size;
      conv.w = size + 1;
      conv.stride_h = conv.stride_w = stride;
      conv.pad_top = 0;
      conv.pad_left = 3;
      conv.pad_bottom = 4;
      conv.pad_right = 1;
      grid.push_back(conv.geometry());
    }
  }
  // Groups, depthwise, and a channel multiplier.
  const int grouped[][3] = {{4, 6, 2},    {9, 9, 3},    {16, 32, 4}, {40, 24, 8}, {8, 8, 8},
                            {17, 17, 17}, {33, 33, 33}, {5, 10, 5},  {64, 64, 64}};
  for (const auto& [c, oc, groups] : grouped) {
    for (const int stride : {1, 2}) {
      for (const int dilation : {1, 2}) {
        Conv conv;
        conv.n = 2;
        conv.c = c;
        conv.oc = oc;
        conv.groups = groups;
        conv.h = 9;
        conv.w = 8;
        conv.stride_h = conv.stride_w = stride;
        conv.dilation_h = conv.dilation_w = dilation;
        grid.push_back(conv.geometry());
      }
    }
  }
  // What goes by Winograd's tiles: sizes that fill them and that do not, every padding, more than one product of tiles.
  const int tiled[][4] = {{32, 32, 8, 8}, {32, 48, 7, 9}, {48, 32, 14, 14}, {64, 96, 5, 6},
                          {96, 64, 3, 3}, {32, 32, 1, 2}, {128, 32, 6, 31}, {32, 64, 28, 27}};
  for (const auto& [c, oc, h, w] : tiled) {
    for (int pads = 0; pads < 6; ++pads) {
      Conv conv;
      conv.n = 1 + pads;
      conv.c = c;
      conv.oc = oc;
      conv.h = h;
      conv.w = w;
      conv.pad_top = pads % 3;
      conv.pad_left = (pads + 1) % 3;
      conv.pad_bottom = pads == 5 ? 2 : 1;
      conv.pad_right = pads / 2;
      const Conv2dGeometry g = conv.geometry();
      if (g.oh > 0 && g.ow > 0) grid.push_back(g);
    }
  }
  // Large enough for several tiles, bands, partial sums and threads.
  for (const auto& [c, oc] : {std::pair{3, 16}, std::pair{16, 32}, std::pair{40, 70}}) {
    Conv conv;
    conv.n = 3;
    conv.h = 61;
    conv.w = 58;
    conv.c = c;
    conv.oc = oc;
    grid.push_back(conv.geometry());
  }
  return grid;
}

std::size_t x_size(const Conv2dGeometry& g) { return Shape{g.n, g.h, g.w, g.c}.size(); }
std::size_t y_size(const Conv2dGeometry& g) { return Shape{g.n, g.oh, g.ow, g.oc}.size(); }
std::size_t w_size(const Conv2dGeometry& g) {
  return Shape{g.oc, g.kh, g.kw, g.c / g.groups}.size();
}
std::size_t pooled_size(const Conv2dGeometry& g) {
  return Shape{g.n, g.oh / 2, g.ow / 2, g.oc}.size();
}

/// Each winner is as large as the largest of its window, or there is none where none is above zero.
void expect_winners(const Conv2dGeometry& g, const Tensor& y, const Tensor& pooled,
                    const std::vector<std::uint8_t>& winner) {
  for (std::size_t i = 0; i < winner.size(); ++i) {
    const auto channels = static_cast<std::size_t>(g.oc), columns = static_cast<std::size_t>(g.ow),
               rows = static_cast<std::size_t>(g.oh), across = columns / 2, down = rows / 2;
    const std::size_t window = i / channels;
    const std::size_t n = window / (across * down), r = window / across % down, q = winner[i];
    const real largest = pooled.data()[i];
    if (largest == 0 && q == Backend::kNoWinner) continue;
    ASSERT_LT(q, 4U) << text_of(g) << "winner at " << i;
    const std::size_t h = 2 * r + q / 2, w = 2 * (window % across) + q % 2;
    const real value = y.data()[((n * rows + h) * columns + w) * channels + i % channels];
    ASSERT_EQ(std::max(value, real(0)), largest) << text_of(g) << "winner at " << i;
  }
}

class BackendTest : public testing::TestWithParam<std::string> {
 protected:
  std::shared_ptr<Backend> fast_ = make_backend(GetParam(), 2);
  std::shared_ptr<Backend> reference_ = make_backend("reference", 1);
};

TEST_P(BackendTest, convolves_forward_as_the_reference) {
  for (const Conv2dGeometry& g : conv_grid()) {
    const Tensor x = integers(x_size(g), 1);
    const Parameter w = parameter(integers(w_size(g), 2)),
                    b = parameter(integers(static_cast<std::size_t>(g.oc), 3));
    for (const Parameter* bias : {&b, static_cast<const Parameter*>(nullptr)}) {
      Tensor got = unwritten(y_size(g)), want = unwritten(y_size(g));
      OpSlot op, reference_op;
      fast_->conv2d_forward(g, x.data(), w, bias, got.data(), op);
      reference_->conv2d_forward(g, x.data(), w, bias, want.data(), reference_op);
      ASSERT_NO_FATAL_FAILURE(expect_same(got, want, text_of(g) + "y", slack_of(g)));
    }
  }
}

TEST_P(BackendTest, gives_the_input_gradient_of_a_convolution_as_the_reference) {
  for (const Conv2dGeometry& g : conv_grid()) {
    const Tensor dy = integers(y_size(g), 4);
    const Parameter w = parameter(integers(w_size(g), 5));
    Tensor got = unwritten(x_size(g)), want = unwritten(x_size(g));
    OpSlot op, reference_op;
    fast_->conv2d_backward_input(g, dy.data(), w, got.data(), op);
    reference_->conv2d_backward_input(g, dy.data(), w, want.data(), reference_op);
    ASSERT_NO_FATAL_FAILURE(expect_same(got, want, text_of(g) + "dx", slack_of(g)));
  }
}

TEST_P(BackendTest, gives_the_weight_gradient_of_a_convolution_as_the_reference) {
  for (const Conv2dGeometry& g : conv_grid()) {
    const Tensor x = integers(x_size(g), 6), dy = integers(y_size(g), 7);
    for (const real beta : {real(0), real(1)}) {
      Tensor got = beta == 0 ? unwritten(w_size(g)) : integers(w_size(g), 8);
      Tensor want = beta == 0 ? unwritten(w_size(g)) : integers(w_size(g), 8);
      const auto channels = static_cast<std::size_t>(g.oc);
      Tensor got_b = beta == 0 ? unwritten(channels) : integers(channels, 9);
      Tensor want_b = beta == 0 ? unwritten(channels) : integers(channels, 9);
      fast_->conv2d_backward_weight(g, x.data(), dy.data(), beta, got.data(), got_b.data());
      reference_->conv2d_backward_weight(g, x.data(), dy.data(), beta, want.data(), want_b.data());
      ASSERT_NO_FATAL_FAILURE(expect_same(got, want, text_of(g) + "dw", slack_of(g)));
      ASSERT_NO_FATAL_FAILURE(expect_same(got_b, want_b, text_of(g) + "db"));
      Tensor alone = beta == 0 ? unwritten(w_size(g)) : integers(w_size(g), 8);
      fast_->conv2d_backward_weight(g, x.data(), dy.data(), beta, alone.data(), nullptr);
      ASSERT_NO_FATAL_FAILURE(expect_same(alone, want, text_of(g) + "dw without db", slack_of(g)));
    }
  }
}

TEST_P(BackendTest, fuses_convolution_relu_and_max_pool_forward_as_the_reference) {
  for (const Conv2dGeometry& g : conv_grid()) {
    if (g.oh < 2 || g.ow < 2) continue;
    const Tensor x = integers(x_size(g), 10);
    const Parameter w = parameter(integers(w_size(g), 11, 2)),
                    b = parameter(integers(static_cast<std::size_t>(g.oc), 12));
    for (const Parameter* bias : {&b, static_cast<const Parameter*>(nullptr)}) {
      Tensor got = unwritten(pooled_size(g)), want = unwritten(pooled_size(g));
      std::vector<std::uint8_t> got_winner(got.size(), 99), want_winner(want.size(), 98);
      OpSlot op, reference_op;
      fast_->conv2d_relu_max_pool2d_forward(g, x.data(), w, bias, got.data(), got_winner.data(),
                                            op);
      reference_->conv2d_relu_max_pool2d_forward(g, x.data(), w, bias, want.data(),
                                                 want_winner.data(), reference_op);
      ASSERT_NO_FATAL_FAILURE(expect_same(got, want, text_of(g) + "pooled y", slack_of(g)));
      if (slack_of(g) == 0) {
        ASSERT_EQ(got_winner, want_winner) << text_of(g);
      } else {
        Tensor y = unwritten(y_size(g));
        reference_->conv2d_forward(g, x.data(), w, bias, y.data(), reference_op);
        ASSERT_NO_FATAL_FAILURE(expect_winners(g, y, want, got_winner));
      }
    }
  }
}

TEST_P(BackendTest, fuses_convolution_relu_and_max_pool_backward_as_the_reference) {
  for (const Conv2dGeometry& g : conv_grid()) {
    if (g.oh < 2 || g.ow < 2) continue;
    const Tensor x = integers(x_size(g), 13), dy = integers(pooled_size(g), 14);
    const Parameter w = parameter(integers(w_size(g), 15));
    std::vector<std::uint8_t> winner(dy.size());
    Rng rng(16);
    for (std::uint8_t& q : winner) q = static_cast<std::uint8_t>(rng.next() % 5);
    const auto channels = static_cast<std::size_t>(g.oc);
    for (const real beta : {real(0), real(1)}) {
      Tensor got_x = unwritten(x_size(g)), want_x = unwritten(x_size(g));
      Tensor got = beta == 0 ? unwritten(w_size(g)) : integers(w_size(g), 17);
      Tensor want = beta == 0 ? unwritten(w_size(g)) : integers(w_size(g), 17);
      Tensor got_b = beta == 0 ? unwritten(channels) : integers(channels, 18);
      Tensor want_b = beta == 0 ? unwritten(channels) : integers(channels, 18);
      OpSlot op, reference_op;
      fast_->conv2d_relu_max_pool2d_backward(g, x.data(), w, dy.data(), winner.data(), got_x.data(),
                                             beta, got.data(), got_b.data(), op);
      reference_->conv2d_relu_max_pool2d_backward(g, x.data(), w, dy.data(), winner.data(),
                                                  want_x.data(), beta, want.data(), want_b.data(),
                                                  reference_op);
      ASSERT_NO_FATAL_FAILURE(
          expect_same(got_x, want_x, text_of(g) + "dx through the pool", slack_of(g)));
      ASSERT_NO_FATAL_FAILURE(
          expect_same(got, want, text_of(g) + "dw through the pool", slack_of(g)));
      ASSERT_NO_FATAL_FAILURE(expect_same(got_b, want_b, text_of(g) + "db through the pool"));
      Tensor alone = beta == 0 ? unwritten(w_size(g)) : integers(w_size(g), 17);
      fast_->conv2d_relu_max_pool2d_backward(g, x.data(), w, dy.data(), winner.data(), nullptr,
                                             beta, alone.data(), nullptr, op);
      ASSERT_NO_FATAL_FAILURE(
          expect_same(alone, want, text_of(g) + "dw through the pool, alone", slack_of(g)));
    }
  }
}

std::vector<LinearGeometry> linear_grid() {
  std::vector<LinearGeometry> grid;
  for (const int n : {1, 2, 5, 13, 33}) {
    for (const int in : {1, 3, 8, 17, 64, 100, 515}) {
      for (const int out : {1, 2, 3, 7, 10, 16, 33, 130}) grid.push_back({n, in, out});
    }
  }
  grid.push_back({32, 20000, 10});
  grid.push_back({3, 9001, 1});
  grid.push_back({70, 600, 300});
  return grid;
}

TEST_P(BackendTest, computes_linear_forward_and_backward_as_the_reference) {
  for (const LinearGeometry& g : linear_grid()) {
    const std::string what = text("linear ", g.n, "x", g.in, " -> ", g.out, ": ");
    const auto n = static_cast<std::size_t>(g.n), in = static_cast<std::size_t>(g.in),
               out = static_cast<std::size_t>(g.out);
    const Tensor x = integers(n * in, 20), dy = integers(n * out, 21);
    const Parameter w = parameter(integers(in * out, 22)), b = parameter(integers(out, 23));
    OpSlot op, reference_op;
    for (const Parameter* bias : {&b, static_cast<const Parameter*>(nullptr)}) {
      Tensor got = unwritten(n * out), want = unwritten(n * out);
      fast_->linear_forward(g, x.data(), w, bias, got.data(), op);
      reference_->linear_forward(g, x.data(), w, bias, want.data(), reference_op);
      ASSERT_NO_FATAL_FAILURE(expect_same(got, want, what + "y"));
    }
    Tensor got_x = unwritten(n * in), want_x = unwritten(n * in);
    fast_->linear_backward_input(g, dy.data(), w, got_x.data(), op);
    reference_->linear_backward_input(g, dy.data(), w, want_x.data(), reference_op);
    ASSERT_NO_FATAL_FAILURE(expect_same(got_x, want_x, what + "dx"));
    for (const real beta : {real(0), real(1)}) {
      Tensor got = beta == 0 ? unwritten(in * out) : integers(in * out, 24),
             want = beta == 0 ? unwritten(in * out) : integers(in * out, 24);
      Tensor got_b = beta == 0 ? unwritten(out) : integers(out, 25),
             want_b = beta == 0 ? unwritten(out) : integers(out, 25);
      fast_->linear_backward_weight(g, x.data(), dy.data(), beta, got.data(), got_b.data());
      reference_->linear_backward_weight(g, x.data(), dy.data(), beta, want.data(), want_b.data());
      ASSERT_NO_FATAL_FAILURE(expect_same(got, want, what + "dw"));
      ASSERT_NO_FATAL_FAILURE(expect_same(got_b, want_b, what + "db"));
    }
  }
}

TEST_P(BackendTest, applies_relu_as_the_reference_and_lets_nan_through) {
  for (const std::size_t count :
       {std::size_t{1}, std::size_t{7}, std::size_t{16}, std::size_t{37}, std::size_t{100003}}) {
    Tensor x = integers(count, 30);
    x.data()[count / 3] = -std::numeric_limits<real>::infinity();
    x.data()[count / 2] = std::numeric_limits<real>::quiet_NaN();
    const Tensor dy = integers(count, 31);
    Tensor got = unwritten(count), want = unwritten(count), got_x = unwritten(count),
           want_x = unwritten(count);
    fast_->relu_forward(count, x.data(), got.data());
    reference_->relu_forward(count, x.data(), want.data());
    ASSERT_NO_FATAL_FAILURE(expect_same(got, want, "y"));
    EXPECT_TRUE(std::isnan(got.data()[count / 2]));
    fast_->relu_backward(count, got.data(), dy.data(), got_x.data());
    reference_->relu_backward(count, want.data(), dy.data(), want_x.data());
    ASSERT_NO_FATAL_FAILURE(expect_same(got_x, want_x, "dx"));
    fast_->relu_backward(count, got.data(), got.data(), got.data());  // in place
    ASSERT_NO_FATAL_FAILURE(expect_same(got, want, "dx in place"));
  }
}

TEST_P(BackendTest, normalises_as_the_reference_and_lets_nan_through) {
  for (const int c : {1, 3, 8, 16, 17, 40, 64, 67, 128}) {
    for (const std::size_t pixels : {std::size_t{1}, std::size_t{5}, std::size_t{256}}) {
      for (const bool relu : {false, true}) {
        const std::size_t count = pixels * static_cast<std::size_t>(c),
                          channels = static_cast<std::size_t>(c);
        const std::string what = text("norm of ", pixels, " x ", c, relu ? " and ReLU: " : ": ");
        // Whole numbers, so that the sums and which of the values ReLU lets through do not depend on roundings.
        Tensor x = integers(count, 60);
        const Tensor dy = integers(count, 61), scale = integers(channels, 62),
                     shift = integers(channels, 63), a = integers(channels, 64),
                     b = integers(channels, 65);
        Tensor got = unwritten(count), want = unwritten(count), got_1 = unwritten(channels),
               want_1 = unwritten(channels), got_2 = unwritten(channels),
               want_2 = unwritten(channels);
        const Backend::ChannelNorm norm{scale.data(), shift.data(), relu};
        fast_->norm_sums(norm, pixels, c, x.data(), dy.data(), a.data(), b.data(), got_1.data(),
                         got_2.data());
        reference_->norm_sums(norm, pixels, c, x.data(), dy.data(), a.data(), b.data(),
                              want_1.data(), want_2.data());
        ASSERT_NO_FATAL_FAILURE(expect_same(got_1, want_1, what + "sum"));
        ASSERT_NO_FATAL_FAILURE(expect_same(got_2, want_2, what + "dot"));
        fast_->norm_backward(norm, pixels, c, x.data(), dy.data(), a.data(), b.data(), got.data());
        reference_->norm_backward(norm, pixels, c, x.data(), dy.data(), a.data(), b.data(),
                                  want.data());
        ASSERT_NO_FATAL_FAILURE(expect_same(got, want, what + "dx"));
        fast_->norm_moments(pixels, c, x.data(), got_1.data(), got_2.data());
        reference_->norm_moments(pixels, c, x.data(), want_1.data(), want_2.data());
        ASSERT_NO_FATAL_FAILURE(expect_same(got_1, want_1, what + "mean", real(1e-5)));
        ASSERT_NO_FATAL_FAILURE(expect_same(got_2, want_2, what + "squares", real(1e-3)));
        x.data()[count / 2] = std::numeric_limits<real>::quiet_NaN();
        fast_->norm_forward(norm, pixels, c, x.data(), got.data());
        reference_->norm_forward(norm, pixels, c, x.data(), want.data());
        ASSERT_NO_FATAL_FAILURE(expect_same(got, want, what + "y"));
        EXPECT_TRUE(std::isnan(got.data()[count / 2]));
      }
    }
  }
}

TEST_P(BackendTest, pools_as_the_reference_forward_and_backward) {
  for (const int c : {1, 3, 4, 7, 8, 16, 17, 33}) {
    for (const int kernel : {1, 2, 3}) {
      for (const int stride : {1, 2, 3}) {
        for (const int pad : {0, 1}) {
          for (const int size : {4, 7, 12}) {
            if (pad * 2 > kernel) continue;
            Pool2dGeometry g{2,      size,   size + 3, c,
                             0,      0,      kernel,   kernel == 3 ? 2 : kernel,
                             stride, stride, pad,      kernel == 3 ? 1 : pad};
            g.oh = (g.h + 2 * g.pad_h - g.kh) / stride + 1;
            g.ow = (g.w + 2 * g.pad_w - g.kw) / stride + 1;
            const std::string what = text("pool ", g.h, "x", g.w, "x", c, " kernel ", g.kh, "x",
                                          g.kw, " stride ", stride, " padding ", pad, ": ");
            Tensor x = integers(Shape{g.n, g.h, g.w, c}.size(), 40);
            for (std::size_t i = 0; i < x.size(); ++i)
              x.data()[i] -= 4;  // padding must not win over negative values
            if (size == 7) x.data()[x.size() / 2] = std::numeric_limits<real>::quiet_NaN();
            const std::size_t outputs = Shape{g.n, g.oh, g.ow, c}.size();
            Tensor got = unwritten(outputs), want = unwritten(outputs);
            std::vector<std::uint16_t> got_winner(outputs, 999), want_winner(outputs, 998);
            fast_->max_pool2d_forward(g, x.data(), got.data(), got_winner.data());
            reference_->max_pool2d_forward(g, x.data(), want.data(), want_winner.data());
            ASSERT_NO_FATAL_FAILURE(expect_same(got, want, what + "y"));
            ASSERT_EQ(got_winner, want_winner) << what;
            const Tensor dy = integers(outputs, 41);
            Tensor got_x = unwritten(x.size()), want_x = unwritten(x.size());
            fast_->max_pool2d_backward(g, dy.data(), got_winner.data(), got_x.data());
            reference_->max_pool2d_backward(g, dy.data(), want_winner.data(), want_x.data());
            ASSERT_NO_FATAL_FAILURE(expect_same(got_x, want_x, what + "dx"));
          }
        }
      }
    }
  }
}

TEST_P(BackendTest, takes_sgd_and_adam_steps_as_the_reference) {
  for (const std::size_t count :
       {std::size_t{1}, std::size_t{9}, std::size_t{1000}, std::size_t{70001}}) {
    const Tensor grad = reals(count, 50);
    Tensor one = values(count);
    one.fill(1);
    for (const double momentum : {0.0, 0.9}) {
      for (const bool nesterov : {false, true}) {
        for (const bool first : {false, true}) {
          if (nesterov && momentum == 0) continue;
          const Backend::SgdStep s{0.1, momentum, 0.01, nesterov, first};
          Tensor got = reals(count, 51), want = reals(count, 51);
          Tensor got_v = first ? unwritten(count) : reals(count, 52),
                 want_v = first ? unwritten(count) : reals(count, 52);
          fast_->sgd_step(s, count, grad.data(), got.data(),
                          momentum == 0 ? nullptr : got_v.data());
          reference_->sgd_step(s, count, grad.data(), want.data(),
                               momentum == 0 ? nullptr : want_v.data());
          ASSERT_NO_FATAL_FAILURE(expect_close(got, want, one, "value"));
          if (momentum != 0) {
            ASSERT_NO_FATAL_FAILURE(expect_close(got_v, want_v, one, "velocity"));
          }
        }
      }
    }
    for (const bool decoupled : {false, true}) {
      for (const std::int64_t step : {std::int64_t{1}, std::int64_t{50}}) {
        const Backend::AdamStep s{0.01, 0.9, 0.999, 1e-8, 0.05, decoupled, step};
        Tensor got = reals(count, 53), want = reals(count, 53), got_m = reals(count, 54),
               want_m = reals(count, 54);
        Tensor got_v = reals(count, 55, 0.1F, 1), want_v = reals(count, 55, 0.1F, 1);
        fast_->adam_step(s, count, grad.data(), got.data(), got_m.data(), got_v.data());
        reference_->adam_step(s, count, grad.data(), want.data(), want_m.data(), want_v.data());
        ASSERT_NO_FATAL_FAILURE(expect_close(got, want, one, "value"));
        ASSERT_NO_FATAL_FAILURE(expect_close(got_m, want_m, one, "m"));
        ASSERT_NO_FATAL_FAILURE(expect_close(got_v, want_v, one, "v"));
      }
    }
  }
}

TEST_P(BackendTest, stays_within_rounding_of_the_reference_on_real_numbers) {
  for (const auto& [c, oc] : {std::pair{33, 40}, std::pair{64, 48}}) {
    SCOPED_TRACE(text(c, " to ", oc, " channels"));
    Conv conv;
    conv.n = 2;
    conv.h = 19;
    conv.w = 22;
    conv.c = c;
    conv.oc = oc;
    const Conv2dGeometry g = conv.geometry();
    const auto positive = [](Tensor t) {
      for (std::size_t i = 0; i < t.size(); ++i) t.data()[i] = std::abs(t.data()[i]);
      return t;
    };
    const Tensor x = reals(x_size(g), 60), dy = reals(y_size(g), 61);
    const Parameter w = parameter(reals(w_size(g), 62));
    const Parameter w_size_only = parameter(positive(reals(w_size(g), 62)));
    const Tensor x_positive = positive(reals(x_size(g), 60)),
                 dy_positive = positive(reals(y_size(g), 61));
    OpSlot op, reference_op;
    Tensor got = unwritten(y_size(g)), want = unwritten(y_size(g)), scale = unwritten(y_size(g));
    fast_->conv2d_forward(g, x.data(), w, nullptr, got.data(), op);
    reference_->conv2d_forward(g, x.data(), w, nullptr, want.data(), reference_op);
    reference_->conv2d_forward(g, x_positive.data(), w_size_only, nullptr, scale.data(),
                               reference_op);
    expect_close(got, want, scale, "y");
    Tensor got_x = unwritten(x_size(g)), want_x = unwritten(x_size(g)),
           scale_x = unwritten(x_size(g));
    fast_->conv2d_backward_input(g, dy.data(), w, got_x.data(), op);
    reference_->conv2d_backward_input(g, dy.data(), w, want_x.data(), reference_op);
    reference_->conv2d_backward_input(g, dy_positive.data(), w_size_only, scale_x.data(),
                                      reference_op);
    expect_close(got_x, want_x, scale_x, "dx");
    Tensor got_w = unwritten(w_size(g)), want_w = unwritten(w_size(g)),
           scale_w = unwritten(w_size(g));
    fast_->conv2d_backward_weight(g, x.data(), dy.data(), 0, got_w.data(), nullptr);
    reference_->conv2d_backward_weight(g, x.data(), dy.data(), 0, want_w.data(), nullptr);
    reference_->conv2d_backward_weight(g, x_positive.data(), dy_positive.data(), 0, scale_w.data(),
                                       nullptr);
    expect_close(got_w, want_w, scale_w, "dw");
  }
}

/// All results of a small training step, in one list.
std::vector<Tensor> results(Backend& backend, const Conv2dGeometry& g) {
  const Tensor x = reals(x_size(g), 70), dy = reals(y_size(g), 71),
               pooled_dy = reals(pooled_size(g), 72);
  const Parameter w = parameter(reals(w_size(g), 73)),
                  b = parameter(reals(static_cast<std::size_t>(g.oc), 74));
  OpSlot op;
  std::vector<Tensor> out;
  out.push_back(unwritten(y_size(g)));
  backend.conv2d_forward(g, x.data(), w, &b, out.back().data(), op);
  out.push_back(unwritten(x_size(g)));
  backend.conv2d_backward_input(g, dy.data(), w, out.back().data(), op);
  Tensor db = unwritten(static_cast<std::size_t>(g.oc));
  out.push_back(unwritten(w_size(g)));
  backend.conv2d_backward_weight(g, x.data(), dy.data(), 0, out.back().data(), db.data());
  out.push_back(std::move(db));
  out.push_back(unwritten(pooled_size(g)));
  std::vector<std::uint8_t> winner(pooled_size(g));
  backend.conv2d_relu_max_pool2d_forward(g, x.data(), w, &b, out.back().data(), winner.data(), op);
  Tensor dx = unwritten(x_size(g)), dw = unwritten(w_size(g)),
         pooled_db = unwritten(static_cast<std::size_t>(g.oc));
  backend.conv2d_relu_max_pool2d_backward(g, x.data(), w, pooled_dy.data(), winner.data(),
                                          dx.data(), 0, dw.data(), pooled_db.data(), op);
  out.push_back(std::move(dx));
  out.push_back(std::move(dw));
  out.push_back(std::move(pooled_db));
  const int in = static_cast<int>(pooled_size(g)) / g.n;
  const LinearGeometry linear{g.n, in, 10};
  const Parameter lw = parameter(reals(static_cast<std::size_t>(in) * 10, 75));
  const Tensor ly = reals(static_cast<std::size_t>(g.n) * 10, 76);
  OpSlot linear_op;
  out.push_back(unwritten(ly.size()));
  backend.linear_forward(linear, pooled_dy.data(), lw, nullptr, out.back().data(), linear_op);
  out.push_back(unwritten(pooled_size(g)));
  backend.linear_backward_input(linear, ly.data(), lw, out.back().data(), linear_op);
  out.push_back(unwritten(lw.value.size()));
  backend.linear_backward_weight(linear, pooled_dy.data(), ly.data(), 0, out.back().data(),
                                 nullptr);
  return out;
}

TEST_P(BackendTest, gives_the_same_bits_for_any_number_of_threads) {
  Conv shapes[4];
  shapes[0].c = 3, shapes[0].oc = 16, shapes[0].h = 50, shapes[0].w = 64, shapes[0].n = 5;
  shapes[1].c = 32, shapes[1].oc = 48, shapes[1].h = 31, shapes[1].w = 20, shapes[1].n = 2;
  shapes[2].c = 24, shapes[2].oc = 40, shapes[2].h = 28, shapes[2].w = 28, shapes[2].n = 1,
  shapes[2].stride_h = shapes[2].stride_w = 2;
  shapes[3].c = 64, shapes[3].oc = 64, shapes[3].h = 40, shapes[3].w = 40, shapes[3].n = 3,
  shapes[3].groups = 64;
  for (const Conv& shape : shapes) {
    const Conv2dGeometry g = shape.geometry();
    const std::vector<Tensor> one = results(*make_backend(GetParam(), 1), g);
    for (const int threads : {2, 3, 5}) {
      const std::vector<Tensor> many = results(*make_backend(GetParam(), threads), g);
      for (std::size_t i = 0; i < one.size(); ++i)
        EXPECT_TRUE(same_bits(one[i], many[i]))
            << text_of(g) << "result " << i << ", " << threads << " threads";
    }
  }
}

TEST_P(BackendTest, sees_new_weights_once_they_are_marked_changed) {
  for (const auto& [c, oc] : {std::pair{8, 24}, std::pair{32, 32}}) {
    Conv conv;
    conv.c = c;
    conv.oc = oc;
    conv.h = conv.w = 12;
    const Conv2dGeometry g = conv.geometry();
    const Tensor x = integers(x_size(g), 80), dy = integers(y_size(g), 81),
                 pooled_dy = integers(pooled_size(g), 82);
    Parameter w = parameter(integers(w_size(g), 83)),
              b = parameter(integers(static_cast<std::size_t>(g.oc), 84));
    OpSlot op, reference_op;
    for (int round = 0; round < 3; ++round) {
      Tensor got = unwritten(y_size(g)), want = unwritten(y_size(g)), got_x = unwritten(x_size(g)),
             want_x = unwritten(x_size(g));
      Tensor got_p = unwritten(pooled_size(g)), want_p = unwritten(pooled_size(g)),
             got_px = unwritten(x_size(g)), want_px = unwritten(x_size(g));
      Tensor dw = unwritten(w_size(g));
      std::vector<std::uint8_t> winner(pooled_size(g));
      fast_->conv2d_forward(g, x.data(), w, &b, got.data(), op);
      fast_->conv2d_backward_input(g, dy.data(), w, got_x.data(), op);
      fast_->conv2d_relu_max_pool2d_forward(g, x.data(), w, &b, got_p.data(), winner.data(), op);
      reference_->conv2d_forward(g, x.data(), w, &b, want.data(), reference_op);
      reference_->conv2d_backward_input(g, dy.data(), w, want_x.data(), reference_op);
      reference_->conv2d_relu_max_pool2d_forward(g, x.data(), w, &b, want_p.data(), winner.data(),
                                                 reference_op);
      fast_->conv2d_relu_max_pool2d_backward(g, x.data(), w, pooled_dy.data(), winner.data(),
                                             got_px.data(), 0, dw.data(), nullptr, op);
      reference_->conv2d_relu_max_pool2d_backward(g, x.data(), w, pooled_dy.data(), winner.data(),
                                                  want_px.data(), 0, dw.data(), nullptr,
                                                  reference_op);
      ASSERT_NO_FATAL_FAILURE(expect_same(got, want, text("y in round ", round), slack_of(g)));
      ASSERT_NO_FATAL_FAILURE(expect_same(got_x, want_x, text("dx in round ", round), slack_of(g)));
      ASSERT_NO_FATAL_FAILURE(
          expect_same(got_p, want_p, text("pooled y in round ", round), slack_of(g)));
      ASSERT_NO_FATAL_FAILURE(
          expect_same(got_px, want_px, text("pooled dx in round ", round), slack_of(g)));
      // Once the weights, once the bias alone.
      Parameter& moved = round == 0 ? w : b;
      for (std::size_t i = 0; i < moved.value.size(); ++i)
        moved.value.data()[i] += static_cast<real>(i % 3) - 1;
      moved.changed();
    }
  }
}

TEST_P(BackendTest, serves_another_batch_and_another_shape_from_the_same_slot) {
  for (const auto& [c, oc] : {std::pair{5, 11}, std::pair{32, 64}}) {
    OpSlot op, reference_op;
    Conv conv;
    conv.c = c;
    conv.oc = oc;
    const Parameter w = parameter(integers(w_size(conv.geometry()), 90));
    for (const auto& [n, size, stride] :
         {std::tuple{1, 9, 1}, std::tuple{4, 9, 1}, std::tuple{2, 14, 1}, std::tuple{2, 14, 2},
          std::tuple{1, 9, 1}}) {
      conv.n = n;
      conv.h = conv.w = size;
      conv.stride_h = conv.stride_w = stride;
      const Conv2dGeometry g = conv.geometry();
      const Tensor x = integers(x_size(g), 91), dy = integers(y_size(g), 92);
      Tensor got = unwritten(y_size(g)), want = unwritten(y_size(g)), got_x = unwritten(x_size(g)),
             want_x = unwritten(x_size(g));
      fast_->conv2d_forward(g, x.data(), w, nullptr, got.data(), op);
      fast_->conv2d_backward_input(g, dy.data(), w, got_x.data(), op);
      reference_->conv2d_forward(g, x.data(), w, nullptr, want.data(), reference_op);
      reference_->conv2d_backward_input(g, dy.data(), w, want_x.data(), reference_op);
      ASSERT_NO_FATAL_FAILURE(expect_same(got, want, text_of(g) + "y", slack_of(g)));
      ASSERT_NO_FATAL_FAILURE(expect_same(got_x, want_x, text_of(g) + "dx", slack_of(g)));
    }
  }
}

TEST_P(BackendTest, never_loses_a_nan_on_the_way_through_a_fused_block) {
  for (const auto& [c, oc] : {std::pair{3, 17}, std::pair{32, 48}}) {
    Conv conv;
    conv.c = c;
    conv.oc = oc;
    conv.h = conv.w = 8;
    const Conv2dGeometry g = conv.geometry();
    for (const std::size_t where : {std::size_t{0}, x_size(g) / 2, x_size(g) - 1}) {
      Tensor x = integers(x_size(g), 95);
      x.data()[where] = std::numeric_limits<real>::quiet_NaN();
      const Parameter w = parameter(integers(w_size(g), 96));
      Tensor got = unwritten(pooled_size(g)), want = unwritten(pooled_size(g)),
             y = unwritten(y_size(g));
      got.fill(0);
      std::vector<std::uint8_t> winner(got.size()), want_winner(got.size());
      OpSlot op, reference_op;
      fast_->conv2d_relu_max_pool2d_forward(g, x.data(), w, nullptr, got.data(), winner.data(), op);
      reference_->conv2d_relu_max_pool2d_forward(g, x.data(), w, nullptr, want.data(),
                                                 want_winner.data(), reference_op);
      // Winograd's tile has it in all of its outputs, some of which do not see it.
      for (std::size_t i = 0; i < got.size(); ++i)
        if (c == 32 && std::isnan(got.data()[i])) want.data()[i] = got.data()[i];
      ASSERT_NO_FATAL_FAILURE(expect_same(got, want, "pooled y", slack_of(g)));
      int lost = 0, kept = 0;
      for (std::size_t i = 0; i < got.size(); ++i) kept += std::isnan(got.data()[i]) ? 1 : 0;
      EXPECT_GT(kept, 0);
      fast_->conv2d_forward(g, x.data(), w, nullptr, y.data(), op);
      for (int o = 0; o < g.oc; ++o) {
        bool any = false;
        for (int i = 0; i < g.oh * g.ow; ++i) any = any || std::isnan(y.data()[i * g.oc + o]);
        lost += any ? 0 : 1;
      }
      EXPECT_EQ(lost, 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(fast, BackendTest, testing::ValuesIn(fast_backends()),
                         [](const testing::TestParamInfo<std::string>& one) {
                           std::string name = one.param;
                           for (char& c : name)
                             c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
                           return name;
                         });

TEST(make_backend, knows_every_backend_by_name_and_says_what_it_runs_on) {
  for (const std::string& name : backend_names()) {
    const std::shared_ptr<Backend> backend = make_backend(name, 2);
    EXPECT_EQ(backend->name(), name);
    EXPECT_NE(backend->description().find(name), std::string::npos);
    const std::string threads = backend->pool().threads() == 1
                                    ? "1 thread"
                                    : "2 threads";  // a build without threads has one
    EXPECT_NE(backend->description().find(threads), std::string::npos) << backend->description();
  }
  const std::shared_ptr<Backend> automatic = make_backend("auto", 1);
  EXPECT_TRUE(automatic->name() == "xnnpack" || automatic->name() == "simd") << automatic->name();
  for (const std::string& set : simd_instruction_sets())
    EXPECT_NE(make_backend("simd:" + set, 1)->description().find(set), std::string::npos);
}

TEST(make_backend, refuses_an_unknown_name_and_an_instruction_set_that_is_not_there) {
  try {
    make_backend("cuda", 1);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("\"cuda\""), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("reference"), std::string::npos) << error.what();
  }
  EXPECT_THROW(make_backend("simd:mmx", 1), Error);
}

}  // namespace
}  // namespace pinhole
