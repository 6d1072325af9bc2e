// The kernels where the target has one vector width: WebAssembly SIMD (relaxed or not) and NEON.
#if !defined(__x86_64__)
#define PINHOLE_SIMD_TABLE kSimdBase
#if defined(__wasm_relaxed_simd__)
#define PINHOLE_SIMD_NAME "wasm relaxed simd"
#elif defined(__wasm__)
#define PINHOLE_SIMD_NAME "wasm simd"
#elif defined(__ARM_NEON)
#define PINHOLE_SIMD_NAME "neon"
#else
#define PINHOLE_SIMD_NAME "generic"
#endif
#define PINHOLE_SIMD_WIDTH 4
#include "simd_kernels.inc"
#endif
