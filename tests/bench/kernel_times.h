// Each kernel of a network timed alone, forward and both backwards, on the shapes that the network gives it.
#pragma once

#include <string>
#include <vector>

#include "backend.h"
#include "dataset.h"
#include "json_fwd.h"

namespace pinhole::bench {

struct KernelTime {
  std::string layer;  ///< as in the spec: "conv2"
  std::string kernel;  ///< as in Backend: "conv2d_backward_weight"
  std::string shape;  ///< "32 x 64x64x32 -> 64"
  double seconds;  ///< of one call, the fastest
  double
      gflop;  ///< multiply-add = 2; for the fused kernels of the convolution alone, as if nothing were skipped
  double gigabytes;  ///< 1e9 bytes that a call must at least read and write: each operand once
};

/// Times every kernel for about `seconds` seconds. The network is a spec with Conv2d (square, one group), Linear, and whatever
/// else a network has, which is passed over; ends with the optimizer's step over all parameters.
std::vector<KernelTime> kernel_times(const Json& spec, int classes, int batch, Backend& backend,
                                     double seconds);

/// Random pixels, labels in turn: what every column of the bench trains on.
ImageDataset random_images(const Shape& image, int classes, int count);

/// The answer to {"op": "probe", "threads"} or {"op": "layers", "spec", "classes", "batch", "threads", "seconds"};
/// the same natively and on wasm. Threads 0 means one per core.
Json kernel_answer(const Json& request);

}  // namespace pinhole::bench
