# What every target of Pinhole is compiled and linked with. Set once for all files of a build, so that no inline function
# exists in two versions; a file that needs a wider instruction set is compiled with its own flags and dispatched to at run time.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")

# A second build folder, another clone, or a switch between branches, compiles only what it must where ccache is installed.
find_program(PINHOLE_CCACHE ccache)
if(PINHOLE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} ${PINHOLE_CCACHE})
endif()

# Never -ffast-math: it made XNNPACK return wrong results and breaks NaN and infinity. These two are harmless.
add_compile_options(-fno-math-errno -fno-trapping-math)
add_compile_options(-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual)
if(PINHOLE_WERROR)
  add_compile_options(-Werror)
endif()
if(PINHOLE_SANITIZE)
  add_compile_options(-fsanitize=${PINHOLE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${PINHOLE_SANITIZE})
endif()

# wasm: each variant is one set of flags for every file, at compile and at link time.
if(EMSCRIPTEN)
  set(wasm_flags -msimd128 -fwasm-exceptions)
  if(PINHOLE_WASM_VARIANT MATCHES "^relaxed")
    list(APPEND wasm_flags -mrelaxed-simd)
  endif()
  if(PINHOLE_WASM_VARIANT MATCHES "-threads$")
    list(APPEND wasm_flags -pthread)
  endif()
  add_compile_options(${wasm_flags})
  add_link_options(${wasm_flags})
endif()
