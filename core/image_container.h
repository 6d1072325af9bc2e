// What can be told about an encoded image without decoding it: its format, whether the file is whole, where its EXIF
// block lies. Decoders fill what a cut file lacks with grey or zeros, silently: these walks are why such a file is refused.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace pinhole {

enum class ImageFormat { unknown, jpeg, png, gif, bmp, pnm, webp };

ImageFormat image_format(std::span<const std::uint8_t> bytes);

/// What Pinhole recognises but cannot read: {"a HEIC photo", true}, {"a text file", false}; an empty name when unknown.
struct ForeignFormat {
  std::string_view name;
  bool is_image = false;
};
ForeignFormat foreign_format(std::span<const std::uint8_t> bytes);

struct ContainerInfo {
  std::int64_t width = 0, height = 0;  ///< 0 where the walk does not read them
  std::span<const std::uint8_t> exif;  ///< empty when there is none
};

/// Walks the markers of a JPEG from SOI to EOI. Throws Error when the file ends before EOI (bytes after EOI are
/// ignored; a thumbnail's EOI lies inside a segment and does not count) or the coding process is not baseline or progressive.
ContainerInfo walk_jpeg(std::span<const std::uint8_t> bytes);

/// Walks the chunks of a PNG to IEND and checks the CRC of the critical ones, as Pillow does.
ContainerInfo walk_png(std::span<const std::uint8_t> bytes);

/// Throws Error unless the data of a GIF's first frame is whole.
void walk_gif(std::span<const std::uint8_t> bytes);

/// Finds EXIF in a WebP's RIFF chunks.
ContainerInfo walk_webp(std::span<const std::uint8_t> bytes);

}  // namespace pinhole
