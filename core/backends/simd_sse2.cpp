// The kernels for any x86-64.
#if defined(__x86_64__)
#define PINHOLE_SIMD_TABLE kSimdSse2
#define PINHOLE_SIMD_NAME "sse2"
#define PINHOLE_SIMD_WIDTH 4
#include "simd_kernels.inc"
#endif
