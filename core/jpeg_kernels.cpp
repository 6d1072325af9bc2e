#include "jpeg_kernels.h"

#include <algorithm>

namespace pinhole {
namespace {

std::uint8_t clamp_to_byte(std::int32_t value) { return static_cast<std::uint8_t>(std::clamp(value, 0, 255)); }

constexpr int kConstBits = 13, kPass1Bits = 2;

/// Loeffler, Ligtenberg and Moschytz, "Practical fast 1-D DCT algorithms with 11 multiplications" (ICASSP 1989), on eight
/// columns at once, in libjpeg's 13-bit fixed point: the constants are the paper's times 2^13. Unsigned: hostile
/// coefficients may wrap.
void idct_columns(const std::int32_t* in, std::int32_t* out, int shift, std::int32_t offset) {
  using Wrap = std::uint32_t;
  for (int i = 0; i < 8; ++i) {
    const auto at = [&](int k) { return static_cast<Wrap>(in[8 * k + i]); };
    const Wrap even = (at(2) + at(6)) * 4433u;
    const Wrap even2 = even - at(6) * 15137u, even3 = even + at(2) * 6270u;
    const Wrap sum = (at(0) + at(4)) << kConstBits, difference = (at(0) - at(4)) << kConstBits;
    const Wrap a0 = sum + even3, a3 = sum - even3, a1 = difference + even2, a2 = difference - even2;

    const Wrap b7 = at(7), b5 = at(5), b3 = at(3), b1 = at(1);
    const Wrap z5 = (b7 + b3 + b5 + b1) * 9633u;
    const Wrap z1 = (b7 + b1) * 7373u, z2 = (b5 + b3) * 20995u;
    const Wrap z3 = z5 - (b7 + b3) * 16069u, z4 = z5 - (b5 + b1) * 3196u;
    const Wrap c7 = b7 * 2446u - z1 + z3, c5 = b5 * 16819u - z2 + z4;
    const Wrap c3 = b3 * 25172u - z2 + z3, c1 = b1 * 12299u - z1 + z4;

    const auto put = [&](int k, Wrap value) {
      out[8 * k + i] = (static_cast<std::int32_t>(value + (Wrap{1} << (shift - 1))) >> shift) + offset;
    };
    put(0, a0 + c1);
    put(7, a0 - c1);
    put(1, a1 + c3);
    put(6, a1 - c3);
    put(2, a2 + c5);
    put(5, a2 - c5);
    put(3, a3 + c7);
    put(4, a3 - c7);
  }
}

void transpose(const std::int32_t* in, std::int32_t* out) {
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 8; ++x) out[8 * x + y] = in[8 * y + x];
  }
}

/// Triangle filter along a row of `count` values that carry a factor `Scale` (1: samples, 4: 3 * near + far).
template <class In, int Scale>
void upsample_h2(const In* in, int count, std::uint8_t* out) {
  constexpr int kShift = Scale == 1 ? 2 : 4;
  constexpr int kLeft = Scale == 1 ? 1 : 8, kRight = Scale == 1 ? 2 : 7;  // libjpeg alternates its rounding
  const auto put = [&](int i, int near, int side, int rounding) {
    out[i] = static_cast<std::uint8_t>((3 * near + side + rounding) >> kShift);
  };
  const int last = count - 1;
  put(0, in[0], in[0], kLeft);
  for (int i = 0; i < last; ++i) {
    put(2 * i + 1, in[i], in[i + 1], kRight);
    put(2 * i + 2, in[i + 1], in[i], kLeft);
  }
  put(2 * last + 1, in[last], in[last], kRight);
}

}  // namespace

void jpeg_idct(std::uint8_t* out, int stride, short block[64]) {
  alignas(64) std::int32_t a[64], b[64];
  for (int i = 0; i < 64; ++i) a[i] = block[i];
  idct_columns(a, b, kConstBits - kPass1Bits, 0);
  transpose(b, a);
  idct_columns(a, b, kConstBits + kPass1Bits + 3, 128);
  transpose(b, a);
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 8; ++x) out[x] = clamp_to_byte(a[8 * y + x]);
    out += stride;
  }
}

const std::uint8_t* jpeg_upsample_row(const JpegPlane& plane, int y, std::uint8_t* buffer) {
  const int row = std::min(y / plane.v_factor, plane.height - 1);
  const std::uint8_t* const near = plane.row(row);
  // The other row of the triangle filter: above for the upper of two pixels, below for the lower; edges repeat.
  const bool lower = y % 2 == 1;
  const std::uint8_t* const far = plane.row(std::clamp(lower ? row + 1 : row - 1, 0, plane.height - 1));
  const bool wide = plane.width > 2;  // libjpeg repeats narrower planes

  if (plane.h_factor == 1 && plane.v_factor == 2) {
    for (int x = 0; x < plane.width; ++x) buffer[x] = static_cast<std::uint8_t>((3 * near[x] + far[x] + (lower ? 2 : 1)) >> 2);
    return buffer;
  }
  if (plane.h_factor == 1) return near;
  if (plane.h_factor == 2 && plane.v_factor == 1 && wide) {
    upsample_h2<std::uint8_t, 1>(near, plane.width, buffer);
    return buffer;
  }
  if (plane.h_factor == 2 && plane.v_factor == 2 && wide) {
    constexpr int kBlock = 512;
    std::int16_t sums[kBlock + 2];
    // In blocks that overlap by the one neighbour each side needs.
    for (int begin = 0; begin < plane.width; begin += kBlock) {
      const int end = std::min(begin + kBlock, plane.width);
      const int from = std::max(begin - 1, 0), to = std::min(end + 1, plane.width);
      for (int x = from; x < to; ++x) sums[x - from] = static_cast<std::int16_t>(3 * near[x] + far[x]);
      std::uint8_t pixels[2 * (kBlock + 2)];
      upsample_h2<std::int16_t, 4>(sums, to - from, pixels);
      std::copy_n(pixels + 2 * (begin - from), 2 * (end - begin), buffer + 2 * static_cast<std::size_t>(begin));
    }
    return buffer;
  }
  for (int x = 0; x < plane.width; ++x) std::fill_n(buffer + static_cast<std::size_t>(x) * plane.h_factor, plane.h_factor, near[x]);
  return buffer;
}

void jpeg_ycc_to_rgba(std::uint8_t* rgba, const std::uint8_t* y, const std::uint8_t* cb, const std::uint8_t* cr, int count) {
  constexpr std::int32_t kHalf = 1 << 15;
  for (int i = 0; i < count; ++i) {
    const std::int32_t luma = y[i], blue = cb[i] - 128, red = cr[i] - 128;
    rgba[4 * i] = clamp_to_byte(luma + ((91881 * red + kHalf) >> 16));                     // 1.40200
    rgba[4 * i + 1] = clamp_to_byte(luma + ((-22554 * blue - 46802 * red + kHalf) >> 16));  // 0.34414, 0.71414
    rgba[4 * i + 2] = clamp_to_byte(luma + ((116130 * blue + kHalf) >> 16));               // 1.77200
    rgba[4 * i + 3] = 255;
  }
}

}  // namespace pinhole
