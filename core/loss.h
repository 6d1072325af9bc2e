// Losses from logits, fused and stable; the mean over the batch, as PyTorch's reduction="mean".
#pragma once

#include <span>
#include <vector>

#include "model.h"
#include "tensor.h"

namespace pinhole {

/// As torch.nn.functional.cross_entropy takes them.
struct LossOptions {
  double label_smoothing = 0;  // the part of every target that is spread over all classes
  std::vector<double>
      class_weights;  // one a class, the mean is divided by their sum over the batch; empty: all 1
};

/// A second label for every image (mixup): the first counts with `share`, this one with the rest.
struct SecondLabels {
  std::span<const int> labels;
  double share = 1;
};

/// torch.nn.functional.cross_entropy: logits [n, 1, 1, k], labels in [0, k). Writes dlogits (resized to fit). With second labels it is
/// PyTorch's of class probabilities, whose mean is over the images even where classes have weights.
double cross_entropy(const Tensor& logits, std::span<const int> labels, Tensor& dlogits,
                     const LossOptions& options = {}, const SecondLabels& second = {});

/// torch.nn.functional.binary_cross_entropy_with_logits: logits [n, 1, 1, 1], labels 0 or 1. With options it is the
/// cross_entropy of two classes whose logits are 0 and z.
double binary_cross_entropy(const Tensor& logits, std::span<const int> labels, Tensor& dlogits,
                            const LossOptions& options = {}, const SecondLabels& second = {});

double loss(LossKind kind, const Tensor& logits, std::span<const int> labels, Tensor& dlogits,
            const LossOptions& options = {}, const SecondLabels& second = {});

/// Class of the highest logit (for one output: 1 where it is above 0) of each image.
int predicted_class(const real* logits, int outputs);

}  // namespace pinhole
