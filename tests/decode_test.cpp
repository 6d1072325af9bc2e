// What the command line decodes beyond the core: files by path, and WebP through libwebp.
#include "decode.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "error.h"
#include "image_files.h"
#include "rng.h"

namespace pinhole {
namespace {

using Bytes = std::vector<std::uint8_t>;

std::string refusal(const Bytes& bytes, const DecodeLimits& limits = {}) {
  try {
    const Image image = decode_any_image(bytes, limits);
    return text("decoded to ", image.width, 'x', image.height);
  } catch (const Error& error) {
    return error.what();
  }
}

class WebpGolden : public testing::TestWithParam<ImageGolden> {};

TEST_P(WebpGolden, decoding_and_resizing_give_pillows_bytes) {
  const ImageGolden& golden = GetParam();
  const Bytes pixels = to_input(decode_any_image(read_sample(golden.image)), golden.height,
                                golden.width, golden.channels);
  ASSERT_EQ(pixels.size(), golden.pixels().size());
  EXPECT_EQ(largest_difference(pixels, golden.pixels()), 0);
}

INSTANTIATE_TEST_SUITE_P(Images, WebpGolden,
                         testing::ValuesIn(image_goldens([](const std::string& name) {
                           return name.ends_with(".webp");
                         })),
                         [](const auto& golden) { return golden.param.test_name(); });

TEST(Webp, a_cut_file_is_refused_at_every_length) {
  for (const char* name :
       {"webp_lossy.webp", "webp_lossless.webp", "webp_turned.webp", "webp_animated.webp"}) {
    const Bytes whole = read_sample(name);
    const std::size_t pixels_end = std::string_view(name) == "webp_turned.webp"
                                       ? whole.size() - 40
                                       : whole.size();  // EXIF comes last
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      const std::string answer = refusal(cut);
      EXPECT_TRUE(!answer.starts_with("decoded") || length >= pixels_end)
          << name << " cut to " << length << " of " << whole.size();
    }
  }
  Bytes cut = read_sample("webp_lossy.webp");
  cut.resize(cut.size() / 2);
  EXPECT_EQ(refusal(cut), "truncated WebP: the file ends inside its image data");
}

TEST(Webp, damaged_files_never_crash) {
  Rng rng(5);
  for (const char* name : {"webp_lossy.webp", "webp_lossless.webp", "webp_animated.webp"}) {
    const Bytes whole = read_sample(name);
    for (int round = 0; round < 200; ++round) {
      Bytes damaged = whole;
      for (std::uint32_t i = 0; i <= rng.below(4); ++i)
        damaged[rng.below(static_cast<std::uint32_t>(whole.size()))] =
            static_cast<std::uint8_t>(rng.next());
      refusal(damaged, {.max_pixels = 1'000'000});
    }
  }
}

TEST(Webp, an_image_above_the_limit_is_refused) {
  EXPECT_NE(refusal(read_sample("webp_lossy.webp"), {.max_pixels = 700}).find("too large: 31x23"),
            std::string::npos);
}

TEST(DecodeFile, errors_begin_with_the_path) {
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / text("pinhole_decode_", ::getpid(), ".jpg");
  std::ofstream(path) << "this is a letter";
  try {
    decode_file(path);
    ADD_FAILURE() << "decoded a letter";
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), path.string() + ": not an image: a text file");
  }
  std::filesystem::resize_file(path, std::uintmax_t{5} << 30);  // a hole: takes no room
  try {
    decode_file(path);
    ADD_FAILURE() << "decoded 5 GB of nothing";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("too large for an image: 5368709120 bytes"),
              std::string::npos)
        << error.what();
  }
  std::filesystem::remove(path);
  EXPECT_THROW(decode_file(path), Error);
  EXPECT_EQ(decode_file(sample_folder() / "jpeg_420.jpg").width, 75);
}

}  // namespace
}  // namespace pinhole
