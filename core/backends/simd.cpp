// SimdBackend outside convolutions (simd_conv.cpp), and the choice of an instruction set at run time.
#include "simd.h"

#include <cmath>

#include "error.h"
#include "simd_tiles.h"

namespace pinhole {

using simd::as_size;
using simd::divide_up;
using simd::for_tasks;
using simd::round_up;
using simd::thread_share;

namespace {

std::vector<const SimdKernels*> available() {
  std::vector<const SimdKernels*> tables;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    tables.push_back(&kSimdAvx512);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) tables.push_back(&kSimdAvx2);
  tables.push_back(&kSimdSse2);
#else
  tables.push_back(&kSimdBase);
#endif
  return tables;
}

constexpr std::size_t kGrain = 16384;  // values of one task, element by element

template <class Body>
void elements(ThreadPool& pool, std::size_t count, const Body& body) {
  if (count <= 2 * kGrain) return body(std::size_t{0}, count);
  pool.parallel_ranges(count, kGrain,
                       [&](std::size_t begin, std::size_t end) { body(begin, end - begin); });
}

}  // namespace

std::vector<std::string> simd_instruction_sets() {
  std::vector<std::string> names;
  for (const SimdKernels* table : available()) names.emplace_back(table->name);
  return names;
}

const SimdKernels* find_simd_kernels(std::string_view instruction_set) {
  for (const SimdKernels* table : available()) {
    if (instruction_set.empty() || instruction_set == table->name) return table;
  }
  return nullptr;
}

std::string SimdBackend::description() const {
  const int threads = const_cast<SimdBackend*>(this)->pool().threads();
  return text("simd (", kernels_.name, "), ", threads, threads == 1 ? " thread" : " threads");
}

// ---- Linear -----------------------------------------------------------------------------------------------------------------------

void SimdBackend::linear_forward(const LinearGeometry& g, const real* x, const Parameter& w,
                                 const Parameter* b, real* y, OpSlot& /*op*/) {
  const real* weight = w.value.data();
  const double work = static_cast<double>(g.n) * g.in * g.out;
  const int rows = 32, columns = 96;
  const int row_tiles = divide_up(g.n, rows), column_tiles = divide_up(g.out, columns);
  // A long sum over few outputs is cut too: each part reads its share of x and w once.
  int parts = 1;
  if (row_tiles * column_tiles < 16 && g.in >= 4096) parts = std::min(divide_up(g.in, 2048), 64);
  const int depth = round_up(divide_up(g.in, parts), 64);
  parts = divide_up(g.in, depth);
  const std::size_t outputs = as_size(g.n) * as_size(g.out);
  real* partials = parts > 1 ? scratch(simd::kPartial, outputs * as_size(parts)) : y;
  for_tasks(pool(), row_tiles * column_tiles * parts, work, [&](std::size_t, int task) {
    const int part = task % parts;
    const int o = task / parts % column_tiles * columns;
    const int n = task / parts / column_tiles * rows;
    const std::size_t l = as_size(part * depth);
    kernels_.gemm_nt(std::min(rows, g.n - n), std::min(columns, g.out - o),
                     std::min(depth, g.in - part * depth), x + as_size(n) * as_size(g.in) + l, g.in,
                     weight + as_size(o) * as_size(g.in) + l, g.in,
                     partials + as_size(part) * outputs + as_size(n) * as_size(g.out) + as_size(o),
                     g.out, false);
  });
  if (parts > 1) kernels_.copy(outputs, partials, y);
  for (int part = 1; part < parts; ++part)
    kernels_.add(outputs, partials + as_size(part) * outputs, y);
  if (b != nullptr) {
    for (int n = 0; n < g.n; ++n)
      kernels_.add(as_size(g.out), b->value.data(), y + as_size(n) * as_size(g.out));
  }
}

void SimdBackend::linear_backward_input(const LinearGeometry& g, const real* dy, const Parameter& w,
                                        real* dx, OpSlot& /*op*/) {
  const double work = static_cast<double>(g.n) * g.in * g.out;
  const int columns = 512;
  const int column_tiles = divide_up(g.in, columns);
  const int rows = column_tiles >= 16
                       ? g.n
                       : round_up(divide_up(g.n, divide_up(16, column_tiles)), kernels_.rows);
  const int row_tiles = divide_up(g.n, rows);
  real* memory = scratch(simd::kBand, as_size(kSimdPack) * as_size(pool().threads()));
  for_tasks(pool(), row_tiles * column_tiles, work, [&](std::size_t thread, int task) {
    const int i = task % column_tiles * columns;
    const int n = task / column_tiles * rows;
    kernels_.gemm_nn(std::min(rows, g.n - n), std::min(columns, g.in - i), g.out,
                     dy + as_size(n) * as_size(g.out), g.out, 1, w.value.data() + i, g.in, g.out, 0,
                     dx + as_size(n) * as_size(g.in) + as_size(i), g.in, false,
                     memory + thread * as_size(kSimdPack));
  });
}

