// Convolutions of 3x3 taps and stride 1 by Winograd's F(4x4, 3x3): 36 products give the 4x4 outputs of a tile, which take 144
// otherwise (Lavin, Gray: "Fast Algorithms for Convolutional Neural Networks", 2015, arXiv:1509.09308). Between two transforms, it is
// 36 products of matrices, [tiles, channels] x [channels, outputs]. With the points 0, a, -a, b, -b and infinity
//
//   y = A^T ((G g G^T) * (B^T d B)) A     dg = G^T ((A dy A^T) * (B^T d B)) G
//
//         [a^2 b^2     0     -(a^2+b^2)     0       1   0]         [ 1/(a^2 b^2)     0      0  ]         [1    1    0    0 ]
//         [   0     -a b^2     -b^2         a       1   0]         [    n_a       n_a a  n_a a^2]         [1    a   a^2  a^3]
//   B^T = [   0      a b^2     -b^2        -a       1   0]     G = [    n_a      -n_a a  n_a a^2]     A = [1   -a   a^2 -a^3]
//         [   0     -b a^2     -a^2         b       1   0]         [    n_b       n_b b  n_b b^2]         [1    b   b^2  b^3]
//         [   0      b a^2     -a^2        -b       1   0]         [    n_b      -n_b b  n_b b^2]         [1   -b   b^2 -b^3]
//         [   0     a^2 b^2      0     -(a^2+b^2)   0   1]         [     0          0      1  ]         [0    0    0    1 ]
//
// where n_a = 1 / (2 a^2 (a^2 - b^2)) and n_b = 1 / (2 b^2 (b^2 - a^2)).
#pragma once

#include "simd_tiles.h"

namespace pinhole::simd {

/// Whether it is the faster way: forward and for both gradients.
bool winograd_suits(const Conv2dGeometry& g);

/// How a picture is cut into tiles: each reads 6x6 cells of the source, and its neighbour those four further.
struct WinogradGrid {
  int n = 0;
  int source_h = 0, source_w = 0, source_c = 0;
  int out_h = 0, out_w = 0, out_c = 0;
  int pad_top = 0, pad_left = 0;
  int tile_rows = 0, tile_columns = 0;
  int band = 0;  // tile rows whose source is copied, with its padding, at once
  int tiles = 0;  // that are multiplied at once

  WinogradGrid() = default;
  WinogradGrid(const Conv2dGeometry& g, bool backward);
  std::size_t band_floats() const;
};

/// The convolution, or its input gradient.
class WinogradPass {
 public:
  /// Plans for `g`, whose batch may change from call to call, and transforms the weights when they have changed.
  void prepare(const Conv2dGeometry& g, bool backward, const Parameter& w, ThreadPool& pool,
               const SimdKernels& k);

  /// Floats of `memory` for each thread.
  std::size_t share() const;

  /// The convolution, or the input gradient with `source` = dy and `y` = dx.
  void run(ThreadPool& pool, const SimdKernels& k, const real* source, const real* bias, real* y,
           real* memory) const;
  /// The convolution, ReLU and MaxPool2d(2): a tile has four windows.
  void run_pooled(ThreadPool& pool, const SimdKernels& k, const real* source, const real* bias,
                  real* y, std::uint8_t* winner, real* memory) const;

 private:
  /// Calls done(products, stride, nowhere, count, first): the products of `count` tiles, of all images' tiles from `first` on, each
  /// `stride` floats after the one before. `nowhere` takes outputs beyond an edge.
  template <class Done>
  void multiply(ThreadPool& pool, const SimdKernels& k, const WinogradGrid& grid,
                const real* source, real* memory, const Done& done) const;
  void transform(const real* w, ThreadPool& pool, const SimdKernels& k);

  Conv2dGeometry geometry_{};
  bool backward_ = false;
  WinogradGrid grid_;
  std::size_t plane_ = 0;  // floats of one of the 36 matrices of weights, and a gap
  Buffer weights_;
  std::uint64_t version_ = 0;
  const real* transformed_from_ = nullptr;
};

/// The weight gradient: partial sums over tasks, added in the order of the tasks.
class WinogradWeights {
 public:
  explicit WinogradWeights(const Conv2dGeometry& g);

  /// Floats of `partials`, and of `memory` for each thread.
  std::size_t partials() const { return stride_ * as_size(tasks_); }
  std::size_t share() const;

  /// dw and db (which may be null) as Backend::conv2d_backward_weight.
  void run(ThreadPool& pool, const SimdKernels& k, const real* x, const real* dy, real beta,
           real* dw, real* db, real* partials, real* memory) const;

 private:
  WinogradGrid grid_;
  int tasks_;
  std::size_t stride_;
};

}  // namespace pinhole::simd
