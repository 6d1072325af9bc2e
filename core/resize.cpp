// to_input: Pillow's convert("RGB"), convert("L") and resize(..., BILINEAR), bit for bit (src/libImaging/Convert.c and
// Resample.c, ImagingResample for 8 bits a channel): a horizontal pass to uint8, then a vertical one, with coefficients
// in 22-bit fixed point.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "error.h"
#include "image.h"

namespace pinhole {
namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;

/// For each output position the input positions it is made of and their weights.
struct Taps {
  int stride = 0;  // of `weights`, an output position
  std::vector<int> first, count;
  std::vector<std::int32_t> weights;
};

// NOLINTBEGIN(bugprone-incorrect-roundings): Pillow rounds by adding 0.5 and truncating.
/// Antialiased bilinear: a triangle as wide as one output pixel covers, at least two input pixels.
Taps bilinear_taps(int size_in, int size_out) {
  const double scale = static_cast<double>(size_in) / size_out;
  const double support = std::max(scale, 1.0);  // of the triangle, whose own support is 1
  Taps taps;
  taps.stride = static_cast<int>(std::ceil(support)) * 2 + 1;
  taps.first.resize(size_out);
  taps.count.resize(size_out);
  taps.weights.resize(static_cast<std::size_t>(size_out) * taps.stride);
  std::vector<double> exact(taps.stride);
  for (int i = 0; i < size_out; ++i) {
    const double center = (i + 0.5) * scale, inverse = 1.0 / support;
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int count = std::min(static_cast<int>(center + support + 0.5), size_in) - first;
    double sum = 0;
    for (int k = 0; k < count; ++k) {
      const double distance = std::abs((k + first - center + 0.5) * inverse);
      exact[k] = distance < 1.0 ? 1.0 - distance : 0.0;
      sum += exact[k];
    }
    std::int32_t* const weights = taps.weights.data() + static_cast<std::size_t>(i) * taps.stride;
    for (int k = 0; k < count; ++k) {
      const double weight = sum != 0.0 ? exact[k] / sum : exact[k];
      weights[k] = static_cast<std::int32_t>(0.5 + weight * (1 << kPrecisionBits));
    }
    taps.first[i] = first;
    taps.count[i] = count;
  }
  return taps;
}

// NOLINTEND(bugprone-incorrect-roundings)

std::uint8_t rounded(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::min(sum >> kPrecisionBits, 255));
}

/// One row: in [width_in, Channels] -> out [width_out, Channels].
template <int Channels>
void resize_row(const std::uint8_t* in, const Taps& taps, int width_out, std::uint8_t* out) {
  for (int x = 0; x < width_out; ++x) {
    const std::uint8_t* pixel = in + static_cast<std::size_t>(taps.first[x]) * Channels;
    const std::int32_t* const weights =
        taps.weights.data() + static_cast<std::size_t>(x) * taps.stride;
    std::int32_t sums[Channels];
    for (std::int32_t& sum : sums) sum = 1 << (kPrecisionBits - 1);
    for (int k = 0; k < taps.count[x]; ++k, pixel += Channels) {
      for (int c = 0; c < Channels; ++c) sums[c] += pixel[c] * weights[k];
    }
    for (int c = 0; c < Channels; ++c) *out++ = rounded(sums[c]);
  }
}

/// in [height_in, width_in, channels] -> [height, width, channels].
std::vector<std::uint8_t> resize(const std::uint8_t* in, int height_in, int width_in, int channels,
                                 int height, int width) {
  const std::size_t row_in = static_cast<std::size_t>(width_in) * channels,
                    row = static_cast<std::size_t>(width) * channels;
  std::vector<std::uint8_t> narrowed;
  if (width_in != width) {
    const Taps taps = bilinear_taps(width_in, width);
    const auto resize_one = channels == 1   ? resize_row<1>
                            : channels == 3 ? resize_row<3>
                                            : resize_row<4>;
    narrowed.resize(height_in * row);
    for (int y = 0; y < height_in; ++y)
      resize_one(in + y * row_in, taps, width, narrowed.data() + y * row);
    in = narrowed.data();
  }
  if (height_in == height) {
    if (width_in != width) return narrowed;
    return {in, in + height * row};
  }
  const Taps taps = bilinear_taps(height_in, height);
  std::vector<std::uint8_t> out(height * row);
  std::vector<std::int32_t> sums(row);
  for (int y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), 1 << (kPrecisionBits - 1));
    for (int k = 0; k < taps.count[y]; ++k) {
      const std::uint8_t* const line = in + (taps.first[y] + k) * row;
      const std::int32_t weight = taps.weights[static_cast<std::size_t>(y) * taps.stride + k];
      for (std::size_t i = 0; i < row; ++i) sums[i] += line[i] * weight;
    }
    std::uint8_t* const line = out.data() + y * row;
    for (std::size_t i = 0; i < row; ++i) line[i] = rounded(sums[i]);
  }
  return out;
}

