// mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019): each image of a batch is mixed with the one before it (the first with the
// last), and so are their labels; as in torchvision's references/classification. What is drawn follows from seed and step alone: the same
// bytes natively and in WebAssembly, for any number of threads.
#pragma once

#include <cstdint>
#include <vector>

#include "rng.h"
#include "tensor.h"
#include "thread_pool.h"

namespace pinhole {

struct MixOptions {
  // Parameters of the Beta distribution that shares are drawn from; 0: not at all. With both, chance picks one for each batch.
  double mixup_alpha = 0, cutmix_alpha = 0;
  bool any() const { return mixup_alpha > 0 || cutmix_alpha > 0; }
};

/// Throws Error where an alpha cannot be meant.
void check_mix(const MixOptions& options);

/// Mixes `x` as the step `number` of a training does. Returns the share that an image's own label keeps; the rest goes to that of the image
/// before it (labels_before). `copy` is room for the batch as it was.
double mix_batch(const MixOptions& options, std::uint64_t seed, std::uint64_t number, Tensor& x,
                 Tensor& copy, ThreadPool& pool);

/// The labels of each image's partner.
void labels_before(const std::vector<int>& labels, std::vector<int>& before);

/// Building stones, tested against PyTorch.
namespace mix {

/// x[i] = share * x[i] + (1 - share) * x[i - 1].
void mixup(Tensor& x, Tensor& copy, float share, ThreadPool& pool);
/// A box around (row, column), cut at the image's edges, of 1 - share of the image, comes from x[i - 1]. Returns the share that is left.
double cutmix(Tensor& x, Tensor& copy, double share, int row, int column, ThreadPool& pool);
/// From the symmetric Beta distribution; 0 < alpha <= kLargestAlpha.
double draw_beta(double alpha, Rng& rng);
constexpr double kLargestAlpha = 4;

}  // namespace mix

}  // namespace pinhole
