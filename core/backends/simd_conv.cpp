// Convolutions of SimdBackend. Those that suit it go by Winograd's tiles (simd_winograd.h); every other one, forward or input gradient,
// strided, dilated or grouped, is "each output is a sum of short runs of the source": rows are copied with their padding into a band
// that stays in the cache, and the kernel walks the runs.
#include <cassert>
#include <cmath>
#include <cstring>

#include "simd_tiles.h"
#include "simd_winograd.h"

namespace pinhole {

void simd::copy_band(const SimdKernels& k, const real* source, int h, int w, int c, int row,
                     int rows, int column, int columns, real* to) {
  const int left = std::clamp(-column, 0, columns);
  const int right = std::clamp(w - column, left, columns);
  for (int r = 0; r < rows; ++r) {
    const int from = row + r;
    real* cell = to + as_size(r) * as_size(columns) * as_size(c);
    if (from < 0 || from >= h || right == left) {
      k.fill(as_size(columns) * as_size(c), 0, cell);
      continue;
    }
    if (left > 0) k.fill(as_size(left) * as_size(c), 0, cell);
    k.copy(as_size(right - left) * as_size(c),
           source + (as_size(from) * as_size(w) + as_size(column + left)) * as_size(c),
           cell + as_size(left) * as_size(c));
    if (right < columns)
      k.fill(as_size(columns - right) * as_size(c), 0, cell + as_size(right) * as_size(c));
  }
}

using simd::as_size;
using simd::copy_band;
using simd::divide_up;
using simd::for_tasks;
using simd::partial_tasks;
using simd::round_up;
using simd::thread_share;

namespace {

/// Outputs (row, column) = first + step * (t, u) of a convolution, t < rows, u < columns, that all see the same taps. The forward
/// pass is one phase; the input gradient has stride_h * stride_w of them.
struct Phase {
  int rows = 0, columns = 0;
  int first_row = 0, first_column = 0;
  // The source cell of tap (i, j) is (t * source_step_h + low_h + ..., ...): low is the smallest offset, span the range.
  int low_h = 0, low_w = 0, span_h = 1, span_w = 1;
  bool inside = false;  // no tap of any output leaves the source
  std::ptrdiff_t pitch = 0;  // floats between source rows as the kernel sees them
  std::vector<int> kh, kw;  // taps by rising source offset
  std::vector<std::ptrdiff_t> segments;
  int length = 0;
  std::size_t packed = 0;  // where its weights start
  std::size_t group_size = 0;

