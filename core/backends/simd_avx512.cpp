// The kernels for AVX-512 (F, BW, DQ, VL); core/CMakeLists.txt gives this file its flags.
#if defined(__x86_64__)
#define PINHOLE_SIMD_TABLE kSimdAvx512
#define PINHOLE_SIMD_NAME "avx512"
#define PINHOLE_SIMD_WIDTH 16
#include "simd_kernels.inc"
#endif
