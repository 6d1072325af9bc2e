// Every call to stb_image is in this file. It uses stb_image's internals in three places, all unchanged from 2.23 to 2.30:
// the JPEG decoder hands over component planes before colour conversion, the GIF decoder says which pixels its first frame
// left out, and a context tells when a decoder reads past the end of its bytes (stb_image then goes on with zeros).
#include "image.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "error.h"
#include "exif.h"
#include "image_container.h"
#include "jpeg_kernels.h"

#define STB_IMAGE_IMPLEMENTATION
#define STBI_MALLOC(size) \
  std::calloc(1, size)  // what a damaged file leaves out is black, not whatever memory held
#define STBI_REALLOC(memory, size) std::realloc(memory, size)
#define STBI_FREE(memory) std::free(memory)
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_NO_PIC
#define STBI_NO_PSD
#define STBI_NO_PNM
#define STBI_NO_SIMD  // its SIMD is for the JPEG steps that jpeg_kernels.cpp replaces
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"
#endif
// Versions before 2.28 go on with fewer than no bits where a marker interrupts a JPEG's data, and shift zeros, all that comes
// then, by 32 and more: which gives zero on every processor, and is undefined all the same.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((no_sanitize("shift"))), apply_to = function)
#endif
#include <stb/stb_image.h>
#if defined(__clang__)
#pragma clang attribute pop
#endif
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace pinhole {
namespace {

using Bytes = std::span<const std::uint8_t>;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

[[noreturn]] void throw_stb_failure(std::string_view format) {
  const char* reason = stbi_failure_reason();
  const std::string_view what = reason != nullptr ? reason : "unknown reason";
  if (what == "bad Image Descriptor")
    throw Error("a GIF whose first frame is larger than the picture, which is not supported");
  if (what == "no clear code")
    throw Error("a GIF whose data does not begin with a clear code, which is not supported");
  if (what == "outofmem") throw Error(text("not enough memory to decode the ", format));
  throw Error(text("cannot decode the ", format, ": ", what));
}

Image to_image(stbi_uc* pixels, int width, int height) {
  const std::unique_ptr<stbi_uc, Free> owner(pixels);
  Image image{width, height, {}};
  image.rgba.assign(pixels, pixels + static_cast<std::size_t>(width) * height * 4);
  return image;
}

// --- JPEG ---------------------------------------------------------------------------------------------------

/// Planes of a decoded JPEG; the decoder's memory lives as long as this.
class JpegPlanes {
 public:
  explicit JpegPlanes(Bytes bytes)
      : decoder_(static_cast<stbi__jpeg*>(std::calloc(1, sizeof(stbi__jpeg)))) {
    if (decoder_ == nullptr) throw Error("not enough memory to decode the JPEG");
    stbi__start_mem(&context_, bytes.data(), static_cast<int>(bytes.size()));
    decoder_->s = &context_;
    stbi__setup_jpeg(decoder_.get());
    decoder_->idct_block_kernel = jpeg_idct;
    if (!stbi__decode_jpeg_image(decoder_.get())) {
      stbi__cleanup_jpeg(decoder_.get());
      throw_stb_failure("JPEG");
    }
  }
  ~JpegPlanes() { stbi__cleanup_jpeg(decoder_.get()); }
  JpegPlanes(const JpegPlanes&) = delete;
  JpegPlanes& operator=(const JpegPlanes&) = delete;

  int width() const { return static_cast<int>(context_.img_x); }
  int height() const { return static_cast<int>(context_.img_y); }
  int count() const { return context_.img_n; }
  JpegPlane plane(int k) const {
    const auto& component = decoder_->img_comp[k];
    return {
        component.data, static_cast<std::size_t>(component.w2), component.x,
        component.y,    decoder_->img_h_max / component.h,      decoder_->img_v_max / component.v};
  }
  bool whole_sampling_factors() const {
    for (int k = 0; k < count(); ++k) {
      const auto& component = decoder_->img_comp[k];
      if (decoder_->img_h_max % component.h != 0 || decoder_->img_v_max % component.v != 0)
        return false;
    }
    return true;
  }

  /// Whether the components are YCbCr (or YCbCr and K), by libjpeg's rules (jdapimin.c, default_decompress_parms).
  bool luma_chroma() const {
    const int adobe = decoder_->app14_color_transform;  // -1: no Adobe segment
    if (count() == 4) return adobe > 0;
    if (count() != 3) return false;
    if (decoder_->jfif) return true;
    if (adobe >= 0) return adobe != 0;
    return decoder_->rgb != 3;  // component ids 'R' 'G' 'B'
  }

 private:
  stbi__context context_{};
  std::unique_ptr<stbi__jpeg, Free> decoder_;
};

/// Pillow's CMYK to RGB. It takes every four-component JPEG as Adobe writes them, inverted: 255 is no ink.
void inverted_cmyk_to_rgba(std::uint8_t* rgba, const std::uint8_t* inverted_black, int count) {
  for (int i = 0; i < count; ++i, rgba += 4) {
    const int paper = inverted_black[i];
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - rgba[c]) * paper + 128;
      rgba[c] = static_cast<std::uint8_t>(std::max(paper - ((product + (product >> 8)) >> 8), 0));
    }
    rgba[3] = 255;
  }
}

