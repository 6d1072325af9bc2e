#include "decode.h"

#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>
#include <utility>

#include "error.h"
#include "exif.h"
#include "file.h"
#include "image_container.h"

namespace pinhole {
namespace {

using Bytes = std::span<const std::uint8_t>;

std::string_view webp_reason(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
      return "truncated WebP: the file ends inside its image data";
    case VP8_STATUS_OUT_OF_MEMORY:
      return "not enough memory to decode the WebP";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "cannot decode the WebP: it uses an unsupported feature";
    default:
      return "cannot decode the WebP: its data is damaged";
  }
}

Image first_frame(Bytes bytes) {
  WebPAnimDecoderOptions options;
  WebPAnimDecoderOptionsInit(&options);
  options.color_mode = MODE_RGBA;
  const WebPData data{bytes.data(), bytes.size()};
  const std::unique_ptr<WebPAnimDecoder, decltype(&WebPAnimDecoderDelete)> decoder(
      WebPAnimDecoderNew(&data, &options), &WebPAnimDecoderDelete);
  WebPAnimInfo info;
  std::uint8_t* pixels = nullptr;
  int timestamp = 0;
  if (decoder == nullptr || !WebPAnimDecoderGetInfo(decoder.get(), &info) ||
      !WebPAnimDecoderGetNext(decoder.get(), &pixels, &timestamp)) {
    throw Error("cannot decode the animated WebP: its data is damaged or ends too soon");
  }
  Image image{static_cast<int>(info.canvas_width), static_cast<int>(info.canvas_height), {}};
  image.rgba.assign(pixels, pixels + std::size_t{info.canvas_width} * info.canvas_height * 4);
  return image;
}

Image decode_webp(Bytes bytes, const DecodeLimits& limits) {
  WebPBitstreamFeatures features;
  if (const VP8StatusCode status = WebPGetFeatures(bytes.data(), bytes.size(), &features);
      status != VP8_STATUS_OK) {
    throw Error(std::string(webp_reason(status)));
  }
  check_image_size(features.width, features.height, limits);
  if (features.has_animation) return first_frame(bytes);

  Image image{features.width, features.height, {}};
  image.rgba.resize(static_cast<std::size_t>(image.width) * image.height * 4);
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) throw Error("libwebp's version does not match its headers");
  config.output.colorspace = MODE_RGBA;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {image.rgba.data(), image.width * 4, image.rgba.size()};
  if (const VP8StatusCode status = WebPDecode(bytes.data(), bytes.size(), &config);
      status != VP8_STATUS_OK) {
    throw Error(std::string(webp_reason(status)));
  }
  return image;
}

}  // namespace

Image decode_any_image(Bytes bytes, const DecodeLimits& limits) {
  if (image_format(bytes) != ImageFormat::webp) return decode_image(bytes, limits);
  return apply_orientation(decode_webp(bytes, limits), exif_orientation(walk_webp(bytes).exif));
}

std::vector<std::uint8_t> read_image_file(const std::filesystem::path& path) {
  constexpr std::uintmax_t kMaxFile = std::uintmax_t{1} << 30;
  std::error_code not_regular;  // read_file says so
  if (const std::uintmax_t size = std::filesystem::file_size(path, not_regular);
      !not_regular && size > kMaxFile) {
    throw Error(text(path.native(), ": is too large for an image: ", size, " bytes, at most ",
                     kMaxFile, " are read"));
  }
  return read_file(path);
}

Image decode_file(const std::filesystem::path& path, const DecodeLimits& limits) {
  const std::vector<std::uint8_t> bytes = read_image_file(path);
  try {
    return decode_any_image(bytes, limits);
  } catch (const Error& error) {
    throw Error(text(path.native(), ": ", error.what()));
  }
}

}  // namespace pinhole
