// Losses from logits, fused and stable; the mean over the batch, as PyTorch's reduction="mean".
#pragma once

#include <span>

#include "model.h"
#include "tensor.h"

namespace pinhole {

/// torch.nn.functional.cross_entropy: logits [n, 1, 1, k], labels in [0, k). Writes dlogits (resized to fit).
double cross_entropy(const Tensor& logits, std::span<const int> labels, Tensor& dlogits);

/// torch.nn.functional.binary_cross_entropy_with_logits: logits [n, 1, 1, 1], labels 0 or 1.
double binary_cross_entropy(const Tensor& logits, std::span<const int> labels, Tensor& dlogits);

double loss(LossKind kind, const Tensor& logits, std::span<const int> labels, Tensor& dlogits);

/// Class of the highest logit (for one output: 1 where it is above 0) of each image.
int predicted_class(const real* logits, int outputs);

}  // namespace pinhole
