#include "memory_check.h"

#include <cstdio>
#include <fstream>
#include <string>

#include "error.h"

namespace pinhole {
namespace {

std::string gigabytes(std::uint64_t bytes) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.1f GB", static_cast<double>(bytes) * 1e-9);
  return buffer;
}

}  // namespace

std::optional<std::uint64_t> available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  for (std::uint64_t kilobytes; file >> name >> kilobytes; std::getline(file, unit)) {
    if (name == "MemAvailable:") return kilobytes * 1024;
  }
  return std::nullopt;
}

void check_images_fit_memory(std::uint64_t images, int height, int width, int channels) {
  const std::optional<std::uint64_t> available = available_memory();
  const std::uint64_t each = static_cast<std::uint64_t>(height) *
                             static_cast<std::uint64_t>(width) *
                             static_cast<std::uint64_t>(channels);
  if (!available || each == 0 || images <= *available / each) return;
  throw Error(text(images, " images of ", height, 'x', width, 'x', channels, " need ",
                   gigabytes(images * each), " of memory, ", gigabytes(*available),
                   " are free: use a smaller input size or fewer images"));
}

}  // namespace pinhole
