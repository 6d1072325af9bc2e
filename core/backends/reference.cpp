// The portable body of every kernel: plain loops that read as the formula. What every faster kernel is held against.
#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "backend.h"
#include "error.h"

namespace pinhole {

namespace {

std::size_t index(int i, int size, int j) {
  return static_cast<std::size_t>(i) * static_cast<std::size_t>(size) + static_cast<std::size_t>(j);
}

/// Calls visit(x offset, w offset within one output channel, y offset) for every window position of the first channel of each
/// group: the three offsets at which `c / groups` input channels meet output channel `o`.
template <class Visit>
void for_each_tap(const Conv2dGeometry& g, const Visit& visit) {
  const int ic = g.c / g.groups;
  const int oc_per_group = g.oc / g.groups;
  for (int n = 0; n < g.n; ++n) {
    for (int oh = 0; oh < g.oh; ++oh) {
      for (int ow = 0; ow < g.ow; ++ow) {
        const std::size_t y =
            index(static_cast<int>(index(n, g.oh, oh)), g.ow, ow) * static_cast<std::size_t>(g.oc);
        for (int kh = 0; kh < g.kh; ++kh) {
          const int h = oh * g.stride_h - g.pad_top + kh * g.dilation_h;
          if (h < 0 || h >= g.h) continue;
          for (int kw = 0; kw < g.kw; ++kw) {
            const int w = ow * g.stride_w - g.pad_left + kw * g.dilation_w;
            if (w < 0 || w >= g.w) continue;
            const std::size_t x =
                index(static_cast<int>(index(n, g.h, h)), g.w, w) * static_cast<std::size_t>(g.c);
            for (int o = 0; o < g.oc; ++o) {
              const std::size_t weight = index(static_cast<int>(index(o, g.kh, kh)), g.kw, kw) *
                                         static_cast<std::size_t>(ic);
              visit(x + static_cast<std::size_t>(o / oc_per_group * ic), weight,
                    y + static_cast<std::size_t>(o));
            }
          }
        }
      }
    }
  }
}

}  // namespace

std::string Backend::description() const {
  const int threads = pool_.threads();
  return text(name(), ", ", threads, threads == 1 ? " thread" : " threads");
}

void Backend::took(std::string_view path) {
  for (auto& [name, times] : paths_) {
    if (name == path) {
      ++times;
      return;
    }
  }
  paths_.emplace_back(path, 1);
}

real* Backend::scratch(int slot, std::size_t count) {
  const auto i = static_cast<std::size_t>(slot);
  if (scratch_.size() <= i) scratch_.resize(i + 1);
  scratch_[i].reserve(count);
  return scratch_[i].data();
}

void Backend::conv2d_forward(const Conv2dGeometry& g, const real* x, const Parameter& w,
                             const Parameter* b, real* y, OpSlot& /*op*/) {
  took("reference conv2d_forward");
  const real* weight = w.value.data();
  const std::size_t pixels = index(g.n, g.oh, 0) * static_cast<std::size_t>(g.ow);
  for (std::size_t i = 0; i < pixels; ++i) {
    for (int o = 0; o < g.oc; ++o)
      y[i * static_cast<std::size_t>(g.oc) + static_cast<std::size_t>(o)] =
          b != nullptr ? b->value.data()[o] : real(0);
  }
  const int ic = g.c / g.groups;
  for_each_tap(g, [&](std::size_t xi, std::size_t wi, std::size_t yi) {
    real sum = 0;
    for (int c = 0; c < ic; ++c)
      sum += x[xi + static_cast<std::size_t>(c)] * weight[wi + static_cast<std::size_t>(c)];
    y[yi] += sum;
  });
  for (std::size_t i = 0; i < pixels * static_cast<std::size_t>(g.oc); ++i)
    y[i] = std::min(std::max(y[i], g.y_min), g.y_max);
}

void Backend::conv2d_backward_input(const Conv2dGeometry& g, const real* dy, const Parameter& w,
                                    real* dx, OpSlot& /*op*/) {
  took("reference conv2d_backward_input");
  const real* weight = w.value.data();
  const std::size_t count = Shape{g.n, g.h, g.w, g.c}.size();
  for (std::size_t i = 0; i < count; ++i) dx[i] = 0;
  const int ic = g.c / g.groups;
  for_each_tap(g, [&](std::size_t xi, std::size_t wi, std::size_t yi) {
    for (int c = 0; c < ic; ++c)
      dx[xi + static_cast<std::size_t>(c)] += dy[yi] * weight[wi + static_cast<std::size_t>(c)];
  });
}

void Backend::conv2d_backward_weight(const Conv2dGeometry& g, const real* x, const real* dy,
                                     real beta, real* dw, real* db) {
  took("reference conv2d_backward_weight");
  const int ic = g.c / g.groups;
  const std::size_t weights =
      index(g.oc, g.kh, 0) * static_cast<std::size_t>(g.kw) * static_cast<std::size_t>(ic);
  for (std::size_t i = 0; i < weights; ++i) dw[i] = beta == 0 ? real(0) : beta * dw[i];
  for_each_tap(g, [&](std::size_t xi, std::size_t wi, std::size_t yi) {
    for (int c = 0; c < ic; ++c)
      dw[wi + static_cast<std::size_t>(c)] += dy[yi] * x[xi + static_cast<std::size_t>(c)];
  });
  if (db == nullptr) return;
  const std::size_t pixels = index(g.n, g.oh, 0) * static_cast<std::size_t>(g.ow);
  for (int o = 0; o < g.oc; ++o) {
    real sum = 0;
    for (std::size_t i = 0; i < pixels; ++i)
      sum += dy[i * static_cast<std::size_t>(g.oc) + static_cast<std::size_t>(o)];
    db[o] = sum + (beta == 0 ? real(0) : beta * db[o]);
  }
}

void Backend::conv2d_relu_max_pool2d_forward(const Conv2dGeometry& g, const real* x,
                                             const Parameter& w, const Parameter* b, real* y,
                                             std::uint8_t* winner, OpSlot& op) {
  took("reference conv2d_relu_max_pool2d_forward");
  const int ph = g.oh / 2, pw = g.ow / 2;
  const std::size_t oc = static_cast<std::size_t>(g.oc);
  const std::size_t row = static_cast<std::size_t>(g.ow) * oc;
  Conv2dGeometry one = g;
  one.n = 1;
  real* conv = scratch(0, static_cast<std::size_t>(g.oh) * row);
  for (int n = 0; n < g.n; ++n) {
    conv2d_forward(one, x + static_cast<std::size_t>(n) * Shape{1, g.h, g.w, g.c}.item(), w, b,
                   conv, op);
    for (int h = 0; h < ph; ++h) {
      for (int wi = 0; wi < pw; ++wi) {
        const real* top =
            conv + static_cast<std::size_t>(2 * h) * row + static_cast<std::size_t>(2 * wi) * oc;
        for (std::size_t o = 0; o < oc; ++o) {
          const real values[4] = {top[o], top[oc + o], top[row + o], top[row + oc + o]};
          real best = 0;
          std::uint8_t who = kNoWinner;
          for (std::uint8_t k = 0; k < 4; ++k) {
            if (values[k] > best || std::isnan(values[k])) {
              best = values[k];
              who = k;
            }
          }
          *y++ = best;
          *winner++ = who;
        }
      }
    }
  }
}

void Backend::conv2d_relu_max_pool2d_backward(const Conv2dGeometry& g, const real* x,
                                              const Parameter& w, const real* dy,
                                              const std::uint8_t* winner, real* dx, real beta,
                                              real* dw, real* db, OpSlot& op) {
  took("reference conv2d_relu_max_pool2d_backward");
  const int ph = g.oh / 2, pw = g.ow / 2;
  const std::size_t oc = static_cast<std::size_t>(g.oc);
  const std::size_t row = static_cast<std::size_t>(g.ow) * oc;
  const std::size_t conv_size = static_cast<std::size_t>(g.oh) * row;
  Conv2dGeometry one = g;
  one.n = 1;
  real* dconv = scratch(0, conv_size);
  for (int n = 0; n < g.n; ++n) {
    for (std::size_t i = 0; i < conv_size; ++i) dconv[i] = 0;
    for (int h = 0; h < ph; ++h) {
      for (int wi = 0; wi < pw; ++wi) {
        real* top =
            dconv + static_cast<std::size_t>(2 * h) * row + static_cast<std::size_t>(2 * wi) * oc;
        for (std::size_t o = 0; o < oc; ++o, ++dy, ++winner) {
          if (*winner == kNoWinner) continue;
          top[(*winner & 1U) * oc + (*winner >> 1U) * row + o] = *dy;
        }
      }
    }
    const std::size_t offset = static_cast<std::size_t>(n) * Shape{1, g.h, g.w, g.c}.item();
    if (dx != nullptr) conv2d_backward_input(one, dconv, w, dx + offset, op);
    conv2d_backward_weight(one, x + offset, dconv, n == 0 ? beta : real(1), dw, db);
  }
}

void Backend::linear_forward(const LinearGeometry& g, const real* x, const Parameter& w,
                             const Parameter* b, real* y, OpSlot& /*op*/) {
  for (int n = 0; n < g.n; ++n) {
    for (int o = 0; o < g.out; ++o) {
      const real* xi = x + index(n, g.in, 0);
      const real* wi = w.value.data() + index(o, g.in, 0);
      real sum = 0;
      for (int i = 0; i < g.in; ++i) sum += xi[i] * wi[i];
      y[index(n, g.out, o)] = sum + (b != nullptr ? b->value.data()[o] : real(0));
    }
  }
}

void Backend::linear_backward_input(const LinearGeometry& g, const real* dy, const Parameter& w,
                                    real* dx, OpSlot& /*op*/) {
  for (int n = 0; n < g.n; ++n) {
    real* dxi = dx + index(n, g.in, 0);
    for (int i = 0; i < g.in; ++i) dxi[i] = 0;
    for (int o = 0; o < g.out; ++o) {
      const real scale = dy[index(n, g.out, o)];
      const real* wi = w.value.data() + index(o, g.in, 0);
      for (int i = 0; i < g.in; ++i) dxi[i] += scale * wi[i];
    }
  }
}

void Backend::linear_backward_weight(const LinearGeometry& g, const real* x, const real* dy,
                                     real beta, real* dw, real* db) {
  for (int o = 0; o < g.out; ++o) {
    real* dwi = dw + index(o, g.in, 0);
    real sum = 0;
    for (int i = 0; i < g.in; ++i) dwi[i] = beta == 0 ? real(0) : beta * dwi[i];
    for (int n = 0; n < g.n; ++n) {
      const real scale = dy[index(n, g.out, o)];
      sum += scale;
      const real* xi = x + index(n, g.in, 0);
      for (int i = 0; i < g.in; ++i) dwi[i] += scale * xi[i];
    }
    if (db != nullptr) db[o] = sum + (beta == 0 ? real(0) : beta * db[o]);
  }
}

void Backend::relu_forward(std::size_t count, const real* x, real* y) {
  // Written so that NaN passes through, as in PyTorch.
  for (std::size_t i = 0; i < count; ++i) y[i] = x[i] <= 0 ? real(0) : x[i];
}

void Backend::relu_backward(std::size_t count, const real* y, const real* dy, real* dx) {
  for (std::size_t i = 0; i < count; ++i) dx[i] = y[i] <= 0 ? real(0) : dy[i];
}

void Backend::norm_moments(std::size_t pixels, int c, const real* x, real* mean,
                           real* squares) const {
  std::fill_n(mean, c, real(0));
  std::fill_n(squares, c, real(0));
  const real* row = x;
  for (std::size_t p = 0; p < pixels; ++p, row += c)
    for (int k = 0; k < c; ++k) mean[k] += row[k];
  const real part = 1 / static_cast<real>(pixels);
  for (int k = 0; k < c; ++k) mean[k] *= part;
  row = x;
  for (std::size_t p = 0; p < pixels; ++p, row += c)
    for (int k = 0; k < c; ++k) squares[k] += (row[k] - mean[k]) * (row[k] - mean[k]);
}

void Backend::norm_forward(const ChannelNorm& norm, std::size_t pixels, int c, const real* x,
                           real* y) const {
  for (std::size_t p = 0; p < pixels; ++p, x += c, y += c) {
    for (int k = 0; k < c; ++k) {
      const real value = x[k] * norm.scale[k] + norm.shift[k];
      y[k] = norm.relu && value <= 0 ? real(0) : value;
    }
  }
}

void Backend::norm_sums(const ChannelNorm& norm, std::size_t pixels, int c, const real* x,
                        const real* dy, const real* a, const real* b, real* sum, real* dot) const {
  std::fill_n(sum, c, real(0));
  std::fill_n(dot, c, real(0));
  for (std::size_t p = 0; p < pixels; ++p, x += c, dy += c) {
    for (int k = 0; k < c; ++k) {
      if (norm.relu && x[k] * norm.scale[k] + norm.shift[k] <= 0) continue;
      sum[k] += dy[k];
      dot[k] += dy[k] * (x[k] * a[k] + b[k]);
    }
  }
}

void Backend::norm_backward(const ChannelNorm& norm, std::size_t pixels, int c, const real* x,
                            const real* dy, const real* a, const real* b, real* dx) const {
  for (std::size_t p = 0; p < pixels; ++p, x += c, dy += c, dx += c) {
    for (int k = 0; k < c; ++k) {
      const bool off = norm.relu && x[k] * norm.scale[k] + norm.shift[k] <= 0;
      dx[k] = (off ? real(0) : dy[k]) * norm.scale[k] + x[k] * a[k] + b[k];
    }
  }
}

void Backend::max_pool2d_forward(const Pool2dGeometry& g, const real* x, real* y,
                                 std::uint16_t* winner) {
  for (int n = 0; n < g.n; ++n) {
    for (int oh = 0; oh < g.oh; ++oh) {
      for (int ow = 0; ow < g.ow; ++ow) {
        for (int c = 0; c < g.c; ++c) {
          real best = -std::numeric_limits<real>::infinity();
          int who = -1;
          for (int kh = 0; kh < g.kh; ++kh) {
            const int h = oh * g.stride_h - g.pad_h + kh;
            if (h < 0 || h >= g.h) continue;
            for (int kw = 0; kw < g.kw; ++kw) {
              const int w = ow * g.stride_w - g.pad_w + kw;
              if (w < 0 || w >= g.w) continue;
              const real value = x[index(
                  static_cast<int>(index(static_cast<int>(index(n, g.h, h)), g.w, w)), g.c, c)];
              if (who < 0 || value > best || std::isnan(value)) {
                best = value;
                who = kh * g.kw + kw;
              }
            }
          }
          assert(who >= 0);
          *y++ = best;
          *winner++ = static_cast<std::uint16_t>(who);
        }
      }
    }
  }
}

void Backend::max_pool2d_backward(const Pool2dGeometry& g, const real* dy,
                                  const std::uint16_t* winner, real* dx) {
  const std::size_t count = Shape{g.n, g.h, g.w, g.c}.size();
  for (std::size_t i = 0; i < count; ++i) dx[i] = 0;
  for (int n = 0; n < g.n; ++n) {
    for (int oh = 0; oh < g.oh; ++oh) {
      for (int ow = 0; ow < g.ow; ++ow) {
        for (int c = 0; c < g.c; ++c, ++dy, ++winner) {
          const int h = oh * g.stride_h - g.pad_h + *winner / g.kw;
          const int w = ow * g.stride_w - g.pad_w + *winner % g.kw;
          dx[index(static_cast<int>(index(static_cast<int>(index(n, g.h, h)), g.w, w)), g.c, c)] +=
              *dy;
        }
      }
    }
  }
}

// torch/optim/sgd.py, _single_tensor_sgd.
void Backend::sgd_step(const SgdStep& s, std::size_t count, const real* grad, real* value,
                       real* velocity) {
  const real lr = static_cast<real>(s.lr), momentum = static_cast<real>(s.momentum);
  const real weight_decay = static_cast<real>(s.weight_decay);
  for (std::size_t i = 0; i < count; ++i) {
    real d = grad[i] + weight_decay * value[i];
    if (velocity != nullptr) {
      velocity[i] = s.first ? d : momentum * velocity[i] + d;
      d = s.nesterov ? d + momentum * velocity[i] : velocity[i];
    }
    value[i] -= lr * d;
  }
}

// torch/optim/adam.py, _single_tensor_adam, and adamw.py: eps is added after the bias correction of the square root.
void Backend::adam_step(const AdamStep& s, std::size_t count, const real* grad, real* value,
                        real* m, real* v) {
  const double correction1 = 1 - std::pow(s.beta1, static_cast<double>(s.step));
  const double correction2 = 1 - std::pow(s.beta2, static_cast<double>(s.step));
  const real step_size = static_cast<real>(s.lr / correction1);
  const real inverse_root2 = static_cast<real>(1 / std::sqrt(correction2));
  const real beta1 = static_cast<real>(s.beta1), beta2 = static_cast<real>(s.beta2),
             eps = static_cast<real>(s.eps);
  const real keep1 = static_cast<real>(1 - s.beta1), keep2 = static_cast<real>(1 - s.beta2);
  const real shrink = s.decoupled ? static_cast<real>(1 - s.lr * s.weight_decay) : real(1);
  const real l2 = s.decoupled ? real(0) : static_cast<real>(s.weight_decay);
  for (std::size_t i = 0; i < count; ++i) {
    const real d = grad[i] + l2 * value[i];
    m[i] = beta1 * m[i] + keep1 * d;
    v[i] = beta2 * v[i] + keep2 * d * d;
    value[i] = value[i] * shrink - step_size * m[i] / (std::sqrt(v[i]) * inverse_root2 + eps);
  }
}

}  // namespace pinhole
