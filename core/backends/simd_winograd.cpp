#include "simd_winograd.h"

#include <cmath>

namespace pinhole::simd {

namespace {

constexpr int kMostTiles = 96;
/// Floats of transformed tiles and of products that a thread works on at once: they stay in the second-level cache.
constexpr int kTileFloats = 64 << 10;
/// Floats of the source that are copied, with their padding, at once.
constexpr int kBandFloats = 24000;
/// Multiply-adds of a task.
constexpr double kTaskWork = 4e6;
/// Keeps the tiles' rows out of each other's place in the cache.
constexpr int kGap = 16;

std::size_t stride_of(int channels) { return as_size(16 * channels + kGap); }

}  // namespace

bool Winograd::suits(const Conv2dGeometry& g) {
  const auto pads = [](int pad) { return pad >= 0 && pad <= 2; };
  return g.kh == 3 && g.kw == 3 && g.stride_h == 1 && g.stride_w == 1 && g.dilation_h == 1 &&
         g.dilation_w == 1 && g.groups == 1 && g.c % 16 == 0 && g.oc % 16 == 0 && g.c >= 32 &&
         g.oc >= 32 && pads(g.pad_top) && pads(g.pad_left) && pads(g.pad_bottom) &&
         pads(g.pad_right) && g.oh == g.h + g.pad_top + g.pad_bottom - 2 &&
         g.ow == g.w + g.pad_left + g.pad_right - 2;
}

void Winograd::prepare(const Conv2dGeometry& g, bool backward, const Parameter& w, ThreadPool& pool,
                       const SimdKernels& k) {
  Conv2dGeometry same = geometry_;
  same.n = g.n;
  if (same != g || backward != backward_ || weights_.size() == 0) {
    backward_ = backward;
    source_h_ = backward ? g.oh : g.h;
    source_w_ = backward ? g.ow : g.w;
    source_c_ = backward ? g.oc : g.c;
    out_h_ = backward ? g.h : g.oh;
    out_w_ = backward ? g.w : g.ow;
    out_c_ = backward ? g.c : g.oc;
    pad_top_ = backward ? 2 - g.pad_top : g.pad_top;
    pad_left_ = backward ? 2 - g.pad_left : g.pad_left;
    band_ = std::clamp(kBandFloats / (2 * (source_w_ + 3) * source_c_), 1, divide_up(out_h_, 2));
    tiles_ = std::clamp(kTileFloats / (16 * (g.c + g.oc)) / 12 * 12, 24, kMostTiles);
    plane_ = as_size(source_c_) * as_size(out_c_);
    weights_ = Buffer(16 * plane_);
    transformed_from_ = nullptr;
  }
  geometry_ = g;
  if (version_ == w.version && transformed_from_ == w.value.data()) return;
  transform(w.value.data(), pool, k);
  version_ = w.version;
  transformed_from_ = w.value.data();
}

/// G g G^T with G = [1 0 0; 1/2 1/2 1/2; 1/2 -1/2 1/2; 0 0 1], in panels as SimdKernels::conv reads them.
void Winograd::transform(const real* w, ThreadPool& pool, const SimdKernels& k) {
  const std::size_t c = as_size(geometry_.c);
  for_tasks(pool, source_c_, 16.0 * static_cast<double>(plane_), [&](std::size_t, int i) {
    for (int o = 0; o < out_c_; o += k.panel) {
      const int panel = std::min(k.panel, out_c_ - o);  // a multiple of the width
      real* to = weights_.data() + as_size(o) * as_size(source_c_) + as_size(i) * as_size(panel);
      for (int j = 0; j < panel; ++j, ++to) {
        const real* tap = backward_ ? w + as_size(i) * 9 * c + as_size(o + j)
                                    : w + as_size(o + j) * 9 * c + as_size(i);
        real rows[4][3];
        for (int x = 0; x < 3; ++x) {
          const auto at = [&](int y) {
            return tap[as_size(backward_ ? 8 - 3 * y - x : 3 * y + x) * c];
          };
          const real sum = at(0) + at(2);
          rows[0][x] = at(0);
          rows[1][x] = real(0.5) * (sum + at(1));
          rows[2][x] = real(0.5) * (sum - at(1));
          rows[3][x] = at(2);
        }
        real* plane = to;
        for (const real* row : rows) {
          const real sum = row[0] + row[2];
          plane[0] = row[0];
          plane[plane_] = real(0.5) * (sum + row[1]);
          plane[2 * plane_] = real(0.5) * (sum - row[1]);
          plane[3 * plane_] = row[2];
          plane += 4 * plane_;
        }
      }
    }
  });
}

std::size_t Winograd::share() const {
  return thread_share(as_size(2 * band_ + 2) * as_size(source_w_ + 4) * as_size(source_c_) +
                      as_size(tiles_) * (stride_of(source_c_) + stride_of(out_c_)) +
                      as_size(out_c_));
}

template <class Done>
void Winograd::multiply(ThreadPool& pool, const SimdKernels& k, const real* source, int tile_rows,
                        int tile_columns, real* memory, const Done& done) const {
  const int columns = 2 * tile_columns + 2;
  const std::size_t image = as_size(source_h_) * as_size(source_w_) * as_size(source_c_);
  const std::size_t in = stride_of(source_c_), out = stride_of(out_c_);
  const std::size_t each = share();
  // The rows of all images, one after the other: small images share a product.
  const int all_rows = geometry_.n * tile_rows;
  const double row_work = 16.0 * tile_columns * source_c_ * out_c_;
  const int rows = std::clamp(static_cast<int>(kTaskWork / row_work), 1, divide_up(all_rows, 16));
  for_tasks(
      pool, divide_up(all_rows, rows), row_work * all_rows, [&](std::size_t thread, int task) {
        real* const band = memory + thread * each;
        real* const tiles =
            band + as_size(2 * band_ + 2) * as_size(source_w_ + 4) * as_size(source_c_);
        real* const products = tiles + as_size(tiles_) * in;
        real* const nowhere = products + as_size(tiles_) * out;
        const real* a[kMostTiles];
        real* to[kMostTiles];
        int first = task * rows * tile_columns;  // of the tiles that are transformed and wait
        int count = 0;
        const auto flush = [&] {
          for (int i = 0; i < count; ++i) {
            a[i] = tiles + as_size(i) * in;
            to[i] = products + as_size(i) * out;
          }
          for (int product = 0; product < 16; ++product) {
            const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(product) * source_c_;
            k.conv(count, a, to, 1, &at, source_c_, weights_.data() + as_size(product) * plane_,
                   nullptr, out_c_);
            for (int i = 0; i < count; ++i) to[i] += out_c_;
          }
          done(products, static_cast<std::ptrdiff_t>(out), nowhere, count, first);
          first += count;
          count = 0;
        };
        const int end = std::min((task + 1) * rows, all_rows);
        for (int row = task * rows; row < end;) {
          const int n = row / tile_rows, r = row % tile_rows;
          const int some = std::min({band_, tile_rows - r, end - row});
          copy_band(k, source + as_size(n) * image, source_h_, source_w_, source_c_,
                    2 * r - pad_top_, 2 * some + 2, -pad_left_, columns, band);
          for (int tile = 0; tile < some * tile_columns;) {
            const int taken = std::min(tiles_ - count, some * tile_columns - tile);
            for (int i = 0; i < taken; ++i) {
              const int y = (tile + i) / tile_columns, x = (tile + i) % tile_columns;
              a[i] = band + as_size(2 * (y * columns + x)) * as_size(source_c_);
            }
            k.winograd_input(taken, a, static_cast<std::ptrdiff_t>(columns) * source_c_, source_c_,
                             tiles + as_size(count) * in, static_cast<std::ptrdiff_t>(in));
            count += taken;
            tile += taken;
            if (count == tiles_) flush();
          }
          row += some;
        }
        if (count > 0) flush();
      });
}

void Winograd::run(ThreadPool& pool, const SimdKernels& k, const real* source, const real* bias,
                   real* y, real* memory) const {
  const int tile_rows = divide_up(out_h_, 2), tile_columns = divide_up(out_w_, 2);
  const Conv2dGeometry& g = geometry_;
  const bool clamped = !backward_ && (!std::isinf(g.y_min) || !std::isinf(g.y_max));
  multiply(pool, k, source, tile_rows, tile_columns, memory,
           [&](const real* products, std::ptrdiff_t stride, real* nowhere, int count, int first) {
             real* to[4 * kMostTiles];
             for (int i = 0; i < count; ++i) {
               const int row = (first + i) / tile_columns;
               const int n = row / tile_rows, top = row % tile_rows * 2,
                         left = (first + i) % tile_columns * 2;
               for (int q = 0; q < 4; ++q) {
                 const int h = top + q / 2, w = left + q % 2;
                 to[4 * i + q] =
                     h < out_h_ && w < out_w_
                         ? y + (as_size(n * out_h_ + h) * as_size(out_w_) + as_size(w)) *
                                   as_size(out_c_)
                         : nowhere;
               }
             }
             k.winograd_output(count, products, stride, out_c_, bias, to);
             if (!clamped) return;
             for (int i = 0; i < 4 * count; ++i)
               for (int o = 0; o < out_c_; ++o)
                 to[i][o] = std::min(std::max(to[i][o], g.y_min), g.y_max);
           });
}

void Winograd::run_pooled(ThreadPool& pool, const SimdKernels& k, const real* source,
                          const real* bias, real* y, std::uint8_t* winner, real* memory) const {
  const int pooled_h = out_h_ / 2, pooled_w = out_w_ / 2;
  if (pooled_h == 0 || pooled_w == 0) return;
  const bool past_cache =
      as_size(geometry_.n * pooled_h) * as_size(pooled_w) * as_size(out_c_) >= kPastCache;
  multiply(
      pool, k, source, pooled_h, pooled_w, memory,
      [&](const real* products, std::ptrdiff_t stride, real* /*nowhere*/, int count, int first) {
        const std::size_t at = as_size(first) * as_size(out_c_);
        k.winograd_pool(count, products, stride, out_c_, bias, y + at, winner + at, past_cache);
      });
}

}  // namespace pinhole::simd
