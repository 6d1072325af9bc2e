// What this machine can do at best, on the target this file is compiled for: the limit that kernels are held against.
#pragma once

#include <cstddef>
#include <string>

#include "thread_pool.h"

namespace pinhole::bench {

struct FmaRate {
  std::string instructions;  ///< "AVX2 FMA, 8 lanes"
  double gflops;  ///< all threads of the pool together; a multiply-add counts as two
};
/// The widest multiply-add that this CPU (on wasm: this build) has, in registers alone.
FmaRate fma_rate(ThreadPool& pool);

/// Giga (1e9) bytes a second between the threads of the pool and memory, on arrays larger than any cache.
struct Bandwidth {
  double read;  ///< a sum
  double copy;  ///< memcpy: bytes read plus bytes written
  double triad;  ///< a = b + s * c, bytes read plus bytes written
  double best() const;
};
Bandwidth memory_bandwidth(ThreadPool& pool, std::size_t bytes_per_array);

}  // namespace pinhole::bench
