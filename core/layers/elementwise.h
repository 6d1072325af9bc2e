// The loops of layers that change each value by itself, on all threads.
#pragma once

#include <cstddef>

#include "../layer.h"

namespace pinhole {

/// Values of one task: few enough where each costs an exponential.
constexpr std::size_t kCheapGrain = 16384, kDearGrain = 4096;

/// y[i] = f(x[i]); y may be x.
template <class F>
void map_values(RunContext& context, std::size_t grain, const Tensor& x, Tensor& y, const F& f) {
  const real* from = x.data();
  real* to = y.data();
  context.backend.pool().parallel_ranges(x.size(), grain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) to[i] = f(from[i]);
  });
}

/// dx[i] = f(v[i], dy[i]), where v is the layer's input or output; dx may be dy.
template <class F>
void map_gradient(RunContext& context, std::size_t grain, const Tensor& v, const Tensor& dy,
                  Tensor& dx, const F& f) {
  const real* value = v.data();
  const real* from = dy.data();
  real* to = dx.data();
  context.backend.pool().parallel_ranges(v.size(), grain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) to[i] = f(value[i], from[i]);
  });
}

}  // namespace pinhole
