// Image bytes through the decoders, the EXIF orientation and the resizing.
#include <cstdlib>

#include "checked_file.h"
#include "decode.h"
#include "error.h"
#include "image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pinhole;
  // Small enough to be quick, large enough for every path.
  constexpr DecodeLimits kLimits{.max_pixels = 1 << 16};
  const std::vector<std::uint8_t> bytes = with_png_checksums({data, size});
  try {
    const Image image = decode_any_image(bytes, kLimits);
    const auto pixels =
        static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height);
    if (image.rgba.size() != pixels * 4 || pixels == 0 || pixels > 1 << 16) std::abort();
    if (to_input(image, 9, 14, 3).size() != 9 * 14 * 3) std::abort();
    if (to_input(image, {31, 5, 1, true}).size() != 31 * 5) std::abort();
  } catch (const Error&) {}
  return 0;
}
