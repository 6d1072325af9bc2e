#include "weights.h"

#include <algorithm>
#include <cassert>

namespace pinhole {

void copy_weights(const std::vector<Parameter*>& from, Weights& to) {
  to.resize(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    const Tensor& value = from[i]->value;
    to[i].resize(value.shape());
    std::copy_n(value.data(), value.size(), to[i].data());
  }
}

void set_weights(const std::vector<Parameter*>& to, const Weights& from) {
  assert(to.size() == from.size());
  for (std::size_t i = 0; i < to.size(); ++i) {
    std::copy_n(from[i].data(), from[i].size(), to[i]->value.data());
    to[i]->changed();
  }
}

void swap_weights(const std::vector<Parameter*>& model, Weights& kept) {
  assert(model.size() == kept.size());
  for (std::size_t i = 0; i < model.size(); ++i) {
    std::swap_ranges(kept[i].data(), kept[i].data() + kept[i].size(), model[i]->value.data());
    model[i]->changed();
  }
}

void average_weights(const std::vector<Parameter*>& now, double decay, Weights& average) {
  if (average.empty()) {
    copy_weights(now, average);
    return;
  }
  for (std::size_t i = 0; i < now.size(); ++i) {
    const real* w = now[i]->value.data();
    real* a = average[i].data();
    const std::size_t size = average[i].size();
    if (now[i]->layout == Layout::kCount) {
      std::copy_n(w, size, a);
      continue;
    }
    // In this form what never changes, as frozen weights do, stays what it is to the last bit.
    const auto part = static_cast<real>(1 - decay);
    for (std::size_t j = 0; j < size; ++j) a[j] += part * (w[j] - a[j]);
  }
}

}  // namespace pinhole
