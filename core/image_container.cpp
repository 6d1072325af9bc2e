#include "image_container.h"

#include <algorithm>
#include <cstring>

#include "crc32.h"
#include "error.h"

namespace pinhole {
namespace {

using Bytes = std::span<const std::uint8_t>;

bool has(Bytes bytes, std::size_t at, std::string_view magic) {
  return bytes.size() >= at + magic.size() &&
         std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

std::uint32_t u16_be(Bytes bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 8 | bytes[at + 1];
}
std::uint32_t u32_be(Bytes bytes, std::size_t at) {
  return u16_be(bytes, at) << 16 | u16_be(bytes, at + 2);
}
std::uint32_t u32_le(Bytes bytes, std::size_t at) {
  return std::uint32_t{bytes[at + 3]} << 24 | std::uint32_t{bytes[at + 2]} << 16 |
         std::uint32_t{bytes[at + 1]} << 8 | bytes[at];
}

/// ISO/IEC 14496-12: a 'ftyp' box holds a major brand and a list of compatible ones.
ForeignFormat iso_media_format(Bytes bytes) {
  const std::size_t end = std::min<std::size_t>({bytes.size(), u32_be(bytes, 0), 256});
  bool heif = false;
  for (std::size_t at = 8; at + 4 <= end; at += at == 8 ? 8 : 4) {
    if (has(bytes, at, "avif") || has(bytes, at, "avis")) return {"an AVIF image", true};
    for (const char* brand :
         {"heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "msf1"}) {
      heif = heif || has(bytes, at, brand);
    }
  }
  return heif ? ForeignFormat{"a HEIC photo", true}
              : ForeignFormat{"a video or other ISO media file"};
}

/// UTF-8 or ASCII without control characters in the first bytes.
bool looks_like_text(Bytes bytes) {
  const Bytes head = bytes.first(std::min<std::size_t>(bytes.size(), 256));
  return std::none_of(head.begin(), head.end(), [](std::uint8_t c) {
    return c == 0x7f || (c < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f');
  });
}

bool contains(Bytes bytes, std::string_view word) {
  const Bytes head = bytes.first(std::min<std::size_t>(bytes.size(), 512));
  return std::search(head.begin(), head.end(), word.begin(), word.end()) != head.end();
}

[[noreturn]] void truncated_jpeg() {
  throw Error("truncated JPEG: the file ends before its end-of-image marker");
}
[[noreturn]] void truncated_gif() {
  throw Error("truncated GIF: the file ends inside its first frame");
}

/// A table holds at most 256 codes, which stb_image 2.27 (Debian 12's) does not check before it fills its arrays.
void check_huffman_tables(Bytes segment) {
  while (!segment.empty()) {
    std::size_t codes = 0;
    for (std::size_t i = 1; i <= 16 && i < segment.size(); ++i) codes += segment[i];
    if (codes > 256 || 17 + codes > segment.size())
      throw Error("damaged JPEG: a Huffman table that cannot be");
    segment = segment.subspan(17 + codes);
  }
}

/// Position after the sub-blocks (length byte, data, ..., 0) that start at `at`.
std::size_t skip_gif_blocks(Bytes bytes, std::size_t at) {
  while (at < bytes.size()) {
    const std::size_t length = bytes[at];
    at += 1 + length;
    if (length == 0) return at;
  }
  truncated_gif();
}

std::size_t gif_colour_table(std::uint8_t flags) {
  return flags & 0x80 ? std::size_t{3} << ((flags & 7) + 1) : 0;
}

}  // namespace

ImageFormat image_format(Bytes bytes) {
  if (has(bytes, 0, "\xff\xd8")) return ImageFormat::jpeg;
  if (has(bytes, 0, "\x89PNG\r\n\x1a\n")) return ImageFormat::png;
  if (has(bytes, 0, "GIF87a") || has(bytes, 0, "GIF89a")) return ImageFormat::gif;
  if (has(bytes, 0, "RIFF") && has(bytes, 8, "WEBP")) return ImageFormat::webp;
  if (has(bytes, 0, "BM") && bytes.size() >= 18 &&
      (u32_le(bytes, 14) == 12 || (u32_le(bytes, 14) >= 40 && u32_le(bytes, 14) <= 124))) {
    return ImageFormat::bmp;
  }
  if (bytes.size() >= 3 && bytes[0] == 'P' &&
      (bytes[1] == '2' || bytes[1] == '3' || bytes[1] == '5' || bytes[1] == '6') &&
      (bytes[2] == '#' || bytes[2] == ' ' || (bytes[2] >= '\t' && bytes[2] <= '\r'))) {
    return ImageFormat::pnm;
  }
  return ImageFormat::unknown;
}

ForeignFormat foreign_format(Bytes bytes) {
  using namespace std::string_view_literals;
  if (bytes.size() >= 12 && has(bytes, 4, "ftyp")) return iso_media_format(bytes);
  if (has(bytes, 0, "II*\0"sv) || has(bytes, 0, "MM\0*"sv) || has(bytes, 0, "II+\0"sv) ||
      has(bytes, 0, "MM\0+"sv))
    return {"a TIFF image", true};
  if (has(bytes, 0, "\xff\x0a") || has(bytes, 0, "\0\0\0\x0cJXL "sv))
    return {"a JPEG XL image", true};
  if (has(bytes, 0, "\0\0\0\x0cjP  "sv) || has(bytes, 0, "\xff\x4f\xff\x51"))
    return {"a JPEG 2000 image", true};
  if (has(bytes, 0, "8BPS")) return {"a Photoshop file", true};
  if (has(bytes, 0, "\0\0\1\0"sv)) return {"a Windows icon", true};
  if (has(bytes, 0, "%PDF")) return {"a PDF document"};
  if (has(bytes, 0, "PK\3\4")) return {"a ZIP archive"};
  if (looks_like_text(bytes)) {
    if (contains(bytes, "<svg")) return {"an SVG drawing", true};
    if (contains(bytes, "<html") || contains(bytes, "<!DOCTYPE html") ||
        contains(bytes, "<!doctype html"))
      return {"a web page"};
    return {"a text file"};
  }
  return {};
}

// ITU-T T.81, annex B.
ContainerInfo walk_jpeg(Bytes bytes) {
  ContainerInfo info;
  std::size_t at = 2;
  bool in_scan = false;
  while (true) {
    // To the next marker: FF and a byte that is neither 00 (a stuffed FF inside a scan) nor a restart nor fill.
    const std::uint8_t* const start = bytes.data() + std::min(at, bytes.size());
    const auto* ff = static_cast<const std::uint8_t*>(
        std::memchr(start, 0xff, static_cast<std::size_t>(bytes.data() + bytes.size() - start)));
    if (ff == nullptr) truncated_jpeg();
    at = static_cast<std::size_t>(ff - bytes.data()) + 1;
    while (at < bytes.size() && bytes[at] == 0xff) ++at;
    if (at >= bytes.size()) truncated_jpeg();
    const std::uint8_t marker = bytes[at++];
    if (marker == 0x00 || marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8)) continue;
    if (marker == 0xd9) {
      if (!in_scan) throw Error("damaged JPEG: it ends before any image data");
      return info;
    }
    if (at + 2 > bytes.size()) truncated_jpeg();
    const std::size_t length = u16_be(bytes, at);
    if (length < 2) throw Error(text("damaged JPEG: a segment has length ", length));
    if (at + length > bytes.size()) truncated_jpeg();
    const Bytes segment = bytes.subspan(at + 2, length - 2);
    at += length;
    if (marker == 0xda) {
      in_scan = true;
    } else if (marker == 0xc4) {
      check_huffman_tables(segment);
    } else if (marker == 0xe1 && info.exif.empty() && segment.size() > 6 &&
               std::memcmp(segment.data(), "Exif\0", 5) == 0) {
      info.exif = segment.subspan(6);
    } else if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 &&
               marker != 0xcc) {
      if (marker == 0xc3) throw Error("a lossless JPEG, which is not supported");
      if (marker >= 0xc9) throw Error("an arithmetic-coded JPEG, which is not supported");
      if (marker > 0xc2) throw Error("a hierarchical JPEG, which is not supported");
      if (segment.size() < 6) throw Error("damaged JPEG: its frame header is too short");
      if (segment[0] != 8)
        throw Error(text("a JPEG with ", int{segment[0]}, " bits a sample; 8 is supported"));
      if (info.width == 0) {
        info.height = u16_be(segment, 1);
        info.width = u16_be(segment, 3);
      }
    }
  }
}

// PNG specification, section 5.
ContainerInfo walk_png(Bytes bytes) {
  ContainerInfo info;
  for (std::size_t at = 8;;) {
    if (at + 12 > bytes.size()) throw Error("truncated PNG: the file ends before its IEND chunk");
    const std::size_t length = u32_be(bytes, at);
    const std::string_view type(reinterpret_cast<const char*>(bytes.data()) + at + 4, 4);
    if (!std::all_of(type.begin(), type.end(),
                     [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); })) {
      throw Error("damaged PNG: a chunk has no proper name");
    }
    if (length > bytes.size() - at - 12)
      throw Error(text("truncated PNG: the file ends inside its ", type, " chunk"));
    if (type == "CgBI") throw Error("an iPhone-optimised PNG (CgBI), which is not supported");
    const bool critical = type[0] < 'a';
    if (critical && crc32(0, bytes.subspan(at + 4, 4 + length)) != u32_be(bytes, at + 8 + length)) {
      throw Error(text("damaged PNG: the checksum of its ", type, " chunk is wrong"));
    }
    if ((type == "IHDR") != (at == 8) || (at == 8 && length != 13))
      throw Error("damaged PNG: it must begin with an IHDR chunk and have no other");
    if (type == "IHDR") {
      info.width = u32_be(bytes, at + 8);
      info.height = u32_be(bytes, at + 12);
    } else if (type == "eXIf") {
      info.exif = bytes.subspan(at + 8, length);
    } else if (type == "IEND") {
      return info;
    }
    at += 12 + length;
  }
}

// GIF89a specification, appendix A.
void walk_gif(Bytes bytes) {
  if (bytes.size() < 13) truncated_gif();
  std::size_t at = 13 + gif_colour_table(bytes[10]);
  while (true) {
    if (at >= bytes.size()) truncated_gif();
    const std::uint8_t block = bytes[at];
    if (block == 0x21) {  // extension: label, sub-blocks
      at = skip_gif_blocks(bytes, at + 2);
    } else if (block == 0x2c) {  // image: descriptor, colour table, code size, sub-blocks
      if (at + 10 > bytes.size()) truncated_gif();
      skip_gif_blocks(bytes, at + 10 + gif_colour_table(bytes[at + 9]) + 1);
      return;
    } else if (block == 0x3b) {
      throw Error("damaged GIF: it holds no image");
    } else {
      throw Error("damaged GIF: an unknown block");
    }
  }
}

ContainerInfo walk_webp(Bytes bytes) {
  ContainerInfo info;
  for (std::size_t at = 12; at + 8 <= bytes.size();) {
    const std::size_t length = u32_le(bytes, at + 4);
    if (length > bytes.size() - at - 8) break;
    if (has(bytes, at, "EXIF")) info.exif = bytes.subspan(at + 8, length);
    at += 8 + length + (length & 1);
  }
  return info;
}

}  // namespace pinhole
