// Says that a data set is too large before the kernel ends the program for it.
#pragma once

#include <cstdint>
#include <optional>

namespace pinhole {

/// Bytes the system could still give (Linux's MemAvailable); nothing where that is not known.
std::optional<std::uint64_t> available_memory();

/// Throws Error when `images` images at height x width x channels bytes do not fit into the available memory.
void check_images_fit_memory(std::uint64_t images, int height, int width, int channels);

}  // namespace pinhole
