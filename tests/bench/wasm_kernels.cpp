// The probe and the kernel times for JavaScript: kernelBench takes a request as JSON and gives the answer as JSON.
#include <emscripten/bind.h>

#include "json.h"
#include "kernel_times.h"

namespace {

std::string kernel_bench(const std::string& request) {
  try {
    return pinhole::bench::kernel_answer(pinhole::parse_json(request, "the request")).dump();
  } catch (const std::exception& problem) {
    return pinhole::Json{{"error", problem.what()}}.dump();
  }
}

}  // namespace

EMSCRIPTEN_BINDINGS(kernels) { emscripten::function("kernelBench", &kernel_bench); }