Image decode_jpeg(Bytes bytes) {
  const JpegPlanes jpeg(bytes);
  const int count = jpeg.count();
  if (count != 1 && count != 3 && count != 4)
    throw Error(text("a JPEG with ", count, " components; 1, 3 and 4 are supported"));
  if (!jpeg.whole_sampling_factors())
    throw Error("a JPEG with fractional chroma sampling, which is not supported");

  const int width = jpeg.width();
  Image image{width, jpeg.height(), {}};
  image.rgba.resize(static_cast<std::size_t>(width) * image.height * 4);
  std::array<JpegPlane, 4> planes;
  std::array<std::vector<std::uint8_t>, 4> buffers;
  for (int k = 0; k < count; ++k) {
    planes[k] = jpeg.plane(k);
    buffers[k].resize(static_cast<std::size_t>(planes[k].width) * planes[k].h_factor);
  }
  const bool luma_chroma = jpeg.luma_chroma();
  for (int y = 0; y < image.height; ++y) {
    std::uint8_t* const out = image.rgba.data() + static_cast<std::size_t>(y) * width * 4;
    std::array<const std::uint8_t*, 4> rows{};
    for (int k = 0; k < count; ++k) rows[k] = jpeg_upsample_row(planes[k], y, buffers[k].data());
    if (luma_chroma) {
      jpeg_ycc_to_rgba(out, rows[0], rows[1], rows[2], width);
    } else {
      const std::uint8_t *r = rows[0], *g = count == 1 ? r : rows[1], *b = count == 1 ? r : rows[2];
      for (int x = 0; x < width; ++x) {
        out[4 * x] = r[x];
        out[4 * x + 1] = g[x];
        out[4 * x + 2] = b[x];
        out[4 * x + 3] = 255;
      }
    }
    if (count == 4) {
      // YCCK: libjpeg's CMY is 255 - RGB, which is what "inverted" turns back for a plain CMYK file.
      if (luma_chroma) {
        for (int x = 0; x < width; ++x) {
          for (int c = 0; c < 3; ++c)
            out[4 * x + c] = static_cast<std::uint8_t>(255 - out[4 * x + c]);
        }
      }
      inverted_cmyk_to_rgba(out, rows[3], width);
    }
  }
  return image;
}

// --- PNG, BMP, GIF, TGA ---------------------------------------------------------------------------------------

/// A stb_image context over bytes that remembers whether the decoder asked for more than there were.
class Source {
 public:
  explicit Source(Bytes bytes) : bytes_(bytes) {
    stbi_io_callbacks callbacks{read, skip, at_end};
    stbi__start_callbacks(&context_, &callbacks, this);
  }
  stbi__context* context() { return &context_; }
  bool overrun() const { return overrun_; }

