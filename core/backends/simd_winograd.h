// Convolutions of 3x3 taps and stride 1 by Winograd's F(2x2, 3x3): 16 products give the 2x2 outputs of a tile, which take 36
// otherwise (Lavin, Gray: "Fast Algorithms for Convolutional Neural Networks", 2015, arXiv:1509.09308). Between two transforms
// that only add, it is 16 products of matrices, [tiles, channels] x [channels, outputs].
#pragma once

#include "simd_tiles.h"

namespace pinhole::simd {

class Winograd {
 public:
  /// Whether it is the faster way, forward and for the input gradient alike.
  static bool suits(const Conv2dGeometry& g);

  /// Plans for `g`, whose batch may change from call to call, and transforms the weights when they have changed.
  void prepare(const Conv2dGeometry& g, bool backward, const Parameter& w, ThreadPool& pool,
               const SimdKernels& k);

  /// Floats of `memory` for each thread.
  std::size_t share() const;

  /// The convolution, or the input gradient with `source` = dy and `y` = dx.
  void run(ThreadPool& pool, const SimdKernels& k, const real* source, const real* bias, real* y,
           real* memory) const;
  /// The convolution, ReLU and MaxPool2d(2): a tile is a window.
  void run_pooled(ThreadPool& pool, const SimdKernels& k, const real* source, const real* bias,
                  real* y, std::uint8_t* winner, real* memory) const;

 private:
  /// Calls done(products, stride, nowhere, count, first): the products of `count` tiles, of all images' tiles from `first` on, each
  /// `stride` floats after the one before. `nowhere` takes outputs beyond an edge.
  template <class Done>
  void multiply(ThreadPool& pool, const SimdKernels& k, const real* source, int tile_rows,
                int tile_columns, real* memory, const Done& done) const;
  void transform(const real* w, ThreadPool& pool, const SimdKernels& k);

  Conv2dGeometry geometry_{};
  bool backward_ = false;
  int source_h_ = 0, source_w_ = 0, source_c_ = 0;
  int out_h_ = 0, out_w_ = 0, out_c_ = 0;
  int pad_top_ = 0, pad_left_ = 0;
  int band_ = 0;  // tile rows whose source is copied at once
  int tiles_ = 0;  // that are multiplied at once
  std::size_t plane_ = 0;  // floats of one of the 16 matrices of weights
  Buffer weights_;
  std::uint64_t version_ = 0;
  const real* transformed_from_ = nullptr;
};

}  // namespace pinhole::simd
