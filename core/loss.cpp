#include "loss.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace pinhole {

double cross_entropy(const Tensor& logits, std::span<const int> labels, Tensor& dlogits) {
  const auto n = labels.size();
  const auto k = static_cast<std::size_t>(logits.shape().c);
  assert(logits.size() == n * k);
  dlogits.resize(logits.shape());
  double total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const real* z = logits.data() + i * k;
    real* dz = dlogits.data() + i * k;
    const double largest = *std::max_element(z, z + k);
    double sum = 0;
    for (std::size_t c = 0; c < k; ++c) sum += std::exp(z[c] - largest);
    const auto label = static_cast<std::size_t>(labels[i]);
    assert(label < k);
    total += std::log(sum) + largest - z[label];
    for (std::size_t c = 0; c < k; ++c) {
      const double p = std::exp(z[c] - largest) / sum;
      dz[c] = static_cast<real>((p - (c == label ? 1 : 0)) / static_cast<double>(n));
    }
  }
  return total / static_cast<double>(n);
}

double binary_cross_entropy(const Tensor& logits, std::span<const int> labels, Tensor& dlogits) {
  const auto n = labels.size();
  assert(logits.size() == n);
  dlogits.resize(logits.shape());
  double total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double z = logits.data()[i];
    const double target = labels[i];
    // -t log(sigmoid(z)) - (1 - t) log(1 - sigmoid(z)), without overflow for any z.
    total += std::max(z, 0.0) - z * target + std::log1p(std::exp(-std::abs(z)));
    dlogits.data()[i] =
        static_cast<real>((1 / (1 + std::exp(-z)) - target) / static_cast<double>(n));
  }
  return total / static_cast<double>(n);
}

double loss(LossKind kind, const Tensor& logits, std::span<const int> labels, Tensor& dlogits) {
  return kind == LossKind::kBinaryCrossEntropy ? binary_cross_entropy(logits, labels, dlogits)
                                               : cross_entropy(logits, labels, dlogits);
}

int predicted_class(const real* logits, int outputs) {
  if (outputs == 1) return logits[0] > 0 ? 1 : 0;
  return static_cast<int>(std::max_element(logits, logits + outputs) - logits);
}

}  // namespace pinhole