 private:
  static int read(void* user, char* data, int size) {
    Source& source = *static_cast<Source*>(user);
    const std::size_t left = source.bytes_.size() - source.position_,
                      wanted = static_cast<std::size_t>(size);
    const std::size_t count = std::min(left, wanted);
    // A refill of the context's own buffer asks for a bufferful and is content with less; anything else is not.
    const bool refill = data == reinterpret_cast<char*>(source.context_.buffer_start);
    if (refill ? count == 0 : count < wanted) source.overrun_ = true;
    if (count > 0) std::memcpy(data, source.bytes_.data() + source.position_, count);
    source.position_ += count;
    return static_cast<int>(count);
  }
  static void skip(void* user, int count) {
    Source& source = *static_cast<Source*>(user);
    const std::size_t left = source.bytes_.size() - source.position_;
    if (count < 0 || static_cast<std::size_t>(count) > left) source.overrun_ = true;
    source.position_ += std::min(left, static_cast<std::size_t>(std::max(count, 0)));
  }
  static int at_end(void* user) {
    const Source& source = *static_cast<Source*>(user);
    return source.position_ == source.bytes_.size();
  }

  Bytes bytes_;
  std::size_t position_ = 0;
  bool overrun_ = false;
  stbi__context context_{};
};

Image decode_with_stb(Bytes bytes, std::string_view format, const DecodeLimits& limits) {
  int width = 0, height = 0, components = 0;
  if (!stbi_info_from_memory(bytes.data(), static_cast<int>(bytes.size()), &width, &height,
                             &components)) {
    throw_stb_failure(format);
  }
  // A BMP that is stored from the top has a negative height. stb_image takes one of no pixels, too.
  const std::int64_t rows = std::abs(std::int64_t{height});
  if (width < 1 || rows < 1)
    throw Error(text("damaged ", format, ": its size is ", width, 'x', rows));
  check_image_size(width, rows, limits);
  Source source(bytes);
  // 16 bits a channel come out as their high bytes: what Pillow does for RGB; for grey its convert("RGB") clips at 255.
  stbi_uc* pixels =
      stbi__load_and_postprocess_8bit(source.context(), &width, &height, &components, 4);
  if (pixels == nullptr) {
    if (source.overrun())
      throw Error(text("truncated ", format, ": the file ends inside its image data"));
    throw_stb_failure(format);
  }
  Image image = to_image(pixels, width, height);
  if (source.overrun())
    throw Error(text("truncated ", format, ": the file ends inside its image data"));
  return image;
}

/// The first frame. As in Pillow, pixels that it leaves out have the first colour of the table, or are transparent where the
/// frame has a transparent colour, and colours past the end of a table are a grey ramp.
Image decode_gif(Bytes bytes, const DecodeLimits& limits) {
  const int width = bytes[6] | bytes[7] << 8, height = bytes[8] | bytes[9] << 8;
  if (width == 0 || height == 0) throw Error(text("damaged GIF: its size is ", width, 'x', height));
  check_image_size(width, height, limits);
  Source source(bytes);
  const auto gif = std::make_unique<stbi__gif>();
  for (int i = 0; i < 256; ++i) {
    for (stbi_uc* colour : {gif->pal[i], gif->lpal[i]}) {
      std::fill_n(colour, 3, static_cast<stbi_uc>(i));
      colour[3] = 255;
    }
  }
  int components = 0;
  stbi_uc* const pixels = stbi__gif_load_next(source.context(), gif.get(), &components, 4, nullptr);
  const std::unique_ptr<stbi_uc, Free> out(gif->out), background(gif->background),
      drawn(gif->history);
  if (source.overrun()) throw Error("truncated GIF: the file ends inside its image data");
  if (pixels != out.get() || pixels == nullptr) throw_stb_failure("GIF");
  Image image{width, height, {}};
  const std::size_t count = static_cast<std::size_t>(width) * height;
  image.rgba.assign(pixels, pixels + count * 4);
  const stbi_uc* const first = gif->color_table;  // blue, green, red, alpha
  const bool has_transparent = (gif->eflags & 1) != 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (drawn.get()[i] != 0) continue;
    std::uint8_t* const pixel = image.rgba.data() + 4 * i;
    for (int c = 0; c < 3; ++c) pixel[c] = first[2 - c];
    pixel[3] = has_transparent ? 0 : 255;
  }
  return image;
}