void SimdBackend::linear_backward_weight(const LinearGeometry& g, const real* x, const real* dy,
                                         real beta, real* dw, real* db) {
  const double work = static_cast<double>(g.n) * g.in * g.out;
  const int columns = 256;
  const int column_tiles = divide_up(g.in, columns);
  const int rows = column_tiles >= 16
                       ? g.out
                       : round_up(divide_up(g.out, divide_up(16, column_tiles)), kernels_.rows);
  const int row_tiles = divide_up(g.out, rows);
  real* memory = scratch(simd::kBand, as_size(kSimdPack) * as_size(pool().threads()));
  for_tasks(pool(), row_tiles * column_tiles, work, [&](std::size_t thread, int task) {
    const int i = task % column_tiles * columns;
    const int o = task / column_tiles * rows;
    kernels_.gemm_nn(std::min(rows, g.out - o), std::min(columns, g.in - i), g.n, dy + o, 1, g.out,
                     x + i, g.in, g.n, 0, dw + as_size(o) * as_size(g.in) + as_size(i), g.in,
                     beta != 0, memory + thread * as_size(kSimdPack));
  });
  if (db == nullptr) return;
  if (beta == 0) kernels_.fill(as_size(g.out), 0, db);
  kernels_.add_columns(g.n, g.out, dy, db);
}

// ---- element by element and pooling -------------------------------------------------------------------------------------------------

void SimdBackend::relu_forward(std::size_t count, const real* x, real* y) {
  elements(pool(), count,
           [&](std::size_t i, std::size_t n) { kernels_.relu_forward(n, x + i, y + i); });
}

void SimdBackend::relu_backward(std::size_t count, const real* y, const real* dy, real* dx) {
  elements(pool(), count,
           [&](std::size_t i, std::size_t n) { kernels_.relu_backward(n, y + i, dy + i, dx + i); });
}

void SimdBackend::norm_moments(std::size_t pixels, int c, const real* x, real* mean,
                               real* squares) const {
  kernels_.norm_moments(pixels, c, x, mean, squares);
}

void SimdBackend::norm_forward(const ChannelNorm& norm, std::size_t pixels, int c, const real* x,
                               real* y) const {
  kernels_.norm_forward(norm.relu, pixels, c, x, norm.scale, norm.shift, y);
}

void SimdBackend::norm_sums(const ChannelNorm& norm, std::size_t pixels, int c, const real* x,
                            const real* dy, const real* a, const real* b, real* sum,
                            real* dot) const {
  kernels_.norm_sums(norm.relu, pixels, c, x, dy, norm.scale, norm.shift, a, b, sum, dot);
}

void SimdBackend::norm_backward(const ChannelNorm& norm, std::size_t pixels, int c, const real* x,
                                const real* dy, const real* a, const real* b, real* dx) const {
  kernels_.norm_backward(norm.relu, pixels, c, x, dy, norm.scale, norm.shift, a, b, dx);
}

void SimdBackend::max_pool2d_forward(const Pool2dGeometry& g, const real* x, real* y,
                                     std::uint16_t* winner) {
  // The columns of each window that lie inside.
  auto* begin = reinterpret_cast<std::int32_t*>(scratch(simd::kRowIndex, 2 * as_size(g.ow)));
  auto* end = begin + g.ow;
  for (int u = 0; u < g.ow; ++u) {
    begin[u] = std::max(0, g.pad_w - u * g.stride_w);
    end[u] = std::min(g.kw, g.w + g.pad_w - u * g.stride_w);
  }
  const std::size_t row = as_size(g.w) * as_size(g.c), out = as_size(g.ow) * as_size(g.c);
  for_tasks(
      pool(), g.n * g.oh, static_cast<double>(g.n) * static_cast<double>(out) * g.oh * 4,
      [&](std::size_t, int task) {
        const int n = task / g.oh, t = task % g.oh;
        const int top = t * g.stride_h - g.pad_h;
        const real* window = x + as_size(n) * as_size(g.h) * row +
                             static_cast<std::ptrdiff_t>(top) * static_cast<std::ptrdiff_t>(row) -
                             static_cast<std::ptrdiff_t>(g.pad_w) * g.c;
        kernels_.max_pool_row(g.ow, g.c, window, static_cast<std::ptrdiff_t>(g.stride_w) * g.c,
                              static_cast<std::ptrdiff_t>(row), g.kw, std::max(0, -top),
                              std::min(g.kh, g.h - top), begin, end, y + as_size(task) * out,
                              winner + as_size(task) * out);
      });
}

