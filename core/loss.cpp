#include "loss.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace pinhole {

namespace {

/// What the labels' weights add up to; each is 1 unless the options say otherwise.
double total_weight(std::span<const int> labels, const LossOptions& options, bool mixed) {
  if (options.class_weights.empty() || mixed) return static_cast<double>(labels.size());
  double total = 0;
  for (const int label : labels) total += options.class_weights[static_cast<std::size_t>(label)];
  return total;
}

}  // namespace

// With smoothing e, weights w, log-probabilities l, k classes and the part p[c] of class c in the label (1 and 0, unless mixed), an image
// costs sum_c(t[c] * -l[c]), where class c has the target t[c] = w[c] * ((1 - e) * p[c] + e / k).
double cross_entropy(const Tensor& logits, std::span<const int> labels, Tensor& dlogits,
                     const LossOptions& options, const SecondLabels& second) {
  const auto n = labels.size();
  const auto k = static_cast<std::size_t>(logits.shape().c);
  assert(logits.size() == n * k);
  dlogits.resize(logits.shape());
  const bool mixed = !second.labels.empty();
  const double weight = total_weight(labels, options, mixed);
  const double spread = options.label_smoothing / static_cast<double>(k);
  const bool plain = options.label_smoothing == 0 && options.class_weights.empty() && !mixed;
  const auto weight_of = [&](std::size_t c) {
    return options.class_weights.empty() ? 1.0 : options.class_weights[c];
  };
  double total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const real* z = logits.data() + i * k;
    real* dz = dlogits.data() + i * k;
    const double largest = *std::max_element(z, z + k);
    double sum = 0;
    for (std::size_t c = 0; c < k; ++c) sum += std::exp(z[c] - largest);
    const auto label = static_cast<std::size_t>(labels[i]);
    assert(label < k);
    const double log_sum = std::log(sum) + largest;
    if (plain) {
      total += log_sum - z[label];
      for (std::size_t c = 0; c < k; ++c) {
        const double p = std::exp(z[c] - largest) / sum;
        dz[c] = static_cast<real>((p - (c == label ? 1 : 0)) / weight);
      }
      continue;
    }
    const auto other = mixed ? static_cast<std::size_t>(second.labels[i]) : label;
    const auto target = [&](std::size_t c) {
      const double part =
          (c == label ? second.share : 0) + (mixed && c == other ? 1 - second.share : 0);
      return weight_of(c) * ((1 - options.label_smoothing) * part + spread);
    };
    double targets = 0;
    for (std::size_t c = 0; c < k; ++c) {
      targets += target(c);
      total += target(c) * (log_sum - z[c]);
    }
    for (std::size_t c = 0; c < k; ++c) {
      const double p = std::exp(z[c] - largest) / sum;
      dz[c] = static_cast<real>((p * targets - target(c)) / weight);
    }
  }
  return total / weight;
}

double binary_cross_entropy(const Tensor& logits, std::span<const int> labels, Tensor& dlogits,
                            const LossOptions& options, const SecondLabels& second) {
  const auto n = labels.size();
  assert(logits.size() == n);
  dlogits.resize(logits.shape());
  const bool mixed = !second.labels.empty();
  const double weight = total_weight(labels, options, mixed);
  const double spread = options.label_smoothing / 2;
  const bool weighted = !options.class_weights.empty();
  const double weight0 = weighted ? options.class_weights[0] : 1;
  const double weight1 = weighted ? options.class_weights[1] : 1;
  double total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double z = logits.data()[i];
    // -t1 log(sigmoid(z)) - t0 log(1 - sigmoid(z)), without overflow for any z.
    const double kept = 1 - options.label_smoothing;
    const auto part = [&](int label) {
      return (labels[i] == label ? second.share : 0) +
             (mixed && second.labels[i] == label ? 1 - second.share : 0);
    };
    const double t1 = weight1 * (kept * part(1) + spread);
    const double t0 = weight0 * (kept * part(0) + spread);
    const double log_term = std::log1p(std::exp(-std::abs(z)));
    total += t1 * (std::max(-z, 0.0) + log_term) + t0 * (std::max(z, 0.0) + log_term);
    dlogits.data()[i] = static_cast<real>(((t0 + t1) / (1 + std::exp(-z)) - t1) / weight);
  }
  return total / weight;
}

double loss(LossKind kind, const Tensor& logits, std::span<const int> labels, Tensor& dlogits,
            const LossOptions& options, const SecondLabels& second) {
  return kind == LossKind::kBinaryCrossEntropy
             ? binary_cross_entropy(logits, labels, dlogits, options, second)
             : cross_entropy(logits, labels, dlogits, options, second);
}

int predicted_class(const real* logits, int outputs) {
  if (outputs == 1) return logits[0] > 0 ? 1 : 0;
  return static_cast<int>(std::max_element(logits, logits + outputs) - logits);
}

}  // namespace pinhole
