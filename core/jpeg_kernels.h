// The three steps of JPEG decoding that different decoders round differently, rounded as libjpeg(-turbo) does: stb_image's
// own differ from what Pillow, PyTorch's loaders and browsers show by up to 3 grey levels (measured on the photo set).
#pragma once

#include <cstddef>
#include <cstdint>

namespace pinhole {

/// Inverse DCT of one dequantised 8x8 block in natural order, level-shifted and clamped to 0..255: libjpeg's "islow".
void jpeg_idct(std::uint8_t* out, int stride, short block[64]);

/// One component's plane as it is stored: `width` x `height` samples, each standing for h_factor x v_factor pixels.
struct JpegPlane {
  const std::uint8_t* samples = nullptr;
  std::size_t stride = 0;
  int width = 0, height = 0;
  int h_factor = 1, v_factor = 1;

  const std::uint8_t* row(int y) const { return samples + static_cast<std::size_t>(y) * stride; }
};

/// Pixel row y of a plane at full resolution, libjpeg's "fancy" (triangle) upsampling for factors of 2, plain repetition
/// for others. Returns `buffer` (at least width * h_factor bytes) or the plane's own row.
const std::uint8_t* jpeg_upsample_row(const JpegPlane& plane, int y, std::uint8_t* buffer);

/// JFIF's YCbCr to RGB, alpha 255.
void jpeg_ycc_to_rgba(std::uint8_t* rgba, const std::uint8_t* y, const std::uint8_t* cb,
                      const std::uint8_t* cr, int count);

}  // namespace pinhole
