#include "simd_winograd.h"

#include <cmath>
#include <numeric>

namespace pinhole::simd {

namespace {

constexpr int kTile = 4;  // outputs along a side of a tile
constexpr int kCells = 6;  // cells of the source that they read
constexpr int kProducts = kCells * kCells;
constexpr int kOutputs = kTile * kTile;
constexpr int kMostTiles = 96;
/// Floats of transformed tiles and of products that a thread works on at once: they stay in the second-level cache.
constexpr int kTileFloats = 64 << 10;
/// Floats of the source that are copied at once.
constexpr int kBandFloats = 24000;
/// Multiply-adds of a task.
constexpr double kTaskWork = 4e6;
/// Tiles of a partial sum of weights at least: adding it up takes as long as a few.
constexpr int kTilesOfPartial = 64;
constexpr int kMostPartials = 8;
constexpr std::size_t kMostPartialFloats = 16'000'000;  // at 256 channels for six of them
/// Channels whose weights are transformed at once.
constexpr int kChannels = 16;
/// Keeps the tiles' rows out of each other's place in the cache.
constexpr int kGap = 16;

std::size_t stride_of(int channels) { return as_size(kProducts * channels + kGap); }

/// Floats of a product's matrix of weights or of their gradient.
std::size_t plane_of(int c, int oc) { return as_size(c) * as_size(oc) + kGap; }

/// Transforms the tiles of the rows [row, end), all images' rows one after the other so that small images share a product.
/// Calls full(count, first) for every grid.tiles of them, and for what is left.
template <class Full>
void transform_rows(const SimdKernels& k, const WinogradGrid& grid, const real* source, int row,
                    int end, real* band, real* tiles, const Full& full) {
  const int columns = kTile * grid.tile_columns + 2;
  const std::size_t in = stride_of(grid.source_c);
  const std::size_t image =
      as_size(grid.source_h) * as_size(grid.source_w) * as_size(grid.source_c);
  const real* a[kMostTiles];
  int first = row * grid.tile_columns, count = 0;
  while (row < end) {
    const int n = row / grid.tile_rows, r = row % grid.tile_rows;
    const int some = std::min({grid.band, grid.tile_rows - r, end - row});
    copy_band(k, source + as_size(n) * image, grid.source_h, grid.source_w, grid.source_c,
              kTile * r - grid.pad_top, kTile * some + 2, -grid.pad_left, columns, band);
    for (int tile = 0; tile < some * grid.tile_columns;) {
      const int taken = std::min(grid.tiles - count, some * grid.tile_columns - tile);
      for (int i = 0; i < taken; ++i) {
        const int y = (tile + i) / grid.tile_columns, x = (tile + i) % grid.tile_columns;
        a[i] = band + as_size(kTile * (y * columns + x)) * as_size(grid.source_c);
      }
      k.winograd_input(taken, a, static_cast<std::ptrdiff_t>(columns) * grid.source_c,
                       grid.source_c, tiles + as_size(count) * in, static_cast<std::ptrdiff_t>(in));
      count += taken;
      tile += taken;
      if (count < grid.tiles) continue;
      full(count, first);
      first += count;
      count = 0;
    }
    row += some;
  }
  if (count > 0) full(count, first);
}

/// Where the side x side results of each tile are in images of h x w; `nowhere` for those beyond an edge.
template <class Value>
void results_of(const WinogradGrid& grid, int side, int h, int w, int count, int first, Value* y,
                Value* nowhere, Value** to) {
  for (int i = 0; i < count; ++i) {
    const int row = (first + i) / grid.tile_columns;
    const int n = row / grid.tile_rows;
    const int top = row % grid.tile_rows * side, left = (first + i) % grid.tile_columns * side;
    for (int r = top; r < top + side; ++r) {
      for (int column = left; column < left + side; ++column) {
        const std::size_t at = as_size(n * h + r) * as_size(w) + as_size(column);
        *to++ = r < h && column < w ? y + at * as_size(grid.out_c) : nowhere;
      }
    }
  }
}

/// Whether there are at most 6 products for an output, where the convolution has 9.
bool fills_tiles(int h, int w) {
  return h * w * 6 >= divide_up(h, kTile) * divide_up(w, kTile) * kProducts;
}

}  // namespace

bool winograd_suits(const Conv2dGeometry& g) {
  const auto pads = [](int pad) { return pad >= 0 && pad <= 2; };
  return g.kh == 3 && g.kw == 3 && g.stride_h == 1 && g.stride_w == 1 && g.dilation_h == 1 &&
         g.dilation_w == 1 && g.groups == 1 && g.c % 16 == 0 && g.oc % 16 == 0 && g.c >= 32 &&
         g.oc >= 32 && pads(g.pad_top) && pads(g.pad_left) && pads(g.pad_bottom) &&
         pads(g.pad_right) && g.oh == g.h + g.pad_top + g.pad_bottom - 2 &&
         g.ow == g.w + g.pad_left + g.pad_right - 2 && fills_tiles(g.oh, g.ow) &&
         fills_tiles(g.h, g.w);
}

WinogradGrid::WinogradGrid(const Conv2dGeometry& g, bool backward)
    : n(g.n),
      source_h(backward ? g.oh : g.h),
      source_w(backward ? g.ow : g.w),
      source_c(backward ? g.oc : g.c),
      out_h(backward ? g.h : g.oh),
      out_w(backward ? g.w : g.ow),
      out_c(backward ? g.c : g.oc),
      pad_top(backward ? 2 - g.pad_top : g.pad_top),
      pad_left(backward ? 2 - g.pad_left : g.pad_left),
      tile_rows(divide_up(out_h, kTile)),
      tile_columns(divide_up(out_w, kTile)),
      band(std::clamp(kBandFloats / (kTile * (source_w + 5) * source_c), 1, tile_rows)),
      tiles(std::clamp(kTileFloats / (kProducts * (g.c + g.oc)) / 12 * 12, 24, kMostTiles)) {}

std::size_t WinogradGrid::band_floats() const {
  return thread_share(as_size(kTile * band + 2) * as_size(kTile * tile_columns + 2) *
                      as_size(source_c));
}

// ---- the convolution and its input gradient ---------------------------------------------------------------------------------------

void WinogradPass::prepare(const Conv2dGeometry& g, bool backward, const Parameter& w,
                           ThreadPool& pool, const SimdKernels& k) {
  Conv2dGeometry same = geometry_;
  same.n = g.n;
  if (same != g || backward != backward_ || weights_.size() == 0) {
    backward_ = backward;
    grid_ = WinogradGrid(g, backward);
    plane_ = plane_of(grid_.source_c, grid_.out_c);
    weights_ = Buffer(kProducts * plane_);
    transformed_from_ = nullptr;
  }
  geometry_ = g;
  grid_.n = g.n;
  if (version_ == w.version && transformed_from_ == w.value.data()) return;
  transform(w.value.data(), pool, k);
  version_ = w.version;
  transformed_from_ = w.value.data();
}

/// G g G^T, in panels as SimdKernels::conv reads them.
void WinogradPass::transform(const real* w, ThreadPool& pool, const SimdKernels& k) {
  const std::ptrdiff_t c = geometry_.c;
  const int panels = divide_up(grid_.out_c, k.panel);
  const double work = 1.0 * kProducts * static_cast<double>(plane_);
  for_tasks(pool, grid_.source_c / kChannels * panels, work, [&](std::size_t, int task) {
    const int i = task / panels * kChannels, o = task % panels * k.panel;
    const int panel = std::min(k.panel, grid_.out_c - o);  // a multiple of the width
    real* const to =
        weights_.data() + as_size(o) * as_size(grid_.source_c) + as_size(i) * as_size(panel);
    const auto plane = static_cast<std::ptrdiff_t>(plane_);
    if (backward_) {  // the taps in reverse
      k.winograd_weights(kChannels, panel, w + (9 * i + 8) * c + o, 9 * c, 1, -c, to, plane);
    } else {
      k.winograd_weights(kChannels, panel, w + 9 * o * c + i, 1, 9 * c, c, to, plane);
    }
  });
}

std::size_t WinogradPass::share() const {
  return grid_.band_floats() +
         thread_share(as_size(grid_.tiles) * (stride_of(grid_.source_c) + stride_of(grid_.out_c)) +
                      as_size(grid_.out_c));
}

template <class Done>
void WinogradPass::multiply(ThreadPool& pool, const SimdKernels& k, const WinogradGrid& grid,
                            const real* source, real* memory, const Done& done) const {
  const std::size_t in = stride_of(grid.source_c), out = stride_of(grid.out_c);
  const std::size_t each = share();
  const int all_rows = grid.n * grid.tile_rows;
  const double row_work = 1.0 * kProducts * grid.tile_columns * grid.source_c * grid.out_c;
  int rows = std::clamp(static_cast<int>(kTaskWork / row_work), 1, divide_up(all_rows, 16));
  // Whole products where that leaves tasks enough.
  const int whole = round_up(rows, grid.tiles / std::gcd(grid.tiles, grid.tile_columns));
  if (all_rows >= 8 * whole) rows = whole;
  for_tasks(pool, divide_up(all_rows, rows), row_work * all_rows,
            [&](std::size_t thread, int task) {
              real* const band = memory + thread * each;
              real* const tiles = band + grid_.band_floats();
              real* const products = tiles + as_size(grid.tiles) * in;
              real* const nowhere = products + as_size(grid.tiles) * out;
              const auto full = [&](int count, int first) {
                const real* a[kMostTiles];
                real* to[kMostTiles];
                for (int i = 0; i < count; ++i) {
                  a[i] = tiles + as_size(i) * in;
                  to[i] = products + as_size(i) * out;
                }
                for (int product = 0; product < kProducts; ++product) {
                  const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(product) * grid.source_c;
                  k.conv(count, a, to, 1, &at, grid.source_c,
                         weights_.data() + as_size(product) * plane_, nullptr, grid.out_c);
                  for (int i = 0; i < count; ++i) to[i] += grid.out_c;
                }
                done(products, static_cast<std::ptrdiff_t>(out), nowhere, count, first);
              };
              transform_rows(k, grid, source, task * rows, std::min((task + 1) * rows, all_rows),
                             band, tiles, full);
            });
}

void WinogradPass::run(ThreadPool& pool, const SimdKernels& k, const real* source, const real* bias,
                       real* y, real* memory) const {
  const real low = geometry_.y_min, high = geometry_.y_max;
  const bool clamped = !backward_ && (!std::isinf(low) || !std::isinf(high));
  multiply(pool, k, grid_, source, memory,
           [&](const real* products, std::ptrdiff_t stride, real* nowhere, int count, int first) {
             real* to[kOutputs * kMostTiles];
             results_of(grid_, kTile, grid_.out_h, grid_.out_w, count, first, y, nowhere, to);
             k.winograd_output(count, products, stride, grid_.out_c, bias, to);
             if (!clamped) return;
             for (int i = 0; i < kOutputs * count; ++i)
               for (int o = 0; o < grid_.out_c; ++o)
                 to[i][o] = std::min(std::max(to[i][o], low), high);
           });
}

void WinogradPass::run_pooled(ThreadPool& pool, const SimdKernels& k, const real* source,
                              const real* bias, real* y, std::uint8_t* winner, real* memory) const {
  const int rows = grid_.out_h / 2, columns = grid_.out_w / 2;
  WinogradGrid tiles = grid_;
  tiles.tile_rows = divide_up(rows, kTile / 2);
  tiles.tile_columns = divide_up(columns, kTile / 2);
  const std::size_t all = as_size(tiles.n) * as_size(rows) * as_size(columns);
  if (all == 0) return;
  const bool past_cache = all * as_size(tiles.out_c) >= kPastCache;
  multiply(pool, k, tiles, source, memory,
           [&](const real* products, std::ptrdiff_t stride, real* nowhere, int count, int first) {
             real* to[kOutputs / 4 * kMostTiles];
             std::uint8_t* who[kOutputs / 4 * kMostTiles];
             results_of(tiles, kTile / 2, rows, columns, count, first, y, nowhere, to);
             results_of(tiles, kTile / 2, rows, columns, count, first, winner,
                        reinterpret_cast<std::uint8_t*>(nowhere), who);
             k.winograd_pool(count, products, stride, tiles.out_c, bias, to, who, past_cache);
           });
}

// ---- the weight gradient ------------------------------------------------------------------------------------------------------------

WinogradWeights::WinogradWeights(const Conv2dGeometry& g)
    : grid_(g, false), stride_(thread_share(kProducts * plane_of(g.c, g.oc) + as_size(g.oc))) {
  const int rows = g.n * grid_.tile_rows;
  const int most = std::min({rows, rows * grid_.tile_columns / kTilesOfPartial, kMostPartials});
  tasks_ = partial_tasks(most, stride_, kMostPartialFloats);
}

std::size_t WinogradWeights::share() const {
  return grid_.band_floats() +
         thread_share(as_size(grid_.tiles) * (stride_of(grid_.source_c) + stride_of(grid_.out_c)) +
                      as_size(grid_.out_c)) +
         kSimdPack;
}

void WinogradWeights::run(ThreadPool& pool, const SimdKernels& k, const real* x, const real* dy,
                          real beta, real* dw, real* db, real* partials, real* memory) const {
  const int c = grid_.source_c, oc = grid_.out_c;
  const std::size_t in = stride_of(c), out = stride_of(oc), each = share();
  const std::size_t plane = plane_of(c, oc);
  const std::int64_t all_rows = std::int64_t{grid_.n} * grid_.tile_rows;
  const double work = 1.0 * kProducts * static_cast<double>(all_rows) * grid_.tile_columns * c * oc;
  for_tasks(pool, tasks_, work, [&](std::size_t thread, int task) {
    real* const band = memory + thread * each;
    real* const tiles = band + grid_.band_floats();
    real* const gradients = tiles + as_size(grid_.tiles) * in;
    real* const zeros = gradients + as_size(grid_.tiles) * out;
    real* const pack = memory + (thread + 1) * each - kSimdPack;
    real* const sums = partials + as_size(task) * stride_;
    real* const bias = sums + kProducts * plane;
    k.fill(as_size(oc), 0, zeros);
    k.fill(as_size(oc), 0, bias);
    bool add = false;
    const int row = static_cast<int>(all_rows * task / tasks_),
              end = static_cast<int>(all_rows * (task + 1) / tasks_);
    const auto full = [&](int count, int first) {
      const real* from[kOutputs * kMostTiles];
      results_of(grid_, kTile, grid_.out_h, grid_.out_w, count, first, dy,
                 static_cast<const real*>(zeros), from);
      k.winograd_gradient(count, from, oc, gradients, static_cast<std::ptrdiff_t>(out), bias);
      for (int product = 0; product < kProducts; ++product) {
        k.gemm_nn(oc, c, count, gradients + product * oc, 1, static_cast<std::ptrdiff_t>(out),
                  tiles + product * c, static_cast<std::ptrdiff_t>(in), count, 0,
                  sums + as_size(product) * plane, c, add, pack);
      }
      add = true;
    };
    transform_rows(k, grid_, x, row, end, band, tiles, full);
  });
  // G^T u G of the sums u.
  const double adding = 1.0 * kProducts * static_cast<double>(plane) * tasks_;
  for_tasks(pool, oc, adding, [&](std::size_t, int o) {
    real* const u = partials + as_size(o) * as_size(c);
    for (int product = 0; product < kProducts; ++product)
      for (int task = 1; task < tasks_; ++task)
        k.add(as_size(c), u + as_size(task) * stride_ + as_size(product) * plane,
              u + as_size(product) * plane);
    k.winograd_taps(c, u, static_cast<std::ptrdiff_t>(plane), dw + as_size(9 * o) * as_size(c),
                    beta != 0);
  });
  if (db == nullptr) return;
  if (beta == 0) k.fill(as_size(oc), 0, db);
  for (int task = 0; task < tasks_; ++task)
    k.add(as_size(oc), partials + as_size(task) * stride_ + kProducts * plane, db);
}

}  // namespace pinhole::simd
