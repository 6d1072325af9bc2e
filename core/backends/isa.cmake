# Flags for the kernels that are compiled once per instruction set. -O3 in every build type: without it a debug build of the
# kernels is a hundred times slower than they are meant to be (but under sanitizers -O3 takes a minute a file). Never -ffast-math: it breaks NaN, signed zeros and XNNPACK.
set(PINHOLE_KERNEL_FLAGS -fno-math-errno)
if(EMSCRIPTEN)  # loops that are worth it are unrolled by hand: 3 KB less to download, gzipped, and no slower
  list(APPEND PINHOLE_KERNEL_FLAGS -fno-unroll-loops)
endif()
if(NOT PINHOLE_SANITIZE)
  list(APPEND PINHOLE_KERNEL_FLAGS -O3)
endif()
set_source_files_properties(backends/simd_base.cpp backends/simd_sse2.cpp PROPERTIES COMPILE_OPTIONS "${PINHOLE_KERNEL_FLAGS}")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND NOT EMSCRIPTEN)
  set(PINHOLE_KERNEL_FLAGS ${PINHOLE_KERNEL_FLAGS} -ffp-contract=fast -mfma)
  set_source_files_properties(backends/simd_avx2.cpp PROPERTIES COMPILE_OPTIONS "${PINHOLE_KERNEL_FLAGS};-mavx2")
  set_source_files_properties(backends/simd_avx512.cpp PROPERTIES COMPILE_OPTIONS
    "${PINHOLE_KERNEL_FLAGS};-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mprefer-vector-width=512")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 warns about its own avx512fintrin.h (its bug 105593).
    set_property(SOURCE backends/simd_avx512.cpp APPEND PROPERTY COMPILE_OPTIONS -Wno-maybe-uninitialized -Wno-uninitialized)
  endif()
endif()
