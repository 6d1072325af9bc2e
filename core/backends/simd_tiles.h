// What the files of SimdBackend share: how work is cut and how a convolution is described to the kernels.
#pragma once

#include <algorithm>
#include <cstddef>

#include "simd.h"

namespace pinhole::simd {

/// The state of a backend built on SimdBackend, which then finds its own inside: one layer's slot can serve both.
struct NestedState : OpState {
  OpSlot simd;
};

/// Slots of Backend::scratch; slot 0 belongs to the reference bodies.
enum Slot { kBand = 1, kPartial, kLists, kRowIndex, kDense, kTransposed };

inline std::size_t as_size(int i) { return static_cast<std::size_t>(i); }
inline int round_up(int a, int b) { return (a + b - 1) / b * b; }
inline int divide_up(int a, int b) { return (a + b - 1) / b; }

/// Below this many multiply-adds (or values moved, times four) waking a thread costs more than it brings.
constexpr double kWorthThreads = 200e3;

/// Results of that many floats are written past the cache.
constexpr std::size_t kPastCache = std::size_t{2} << 20U;

/// Calls body(thread, task) for each task, on the pool when `work` multiply-adds are worth it.
template <class Body>
void for_tasks(ThreadPool& pool, int count, double work, const Body& body) {
  if (work < kWorthThreads) {
    for (int i = 0; i < count; ++i) body(std::size_t{0}, i);
  } else {
    pool.parallel_for_thread(as_size(count), [&](std::size_t thread, std::size_t i) {
      body(thread, static_cast<int>(i));
    });
  }
}

/// Memory for one thread out of a block for all: a multiple of a cache line, with room to read past the end.
inline std::size_t thread_share(std::size_t count) { return (count + 15) / 16 * 16 + 32; }

/// How many partial sums of `partial` floats each `units` pieces of work are cut into; of all of them together at most `most_floats`.
inline int partial_tasks(int units, std::size_t partial,
                         std::size_t most_floats = std::size_t{4} << 20U) {
  constexpr int kMostTasks = 16;
  const int by_memory = static_cast<int>(std::max<std::size_t>(1, most_floats / (partial + 1)));
  return std::clamp(std::min(units, by_memory), 1, kMostTasks);
}

/// Rows [row, row + rows) and columns [column, column + columns) of an image of [h, w, c], zero outside it.
void copy_band(const SimdKernels& k, const real* source, int h, int w, int c, int row, int rows,
               int column, int columns, real* to);

}  // namespace pinhole::simd