  int taps() const { return static_cast<int>(kh.size() * kw.size()); }
};

struct Pass {
  Conv2dGeometry geometry{};
  bool valid = false;
  bool backward = false;
  bool depthwise = false;
  int source_h = 0, source_w = 0, source_c = 0;
  int out_h = 0, out_w = 0, out_c = 0;
  int step_h = 1, step_w = 1;  // in the source, for one output
  int out_step_h = 1, out_step_w = 1;  // in the output
  int in_per_group = 0, out_per_group = 0;
  std::vector<Phase> phases;
  Buffer weights;
  std::uint64_t version = 0;
  const real* packed_from = nullptr;
};

struct ConvState : OpState {
  explicit ConvState(const SimdKernels* k) : kernels(k) {}
  const SimdKernels* kernels;
  Pass forward, input;
  simd::WinogradPass winograd_forward, winograd_input;
  Buffer taps;  // sparse input gradient: [kh * kw, oc, c rounded up]
  std::uint64_t taps_version = 0;
  const real* taps_from = nullptr;
};

ConvState& state_of(OpSlot& op, const SimdKernels& kernels) {
  if (auto* nested = dynamic_cast<simd::NestedState*>(op.get()))
    return state_of(nested->simd, kernels);
  auto* state = dynamic_cast<ConvState*>(op.get());
  if (state == nullptr || state->kernels != &kernels) {
    op = std::make_unique<ConvState>(&kernels);
    state = static_cast<ConvState*>(op.get());
  }
  return *state;
}

/// All but the batch.
bool same_layer(Conv2dGeometry a, const Conv2dGeometry& b) {
  a.n = b.n;
  return a == b;
}

int floor_mod(int a, int b) { return (a % b + b) % b; }

/// Taps of outputs `first + step * t` along one axis: k and the source offset e with source = t * source_step + e, e rising.
struct AxisTaps {
  std::vector<int> k, e;
};

AxisTaps axis_taps(bool backward, int phase, int kernel, int stride, int dilation, int pad) {
  AxisTaps taps;
  for (int i = 0; i < kernel; ++i) {
    const int k = backward ? kernel - 1 - i : i;
    if (!backward) {
      taps.k.push_back(k);
      taps.e.push_back(k * dilation - pad);
    } else if (floor_mod(phase + pad - k * dilation, stride) == 0) {
      taps.k.push_back(k);
      taps.e.push_back((phase + pad - k * dilation) / stride);  // exact
    }
  }
  return taps;
}

void plan(Pass& p, const Conv2dGeometry& g, bool backward, int width) {
  p = Pass();
  p.geometry = g;
  p.valid = true;
  p.backward = backward;
  p.depthwise = g.groups == g.c && g.groups == g.oc;
  const int c = g.c / g.groups, oc = g.oc / g.groups;
  p.source_h = backward ? g.oh : g.h;
  p.source_w = backward ? g.ow : g.w;
  p.source_c = backward ? g.oc : g.c;
  p.out_h = backward ? g.h : g.oh;
  p.out_w = backward ? g.w : g.ow;
  p.out_c = backward ? g.c : g.oc;
  p.step_h = backward ? 1 : g.stride_h;
  p.step_w = backward ? 1 : g.stride_w;
  p.out_step_h = backward ? g.stride_h : 1;
  p.out_step_w = backward ? g.stride_w : 1;
  p.in_per_group = backward ? oc : c;
  p.out_per_group = backward ? c : oc;
  std::size_t packed = 0;
  for (int a = 0; a < p.out_step_h; ++a) {
    for (int b = 0; b < p.out_step_w; ++b) {
      Phase phase;
      phase.first_row = a;
      phase.first_column = b;
      phase.rows = p.out_h > a ? divide_up(p.out_h - a, p.out_step_h) : 0;
      phase.columns = p.out_w > b ? divide_up(p.out_w - b, p.out_step_w) : 0;
      if (phase.rows == 0 || phase.columns == 0) continue;
      const AxisTaps h = axis_taps(backward, a, g.kh, g.stride_h, g.dilation_h, g.pad_top);
      const AxisTaps w = axis_taps(backward, b, g.kw, g.stride_w, g.dilation_w, g.pad_left);
      if (!h.k.empty() && !w.k.empty()) {
        phase.kh = h.k;
        phase.kw = w.k;
        phase.low_h = h.e.front();
        phase.low_w = w.e.front();
        phase.span_h = h.e.back() - h.e.front() + 1;
        phase.span_w = w.e.back() - w.e.front() + 1;
      }
      phase.inside = phase.low_h >= 0 && phase.low_w >= 0 &&
                     (phase.rows - 1) * p.step_h + phase.low_h + phase.span_h <= p.source_h &&
                     (phase.columns - 1) * p.step_w + phase.low_w + phase.span_w <= p.source_w;
      const int cells = phase.inside ? p.source_w : (phase.columns - 1) * p.step_w + phase.span_w;
      phase.pitch = static_cast<std::ptrdiff_t>(cells) * p.source_c;
      const bool runs =
          !p.depthwise && g.groups == 1 && phase.span_w == static_cast<int>(phase.kw.size());
      for (std::size_t i = 0; i < phase.kh.size(); ++i) {
        const std::ptrdiff_t row = (h.e[i] - phase.low_h) * phase.pitch;
        for (std::size_t j = 0; j < (runs ? 1 : phase.kw.size()); ++j)
          phase.segments.push_back(row +
                                   static_cast<std::ptrdiff_t>(w.e[j] - phase.low_w) * p.source_c);
      }
      phase.length = runs ? static_cast<int>(phase.kw.size()) * p.in_per_group : p.in_per_group;
      phase.packed = packed;
      if (p.depthwise) {
        phase.group_size = as_size(phase.taps()) * as_size(round_up(g.c, width));
        packed += phase.group_size;
      } else {
        phase.group_size = as_size(phase.taps()) * as_size(p.in_per_group) *
                           as_size(round_up(p.out_per_group, width));
        packed += phase.group_size * as_size(g.groups);
      }
      p.phases.push_back(std::move(phase));
    }
  }
  p.weights = Buffer(packed);
}

void pack(Pass& p, const real* w, const SimdKernels& k) {
  const Conv2dGeometry& g = p.geometry;
  const int c = g.c / g.groups, oc = g.oc / g.groups;
  for (const Phase& phase : p.phases) {
    real* to = p.weights.data() + phase.packed;
    if (p.depthwise) {
      const int padded = round_up(g.c, k.width);
      for (const int kh : phase.kh) {
        for (const int kw : phase.kw) {
          for (int i = 0; i < padded; ++i) to[i] = i < g.c ? w[(i * g.kh + kh) * g.kw + kw] : 0;
          to += padded;
        }
      }
      continue;
    }
    for (int group = 0; group < g.groups; ++group) {
      for (int o = 0; o < p.out_per_group; o += k.panel) {
        const int columns = std::min(k.panel, p.out_per_group - o);
        const int panel = round_up(columns, k.width);
        for (const int kh : phase.kh) {
          for (const int kw : phase.kw) {
            const std::size_t tap = as_size(kh * g.kw + kw);
            for (int i = 0; i < p.in_per_group; ++i, to += panel) {
              // Forward: outputs are w's first axis. Backward: they are its last.
              const std::size_t first = as_size(group * oc + (p.backward ? i : o));
              const std::size_t last = as_size(p.backward ? o : i);
              const real* from = w + (first * as_size(g.kh * g.kw) + tap) * as_size(c) + last;
              const std::size_t step = p.backward ? 1 : as_size(g.kh * g.kw) * as_size(c);
              for (int j = 0; j < columns; ++j) to[j] = from[as_size(j) * step];
              for (int j = columns; j < panel; ++j) to[j] = 0;
            }
          }
        }
      }
    }
  }
}

void prepare(Pass& p, const Conv2dGeometry& g, bool backward, const Parameter& w,
             const SimdKernels& k) {
  if (!p.valid || !same_layer(p.geometry, g)) plan(p, g, backward, k.width);
  p.geometry.n = g.n;
  if (p.version == w.version && p.packed_from == w.value.data()) return;
  pack(p, w.value.data(), k);
  p.version = w.version;
  p.packed_from = w.value.data();
}

/// Output rows of one tile: enough work to be worth a task, few enough that the band stays in the second-level cache.
int band_rows(const Pass& p, const Phase& phase, int unit) {
  const double row_work =
      static_cast<double>(phase.columns) * phase.taps() * p.in_per_group * p.out_c;
  const int by_work = static_cast<int>(1.5e6 / (row_work + 1)) + 1;
  const int by_cache = static_cast<int>(24e3 / (static_cast<double>(phase.pitch) * p.step_h)) + 1;
  const int rows = std::clamp(std::min(by_work, by_cache), 1, phase.rows);
  return round_up(rows, unit);
}

/// The rows that outputs [t, t + rows) read; copied into `band` unless all taps stay inside the image.
const real* source_band(const SimdKernels& k, const Pass& p, const Phase& phase, const real* image,
                        int t, int rows, real* band) {
  const int row = t * p.step_h + phase.low_h;
  if (phase.inside)
    return image + (static_cast<std::ptrdiff_t>(row) * p.source_w + phase.low_w) * p.source_c;
  const int columns = static_cast<int>(phase.pitch / p.source_c);
  copy_band(k, image, p.source_h, p.source_w, p.source_c, row, (rows - 1) * p.step_h + phase.span_h,
            phase.low_w, columns, band);
  return band;
}

std::size_t band_size(const Pass& p, const Phase& phase, int rows) {
  return phase.inside ? 0
                      : static_cast<std::size_t>(phase.pitch) *
                            as_size((rows - 1) * p.step_h + phase.span_h);
}

void clamp(const Conv2dGeometry& g, int count, real* y) {
  for (int i = 0; i < count; ++i) y[i] = std::min(std::max(y[i], g.y_min), g.y_max);
}

constexpr int kChunk = 240;  // output positions handed to a kernel at once

/// One pass over all phases. `band` (scratch() is protected) gives scratch memory for all threads of at least that many floats.
template <class Scratch>
void run_pass(ThreadPool& pool, const SimdKernels& k, const Pass& p, const real* source,
              const real* bias, real* y, const Scratch& band) {
  const Conv2dGeometry& g = p.geometry;
  const std::size_t source_image = as_size(p.source_h) * as_size(p.source_w) * as_size(p.source_c);
  const std::size_t out_image = as_size(p.out_h) * as_size(p.out_w) * as_size(p.out_c);
  const bool clamped = !p.backward && (!std::isinf(g.y_min) || !std::isinf(g.y_max));
  for (const Phase& phase : p.phases) {
    const int rows = band_rows(p, phase, 1);
    const int bands = divide_up(phase.rows, rows);
    // Few positions and many channels: cut the channels too.
    int parts = 1;
    if (g.groups == 1 && g.n * bands < 16)
      parts = std::min(divide_up(p.out_c, k.panel), divide_up(16, g.n * bands));
    const int part = round_up(divide_up(p.out_c, parts), k.panel);
    parts = divide_up(p.out_c, part);
    const std::size_t share = thread_share(band_size(p, phase, rows));
    real* memory = band(share);
    const double work = static_cast<double>(g.n) * phase.rows * phase.columns * phase.taps() *
                        p.in_per_group * p.out_c;
    for_tasks(pool, g.n * bands * parts, work, [&](std::size_t thread, int task) {
      const int n = task / (bands * parts);
      const int t0 = task / parts % bands * rows;
      const int t1 = std::min(t0 + rows, phase.rows);
      const int o0 = task % parts * part;
      const int o1 = std::min(o0 + part, p.out_c);
      const real* from = source_band(k, p, phase, source + as_size(n) * source_image, t0, t1 - t0,
                                     memory + thread * share);
      const real* a[kChunk];
      real* to[kChunk];
      int count = 0;
      const auto flush = [&] {
        const real* weights = p.weights.data() + phase.packed;
        real* const first = to[0] + o0;
        if (p.depthwise) {
          k.depthwise(count, a, to, phase.taps(), phase.segments.data(), weights, bias, p.out_c);
        } else if (g.groups == 1) {
          for (int i = 0; i < count; ++i) to[i] += o0;
          k.conv(count, a, to, static_cast<int>(phase.segments.size()), phase.segments.data(),
                 phase.length,
                 weights + as_size(o0) * phase.segments.size() * as_size(phase.length),
                 bias != nullptr ? bias + o0 : nullptr, o1 - o0);
        } else {
          for (int group = 0; group < g.groups; ++group) {
            k.conv(count, a, to, static_cast<int>(phase.segments.size()), phase.segments.data(),
                   phase.length, weights + as_size(group) * phase.group_size,
                   bias != nullptr ? bias + group * p.out_per_group : nullptr, p.out_per_group);
            for (int i = 0; i < count; ++i) {
              a[i] += p.in_per_group;
              to[i] += p.out_per_group;
            }
          }
        }
        if (clamped) {
          for (int i = 0; i < count; ++i) clamp(g, o1 - o0, first + as_size(i) * as_size(p.out_c));
        }
        count = 0;
      };
      for (int t = t0; t < t1; ++t) {
        const real* row = from + static_cast<std::ptrdiff_t>(t - t0) * p.step_h * phase.pitch;
        real* out = y + as_size(n) * out_image +
                    (as_size(phase.first_row + t * p.out_step_h) * as_size(p.out_w) +
                     as_size(phase.first_column)) *
                        as_size(p.out_c);
        for (int u = 0; u < phase.columns; ++u) {
          a[count] = row + static_cast<std::ptrdiff_t>(u) * p.step_w * p.source_c;
          to[count] = out + as_size(u) * as_size(p.out_step_w) * as_size(p.out_c);
          if (++count == kChunk) flush();
        }
      }
      if (count > 0) flush();
    });
  }
}

}  // namespace

void SimdBackend::conv2d_forward(const Conv2dGeometry& g, const real* x, const Parameter& w,
                                 const Parameter* b, real* y, OpSlot& op) {
  if (simd::winograd_suits(g)) {
    simd::WinogradPass& winograd = state_of(op, kernels_).winograd_forward;
    winograd.prepare(g, false, w, pool(), kernels_);
    took("simd winograd conv2d_forward");
    return winograd.run(pool(), kernels_, x, b != nullptr ? b->value.data() : nullptr, y,
                        scratch(simd::kBand, winograd.share() * as_size(pool().threads())));
  }
  Pass& p = state_of(op, kernels_).forward;
  prepare(p, g, false, w, kernels_);
  took(p.depthwise ? "simd depthwise conv2d_forward" : "simd conv2d_forward");
  run_pass(
      pool(), kernels_, p, x, b != nullptr ? b->value.data() : nullptr, y,
      [&](std::size_t share) { return scratch(simd::kBand, share * as_size(pool().threads())); });
}

void SimdBackend::conv2d_backward_input(const Conv2dGeometry& g, const real* dy, const Parameter& w,
                                        real* dx, OpSlot& op) {
  if (simd::winograd_suits(g)) {
    simd::WinogradPass& winograd = state_of(op, kernels_).winograd_input;
    winograd.prepare(g, true, w, pool(), kernels_);
    took("simd winograd conv2d_backward_input");
    return winograd.run(pool(), kernels_, dy, nullptr, dx,
                        scratch(simd::kBand, winograd.share() * as_size(pool().threads())));
  }
  Pass& p = state_of(op, kernels_).input;
  prepare(p, g, true, w, kernels_);
  took(p.depthwise ? "simd depthwise conv2d_backward_input" : "simd conv2d_backward_input");
  run_pass(pool(), kernels_, p, dy, nullptr, dx, [&](std::size_t share) {
    return scratch(simd::kBand, share * as_size(pool().threads()));
  });
}

void SimdBackend::conv2d_relu_max_pool2d_forward(const Conv2dGeometry& g, const real* x,
                                                 const Parameter& w, const Parameter* b, real* y,
                                                 std::uint8_t* winner, OpSlot& op) {
  if (g.groups == g.c && g.groups == g.oc)
    return Backend::conv2d_relu_max_pool2d_forward(g, x, w, b, y, winner, op);
  if (simd::winograd_suits(g)) {
    simd::WinogradPass& winograd = state_of(op, kernels_).winograd_forward;
    winograd.prepare(g, false, w, pool(), kernels_);
    took("simd winograd conv2d_relu_max_pool2d_forward");
    return winograd.run_pooled(pool(), kernels_, x, b != nullptr ? b->value.data() : nullptr, y,
                               winner,
                               scratch(simd::kBand, winograd.share() * as_size(pool().threads())));
  }
  took("simd conv2d_relu_max_pool2d_forward");
  Pass& p = state_of(op, kernels_).forward;
  prepare(p, g, false, w, kernels_);
  const Phase& phase = p.phases.front();
  const int pooled_h = g.oh / 2, pooled_w = g.ow / 2;
  if (pooled_h == 0 || pooled_w == 0) return;
  const int rows = std::min(band_rows(p, phase, 2), 2 * pooled_h);
  const int bands = divide_up(2 * pooled_h, rows);
  const std::size_t share = thread_share(band_size(p, phase, rows));
  real* memory = scratch(simd::kBand, share * as_size(pool().threads()));
  const real* bias = b != nullptr ? b->value.data() : nullptr;
  const std::size_t image = as_size(g.h) * as_size(g.w) * as_size(g.c);
  const double work = static_cast<double>(g.n) * g.oh * g.ow * phase.taps() * p.in_per_group * g.oc;
  const bool past_cache =
      as_size(g.n) * as_size(pooled_h) * as_size(pooled_w) * as_size(g.oc) >= simd::kPastCache;
  for_tasks(pool(), g.n * bands, work, [&](std::size_t thread, int task) {
    const int n = task / bands;
    const int t0 = task % bands * rows;
    const int t1 = std::min(t0 + rows, 2 * pooled_h);
    const real* from = source_band(kernels_, p, phase, x + as_size(n) * image, t0, t1 - t0,
                                   memory + thread * share);
    const real* a[kChunk];
    int count = 0;
    std::size_t done = (as_size(n) * as_size(pooled_h) + as_size(t0 / 2)) * as_size(pooled_w);
    const std::ptrdiff_t right = static_cast<std::ptrdiff_t>(p.step_w) * g.c,
                         down = p.step_h * phase.pitch;
    const auto flush = [&] {
      for (int group = 0; group < g.groups; ++group) {
        const std::size_t at = done * as_size(g.oc) + as_size(group * p.out_per_group);
        kernels_.conv_pool(count, a, right, down, y + at, winner + at, g.oc,
                           static_cast<int>(phase.segments.size()), phase.segments.data(),
                           phase.length,
                           p.weights.data() + phase.packed + as_size(group) * phase.group_size,
                           bias != nullptr ? bias + group * p.out_per_group : nullptr,
                           p.out_per_group, past_cache);
        for (int i = 0; i < count; ++i) a[i] += p.in_per_group;
      }
      done += as_size(count);
      count = 0;
    };
    for (int t = t0; t < t1; t += 2) {
      for (int u = 0; u < pooled_w; ++u) {
        a[count] = from + (t - t0) * down + 2 * u * right;
        if (++count == kChunk) flush();
      }
    }
    if (count > 0) flush();
  });
}

// ---- weight gradients: partial sums over whole tasks, added in the order of the tasks ---------------------------------------------

namespace {

/// What source_band needs for x as the forward convolution reads it; allocates nothing.
struct XBand {
  int low_h, low_w, span_h, columns;
  bool inside;
  std::ptrdiff_t pitch;
};

XBand x_band(const Conv2dGeometry& g) {
  XBand band{};
  band.low_h = -g.pad_top;
  band.low_w = -g.pad_left;
  band.span_h = (g.kh - 1) * g.dilation_h + 1;
  const int span_w = (g.kw - 1) * g.dilation_w + 1;
  band.columns = (g.ow - 1) * g.stride_w + span_w;
  band.inside = g.pad_top == 0 && g.pad_left == 0 && (g.oh - 1) * g.stride_h + band.span_h <= g.h &&
                band.columns <= g.w;
  band.pitch = static_cast<std::ptrdiff_t>(band.inside ? g.w : band.columns) * g.c;
  return band;
}

const real* read_x(const SimdKernels& k, const Conv2dGeometry& g, const XBand& band,
                   const real* image, int t, int rows, real* memory) {
  const int row = t * g.stride_h + band.low_h;
  if (band.inside) return image + static_cast<std::ptrdiff_t>(row) * band.pitch;
  copy_band(k, image, g.h, g.w, g.c, row, (rows - 1) * g.stride_h + band.span_h, band.low_w,
            band.columns, memory);
  return memory;
}

}  // namespace

void SimdBackend::add_partials(int tasks, std::size_t stride, const real* partials, int oc,
                               int rows, int length, real beta, real* dw, real* db) {
  const int padded = round_up(length, kernels_.width);
  const std::size_t per_channel = as_size(rows) * as_size(length);
  const std::size_t partial = as_size(oc) * as_size(rows) * as_size(padded);
  for_tasks(pool(), oc, static_cast<double>(tasks) * static_cast<double>(partial),
            [&](std::size_t, int o) {
              for (int r = 0; r < rows; ++r) {
                real* to = dw + as_size(o) * per_channel + as_size(r) * as_size(length);
                const real* from =
                    partials + (as_size(o) * as_size(rows) + as_size(r)) * as_size(padded);
                int t = 0;
                if (beta == 0) {
                  kernels_.copy(as_size(length), from, to);
                  t = 1;
                }
                for (; t < tasks; ++t)
                  kernels_.add(as_size(length), from + as_size(t) * stride, to);
              }
              if (db != nullptr) {
                real total = beta == 0 ? real(0) : db[o];
                for (int t = 0; t < tasks; ++t)
                  total += partials[as_size(t) * stride + partial + as_size(o)];
                db[o] = total;
              }
            });
}

void SimdBackend::conv2d_backward_weight(const Conv2dGeometry& g, const real* x, const real* dy,
                                         real beta, real* dw, real* db) {
  constexpr int kMostTaps = 256;
  // Floats of dy that stay in the first-level cache beside a panel of x.
  constexpr int kFirstLevel = 6000;
  const bool depthwise = g.groups == g.c && g.groups == g.oc;
  if (depthwise && g.kh * g.kw > kMostTaps)
    return Backend::conv2d_backward_weight(g, x, dy, beta, dw, db);
  if (simd::winograd_suits(g)) {
    const simd::WinogradWeights winograd(g);
    took("simd winograd conv2d_backward_weight");
    return winograd.run(pool(), kernels_, x, dy, beta, dw, db,
                        scratch(simd::kPartial, winograd.partials()),
                        scratch(simd::kBand, winograd.share() * as_size(pool().threads())));
  }
  took(depthwise ? "simd depthwise conv2d_backward_weight" : "simd conv2d_backward_weight");
  const int c = g.c / g.groups, oc = g.oc / g.groups;
  const XBand band = x_band(g);
  const double row_work = static_cast<double>(g.ow) * g.kh * g.kw * c * g.oc;
  const int by_work = static_cast<int>(1.5e6 / (row_work + 1)) + 1;
  const int by_cache = static_cast<int>(24e3 / (static_cast<double>(band.pitch) * g.stride_h)) + 1;
  const int rows = std::clamp(std::min(by_work, by_cache), 1, g.oh);
  const int bands = divide_up(g.oh, rows);
  const int units = g.n * bands;
  const std::ptrdiff_t ldb = static_cast<std::ptrdiff_t>(g.stride_w) * g.c;
  const std::ptrdiff_t down = g.stride_h * band.pitch;
  // Where rows continue each other (1x1, no padding) a band is one matrix. Other rows that are short go together too: a block of sums
  // is fetched and put back once for all of them.
  const bool one = g.ow * ldb == down;
  const int joined = one ? rows : std::max(kFirstLevel / (g.ow * g.oc), 1);
  // Rows of kw * c values where they lie side by side, else one tap at a time.
  const bool runs = g.groups == 1 && g.dilation_w == 1;
  const int length = g.kh * g.kw * c;
  const int padded = round_up(length, kernels_.width);
  const int padded_c = round_up(g.c, kernels_.width);
  const std::size_t weights =
      depthwise ? as_size(g.kh * g.kw) * as_size(padded_c) : as_size(g.oc) * as_size(padded);
  const std::size_t stride = thread_share(weights + as_size(g.oc));
  const int tasks = partial_tasks(units, stride);
  real* partials = scratch(simd::kPartial, stride * as_size(tasks));
  const std::size_t band_share =
      thread_share(band.inside ? 0
                               : static_cast<std::size_t>(band.pitch) *
                                     as_size((rows - 1) * g.stride_h + band.span_h));
  const std::size_t share = band_share + kSimdPack;
  real* memory = scratch(simd::kBand, share * as_size(pool().threads()));
  const std::size_t image = as_size(g.h) * as_size(g.w) * as_size(g.c);
  for_tasks(pool(), tasks, row_work * g.oh * g.n, [&](std::size_t thread, int task) {
    real* partial = partials + as_size(task) * stride;
    real* pack = memory + thread * share + band_share;
    kernels_.fill(weights + as_size(g.oc), 0, partial);
    std::ptrdiff_t taps[kMostTaps];
    if (depthwise) {
      for (int i = 0; i < g.kh * g.kw; ++i)
        taps[i] = (i / g.kw) * g.dilation_h * band.pitch +
                  static_cast<std::ptrdiff_t>(i % g.kw) * g.dilation_w * g.c;
    }
    const int first = static_cast<int>(static_cast<std::int64_t>(units) * task / tasks);
    const int last = static_cast<int>(static_cast<std::int64_t>(units) * (task + 1) / tasks);
    for (int unit = first; unit < last; ++unit) {
      const int n = unit / bands;
      const int t0 = unit % bands * rows;
      const int t1 = std::min(t0 + rows, g.oh);
      const real* from =
          read_x(kernels_, g, band, x + as_size(n) * image, t0, t1 - t0, memory + thread * share);
      const real* dyn =
          dy + (as_size(n) * as_size(g.oh) + as_size(t0)) * as_size(g.ow) * as_size(g.oc);
      if (db != nullptr) kernels_.add_columns((t1 - t0) * g.ow, g.oc, dyn, partial + weights);
      if (depthwise) {
        for (int t = 0; t < t1 - t0; ++t)
          kernels_.depthwise_weight(g.ow, from + t * down, ldb,
                                    dyn + as_size(t) * as_size(g.ow) * as_size(g.oc), g.oc,
                                    g.kh * g.kw, taps, partial, g.c);
        continue;
      }
      for (int t = 0; t < t1 - t0; t += joined) {
        const int depth = std::min(joined, t1 - t0 - t) * g.ow;
        const int run = one ? depth : g.ow;
        const real* dyt = dyn + as_size(t) * as_size(g.ow) * as_size(g.oc);
        for (int kh = 0; kh < g.kh; ++kh) {
          const real* xr = from + t * down + kh * g.dilation_h * band.pitch;
          if (runs) {
            kernels_.gemm_nn(g.oc, g.kw * c, depth, dyt, 1, g.oc, xr, ldb, run, down,
                             partial + kh * g.kw * c, padded, true, pack);
            continue;
          }
          for (int kw = 0; kw < g.kw; ++kw) {
            for (int group = 0; group < g.groups; ++group) {
              kernels_.gemm_nn(
                  oc, c, depth, dyt + group * oc, 1, g.oc,
                  xr + static_cast<std::ptrdiff_t>(kw) * g.dilation_w * g.c + group * c, ldb, run,
                  down, partial + as_size(group * oc) * as_size(padded) + (kh * g.kw + kw) * c,
                  padded, true, pack);
            }
          }
        }
      }
    }
  });
  if (!depthwise) return add_partials(tasks, stride, partials, g.oc, 1, length, beta, dw, db);
  for (int i = 0; i < g.c; ++i) {
    for (int t = 0; t < g.kh * g.kw; ++t) {
      real& to = dw[i * g.kh * g.kw + t];
      real total = beta == 0 ? real(0) : to;
      for (int task = 0; task < tasks; ++task)
        total += partials[as_size(task) * stride + as_size(t) * as_size(padded_c) + as_size(i)];
      to = total;
    }
    if (db == nullptr) continue;
    real total = beta == 0 ? real(0) : db[i];
    for (int task = 0; task < tasks; ++task)
      total += partials[as_size(task) * stride + weights + as_size(i)];
    db[i] = total;
  }
}

// ---- Conv2d + ReLU + MaxPool2d(2) backward: a quarter of the positions at most has a gradient ---------------------------------------

void SimdBackend::conv2d_relu_max_pool2d_backward(const Conv2dGeometry& g, const real* x,
                                                  const Parameter& w, const real* dy,
                                                  const std::uint8_t* winner, real* dx, real beta,
                                                  real* dw, real* db, OpSlot& op) {
  const bool sparse_weight = g.groups == 1 && g.dilation_w == 1 && g.oh >= 2 && g.ow >= 2;
  const bool sparse_input =
      sparse_weight && g.stride_h == 1 && g.stride_w == 1 && g.dilation_h == 1;
  if (!sparse_weight || (dx != nullptr && !sparse_input))
    return Backend::conv2d_relu_max_pool2d_backward(g, x, w, dy, winner, dx, beta, dw, db, op);
  took("simd sparse conv2d_backward_weight");
  sparse_backward_weight(g, x, dy, winner, beta, dw, db);
  if (dx == nullptr) return;
  took("simd sparse conv2d_backward_input");
  sparse_backward_input(g, w, dy, winner, dx, op);
}

void SimdBackend::sparse_backward_weight(const Conv2dGeometry& g, const real* x, const real* dy,
                                         const std::uint8_t* winner, real beta, real* dw,
                                         real* db) {
  const int pooled_h = g.oh / 2, pooled_w = g.ow / 2;
  const XBand band = x_band(g);
  const int length = g.kw * g.c;
  const int padded = round_up(length, kernels_.width);
  // Enough winners that loading and storing the sums is small beside adding to them.
  const int rows = std::clamp(divide_up(64, pooled_w), 1, pooled_h);
  const int bands = divide_up(pooled_h, rows);
  const int units = g.n * bands;
  const std::size_t weights = as_size(g.oc) * as_size(g.kh) * as_size(padded);
  const std::size_t stride = thread_share(weights + as_size(g.oc));
  const int tasks = partial_tasks(units, stride);
  real* partials = scratch(simd::kPartial, stride * as_size(tasks));
  const std::size_t band_share = band.inside
                                     ? 0
                                     : static_cast<std::size_t>(band.pitch) *
                                           as_size((2 * rows - 1) * g.stride_h + band.span_h);
  const std::size_t list_share = 2 * (as_size(rows) * as_size(pooled_w) + 1);
  const std::size_t share = thread_share(band_share) + thread_share(list_share);
  real* memory = scratch(simd::kBand, share * as_size(pool().threads()));
  const std::size_t image = as_size(g.h) * as_size(g.w) * as_size(g.c);
  const double work = static_cast<double>(g.n) * pooled_h * pooled_w * g.oc * g.kh * length;
  for_tasks(pool(), tasks, work, [&](std::size_t thread, int task) {
    real* partial = partials + as_size(task) * stride;
    kernels_.fill(weights + as_size(g.oc), 0, partial);
    auto* entries =
        reinterpret_cast<SparseEntry*>(memory + thread * share + thread_share(band_share));
    const int first = static_cast<int>(static_cast<std::int64_t>(units) * task / tasks);
    const int last = static_cast<int>(static_cast<std::int64_t>(units) * (task + 1) / tasks);
    for (int unit = first; unit < last; ++unit) {
      const int n = unit / bands;
      const int p0 = unit % bands * rows;
      const int p1 = std::min(p0 + rows, pooled_h);
      const real* from = read_x(kernels_, g, band, x + as_size(n) * image, 2 * p0, 2 * (p1 - p0),
                                memory + thread * share);
      const std::size_t at =
          (as_size(n) * as_size(pooled_h) + as_size(p0)) * as_size(pooled_w) * as_size(g.oc);
      const auto right = static_cast<std::int32_t>(g.stride_w * g.c);
      const auto down = static_cast<std::int32_t>(g.stride_h * band.pitch);
      const std::int32_t corner[4] = {0, right, down, down + right};
      for (int o = 0; o < g.oc; ++o) {
        int count = 0;
        for (int r = 0; r < p1 - p0; ++r) {
          const std::size_t row = at + as_size(r) * as_size(pooled_w) * as_size(g.oc) + as_size(o);
          count += kernels_.list_winners(pooled_w, winner + row, dy + row, g.oc, 2 * r * down,
                                         2 * right, corner, entries + count);
        }
        if (count > 0)
          kernels_.sparse_weight(count, entries, from, g.kh, g.dilation_h * band.pitch, length,
                                 partial + as_size(o) * as_size(g.kh) * as_size(padded),
                                 partial + weights + o);
      }
    }
  });
  add_partials(tasks, stride, partials, g.oc, g.kh, length, beta, dw, db);
}

void SimdBackend::sparse_backward_input(const Conv2dGeometry& g, const Parameter& w, const real* dy,
                                        const std::uint8_t* winner, real* dx, OpSlot& op) {
  const int c = round_up(g.c, kernels_.width);
  ConvState& state = state_of(op, kernels_);
  const std::size_t tap_size = as_size(g.oc) * as_size(c);
  if (state.taps.size() < as_size(g.kh * g.kw) * tap_size || state.taps_version != w.version ||
      state.taps_from != w.value.data()) {
    state.taps.reserve(as_size(g.kh * g.kw) * tap_size);
    for (int o = 0; o < g.oc; ++o) {
      for (int t = 0; t < g.kh * g.kw; ++t) {
        const real* from =
            w.value.data() + (as_size(o) * as_size(g.kh * g.kw) + as_size(t)) * as_size(g.c);
        real* to = state.taps.data() + as_size(t) * tap_size + as_size(o) * as_size(c);
        for (int i = 0; i < c; ++i) to[i] = i < g.c ? from[i] : 0;
      }
    }
    state.taps_version = w.version;
    state.taps_from = w.value.data();
  }
  const int pooled_h = g.oh / 2, pooled_w = g.ow / 2;
  const int ring = (g.kh + 2) / 2 + 1;  // rows of windows that one row of dx can see
  const int capacity = g.oc + 1;
  const std::size_t row_entries =
      as_size(2 * pooled_w) * as_size(capacity);  // of one convolution row
  const std::size_t entries_share = thread_share(as_size(2 * ring) * row_entries * 2);
  const std::size_t counts_share = thread_share(as_size(2 * ring) * as_size(2 * pooled_w));
  const std::size_t row_share = thread_share(as_size(g.w) * as_size(c));
  const std::size_t share = entries_share + counts_share + row_share;
  real* memory = scratch(simd::kLists, share * as_size(pool().threads()));
  const double work = static_cast<double>(g.n) * pooled_h * pooled_w * g.oc * g.kh * g.kw * g.c;
  // Whole images where there are enough of them: a band lists its border rows again.
  const int bands = g.n >= 8 ? 1 : std::min(divide_up(g.h, 8), divide_up(16, g.n));
  const int rows = divide_up(g.h, bands);
  for_tasks(pool(), g.n * bands, work, [&](std::size_t thread, int task) {
    const int n = task / bands;
    const int y0 = task % bands * rows;
    const int y1 = std::min(y0 + rows, g.h);
    auto* entries = reinterpret_cast<SparseEntry*>(memory + thread * share);
    auto* counts = reinterpret_cast<std::int32_t*>(memory + thread * share + entries_share);
    real* own_row = memory + thread * share + entries_share + counts_share;
    int listed = std::max(0, (y0 + g.pad_top - (g.kh - 1)) / 2);  // the next row of windows to list
    if (y0 + g.pad_top - (g.kh - 1) < 0) listed = 0;
    for (int y = y0; y < y1; ++y) {
      const int bottom = std::min((y + g.pad_top) / 2, pooled_h - 1);
      for (; listed <= bottom; ++listed) {
        const int slot = listed % ring * 2;
        for (int u = 0; u < pooled_w; ++u) {
          const std::size_t at =
              ((as_size(n) * as_size(pooled_h) + as_size(listed)) * as_size(pooled_w) +
               as_size(u)) *
              as_size(g.oc);
          SparseEntry* to[4];
          std::int32_t found[4];
          for (int q = 0; q < 4; ++q)
            to[q] = entries + as_size(slot + q / 2) * row_entries +
                    as_size(2 * u + q % 2) * as_size(capacity);
          kernels_.list_positions(g.oc, winner + at, dy + at, c, to, found);
          for (int q = 0; q < 4; ++q)
            counts[(slot + q / 2) * 2 * pooled_w + 2 * u + q % 2] = found[q];
        }
      }
      real* dx_row = dx + (as_size(n) * as_size(g.h) + as_size(y)) * as_size(g.w) * as_size(g.c);
      real* row = c == g.c ? dx_row : own_row;
      kernels_.fill(as_size(g.w) * as_size(c), 0, row);
      for (int kh = 0; kh < g.kh; ++kh) {
        const int oy = y + g.pad_top - kh;
        if (oy < 0 || oy >= 2 * pooled_h) continue;
        const int conv_row = oy / 2 % ring * 2 + oy % 2;
        for (int kw = 0; kw < g.kw; ++kw) {
          // x column = output column - pad_left + kw
          const int begin = std::max(0, g.pad_left - kw);
          const int end = std::min(2 * pooled_w, g.w + g.pad_left - kw);
          if (end <= begin) continue;
          kernels_.sparse_input(
              end - begin, counts + conv_row * 2 * pooled_w + begin,
              entries + as_size(conv_row) * row_entries + as_size(begin) * as_size(capacity),
              capacity, state.taps.data() + as_size(kh * g.kw + kw) * tap_size, c,
              row + as_size(begin - g.pad_left + kw) * as_size(c));
        }
      }
      if (c != g.c) {
        for (int u = 0; u < g.w; ++u)
          kernels_.copy(as_size(g.c), own_row + as_size(u) * as_size(c),
                        dx_row + as_size(u) * as_size(g.c));
      }
    }
  });
}

}  // namespace pinhole
