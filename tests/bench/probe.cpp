#include "probe.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>

#include "tensor.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

namespace pinhole::bench {

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The shortest of several runs: whatever else the machine does can only make a run longer.
double shortest(int runs, const std::function<void()>& body) {
  double best = 1e30;
  for (int run = 0; run < runs; ++run) {
    const double start = now();
    body();
    best = std::min(best, now() - start);
  }
  return best;
}

// Independent sums: enough to hide the latency of a multiply-add (4 cycles, two a cycle), few enough for 16 registers.
constexpr int kSums = 12;

// One loop for every instruction set. A macro, because a function template does not take on its caller's target. Every sum starts
// elsewhere: a compiler computes equal sums once. Rounds are taken by fours, since a wasm engine spends a few instructions on each.
#define PINHOLE_FMA_ROUND(FMA)                                \
  s0 = FMA(s0, f, a), s1 = FMA(s1, f, a), s2 = FMA(s2, f, a); \
  s3 = FMA(s3, f, a), s4 = FMA(s4, f, a), s5 = FMA(s5, f, a); \
  s6 = FMA(s6, f, a), s7 = FMA(s7, f, a), s8 = FMA(s8, f, a); \
  s9 = FMA(s9, f, a), s10 = FMA(s10, f, a), s11 = FMA(s11, f, a)

#define PINHOLE_FMA_LOOP(NAME, TARGET, VECTOR, SET, FMA, FIRST)                                \
  TARGET float NAME(std::int64_t rounds, float factor, float addend) {                         \
    const VECTOR f = SET(factor), a = SET(addend);                                             \
    VECTOR s0 = SET(addend * 2), s1 = SET(addend * 3), s2 = SET(addend * 4);                   \
    VECTOR s3 = SET(addend * 5), s4 = SET(addend * 6), s5 = SET(addend * 7);                   \
    VECTOR s6 = SET(addend * 8), s7 = SET(addend * 9), s8 = SET(addend * 10);                  \
    VECTOR s9 = SET(addend * 11), s10 = SET(addend * 12), s11 = SET(addend * 13);              \
    for (std::int64_t round = 0; round < rounds; round += 4) {                                 \
      PINHOLE_FMA_ROUND(FMA);                                                                  \
      PINHOLE_FMA_ROUND(FMA);                                                                  \
      PINHOLE_FMA_ROUND(FMA);                                                                  \
      PINHOLE_FMA_ROUND(FMA);                                                                  \
    }                                                                                          \
    return FIRST(s0) + FIRST(s1) + FIRST(s2) + FIRST(s3) + FIRST(s4) + FIRST(s5) + FIRST(s6) + \
           FIRST(s7) + FIRST(s8) + FIRST(s9) + FIRST(s10) + FIRST(s11);                        \
  }

struct Loop {
  const char* instructions;
  int lanes;
  float (*run)(std::int64_t rounds, float factor, float addend);
};

#if defined(__x86_64__)

__m128 multiply_add(__m128 x, __m128 y, __m128 z) { return _mm_add_ps(_mm_mul_ps(x, y), z); }
PINHOLE_FMA_LOOP(sse2_loop, , __m128, _mm_set1_ps, multiply_add, _mm_cvtss_f32)
PINHOLE_FMA_LOOP(avx2_loop, __attribute__((target("avx2,fma"))), __m256, _mm256_set1_ps,
                 _mm256_fmadd_ps, _mm256_cvtss_f32)
PINHOLE_FMA_LOOP(avx512_loop, __attribute__((target("avx512f"))), __m512, _mm512_set1_ps,
                 _mm512_fmadd_ps, _mm512_cvtss_f32)

Loop widest() {
  if (__builtin_cpu_supports("avx512f") != 0) return {"AVX-512 FMA", 16, avx512_loop};
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
    return {"AVX2 FMA", 8, avx2_loop};
  }
  return {"SSE2 multiply and add", 4, sse2_loop};
}

#elif defined(__aarch64__)

float32x4_t multiply_add(float32x4_t x, float32x4_t y, float32x4_t z) { return vfmaq_f32(z, x, y); }
float first(float32x4_t x) { return vgetq_lane_f32(x, 0); }
PINHOLE_FMA_LOOP(neon_loop, , float32x4_t, vdupq_n_f32, multiply_add, first)
Loop widest() { return {"NEON FMA", 4, neon_loop}; }

#elif defined(__wasm_relaxed_simd__)