/// stb_image looks for the colour masks of the 56-byte header, which Photoshop and GIMP write, behind it instead of in it. With
/// 52 bytes of colour space more it is the 108-byte header.
Image decode_bmp(Bytes bytes, const DecodeLimits& limits) {
  constexpr std::size_t kHeaderSize = 14, kDataOffset = 10, kMore = 52, kEnd = 14 + 56;
  if (bytes[kHeaderSize] != 56 || bytes.size() < kEnd) return decode_with_stb(bytes, "BMP", limits);
  std::vector<std::uint8_t> longer(bytes.begin(), bytes.begin() + kEnd);
  longer.resize(kEnd + kMore);
  longer.insert(longer.end(), bytes.begin() + kEnd, bytes.end());
  longer[kHeaderSize] = 56 + kMore;
  std::uint32_t offset = 0;
  for (int i = 3; i >= 0; --i) offset = offset << 8 | bytes[kDataOffset + i];
  offset += kMore;
  for (int i = 0; i < 4; ++i) longer[kDataOffset + i] = static_cast<std::uint8_t>(offset >> 8 * i);
  return decode_with_stb(longer, "BMP", limits);
}

bool is_tga(Bytes bytes) {
  Source source(bytes);
  return stbi__tga_test(source.context()) != 0;
}

Image decode_tga(Bytes bytes, const DecodeLimits& limits) {
  constexpr int kMirrored = 2;  // an EXIF orientation
  const bool from_right =
      bytes.size() > 17 && (bytes[17] & 0x10) != 0;  // which stb_image does not look at
  return apply_orientation(decode_with_stb(bytes, "TGA", limits), from_right ? kMirrored : 1);
}

// --- PGM, PPM -------------------------------------------------------------------------------------------------
// Not by stb_image, which leaves samples of a maxval below 255 dark and swaps the bytes of those above.

class PnmReader {
 public:
  explicit PnmReader(Bytes bytes) : bytes_(bytes), kind_(bytes[1]) {}

  Image decode(const DecodeLimits& limits) {
    const int width = number("width"), height = number("height"), maxval = number("maximum");
    if (width < 1 || height < 1) throw Error(text("damaged PNM: its size is ", width, 'x', height));
    if (maxval < 1 || maxval > 65535)
      throw Error(text("damaged PNM: its maximum is ", maxval, ", expected 1 to 65535"));
    check_image_size(width, height, limits);
    const bool plain = kind_ == '2' || kind_ == '3';
    const int channels = kind_ == '3' || kind_ == '6' ? 3 : 1;
    const std::size_t pixels = static_cast<std::size_t>(width) * height,
                      samples = pixels * channels;
    if (!plain && at_ < bytes_.size() && !is_space(bytes_[at_++]))  // exactly one
      throw Error("damaged PNM: there is no white space before its pixels");
    const std::size_t bytes_needed = samples * (plain || maxval > 255 ? 2 : 1) - (plain ? 1 : 0);
    if (at_ > bytes_.size() || bytes_.size() - at_ < bytes_needed) truncated();

    // Pillow's scaling: to the nearest, halves to even.
    std::vector<std::uint8_t> scaled(static_cast<std::size_t>(maxval) + 1);
    for (int i = 0; i <= maxval; ++i)
      scaled[i] = static_cast<std::uint8_t>(std::nearbyint(static_cast<double>(i) / maxval * 255));

    Image image{width, height, {}};
    image.rgba.resize(pixels * 4);
    for (std::size_t i = 0; i < pixels; ++i) {
      std::uint8_t* const out = image.rgba.data() + 4 * i;
      for (int c = 0; c < channels; ++c) {
        const int value = plain ? number("sample") : maxval > 255 ? binary16() : bytes_[at_++];
        out[c] = scaled[std::min(value, maxval)];
      }
      if (channels == 1) out[1] = out[2] = out[0];
      out[3] = 255;
    }
    return image;
  }

 private:
  [[noreturn]] static void truncated() {
    throw Error("truncated PNM: the file ends inside its image data");
  }

  int binary16() {
    const int value = bytes_[at_] << 8 | bytes_[at_ + 1];
    at_ += 2;
    return value;
  }

