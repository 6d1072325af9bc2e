// Backends by name. The build for gradient checks in double has the reference alone.
#include "backend.h"
#include "error.h"

#ifndef PINHOLE_DOUBLE
#include "simd.h"
#include "xnnpack_backend.h"
#endif

namespace pinhole {

std::vector<std::string> backend_names() {
#ifdef PINHOLE_DOUBLE
  return {"reference"};
#else
  return {"reference", "simd", "xnnpack"};
#endif
}

std::shared_ptr<Backend> make_backend(std::string_view name, int threads) {
  if (name == "reference") return std::make_shared<Backend>(threads);
#ifdef PINHOLE_DOUBLE
  if (name == "auto") return std::make_shared<Backend>(threads);
#else
  // Measured on convolutions of 64 channels: GCC spills an accumulator of XNNPACK's AVX2 kernel and ours is 2.4 times as fast;
  // with AVX-512 and in WebAssembly XNNPACK's are the faster ones.
  if (name == "auto") {
#if defined(__x86_64__)
    name = find_simd_kernels()->width < 16 ? "simd" : "xnnpack";
#else
    name = "xnnpack";
#endif
  }
  // "simd:sse2" forces an instruction set, for tests and comparisons.
  const std::size_t colon = name.find(':');
  const std::string_view family = name.substr(0, colon);
  const std::string_view instruction_set =
      colon == std::string_view::npos ? std::string_view() : name.substr(colon + 1);
  if (family == "simd" || family == "xnnpack") {
    const SimdKernels* kernels = find_simd_kernels(instruction_set);
    if (kernels == nullptr) {
      std::string known;
      for (const std::string& one : simd_instruction_sets())
        known += (known.empty() ? "" : ", ") + one;
      throw Error(text("instruction set \"", instruction_set,
                       "\" is not one that this machine runs: ", known));
    }
    if (family == "simd") return std::make_shared<SimdBackend>(threads, *kernels);
    return make_xnnpack_backend(threads, *kernels);
  }
#endif
  std::string known = "auto";
  for (const std::string& one : backend_names()) known += ", " + one;
  throw Error(text("unknown backend \"", name, "\": expected one of ", known));
}

}  // namespace pinhole
