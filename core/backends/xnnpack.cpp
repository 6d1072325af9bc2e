// Convolutions through XNNPACK's operators; everything else is SimdBackend's. An operator bakes its weights in when it is
// created and never sees them change: it lives as long as the versions of the parameters that it packed.
#include <xnnpack.h>

#include <cstring>
#include <limits>

#include "error.h"
#include "simd_tiles.h"
#include "simd_winograd.h"
#include "xnnpack_backend.h"

namespace pinhole {

using simd::as_size;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int kWorkspaceSlot = 16;  // SimdBackend's own slots are below

struct DeleteOperator {
  void operator()(xnn_operator* op) const { xnn_delete_operator(op); }
};

/// One operator and what it was made from.
struct Packed {
  std::unique_ptr<xnn_operator, DeleteOperator> op;
  Conv2dGeometry geometry{};
  std::uint64_t weight_version = 0, bias_version = 0;
  const real* weight = nullptr;
  const real* bias = nullptr;
  bool refused = false;  // XNNPACK does not do this geometry: SimdBackend does
  const real* in = nullptr;
  const real* out = nullptr;
  const void* workspace = nullptr;
  std::size_t workspace_size = 0;
};

struct XnnpackState : simd::NestedState {
  Packed forward, input;
};

XnnpackState& state_of(OpSlot& op) {
  auto* state = dynamic_cast<XnnpackState*>(op.get());
  if (state == nullptr) {
    op = std::make_unique<XnnpackState>();
    state = static_cast<XnnpackState*>(op.get());
  }
  return *state;
}

void check(xnn_status status, const char* what) {
  if (status == xnn_status_success) return;
  if (status == xnn_status_out_of_memory) throw std::bad_alloc();
  throw Error(text("XNNPACK could not ", what, " (status ", static_cast<int>(status), ")"));
}

std::uint32_t unsigned_of(int i) { return static_cast<std::uint32_t>(i); }

class XnnpackBackend final : public SimdBackend {
 public:
  XnnpackBackend(int threads, const SimdKernels& kernels) : SimdBackend(threads, kernels) {
    check(xnn_initialize(nullptr), "start on this machine");
  }

  std::string_view name() const override { return "xnnpack"; }
  std::string description() const override { return "xnnpack + " + SimdBackend::description(); }

  void conv2d_forward(const Conv2dGeometry& g, const real* x, const Parameter& w,
                      const Parameter* b, real* y, OpSlot& op) override {
    if (simd::winograd_suits(g)) return SimdBackend::conv2d_forward(g, x, w, b, y, op);
    Packed& p = state_of(op).forward;
    if (!keep(p, g, w, b)) make_forward(p, g, w, b);
    if (p.refused) return SimdBackend::conv2d_forward(g, x, w, b, y, op);
    took("xnnpack conv2d_forward");
    if (p.geometry.n != g.n) {
      std::size_t alignment = 0, oh = 0, ow = 0;
      check(xnn_reshape_convolution2d_nhwc_f32(p.op.get(), as_size(g.n), as_size(g.h), as_size(g.w),
                                               &p.workspace_size, &alignment, &oh, &ow,
                                               pool().handle()),
            "shape a convolution");
      p.geometry.n = g.n;
      p.in = nullptr;
    }
    void* workspace = p.workspace_size > 0
                          ? scratch(kWorkspaceSlot, p.workspace_size / sizeof(real) + 1)
                          : nullptr;
    if (p.in != x || p.out != y || p.workspace != workspace)
      check(xnn_setup_convolution2d_nhwc_f32(p.op.get(), workspace, x, y), "set up a convolution");
    p.in = x;
    p.out = y;
    p.workspace = workspace;
    check(xnn_run_operator(p.op.get(), pool().handle()), "run a convolution");
  }

  void conv2d_backward_input(const Conv2dGeometry& g, const real* dy, const Parameter& w, real* dx,
                             OpSlot& op) override {
    if (simd::winograd_suits(g)) return SimdBackend::conv2d_backward_input(g, dy, w, dx, op);
    Packed& p = state_of(op).input;
    if (!keep(p, g, w, nullptr)) make_input(p, g, w);
    if (p.refused) return SimdBackend::conv2d_backward_input(g, dy, w, dx, op);
    took("xnnpack conv2d_backward_input");
    if (p.geometry.n != g.n) {
      std::size_t h = 0, width = 0;
      // Rows and columns at the end that no window reached.
      const int left_h =
          g.h + g.pad_top + g.pad_bottom - (g.oh - 1) * g.stride_h - (g.kh - 1) * g.dilation_h - 1;
      const int left_w =
          g.w + g.pad_left + g.pad_right - (g.ow - 1) * g.stride_w - (g.kw - 1) * g.dilation_w - 1;
      check(xnn_reshape_deconvolution2d_nhwc_f32(p.op.get(), as_size(g.n), as_size(g.oh),
                                                 as_size(g.ow), unsigned_of(left_h),
                                                 unsigned_of(left_w), &h, &width, pool().handle()),
            "shape an input gradient");
      p.geometry.n = g.n;
      p.in = nullptr;
    }
    if (p.in != dy || p.out != dx)
      check(xnn_setup_deconvolution2d_nhwc_f32(p.op.get(), dy, dx), "set up an input gradient");
    p.in = dy;
    p.out = dx;
    check(xnn_run_operator(p.op.get(), pool().handle()), "run an input gradient");
  }

