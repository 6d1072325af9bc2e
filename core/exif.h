// The one thing Pinhole reads from EXIF: how the camera was held.
#pragma once

#include <cstdint>
#include <span>

namespace pinhole {

/// Orientation 1 to 8 from a TIFF structure (what follows "Exif\0\0" in a JPEG's APP1, a PNG's eXIf chunk, a WebP's
/// EXIF chunk; a leading "Exif\0\0" is skipped). 1, upright, when there is none or it makes no sense: never throws.
int exif_orientation(std::span<const std::uint8_t> tiff);

}  // namespace pinhole
