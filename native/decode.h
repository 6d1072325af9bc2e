// What the command line reads beyond the core: files, and WebP through libwebp (the page uses the browser's own decoder).
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "image.h"

namespace pinhole {

/// The core's decode_image, and WebP (of an animation the first frame). Errors do not know the path.
Image decode_any_image(std::span<const std::uint8_t> bytes, const DecodeLimits& limits = {});

/// The bytes of a file that may be an image; errors begin with the path.
std::vector<std::uint8_t> read_image_file(const std::filesystem::path& path);

/// Reads and decodes a file; errors begin with the path.
Image decode_file(const std::filesystem::path& path, const DecodeLimits& limits = {});

}  // namespace pinhole