  int number(std::string_view what) {
    while (at_ < bytes_.size() && (bytes_[at_] == '#' || is_space(bytes_[at_]))) {
      if (bytes_[at_] == '#') {
        while (at_ < bytes_.size() && bytes_[at_] != '\n' && bytes_[at_] != '\r') ++at_;
      } else {
        ++at_;
      }
    }
    if (at_ >= bytes_.size()) truncated();
    int value = 0;
    const std::size_t start = at_;
    for (; at_ < bytes_.size() && bytes_[at_] >= '0' && bytes_[at_] <= '9'; ++at_) {
      if (value > 99'999'999) throw Error(text("damaged PNM: its ", what, " is too large"));
      value = value * 10 + (bytes_[at_] - '0');
    }
    if (at_ == start) throw Error(text("damaged PNM: its ", what, " is not a number"));
    return value;
  }
  static bool is_space(std::uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

  Bytes bytes_;
  std::uint8_t kind_;
  std::size_t at_ = 2;
};

}  // namespace

void check_image_size(std::int64_t width, std::int64_t height, const DecodeLimits& limits) {
  if (width > 0 && height > 0 && width > limits.max_pixels / height) {
    throw Error(text("the image is too large: ", width, 'x', height, " pixels, at most ",
                     limits.max_pixels, " are allowed"));
  }
}

Image decode_image(Bytes bytes, const DecodeLimits& limits) {
  if (bytes.empty()) throw Error("empty file");
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw Error(text("the file is too large: ", bytes.size(), " bytes, at most ",
                     std::numeric_limits<int>::max(), " are allowed"));
  }
  switch (image_format(bytes)) {
    case ImageFormat::jpeg: {
      const ContainerInfo info = walk_jpeg(bytes);
      check_image_size(info.width, info.height, limits);
      return apply_orientation(decode_jpeg(bytes), exif_orientation(info.exif));
    }
    case ImageFormat::png: {
      const ContainerInfo info = walk_png(bytes);
      check_image_size(info.width, info.height, limits);
      return apply_orientation(decode_with_stb(bytes, "PNG", limits), exif_orientation(info.exif));
    }
    case ImageFormat::gif:
      walk_gif(bytes);
      return decode_gif(bytes, limits);
    case ImageFormat::bmp:
      return decode_bmp(bytes, limits);
    case ImageFormat::pnm:
      return PnmReader(bytes).decode(limits);
    case ImageFormat::webp:
      throw Error("a WebP image, which is not supported here: convert it to JPEG or PNG");
    case ImageFormat::unknown:
      break;
  }
  if (const ForeignFormat foreign = foreign_format(bytes); !foreign.name.empty()) {
    if (!foreign.is_image) throw Error(text("not an image: ", foreign.name));
    throw Error(text(foreign.name, ", which is not supported: convert it to JPEG or PNG"));
  }
  if (is_tga(bytes)) return decode_tga(bytes, limits);
  throw Error("not an image: its first bytes belong to no known format");
}

Image apply_orientation(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const std::size_t width = static_cast<std::size_t>(image.width),
                    height = static_cast<std::size_t>(image.height);
  const bool transposed = orientation >= 5;
  // The stored pixel of the upright image's top left corner, and the way to its right and lower neighbours.
  const bool from_right =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const auto step = [](bool backwards, std::size_t pixels) {
    return backwards ? -static_cast<std::ptrdiff_t>(pixels) : static_cast<std::ptrdiff_t>(pixels);
  };
  const std::ptrdiff_t along_row = step(from_right, 1), along_column = step(from_bottom, width);
  const std::ptrdiff_t right = transposed ? along_column : along_row,
                       down = transposed ? along_row : along_column;

  Image upright{
      transposed ? image.height : image.width, transposed ? image.width : image.height, {}};
  upright.rgba.resize(image.rgba.size());
  std::ptrdiff_t row = static_cast<std::ptrdiff_t>((from_right ? width - 1 : 0) +
                                                   (from_bottom ? (height - 1) * width : 0));
  std::uint8_t* out = upright.rgba.data();
  for (int y = 0; y < upright.height; ++y, row += down) {
    std::ptrdiff_t pixel = row;
    for (int x = 0; x < upright.width; ++x, pixel += right, out += 4)
      std::memcpy(out, image.rgba.data() + 4 * pixel, 4);
  }
  return upright;
}

}  // namespace pinhole
