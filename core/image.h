// Encoded bytes -> RGBA8 -> the model's input size as uint8. Follows Pillow and torchvision, so that the page,
// the command line and PyTorch see the same numbers. No files here: callers bring bytes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace pinhole {

/// Row-major RGBA, 8 bits a channel, not premultiplied; upright (EXIF orientation already applied).
struct Image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgba;  // height * width * 4
};

struct DecodeLimits {
  std::int64_t max_pixels =
      100'000'000;  ///< width * height above this is refused before memory is taken
};

/// Throws Error when an image of this size is not allowed.
void check_image_size(std::int64_t width, std::int64_t height, const DecodeLimits& limits);

/// Decodes JPEG, PNG, BMP, GIF (first frame) and TGA with stb_image, and PPM/PGM; grey, 16-bit, palette and CMYK come
/// out as RGBA8, the EXIF orientation is applied. JPEGs give Pillow's pixels exactly.
/// Throws Error naming what is wrong: empty, not an image, truncated, too large, a format it does not know
/// (WebP, HEIC, AVIF, TIFF and others are recognised and named). The error does not know the path: callers prefix it.
Image decode_image(std::span<const std::uint8_t> bytes, const DecodeLimits& limits = {});

/// Rotates and flips by an EXIF orientation, 1 to 8; any other value leaves the image as it is.
Image apply_orientation(Image image, int orientation);

/// The largest part in the middle that has the proportions height : width. Of an odd rest the last row or column is the one more.
Image center_crop(const Image& image, int height, int width);

/// Composites alpha on white, brings to `channels` (3 = RGB, 1 = grey as Pillow's convert("L")) and resizes to
/// height x width with Pillow's antialiased bilinear filter (torchvision's Resize((height, width)) on a PIL image).
/// Returns height * width * channels bytes, row-major, channels last.
std::vector<std::uint8_t> to_input(const Image& image, int height, int width, int channels);

/// The same for pixels that are already grey or RGB (channels_in 1 or 3), as IDX files hold them.
std::vector<std::uint8_t> to_input(std::span<const std::uint8_t> pixels, int height_in,
                                   int width_in, int channels_in, int height, int width,
                                   int channels);

/// What a model makes of a picture: its spec's "input" and "crop".
struct Preparation {
  int height = 0, width = 0, channels = 0;
  bool center_crop = false;  ///< of the picture only center_crop is looked at
};

std::vector<std::uint8_t> to_input(const Image& image, const Preparation& preparation);

}  // namespace pinhole
