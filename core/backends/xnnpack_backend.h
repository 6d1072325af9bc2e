// The XNNPACK backend's only door: xnnpack.cpp alone includes the library's header.
#pragma once

#include <memory>

#include "simd.h"

namespace pinhole {

/// Throws Error when XNNPACK cannot run here.
std::shared_ptr<Backend> make_xnnpack_backend(int threads, const SimdKernels& kernels);

}  // namespace pinhole
