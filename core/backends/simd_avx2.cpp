// The kernels for AVX2 with FMA; core/CMakeLists.txt gives this file its flags.
#if defined(__x86_64__)
#define PINHOLE_SIMD_TABLE kSimdAvx2
#define PINHOLE_SIMD_NAME "avx2"
#define PINHOLE_SIMD_WIDTH 8
#include "simd_kernels.inc"
#endif
