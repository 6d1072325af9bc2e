// A trained value, its gradient, and a version that rises whenever the value is written: backends compare it to know that
// packed weights are stale.
#pragma once

#include <cstdint>
#include <string>

#include "tensor.h"

namespace pinhole {

/// How PyTorch lays the tensor out; model_file.cpp alone converts.
enum class Layout {
  kVector,  // [c]
  kConvWeight,  // here [oc, kh, kw, ic], PyTorch [oc, ic, kh, kw]
  kLinearWeight,  // here [out, h, w, c], PyTorch [out, c * h * w]: columns in the order of PyTorch's Flatten
  kCount  // here one value, PyTorch an int64 scalar (num_batches_tracked)
};

struct Parameter {
  std::string name;  // as in PyTorch's state_dict: "conv1.weight"
  Layout layout = Layout::kVector;
  Tensor value;  // kVector [1,1,1,c]; kLinearWeight [out, h, w, c] of the input before Flatten
  Tensor grad;  // like value; allocated when training starts
  std::uint64_t version = 1;
  bool requires_grad = true;  // false: the optimizer leaves it alone
  bool grad_empty = true;  // no gradient since the last zero_grad: the next is assigned, not added

  void changed() { ++version; }
  void zero_grad() { grad_empty = true; }
  /// The factor for the old gradient in the next accumulation; allocates the gradient when there is none yet.
  real take_beta() {
    if (grad.size() != value.size()) grad.resize(value.shape());
    const real beta = grad_empty ? real(0) : real(1);
    grad_empty = false;
    return beta;
  }
};

}  // namespace pinhole