void SimdBackend::max_pool2d_backward(const Pool2dGeometry& g, const real* dy,
                                      const std::uint16_t* winner, real* dx) {
  const std::size_t row = as_size(g.w) * as_size(g.c), out = as_size(g.ow) * as_size(g.c);
  const bool apart = g.pad_h == 0 && g.pad_w == 0 && g.stride_h >= g.kh && g.stride_w >= g.kw;
  const bool covered =
      apart && g.stride_h == g.kh && g.stride_w == g.kw && g.oh * g.kh == g.h && g.ow * g.kw == g.w;
  for_tasks(pool(), g.n, static_cast<double>(g.n) * g.h * static_cast<double>(row) * 4,
            [&](std::size_t, int n) {
              real* image = dx + as_size(n) * as_size(g.h) * row;
              if (!covered) kernels_.fill(as_size(g.h) * row, 0, image);
              const real* g_row = dy + as_size(n) * as_size(g.oh) * out;
              const std::uint16_t* who = winner + as_size(n) * as_size(g.oh) * out;
              for (int t = 0; t < g.oh; ++t, g_row += out, who += out) {
                if (apart) {
                  kernels_.max_pool_row_backward(g.ow, g.c, g_row, who,
                                                 static_cast<std::ptrdiff_t>(g.stride_w) * g.c,
                                                 static_cast<std::ptrdiff_t>(row), g.kh, g.kw,
                                                 image + as_size(t * g.stride_h) * row);
                  continue;
                }
                for (int u = 0; u < g.ow; ++u) {
                  for (int c = 0; c < g.c; ++c) {
                    const std::size_t at = as_size(u) * as_size(g.c) + as_size(c);
                    const int h = t * g.stride_h - g.pad_h + who[at] / g.kw,
                              w = u * g.stride_w - g.pad_w + who[at] % g.kw;
                    image[as_size(h) * row + as_size(w) * as_size(g.c) + as_size(c)] += g_row[at];
                  }
                }
              }
            });
}

// ---- optimisers ---------------------------------------------------------------------------------------------------------------------

void SimdBackend::sgd_step(const SgdStep& s, std::size_t count, const real* grad, real* value,
                           real* velocity) {
  const SgdConstants k{static_cast<float>(s.lr), static_cast<float>(s.momentum),
                       static_cast<float>(s.weight_decay), s.nesterov, s.first};
  elements(pool(), count, [&](std::size_t i, std::size_t n) {
    kernels_.sgd(&k, n, grad + i, value + i, velocity != nullptr ? velocity + i : nullptr);
  });
}

void SimdBackend::adam_step(const AdamStep& s, std::size_t count, const real* grad, real* value,
                            real* m, real* v) {
  AdamConstants k{};
  const double correction1 = 1 - std::pow(s.beta1, static_cast<double>(s.step));
  const double correction2 = 1 - std::pow(s.beta2, static_cast<double>(s.step));
  k.step_size = static_cast<float>(s.lr / correction1);
  k.inverse_root2 = static_cast<float>(1 / std::sqrt(correction2));
  k.beta1 = static_cast<float>(s.beta1);
  k.beta2 = static_cast<float>(s.beta2);
  k.keep1 = static_cast<float>(1 - s.beta1);
  k.keep2 = static_cast<float>(1 - s.beta2);
  k.eps = static_cast<float>(s.eps);
  k.shrink = s.decoupled ? static_cast<float>(1 - s.lr * s.weight_decay) : 1.0F;
  k.l2 = s.decoupled ? 0.0F : static_cast<float>(s.weight_decay);
  elements(pool(), count, [&](std::size_t i, std::size_t n) {
    kernels_.adam(&k, n, grad + i, value + i, m + i, v + i);
  });
}

}  // namespace pinhole
