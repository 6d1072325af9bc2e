#include "mix.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "augment.h"
#include "error.h"
#include "json.h"

namespace pinhole {

namespace mix {

namespace {

/// A copy of `x` in `copy`, and what of it belongs to the partner of image i.
const real* partner(const Tensor& copy, std::size_t i) {
  const auto n = static_cast<std::size_t>(copy.shape().n);
  return copy.data() + (i + n - 1) % n * copy.shape().item();
}

void keep(const Tensor& x, Tensor& copy) {
  copy.resize(x.shape());
  std::copy_n(x.data(), x.size(), copy.data());
}

}  // namespace

void mixup(Tensor& x, Tensor& copy, float share, ThreadPool& pool) {
  keep(x, copy);
  const std::size_t item = x.shape().item();
  const auto own = static_cast<real>(share), other = static_cast<real>(1.0F - share);
  pool.parallel_for(static_cast<std::size_t>(x.shape().n), [&](std::size_t i) {
    real* to = x.data() + i * item;
    const real* from = partner(copy, i);
    for (std::size_t j = 0; j < item; ++j) to[j] = to[j] * own + from[j] * other;
  });
}

double cutmix(Tensor& x, Tensor& copy, double share, int row, int column, ThreadPool& pool) {
  const auto [n, h, w, c] = x.shape();
  const double half = 0.5 * std::sqrt(1 - share);
  const int half_h = static_cast<int>(half * h), half_w = static_cast<int>(half * w);
  const int top = std::max(row - half_h, 0), bottom = std::min(row + half_h, h);
  const int left = std::max(column - half_w, 0), right = std::min(column + half_w, w);
  if (top == bottom || left == right) return 1;
  keep(x, copy);
  const auto pixel = static_cast<std::size_t>(c);
  const auto line = static_cast<std::size_t>(w) * pixel;
  pool.parallel_for(static_cast<std::size_t>(n), [&](std::size_t i) {
    real* to = x.data() + i * x.shape().item();
    const real* from = partner(copy, i);
    for (int y = top; y < bottom; ++y) {
      const std::size_t at =
          static_cast<std::size_t>(y) * line + static_cast<std::size_t>(left) * pixel;
      std::copy_n(from + at, static_cast<std::size_t>(right - left) * pixel, to + at);
    }
  });
  return 1 - static_cast<double>((bottom - top) * (right - left)) / (h * w);
}

// Joehnk (1964), in logarithms, so that a small alpha does not underflow.
double draw_beta(double alpha, Rng& rng) {
  for (;;) {
    const double a = augment::exact_log(1 - rng.uniform()) / alpha;
    const double b = augment::exact_log(1 - rng.uniform()) / alpha;
    const double larger = std::max(a, b);
    const double ea = augment::exact_exp(a - larger), eb = augment::exact_exp(b - larger);
    if (larger + augment::exact_log(ea + eb) <= 0) return ea / (ea + eb);
  }
}

}  // namespace mix

void check_mix(const MixOptions& options) {
  for (const auto& [name, alpha] : {std::pair("mixup_alpha", options.mixup_alpha),
                                    std::pair("cutmix_alpha", options.cutmix_alpha)}) {
    if (!(alpha >= 0 && alpha <= mix::kLargestAlpha))
      throw Error(text(name, " expected a number from 0 to ", Json(mix::kLargestAlpha).dump(),
                       ", got ", Json(alpha).dump()));
  }
}

double mix_batch(const MixOptions& options, std::uint64_t seed, std::uint64_t number, Tensor& x,
                 Tensor& copy, ThreadPool& pool) {
  constexpr std::uint64_t kStream = 0x6d6978;  // "mix"
  Rng rng(mix64(seed) + number, kStream);
  const bool both = options.mixup_alpha > 0 && options.cutmix_alpha > 0;
  const bool cut = both ? rng.below(2) == 1 : options.cutmix_alpha > 0;
  const double share = mix::draw_beta(cut ? options.cutmix_alpha : options.mixup_alpha, rng);
  if (!cut) {
    // The labels are mixed by what the pixels were, a float.
    const auto rounded = static_cast<float>(share);
    mix::mixup(x, copy, rounded, pool);
    return static_cast<double>(rounded);
  }
  const auto row = static_cast<int>(rng.below(static_cast<std::uint32_t>(x.shape().h)));
  const auto column = static_cast<int>(rng.below(static_cast<std::uint32_t>(x.shape().w)));
  return mix::cutmix(x, copy, share, row, column, pool);
}

void labels_before(const std::vector<int>& labels, std::vector<int>& before) {
  before.resize(labels.size());
  std::rotate_copy(labels.begin(), labels.end() - 1, labels.end(), before.begin());
}

}  // namespace pinhole