 private:
  /// Is the operator still right? The batch may differ: that is a reshape.
  static bool keep(Packed& p, const Conv2dGeometry& g, const Parameter& w, const Parameter* b) {
    Conv2dGeometry same = p.geometry;
    same.n = g.n;
    if (same != g) return false;
    if (p.refused) return true;
    return p.op != nullptr && p.weight_version == w.version && p.weight == w.value.data() &&
           p.bias == (b != nullptr ? b->value.data() : nullptr) &&
           (b == nullptr || p.bias_version == b->version);
  }

  static void remember(Packed& p, const Conv2dGeometry& g, const Parameter& w, const Parameter* b) {
    p = Packed();
    p.geometry = g;
    p.geometry.n = 0;  // not shaped yet
    p.weight_version = w.version;
    p.weight = w.value.data();
    if (b == nullptr) return;
    p.bias_version = b->version;
    p.bias = b->value.data();
  }

  static void accept(Packed& p, xnn_status status, xnn_operator_t made, const char* what) {
    p.op.reset(made);
    p.refused =
        status == xnn_status_unsupported_parameter || status == xnn_status_invalid_parameter;
    if (!p.refused) check(status, what);
  }

  static void make_forward(Packed& p, const Conv2dGeometry& g, const Parameter& w,
                           const Parameter* b) {
    remember(p, g, w, b);
    // XNNPACK derives the output's size and never crops.
    const int oh =
        (g.h + g.pad_top + g.pad_bottom - (g.kh - 1) * g.dilation_h - 1) / g.stride_h + 1;
    const int ow =
        (g.w + g.pad_left + g.pad_right - (g.kw - 1) * g.dilation_w - 1) / g.stride_w + 1;
    if (oh != g.oh || ow != g.ow) {
      p.refused = true;
      return;
    }
    xnn_operator_t made = nullptr;
    const xnn_status status = xnn_create_convolution2d_nhwc_f32(
        unsigned_of(g.pad_top), unsigned_of(g.pad_right), unsigned_of(g.pad_bottom),
        unsigned_of(g.pad_left), unsigned_of(g.kh), unsigned_of(g.kw), unsigned_of(g.stride_h),
        unsigned_of(g.stride_w), unsigned_of(g.dilation_h), unsigned_of(g.dilation_w),
        unsigned_of(g.groups), as_size(g.c / g.groups), as_size(g.oc / g.groups), as_size(g.c),
        as_size(g.oc), w.value.data(), p.bias, g.y_min, g.y_max, 0, nullptr, nullptr, &made);
    accept(p, status, made, "make a convolution");
  }

  void make_input(Packed& p, const Conv2dGeometry& g, const Parameter& w) {
    remember(p, g, w, nullptr);
    const int c = g.c / g.groups, oc = g.oc / g.groups, taps = g.kh * g.kw;
    const int left_h =
        g.h + g.pad_top + g.pad_bottom - (g.oh - 1) * g.stride_h - (g.kh - 1) * g.dilation_h - 1;
    const int left_w =
        g.w + g.pad_left + g.pad_right - (g.ow - 1) * g.stride_w - (g.kw - 1) * g.dilation_w - 1;
    if (left_h < 0 || left_w < 0 || left_h >= g.stride_h || left_w >= g.stride_w) {
      p.refused = true;
      return;
    }
    // [oc, kh, kw, c / groups] -> [c, kh, kw, oc / groups], the weights of the transposed convolution.
    real* turned = scratch(simd::kTransposed, as_size(g.c) * as_size(taps) * as_size(oc));
    for (int group = 0; group < g.groups; ++group) {
      for (int o = 0; o < oc; ++o) {
        for (int t = 0; t < taps; ++t) {
          const real* from =
              w.value.data() + (as_size(group * oc + o) * as_size(taps) + as_size(t)) * as_size(c);
          for (int i = 0; i < c; ++i)
            turned[(as_size(group * c + i) * as_size(taps) + as_size(t)) * as_size(oc) +
                   as_size(o)] = from[i];
        }
      }
    }
    xnn_operator_t made = nullptr;
    const xnn_status status = xnn_create_deconvolution2d_nhwc_f32(
        unsigned_of(g.pad_top), unsigned_of(g.pad_right), unsigned_of(g.pad_bottom),
        unsigned_of(g.pad_left), unsigned_of(g.kh), unsigned_of(g.kw), unsigned_of(g.stride_h),
        unsigned_of(g.stride_w), unsigned_of(g.dilation_h), unsigned_of(g.dilation_w),
        unsigned_of(g.groups), as_size(oc), as_size(c), as_size(g.oc), as_size(g.c), turned,
        nullptr, -kInfinity, kInfinity, 0, nullptr, nullptr, &made);
    accept(p, status, made, "make an input gradient");
  }
};

}  // namespace

std::shared_ptr<Backend> make_xnnpack_backend(int threads, const SimdKernels& kernels) {
  return std::make_shared<XnnpackBackend>(threads, kernels);
}

}  // namespace pinhole
