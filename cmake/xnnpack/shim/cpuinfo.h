/* The few calls that XNNPACK makes to the cpuinfo library, answered by the compiler's own CPU detection (x86-64) or by what
 * every AArch64 core has. XNNPACK includes this as <cpuinfo.h>; float32 micro-kernels run at the same speed as with the library. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cpuinfo_uarch {
  cpuinfo_uarch_unknown = 0,
  /* x86-64 */
  cpuinfo_uarch_zen,
  cpuinfo_uarch_dhyana,
  cpuinfo_uarch_zen4,
  /* AArch64 */
  cpuinfo_uarch_kryo,
  cpuinfo_uarch_cortex_a35,
  cpuinfo_uarch_cortex_a53,
  cpuinfo_uarch_cortex_a55r0,
  cpuinfo_uarch_cortex_a55,
  cpuinfo_uarch_cortex_a57,
  cpuinfo_uarch_cortex_a72,
  cpuinfo_uarch_cortex_a73,
  cpuinfo_uarch_cortex_a75,
  cpuinfo_uarch_cortex_a76,
  cpuinfo_uarch_cortex_a77,
  cpuinfo_uarch_cortex_a78,
  cpuinfo_uarch_cortex_a510,
  cpuinfo_uarch_cortex_a710,
  cpuinfo_uarch_cortex_a715,
  cpuinfo_uarch_cortex_x1,
  cpuinfo_uarch_cortex_x2,
  cpuinfo_uarch_cortex_x3,
  cpuinfo_uarch_neoverse_n1,
  cpuinfo_uarch_neoverse_n2,
  cpuinfo_uarch_neoverse_v1,
  cpuinfo_uarch_neoverse_v2,
  cpuinfo_uarch_exynos_m1,
  cpuinfo_uarch_exynos_m2,
  cpuinfo_uarch_exynos_m3,
  cpuinfo_uarch_exynos_m4,
  cpuinfo_uarch_exynos_m5,
};

struct cpuinfo_core {
  enum cpuinfo_uarch uarch;
};
struct cpuinfo_uarch_info {
  enum cpuinfo_uarch uarch;
};

static inline const struct cpuinfo_core* cpuinfo_get_core(uint32_t index) {
  static const struct cpuinfo_core core = {cpuinfo_uarch_unknown};
  (void)index;
  return &core;
}

#if defined(__x86_64__)

static inline bool cpuinfo_initialize(void) {
  __builtin_cpu_init();
  return true;
}
#define CPUINFO_HAS(name, feature) \
  static inline bool cpuinfo_has_x86_##name(void) { return __builtin_cpu_supports(feature) != 0; }
#define CPUINFO_HAS_NOT(name) \
  static inline bool cpuinfo_has_x86_##name(void) { return false; }
CPUINFO_HAS(ssse3, "ssse3")
CPUINFO_HAS(sse4_1, "sse4.1")
CPUINFO_HAS(avx, "avx")
CPUINFO_HAS(f16c,
            "avx2") /* every CPU with AVX2 has F16C; not every compiler knows the name "f16c" */
CPUINFO_HAS(fma3, "fma")
CPUINFO_HAS(avx2, "avx2")
CPUINFO_HAS(avx512f, "avx512f")
CPUINFO_HAS(avx512bw, "avx512bw")
CPUINFO_HAS(avx512dq, "avx512dq")
CPUINFO_HAS(avx512vl, "avx512vl")
CPUINFO_HAS(avx512vbmi, "avx512vbmi")
CPUINFO_HAS(avx512vnni, "avx512vnni")
CPUINFO_HAS(gfni, "gfni")
CPUINFO_HAS_NOT(avxvnni)
CPUINFO_HAS_NOT(avx_vnni_int8)
CPUINFO_HAS_NOT(avx512fp16)
CPUINFO_HAS_NOT(amx_int8)

#elif defined(__aarch64__)

static inline bool cpuinfo_initialize(void) { return true; }
#define CPUINFO_HAS(name, value) \
  static inline bool cpuinfo_has_arm_##name(void) { return value; }
CPUINFO_HAS(vfpv3, true)
CPUINFO_HAS(neon, true)
CPUINFO_HAS(neon_fp16, true)
CPUINFO_HAS(neon_fma, true)
CPUINFO_HAS(neon_v8, true)
CPUINFO_HAS(fp16_arith, false) /* no half-precision or integer micro-kernels are built */
CPUINFO_HAS(neon_fp16_arith, false)
CPUINFO_HAS(neon_bf16, false)
CPUINFO_HAS(neon_dot, false)
CPUINFO_HAS(i8mm, false)
CPUINFO_HAS(sve, false)
CPUINFO_HAS(sve2, false)
CPUINFO_HAS(sme, false)
CPUINFO_HAS(sme2, false)

#endif

#undef CPUINFO_HAS
#undef CPUINFO_HAS_NOT
