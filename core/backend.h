// THE seam between layers and the machine: one class of kernels, each with a portable body (backends/reference.cpp);
// a faster backend overrides what it does better. Kernels assume checked shapes. Maths letters: x in, y out, w weight, b bias,
// d* = gradient of the loss by *. All tensors NHWC; convolution weights [oc, kh, kw, c / groups]; linear weights [out, in].
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "parameter.h"
#include "tensor.h"
#include "thread_pool.h"

namespace pinhole {

/// What a backend keeps for one layer between calls (a packed weight, an operator). Owned by the layer, opaque to it.
class OpState {
 public:
  virtual ~OpState() = default;
};
using OpSlot = std::unique_ptr<OpState>;

struct Conv2dGeometry {
  int n, h, w, c;  // x  [n, h, w, c]
  int oh, ow, oc;  // y  [n, oh, ow, oc]
  int kh, kw;  // w  [oc, kh, kw, c / groups]
  int stride_h, stride_w;
  int pad_top, pad_left, pad_bottom, pad_right;
  int dilation_h, dilation_w;
  int groups;
  // Forward alone: y is brought into [y_min, y_max] (a ReLU or ReLU6 that follows).
  real y_min = -std::numeric_limits<real>::infinity();
  real y_max = std::numeric_limits<real>::infinity();

  bool operator==(const Conv2dGeometry&) const = default;
};

struct Pool2dGeometry {
  int n, h, w, c;  // x  [n, h, w, c]
  int oh, ow;  // y  [n, oh, ow, c]
  int kh, kw;
  int stride_h, stride_w;
  int pad_h, pad_w;  // the same on both sides; padding never wins a maximum
};

struct LinearGeometry {
  int n, in, out;  // x [n, in], w [out, in], b [out], y [n, out]
};

/// Parameter gradients are written as `beta * old + new`, beta 0 or 1; with 0 the old value is not read.
class Backend {
 public:
  explicit Backend(int threads) : pool_(threads) {}
  virtual ~Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  /// "reference", "simd" or "xnnpack": what make_backend takes.
  virtual std::string_view name() const { return "reference"; }
  /// The name and what it runs on, for people: "xnnpack + simd (avx512), 2 threads".
  virtual std::string description() const;
  ThreadPool& pool() { return pool_; }

  /// Which body of a convolution ran, and how often: {"xnnpack conv2d_forward", 3}. In the order of their first run.
  using Paths = std::vector<std::pair<std::string_view, std::uint64_t>>;
  const Paths& paths() const { return paths_; }

  // b may be null.
  virtual void conv2d_forward(const Conv2dGeometry& g, const real* x, const Parameter& w,
                              const Parameter* b, real* y, OpSlot& op);
  virtual void conv2d_backward_input(const Conv2dGeometry& g, const real* dy, const Parameter& w,
                                     real* dx, OpSlot& op);
  // db may be null.
  virtual void conv2d_backward_weight(const Conv2dGeometry& g, const real* x, const real* dy,
                                      real beta, real* dw, real* db);

  /// Conv2d, ReLU and MaxPool2d(2, stride 2) in one pass: y [n, oh / 2, ow / 2, oc], and for each y which of the four
  /// values won (0..3, row-major; the first of equals) or kNoWinner where ReLU gave 0.
  static constexpr std::uint8_t kNoWinner = 4;
  virtual void conv2d_relu_max_pool2d_forward(const Conv2dGeometry& g, const real* x,
                                              const Parameter& w, const Parameter* b, real* y,
                                              std::uint8_t* winner, OpSlot& op);
  /// dy [n, oh / 2, ow / 2, oc]. dx may be null (the first layer needs none), db too.
  virtual void conv2d_relu_max_pool2d_backward(const Conv2dGeometry& g, const real* x,
                                               const Parameter& w, const real* dy,
                                               const std::uint8_t* winner, real* dx, real beta,
                                               real* dw, real* db, OpSlot& op);

  // b and db may be null.
  virtual void linear_forward(const LinearGeometry& g, const real* x, const Parameter& w,
                              const Parameter* b, real* y, OpSlot& op);
  virtual void linear_backward_input(const LinearGeometry& g, const real* dy, const Parameter& w,
                                     real* dx, OpSlot& op);
  virtual void linear_backward_weight(const LinearGeometry& g, const real* x, const real* dy,
                                      real beta, real* dw, real* db);

  // y may be x; dx may be dy.
  virtual void relu_forward(std::size_t count, const real* x, real* y);
  virtual void relu_backward(std::size_t count, const real* y, const real* dy, real* dx);

  /// Passes of BatchNorm2d and SqueezeExcite over some pixels, x and y [pixels, c], on the calling thread. What a channel has is an
  /// array of c.
  struct ChannelNorm {
    const real* scale;  // y = x * scale + shift
    const real* shift;
    bool relu;  // a ReLU follows at once
  };
  /// Each channel's mean, and the sum of squared differences from it.
  virtual void norm_moments(std::size_t pixels, int c, const real* x, real* mean,
                            real* squares) const;
  virtual void norm_forward(const ChannelNorm& norm, std::size_t pixels, int c, const real* x,
                            real* y) const;
  /// Each channel's sum of dy, and of dy * (x * a + b), where the ReLU lets x through.
  virtual void norm_sums(const ChannelNorm& norm, std::size_t pixels, int c, const real* x,
                         const real* dy, const real* a, const real* b, real* sum, real* dot) const;
  /// dx = dy * scale + x * a + b, without dy where the ReLU does not let x through.
  virtual void norm_backward(const ChannelNorm& norm, std::size_t pixels, int c, const real* x,
                             const real* dy, const real* a, const real* b, real* dx) const;

  /// winner: for each y the index kh * kernel_w + kw of its maximum inside the window, the first of equals.
  virtual void max_pool2d_forward(const Pool2dGeometry& g, const real* x, real* y,
                                  std::uint16_t* winner);
  virtual void max_pool2d_backward(const Pool2dGeometry& g, const real* dy,
                                   const std::uint16_t* winner, real* dx);

  struct SgdStep {
    double lr, momentum, weight_decay;
    bool nesterov, first;  // first: the momentum buffer starts as the gradient
  };
  /// torch.optim.SGD; `velocity` is null without momentum.
  virtual void sgd_step(const SgdStep& s, std::size_t count, const real* grad, real* value,
                        real* velocity);
  struct AdamStep {
    double lr, beta1, beta2, eps, weight_decay;
    bool decoupled;  // AdamW
    std::int64_t step;  // from 1
  };
  /// torch.optim.Adam and AdamW; m and v are the moments.
  virtual void adam_step(const AdamStep& s, std::size_t count, const real* grad, real* value,
                         real* m, real* v);

 protected:
  /// Counts a run; `path` outlives the backend.
  void took(std::string_view path);
  /// At least `count` values that live until the next call with the same slot; contents are arbitrary.
  real* scratch(int slot, std::size_t count);

 private:
  ThreadPool pool_;
  std::vector<Buffer> scratch_;
  Paths paths_;
};

/// `name`: "reference", "simd", "xnnpack", or "auto" for the fastest that this build has. `threads` 0 means one per core.
/// Throws Error with the names it knows.
std::shared_ptr<Backend> make_backend(std::string_view name = "auto", int threads = 0);
/// The names make_backend takes in this build, without "auto".
std::vector<std::string> backend_names();

}  // namespace pinhole