/// Pillow's ImagingPaste through a mask, on white.
std::uint8_t on_white(int value, int alpha) {
  const int sum = value * alpha + 255 * (255 - alpha) + 128;
  return static_cast<std::uint8_t>((sum + (sum >> 8)) >> 8);
}

/// Pillow's L24: ITU-R 601-2 luma.
std::uint8_t luma(int r, int g, int b) {
  return static_cast<std::uint8_t>((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16);
}

void check_target(int height, int width, int channels) {
  if (height < 1 || width < 1 || (channels != 1 && channels != 3)) {
    throw Error(text("an image cannot become an input of ", height, 'x', width, 'x', channels,
                     ": expected 1 (grey) or 3 (RGB) channels and at least one pixel"));
  }
}

bool opaque(const std::vector<std::uint8_t>& rgba) {
  std::uint8_t all = 255;
  for (std::size_t i = 3; i < rgba.size(); i += 4) all &= rgba[i];
  return all == 255;
}

std::vector<std::uint8_t> spread_grey(const std::vector<std::uint8_t>& grey) {
  std::vector<std::uint8_t> rgb(grey.size() * 3);
  for (std::size_t i = 0; i < grey.size(); ++i)
    rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = grey[i];
  return rgb;
}

}  // namespace

std::vector<std::uint8_t> to_input(const Image& image, int height, int width, int channels) {
  check_target(height, width, channels);
  if (image.width < 1 || image.height < 1)
    throw Error(text("an image of ", image.width, 'x', image.height, " pixels cannot be resized"));
  const std::size_t pixels = static_cast<std::size_t>(image.width) * image.height;
  const std::uint8_t* rgba = image.rgba.data();
  std::vector<std::uint8_t> composited;
  if (!opaque(image.rgba)) {
    composited.resize(pixels * 4, 255);
    for (std::size_t i = 0; i < 4 * pixels; i += 4) {
      for (std::size_t c = i; c < i + 3; ++c) composited[c] = on_white(rgba[c], rgba[i + 3]);
    }
    rgba = composited.data();
  }
  if (channels == 1) {
    std::vector<std::uint8_t> grey(pixels);
    for (std::size_t i = 0; i < pixels; ++i)
      grey[i] = luma(rgba[4 * i], rgba[4 * i + 1], rgba[4 * i + 2]);
    return resize(grey.data(), image.height, image.width, 1, height, width);
  }
  // Four channels to the end: a pixel is one 32-bit load.
  const std::vector<std::uint8_t> resized =
      resize(rgba, image.height, image.width, 4, height, width);
  std::vector<std::uint8_t> rgb(static_cast<std::size_t>(height) * width * 3);
  for (std::size_t i = 0; i < rgb.size() / 3; ++i) {
    for (std::size_t c = 0; c < 3; ++c) rgb[3 * i + c] = resized[4 * i + c];
  }
  return rgb;
}

std::vector<std::uint8_t> to_input(std::span<const std::uint8_t> pixels, int height_in,
                                   int width_in, int channels_in, int height, int width,
                                   int channels) {
  check_target(height, width, channels);
  if (height_in < 1 || width_in < 1 || (channels_in != 1 && channels_in != 3)) {
    throw Error(text("pixels of ", height_in, 'x', width_in, 'x', channels_in,
                     " are not an image: expected 1 (grey) or 3 (RGB) channels"));
  }
  const std::size_t count = static_cast<std::size_t>(height_in) * width_in;
  if (pixels.size() != count * channels_in) {
    throw Error(text(pixels.size(), " bytes are not an image of ", height_in, 'x', width_in, 'x',
                     channels_in));
  }
  if (channels_in == channels)
    return resize(pixels.data(), height_in, width_in, channels, height, width);
  if (channels_in == 1)
    return spread_grey(resize(pixels.data(), height_in, width_in, 1, height, width));
  std::vector<std::uint8_t> grey(count);
  for (std::size_t i = 0; i < count; ++i)
    grey[i] = luma(pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]);
  return resize(grey.data(), height_in, width_in, 1, height, width);
}

}  // namespace pinhole