float first(v128_t x) { return wasm_f32x4_extract_lane(x, 0); }
PINHOLE_FMA_LOOP(wasm_loop, , v128_t, wasm_f32x4_splat, wasm_f32x4_relaxed_madd, first)
Loop widest() { return {"wasm relaxed FMA", 4, wasm_loop}; }

#elif defined(__wasm_simd128__)

float first(v128_t x) { return wasm_f32x4_extract_lane(x, 0); }
v128_t multiply_add(v128_t x, v128_t y, v128_t z) {
  return wasm_f32x4_add(wasm_f32x4_mul(x, y), z);
}
PINHOLE_FMA_LOOP(wasm_loop, , v128_t, wasm_f32x4_splat, multiply_add, first)
Loop widest() { return {"wasm SIMD multiply and add", 4, wasm_loop}; }

#else

float multiply_add(float x, float y, float z) { return x * y + z; }
PINHOLE_FMA_LOOP(scalar_loop, , float, float, multiply_add, float)
Loop widest() { return {"scalar multiply and add", 1, scalar_loop}; }

#endif

// What is computed must be used, or a compiler computes nothing.
volatile double sink;
volatile float kFactor = 0.999F, kAddend = 0.001F;

}  // namespace

FmaRate fma_rate(ThreadPool& pool) {
  const Loop loop = widest();
  const auto threads = static_cast<std::size_t>(pool.threads());
  const float factor = kFactor, addend = kAddend;
  const auto all_threads = [&](std::int64_t rounds) {
    pool.parallel_for(threads, [&](std::size_t) { sink = loop.run(rounds, factor, addend); });
  };
  std::int64_t rounds = 1 << 20;
  all_threads(rounds);
  // About 40 ms a run.
  rounds = static_cast<std::int64_t>(static_cast<double>(rounds) * 0.04 /
                                     shortest(2, [&] { all_threads(rounds); }));
  rounds = rounds / 4 * 4 + 4;
  const double seconds = shortest(7, [&] { all_threads(rounds); });
  const double flops =
      2.0 * kSums * loop.lanes * static_cast<double>(rounds) * static_cast<double>(threads);
  return {
      .instructions = loop.instructions + std::string(", ") + std::to_string(loop.lanes) + " lanes",
      .gflops = flops / seconds / 1e9};
}

double Bandwidth::best() const { return std::max({read, copy, triad}); }

Bandwidth memory_bandwidth(ThreadPool& pool, std::size_t bytes_per_array) {
  constexpr std::size_t kPart = 1 << 16;  // values that a thread takes at a time
  const std::size_t parts = std::max<std::size_t>(1, bytes_per_array / sizeof(real) / kPart);
  const std::size_t count = parts * kPart;
  std::array<Buffer, 3> arrays{Buffer(count), Buffer(count), Buffer(count)};
  for (Buffer& array : arrays) {
    pool.parallel_for(
        parts, [&](std::size_t part) { std::fill_n(array.data() + part * kPart, kPart, real(1)); });
  }
  real *a = arrays[0].data(), *b = arrays[1].data(), *c = arrays[2].data();
  const auto bytes = static_cast<double>(count * sizeof(real));
  constexpr int kRuns = 5;
  Bandwidth result{};
  // Whole numbers, since a compiler may not reorder a sum of floats into vectors.
  result.read = bytes / 1e9 / shortest(kRuns, [&] {
                  pool.parallel_for(parts, [&](std::size_t part) {
                    const auto* values = reinterpret_cast<const std::uint32_t*>(b + part * kPart);
                    std::uint32_t sum = 0;
                    for (std::size_t i = 0; i < kPart * sizeof(real) / sizeof(std::uint32_t); ++i)
                      sum += values[i];
                    sink = sum;
                  });
                });
  result.copy = 2 * bytes / 1e9 / shortest(kRuns, [&] {
                  pool.parallel_for(parts, [&](std::size_t part) {
                    std::memcpy(a + part * kPart, b + part * kPart, kPart * sizeof(real));
                  });
                });
  const real scale = kFactor;
  result.triad = 3 * bytes / 1e9 / shortest(kRuns, [&] {
                   pool.parallel_for(parts, [&](std::size_t part) {
                     for (std::size_t i = part * kPart; i < (part + 1) * kPart; ++i)
                       a[i] = b[i] + scale * c[i];
                   });
                 });
  sink = a[count - 1];
  return result;
}

}  // namespace pinhole::bench
