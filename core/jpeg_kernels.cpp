#include "jpeg_kernels.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace pinhole {
namespace {

std::uint8_t clamp_to_byte(std::int32_t value) {
  return static_cast<std::uint8_t>(std::clamp(value, 0, 255));
}

constexpr int kConstBits = 13, kPass1Bits = 2;

/// Four columns at once (GCC's and Clang's vector extension: SSE2, NEON and wasm alike). Unsigned: hostile coefficients may wrap.
using Lanes __attribute__((vector_size(16))) = std::uint32_t;
using SignedLanes __attribute__((vector_size(16))) = std::int32_t;

/// Half a block: four columns, eight rows.
struct Columns {
  Lanes at[8];
};

/// Loeffler, Ligtenberg and Moschytz, "Practical fast 1-D DCT algorithms with 11 multiplications" (ICASSP 1989), down
/// four columns, in libjpeg's fixed point: the constants are the paper's times 2^13.
inline void idct_columns(Columns& x, int shift) {
  const Lanes even = (x.at[2] + x.at[6]) * 4433u;
  const Lanes even2 = even - x.at[6] * 15137u, even3 = even + x.at[2] * 6270u;
  const Lanes sum = (x.at[0] + x.at[4]) << kConstBits, difference = (x.at[0] - x.at[4])
                                                                    << kConstBits;
  const Lanes a0 = sum + even3, a3 = sum - even3, a1 = difference + even2, a2 = difference - even2;

  const Lanes b1 = x.at[1], b3 = x.at[3], b5 = x.at[5], b7 = x.at[7];
  const Lanes z5 = (b7 + b3 + b5 + b1) * 9633u;
  const Lanes z1 = (b7 + b1) * 7373u, z2 = (b5 + b3) * 20995u;
  const Lanes z3 = z5 - (b7 + b3) * 16069u, z4 = z5 - (b5 + b1) * 3196u;
  const Lanes c7 = b7 * 2446u - z1 + z3, c5 = b5 * 16819u - z2 + z4;
  const Lanes c3 = b3 * 25172u - z2 + z3, c1 = b1 * 12299u - z1 + z4;

  const Lanes half = Lanes{1, 1, 1, 1} << (shift - 1);
  const Lanes sums[8] = {a0 + c1, a1 + c3, a2 + c5, a3 + c7, a3 - c7, a2 - c5, a1 - c3, a0 - c1};
  for (int k = 0; k < 8; ++k) x.at[k] = (Lanes)((SignedLanes)(sums[k] + half) >> shift);
}

inline void transpose4(const Lanes* in, Lanes* out) {
  const Lanes a = __builtin_shufflevector(in[0], in[1], 0, 4, 1, 5),
              b = __builtin_shufflevector(in[0], in[1], 2, 6, 3, 7);
  const Lanes c = __builtin_shufflevector(in[2], in[3], 0, 4, 1, 5),
              d = __builtin_shufflevector(in[2], in[3], 2, 6, 3, 7);
  out[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
  out[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
  out[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
  out[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

inline void transpose8(const Columns (&in)[2], Columns (&out)[2]) {
  transpose4(in[0].at, out[0].at);
  transpose4(in[0].at + 4, out[1].at);
  transpose4(in[1].at, out[0].at + 4);
  transpose4(in[1].at + 4, out[1].at + 4);
}

/// Triangle filter along a row of `count` values that carry a factor `Scale` (1: samples, 4: 3 * near + far).
template <class In, int Scale>
void upsample_h2(const In* in, int count, std::uint8_t* out) {
  constexpr int kShift = Scale == 1 ? 2 : 4;
  constexpr int kLeft = Scale == 1 ? 1 : 8,
                kRight = Scale == 1 ? 2 : 7;  // libjpeg alternates its rounding
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
  std::int32_t wide[64];
  for (int i = 0; i < 64; ++i) wide[i] = block[i];
  Columns a[2], b[2];
  for (int i = 0; i < 16; ++i) std::memcpy(&a[i % 2].at[i / 2], wide + 4 * i, 16);
  for (Columns& columns : a) idct_columns(columns, kConstBits - kPass1Bits);
  transpose8(a, b);
  for (Columns& columns : b) idct_columns(columns, kConstBits + kPass1Bits + 3);
  transpose8(b, a);
  for (int i = 0; i < 16; ++i) std::memcpy(wide + 4 * i, &a[i % 2].at[i / 2], 16);
  std::uint8_t pixels[64];
  for (int i = 0; i < 64; ++i) pixels[i] = clamp_to_byte(wide[i] + 128);
  for (int y = 0; y < 8; ++y) std::memcpy(out + y * stride, pixels + 8 * y, 8);
}

const std::uint8_t* jpeg_upsample_row(const JpegPlane& plane, int y, std::uint8_t* buffer) {
  const int row = std::min(y / plane.v_factor, plane.height - 1);
  const std::uint8_t* const near = plane.row(row);
  // The other row of the triangle filter: above for the upper of two pixels, below for the lower; edges repeat.
  const bool lower = y % 2 == 1;
  const std::uint8_t* const far =
      plane.row(std::clamp(lower ? row + 1 : row - 1, 0, plane.height - 1));
  const bool wide = plane.width > 2;  // libjpeg repeats narrower planes

  if (plane.h_factor == 1 && plane.v_factor == 2) {
    for (int x = 0; x < plane.width; ++x)
      buffer[x] = static_cast<std::uint8_t>((3 * near[x] + far[x] + (lower ? 2 : 1)) >> 2);
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
      for (int x = from; x < to; ++x)
        sums[x - from] = static_cast<std::int16_t>(3 * near[x] + far[x]);
      std::uint8_t pixels[2 * (kBlock + 2)];
      upsample_h2<std::int16_t, 4>(sums, to - from, pixels);
      std::copy_n(pixels + 2 * (begin - from), 2 * (end - begin),
                  buffer + 2 * static_cast<std::size_t>(begin));
    }
    return buffer;
  }
  for (int x = 0; x < plane.width; ++x)
    std::fill_n(buffer + static_cast<std::size_t>(x) * plane.h_factor, plane.h_factor, near[x]);
  return buffer;
}

void jpeg_ycc_to_rgba(std::uint8_t* rgba, const std::uint8_t* y, const std::uint8_t* cb,
                      const std::uint8_t* cr, int count) {
  constexpr std::int32_t kHalf = 1 << 15;
  for (int i = 0; i < count; ++i) {
    const std::int32_t luma = y[i], blue = cb[i] - 128, red = cr[i] - 128;
    const std::uint32_t r = clamp_to_byte(luma + ((91881 * red + kHalf) >> 16));  // 1.40200
    const std::uint32_t g =
        clamp_to_byte(luma + ((-22554 * blue - 46802 * red + kHalf) >> 16));  // 0.34414, 0.71414
    const std::uint32_t b = clamp_to_byte(luma + ((116130 * blue + kHalf) >> 16));  // 1.77200
    // One 32-bit store a pixel: compilers vectorise that well, four byte stores badly.
    const std::uint32_t pixel = std::endian::native == std::endian::little
                                    ? r | g << 8 | b << 16 | 0xff000000u
                                    : r << 24 | g << 16 | b << 8 | 0xffu;
    std::memcpy(rgba + 4 * static_cast<std::size_t>(i), &pixel, 4);
  }
}

}  // namespace pinhole
