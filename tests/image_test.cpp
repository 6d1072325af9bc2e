// Encoded bytes to pixels, bit for bit as Pillow has them (tests/golden/make_image_goldens.py), and every kind of bad file.
// Rule: whatever the bytes are, decoding gives an image or throws pinhole::Error with a sentence; it never crashes.
#include "image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "error.h"
#include "exif.h"
#include "image_files.h"
#include "rng.h"

namespace pinhole {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes sample(const std::string& name) { return read_sample(name); }

std::string refusal(const Bytes& bytes, const DecodeLimits& limits = {}) {
  try {
    const Image image = decode_image(bytes, limits);
    return text("decoded to ", image.width, 'x', image.height);
  } catch (const Error& error) {
    return error.what();
  }
}

Bytes bytes_of(std::string_view characters) { return {characters.begin(), characters.end()}; }

#define EXPECT_REFUSED(bytes, part) \
  EXPECT_NE(refusal(bytes).find(part), std::string::npos) << refusal(bytes)

// --- Agreement with Pillow ---------------------------------------------------------------------------------------

class PillowGolden : public testing::TestWithParam<ImageGolden> {};

TEST_P(PillowGolden, decoding_and_resizing_give_pillows_bytes) {
  const ImageGolden& golden = GetParam();
  const Bytes pixels =
      to_input(decode_image(sample(golden.image)), golden.height, golden.width, golden.channels);
  ASSERT_EQ(pixels.size(), golden.pixels().size());
  EXPECT_EQ(largest_difference(pixels, golden.pixels()), 0);
}

INSTANTIATE_TEST_SUITE_P(Images, PillowGolden,
                         testing::ValuesIn(image_goldens([](const std::string& name) {
                           return !name.ends_with(".webp");
                         })),
                         [](const auto& golden) { return golden.param.test_name(); });

TEST(Image, a_mid_grey_with_half_alpha_on_white_is_what_pillow_pastes) {
  const Image image{1, 1, {100, 0, 255, 128}};
  EXPECT_EQ(to_input(image, 1, 1, 3), (Bytes{177, 127, 255}));
}

TEST(Image, grey_is_pillows_luma) {
  const Image image{4, 1, {255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255, 7, 7, 7, 255}};
  EXPECT_EQ(to_input(image, 1, 4, 1), (Bytes{76, 150, 29, 7}));
}

TEST(Image, pixels_without_alpha_resize_like_images) {
  const Image image = decode_image(sample("jpeg_420.jpg"));
  const Bytes rgb = to_input(image, image.height, image.width, 3),
              grey = to_input(image, image.height, image.width, 1);
  EXPECT_EQ(to_input(rgb, image.height, image.width, 3, 28, 30, 3), to_input(image, 28, 30, 3));
  EXPECT_EQ(to_input(rgb, image.height, image.width, 3, 28, 30, 1), to_input(image, 28, 30, 1));
  EXPECT_EQ(to_input(grey, image.height, image.width, 1, 28, 30, 1), to_input(image, 28, 30, 1));
  const Bytes small = to_input(image, 28, 30, 1),
              spread = to_input(grey, image.height, image.width, 1, 28, 30, 3);
  ASSERT_EQ(spread.size(), 3 * small.size());
  for (std::size_t i = 0; i < spread.size(); ++i) ASSERT_EQ(spread[i], small[i / 3]);
}

TEST(Image, a_constant_image_stays_constant_at_any_size) {
  Image image{37, 23, {}};
  for (int i = 0; i < 37 * 23; ++i) image.rgba.insert(image.rgba.end(), {255, 3, 128, 255});
  for (const auto& [height, width] : {std::pair{1, 1}, {5, 90}, {90, 5}, {23, 36}, {224, 224}}) {
    const Bytes pixels = to_input(image, height, width, 3);
    for (std::size_t i = 0; i < pixels.size(); i += 3) {
      ASSERT_EQ(pixels[i], 255);
      ASSERT_EQ(pixels[i + 1], 3);
      ASSERT_EQ(pixels[i + 2], 128);
    }
  }
}

TEST(Image, center_crop_is_the_largest_part_in_the_middle_of_these_proportions) {
  struct Case {
    int height_in, width_in, height, width;  // of the picture, of the input
    int top, left, rows, columns;  // of the part
  };
  for (const Case& one : {Case{3, 8, 224, 224, 0, 2, 3, 3}, Case{8, 3, 96, 96, 2, 0, 3, 3},
                          Case{5, 5, 7, 7, 0, 0, 5, 5}, Case{6, 9, 20, 10, 0, 3, 6, 3},
                          Case{7, 4, 10, 20, 2, 0, 2, 4}, Case{1, 9, 30, 1, 0, 4, 1, 1}}) {
    Image image{one.width_in, one.height_in, {}};
    for (int i = 0; i < one.height_in * one.width_in; ++i) {
      const auto place = static_cast<std::uint8_t>(i);
      image.rgba.insert(image.rgba.end(), {place, 0, 255, 255});
    }
    const Image part = center_crop(image, one.height, one.width);
    ASSERT_EQ(std::pair(part.height, part.width), std::pair(one.rows, one.columns));
    for (int y = 0; y < one.rows; ++y) {
      for (int x = 0; x < one.columns; ++x) {
        EXPECT_EQ(part.rgba[static_cast<std::size_t>(y * one.columns + x) * 4],
                  (one.top + y) * one.width_in + one.left + x);
      }
    }
    EXPECT_EQ(to_input(image, {one.height, one.width, 3, true}),
              to_input(part, one.height, one.width, 3));
    EXPECT_EQ(to_input(image, {one.height, one.width, 3}),
              to_input(image, one.height, one.width, 3));
  }
  EXPECT_THROW(to_input(Image{}, {1, 1, 3, true}), Error);
  EXPECT_THROW(to_input(Image{1, 1, {0, 0, 0, 255}}, {0, 1, 3, true}), Error);
}

TEST(Image, inputs_that_no_image_can_become_are_refused) {
  const Image image{1, 1, {0, 0, 0, 255}};
  EXPECT_THROW(to_input(image, 1, 1, 4), Error);
  EXPECT_THROW(to_input(image, 0, 1, 3), Error);
  EXPECT_THROW(to_input(Image{}, 1, 1, 3), Error);
  EXPECT_THROW(to_input(Bytes(11), 2, 2, 3, 1, 1, 3), Error);
}

// --- Orientation -----------------------------------------------------------------------------------------------------

/// The red bytes of an image, row by row.
std::string letters(const Image& image) {
  std::string out;
  for (int i = 0; i < image.width * image.height; ++i) {
    if (i > 0 && i % image.width == 0) out += '/';
    out += static_cast<char>(image.rgba[static_cast<std::size_t>(4 * i)]);
  }
  return out;
}

TEST(Orientation, all_eight_turn_and_flip_as_exif_says) {
  Image image{3, 2, {}};
  for (const char c : {'a', 'b', 'c', 'd', 'e', 'f'})
    image.rgba.insert(image.rgba.end(), {static_cast<std::uint8_t>(c), 0, 0, 255});
  const char* const upright[] = {"abc/def",  "abc/def",  "cba/fed",  "fed/cba",  "def/abc",
                                 "ad/be/cf", "da/eb/fc", "fc/eb/da", "cf/be/ad", "abc/def"};
  for (int orientation = 0; orientation <= 9; ++orientation)
    EXPECT_EQ(letters(apply_orientation(image, orientation)), upright[orientation]) << orientation;
}

/// A TIFF block with an orientation behind another entry.
Bytes exif_block(int orientation, bool big_endian) {
  Bytes out = bytes_of(big_endian ? "MM" : "II");
  const auto put = [&](std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i)
      out.push_back(static_cast<std::uint8_t>(value >> 8 * (big_endian ? bytes - 1 - i : i)));
  };
  put(42, 2);
  put(8, 4);
  put(2, 2);
  put(0x010f, 2), put(2, 2), put(3, 4), put(0, 4);  // Make
  put(0x0112, 2), put(3, 2), put(1, 4), put(orientation, 2), put(0, 2);  // Orientation
  put(0, 4);
  return out;
}

TEST(Orientation, is_read_from_exif_in_both_byte_orders) {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (const bool big_endian : {false, true}) {
      Bytes block = exif_block(orientation, big_endian);
      EXPECT_EQ(exif_orientation(block), orientation);
      const Bytes prefix = bytes_of(std::string_view("Exif\0\0", 6));
      block.insert(block.begin(), prefix.begin(), prefix.end());
      EXPECT_EQ(exif_orientation(block), orientation);
    }
  }
  EXPECT_EQ(exif_orientation(exif_block(0, true)), 1);
  EXPECT_EQ(exif_orientation(exif_block(9, false)), 1);
}

TEST(Orientation, may_be_a_whole_number_of_another_type) {
  constexpr std::size_t kType = 8 + 2 + 12 + 2;  // of the second entry
  const auto with_type = [](std::uint8_t type, bool big_endian) {
    Bytes block = exif_block(6, big_endian);
    block[kType + (big_endian ? 1 : 0)] = type;
    return block;
  };
  EXPECT_EQ(exif_orientation(with_type(1, false)), 6);  // byte
  EXPECT_EQ(exif_orientation(with_type(4, false)), 6);  // long
  EXPECT_EQ(exif_orientation(with_type(8, true)), 6);  // signed short
  EXPECT_EQ(exif_orientation(with_type(9, false)), 6);  // signed long
  EXPECT_EQ(exif_orientation(with_type(2, false)), 1);  // text
}

TEST(Orientation, damaged_exif_means_upright) {
  const Bytes block = exif_block(6, true);
  for (std::size_t length = 0; length + 4 < block.size(); ++length) {
    const Bytes cut(block.begin(),
                    block.begin() + static_cast<std::ptrdiff_t>(
                                        length));  // its own memory: a read beyond it is seen
    const int orientation = exif_orientation(cut);
    EXPECT_TRUE(orientation == 1 || length >= 34) << length;
  }
  Rng rng(11);
  for (int round = 0; round < 2000; ++round) {
    Bytes damaged = block;
    for (int i = 0; i < 3; ++i)
      damaged[rng.below(static_cast<std::uint32_t>(damaged.size()))] =
          static_cast<std::uint8_t>(rng.next());
    const int orientation = exif_orientation(damaged);
    EXPECT_GE(orientation, 1);
    EXPECT_LE(orientation, 8);
  }
}

TEST(Orientation, of_a_jpeg_in_either_byte_order_turns_the_image) {
  const Bytes plain = sample("jpeg_444.jpg");
  const Image image = decode_image(plain);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (const bool big_endian : {false, true}) {
      const Bytes exif = exif_block(orientation, big_endian);
      Bytes segment = {0xff, 0xe1, 0, static_cast<std::uint8_t>(exif.size() + 8), 'E', 'x', 'i',
                       'f',  0,    0};
      segment.insert(segment.end(), exif.begin(), exif.end());
      Bytes jpeg = plain;
      jpeg.insert(jpeg.begin() + 2, segment.begin(), segment.end());
      const Image turned = decode_image(jpeg), expected = apply_orientation(image, orientation);
      EXPECT_EQ(turned.width, expected.width);
      EXPECT_EQ(turned.rgba, expected.rgba) << orientation;
    }
  }
}

// --- Bad files ------------------------------------------------------------------------------------------------------------

TEST(BadImage, nothing_and_text_are_told_apart_from_images) {
  EXPECT_EQ(refusal({}), "empty file");
  EXPECT_EQ(refusal(bytes_of("this is a letter, not a photo\n")), "not an image: a text file");
  EXPECT_EQ(refusal(bytes_of("<!DOCTYPE html><title>404</title>")), "not an image: a web page");
  EXPECT_EQ(refusal(bytes_of("%PDF-1.7\n")), "not an image: a PDF document");
  EXPECT_REFUSED((Bytes{0xde, 0xad, 0xbe, 0xef, 1, 2, 3}), "not an image: ");
  EXPECT_REFUSED((Bytes(1000, 0)), "not an image: ");
}

TEST(BadImage, formats_that_are_not_read_are_named) {
  using namespace std::string_view_literals;
  EXPECT_REFUSED(bytes_of("RIFF\x10\0\0\0WEBPVP8 "sv), "a WebP image");
  EXPECT_REFUSED(bytes_of("\0\0\0\x18"
                          "ftypheic\0\0\0\0mif1heic"sv),
                 "a HEIC photo");
  EXPECT_REFUSED(bytes_of("\0\0\0\x18"
                          "ftypmif1\0\0\0\0mif1avif"sv),
                 "an AVIF image");
  EXPECT_REFUSED(bytes_of("\0\0\0\x18"
                          "ftypisom\0\0\0\0isommp42"sv),
                 "not an image: a video");
  EXPECT_REFUSED(bytes_of("II*\0\x08\0\0\0"sv), "a TIFF image");
  EXPECT_REFUSED(bytes_of("MM\0*\0\0\0\x08"sv), "a TIFF image");
  EXPECT_REFUSED(bytes_of("\xff\x0a\xfa\x7f"sv), "a JPEG XL image");
  EXPECT_REFUSED(bytes_of("\0\0\0\x0cJXL \r\n\x87\n"sv), "a JPEG XL image");
  EXPECT_REFUSED(bytes_of("\0\0\0\x0cjP  \r\n\x87\n"sv), "a JPEG 2000 image");
  EXPECT_REFUSED(bytes_of("<?xml version='1.0'?><svg/>"sv), "an SVG drawing");
  EXPECT_REFUSED(bytes_of("8BPS\0\1"sv), "a Photoshop file");
}

/// A GIF of 2x2 pixels with the colours 1 black, 2 white, 3 red, 0 blue whose only frame is one red pixel.
Bytes one_pixel_gif(std::string_view before_frame, std::string_view frame_place) {
  using namespace std::string_view_literals;
  Bytes gif = bytes_of("GIF89a\2\0\2\0\xf1\1\0"sv);
  for (const std::string_view part : {"\0\0\xff\0\0\0\xff\xff\xff\xff\0\0"sv, before_frame, ","sv,
                                      frame_place, "\1\0\1\0\0\2\2\x5c\1\0;"sv})
    gif.insert(gif.end(), part.begin(), part.end());
  return gif;
}

TEST(Gif, pixels_that_the_first_frame_leaves_out_have_the_first_colour_or_are_transparent) {
  using namespace std::string_view_literals;
  const Bytes red = {255, 0, 0, 255}, blue = {0, 0, 255, 255}, nothing = {0, 0, 255, 0};
  const auto pixel = [](const Image& image, std::size_t i) {
    return Bytes(image.rgba.begin() + static_cast<std::ptrdiff_t>(4 * i),
                 image.rgba.begin() + static_cast<std::ptrdiff_t>(4 * i + 4));
  };
  const Image plain = decode_image(one_pixel_gif({}, "\1\0\0\0"sv));
  EXPECT_EQ(pixel(plain, 1), red);
  for (const std::size_t i : {0, 2, 3}) EXPECT_EQ(pixel(plain, i), blue) << i;
  const Image see_through = decode_image(one_pixel_gif("!\xf9\4\1\0\0\2\0"sv, "\0\0\1\0"sv));
  EXPECT_EQ(pixel(see_through, 2), red);
  for (const std::size_t i : {0, 1, 3}) EXPECT_EQ(pixel(see_through, i), nothing) << i;
}

TEST(Gif, kinds_that_are_not_read_are_named) {
  using namespace std::string_view_literals;
  EXPECT_REFUSED(one_pixel_gif({}, "\2\0\0\0"sv), "first frame is larger than the picture");
  Bytes gif = one_pixel_gif({}, "\0\0\0\0"sv);
  gif[gif.size() - 4] = 0x5b;  // starts with a colour
  EXPECT_REFUSED(gif, "does not begin with a clear code");
  gif[6] = 0;
  EXPECT_REFUSED(gif, "its size is 0x2");
}

TEST(Tga, pixels_stored_from_the_right_are_turned) {
  Bytes tga = sample("tga_rgb.tga");
  const Image image = decode_image(tga);
  tga[17] ^= 0x10;
  const Image mirrored = decode_image(tga);
  EXPECT_NE(mirrored.rgba, image.rgba);
  EXPECT_EQ(mirrored.rgba, apply_orientation(image, 2).rgba);
}

TEST(Bmp, colour_masks_inside_a_header_of_56_bytes_are_read) {
  Bytes bmp = bytes_of("BM");
  const auto put = [&](std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) bmp.push_back(static_cast<std::uint8_t>(value >> 8 * i));
  };
  put(14 + 56 + 8, 4), put(0, 4), put(14 + 56, 4);
  put(56, 4), put(2, 4), put(1, 4), put(1, 2), put(32, 2), put(3, 4), put(8, 4);  // bit fields
  put(0, 4), put(0, 4), put(0, 4), put(0, 4);
  put(0x000000ff, 4), put(0x0000ff00, 4), put(0x00ff0000, 4), put(0, 4);  // red, green, blue
  put(0x00030201, 4), put(0x00302010, 4);
  EXPECT_EQ(decode_image(bmp).rgba, (Bytes{1, 2, 3, 255, 0x10, 0x20, 0x30, 255}));
}

TEST(Bmp, of_no_pixels_is_refused) {
  for (const int at : {18, 22}) {  // its width, its height
    Bytes bmp = sample("bmp_rgb.bmp");
    std::memset(bmp.data() + at, 0, 4);
    EXPECT_REFUSED(bmp, "damaged BMP: its size is");
  }
}

TEST(BadImage, a_binary_pnm_needs_white_space_before_its_pixels) {
  EXPECT_EQ(refusal(bytes_of("P5 1 1 255 7")), "decoded to 1x1");
  EXPECT_REFUSED(bytes_of("P5 1 1 255#7"), "no white space before its pixels");
}

TEST(BadImage, a_cut_file_is_refused_at_every_length) {
  for (const char* name :
       {"jpeg_two_columns.jpg", "jpeg_progressive.jpg", "jpeg_turned.jpg", "png_palette_4bit.png",
        "png_interlaced.png", "gif_still.gif", "gif_animated.gif", "bmp_rgb.bmp", "bmp_palette.bmp",
        "bmp_bilevel.bmp", "tga_rgb.tga", "tga_packed.tga", "pnm_grey.pgm", "pnm_1000.ppm"}) {
    const Bytes whole = sample(name);
    // An animation is whole when its first frame is; Pillow ends a TGA with a footer that holds no pixels.
    const std::string_view view(name);
    const std::size_t needed = view == "gif_animated.gif" ? 0
                               : view == "gif_still.gif"  ? whole.size() - 1
                               : view.ends_with(".tga")   ? whole.size() - 26
                                                          : whole.size();
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      try {
        const Image image = decode_image(cut);
        EXPECT_GE(length, needed) << name << " cut to " << length << " of " << whole.size()
                                  << " bytes was decoded";
      } catch (const Error& error) {
        EXPECT_STRNE(error.what(), "");
      }
    }
  }
}

TEST(BadImage, a_cut_jpeg_and_a_cut_png_say_so) {
  Bytes jpeg = sample("jpeg_420.jpg");
  jpeg.resize(jpeg.size() - 1);
  EXPECT_EQ(refusal(jpeg), "truncated JPEG: the file ends before its end-of-image marker");
  jpeg.resize(jpeg.size() / 2);
  EXPECT_EQ(refusal(jpeg), "truncated JPEG: the file ends before its end-of-image marker");
  Bytes png = sample("png_rgb.png");
  png.resize(png.size() - 12);
  EXPECT_EQ(refusal(png), "truncated PNG: the file ends before its IEND chunk");
  png.resize(png.size() / 2);
  EXPECT_EQ(refusal(png), "truncated PNG: the file ends inside its IDAT chunk");
}

TEST(BadImage, the_end_marker_of_a_thumbnail_does_not_make_a_cut_jpeg_whole) {
  Bytes jpeg = sample("jpeg_turned.jpg");
  const Bytes end = {0xff, 0xd9};
  const auto first = std::search(jpeg.begin(), jpeg.end(), end.begin(), end.end());
  ASSERT_LT(first, jpeg.end() - 2) << "the sample has no thumbnail";
  jpeg.resize(jpeg.size() - 2);
  EXPECT_REFUSED(jpeg, "truncated JPEG");
}

TEST(BadImage, bytes_after_the_end_of_an_image_do_not_matter) {
  for (const char* name :
       {"jpeg_420.jpg", "png_rgb.png", "gif_still.gif", "bmp_rgb.bmp", "pnm_rgb.ppm"}) {
    Bytes bytes = sample(name);
    const Image image = decode_image(bytes);
    bytes.insert(bytes.end(), 100, 0xff);
    EXPECT_EQ(decode_image(bytes).rgba, image.rgba) << name;
  }
}

TEST(BadImage, a_bit_that_flipped_in_a_png_is_noticed) {
  const Bytes whole = sample("png_palette_4bit.png");
  for (std::size_t i = 8; i + 1 < whole.size(); ++i) {
    Bytes damaged = whole;
    damaged[i] ^= 0x10;
    EXPECT_EQ(refusal(damaged).find("decoded"), std::string::npos) << i;
  }
}

TEST(BadImage, a_second_png_header_is_refused) {
  Bytes png = sample("png_rgb.png");
  const Bytes end(png.end() - 12, png.end());
  png.resize(png.size() - 12);
  const Bytes empty_header = {0,   0,   0,    0,    'I',  'H',
                              'D', 'R', 0xa8, 0xa1, 0xae, 0x0a};  // its checksum is right
  png.insert(png.end(), empty_header.begin(), empty_header.end());
  EXPECT_REFUSED(png, "must begin with an IHDR chunk");
  png.insert(png.end(), end.begin(), end.end());
  EXPECT_REFUSED(png, "must begin with an IHDR chunk");
}

TEST(BadImage, an_image_above_the_limit_is_refused_before_it_is_decoded) {
  EXPECT_REFUSED((bytes_of("P5 2000000 2000000 255\n")), "too large: 2000000x2000000");
  Bytes jpeg = sample("jpeg_420.jpg");
  const Bytes frame = {0xff, 0xc0};
  const auto at = std::search(jpeg.begin(), jpeg.end(), frame.begin(), frame.end());
  std::fill(at + 5, at + 9, 0xff);
  EXPECT_REFUSED(jpeg, "too large: 65535x65535");
  Bytes bmp = sample("bmp_rgb.bmp");
  const std::int32_t upside_down = -30'000, wide = 30'000;
  std::memcpy(bmp.data() + 18, &wide, 4);
  std::memcpy(bmp.data() + 22, &upside_down, 4);
  EXPECT_REFUSED(bmp, "too large: 30000x30000");
  for (const char* name : {"jpeg_420.jpg", "png_rgb.png", "gif_still.gif", "bmp_rgb.bmp",
                           "tga_rgb.tga", "pnm_rgb.ppm"}) {
    EXPECT_NE(refusal(sample(name), {.max_pixels = 700}).find("too large"), std::string::npos)
        << name;
  }
}

TEST(BadImage, a_png_of_60_kilobytes_that_claims_ten_billion_pixels_gets_a_sentence_at_once) {
  using namespace std::string_view_literals;
  // Its checksums are right: only what it claims is wrong.
  Bytes png = bytes_of(
      "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\1\x86\xa0\0\1\x86\xa0\x8\2\0\0\0\x27\x30\x9c\x9f"sv);
  const Bytes rest = bytes_of("\0\0\0\0IEND\xae\x42\x60\x82"sv);
  png.insert(png.end(), rest.begin(), rest.end());
  png.resize(60'000);
  EXPECT_EQ(refusal(png),
            "the image is too large: 100000x100000 pixels, at most 100000000 are allowed");
}

TEST(BadImage, damaged_files_never_crash) {
  Rng rng(2026);
  for (const char* name :
       {"jpeg_two_columns.jpg", "jpeg_420.jpg", "jpeg_progressive.jpg", "jpeg_cmyk.jpg",
        "png_interlaced.png", "gif_transparent.gif", "bmp_palette.bmp", "bmp_bilevel.bmp",
        "tga_packed.tga", "pnm_plain.ppm"}) {
    const Bytes whole = sample(name);
    for (int round = 0; round < 300; ++round) {
      Bytes damaged = whole;
      // Mostly in the headers, where damage does most.
      const auto reach = static_cast<std::uint32_t>(
          round % 2 == 0 ? std::min<std::size_t>(whole.size(), 700) : whole.size());
      for (std::uint32_t i = 0; i <= rng.below(4); ++i)
        damaged[rng.below(reach)] = static_cast<std::uint8_t>(rng.next());
      refusal(damaged, {.max_pixels = 1'000'000});
    }
  }
}

// Found by the fuzzer: stb_image goes on with fewer than no bits where a marker cuts off a large coefficient.
TEST(BadImage, a_marker_anywhere_in_the_data_of_a_jpeg_does_not_crash) {
  const Bytes whole = sample("jpeg_444.jpg");
  const std::array<std::uint8_t, 2> scan{0xff, 0xda};
  const auto data = std::search(whole.begin(), whole.end(), scan.begin(), scan.end());
  ASSERT_NE(data, whole.end());
  Rng rng(2026);
  for (auto at = data - whole.begin() + 14; at < std::ssize(whole) - 2; ++at) {
    Bytes damaged = whole;
    // Codes of many ones are those of large coefficients.
    const std::array<std::uint8_t, 5> cut{0xff, 0, static_cast<std::uint8_t>(rng.below(255)), 0xff,
                                          0xd9};
    damaged.insert(damaged.begin() + at, cut.begin(), cut.end());
    refusal(damaged);
  }
}

TEST(BadImage, jpegs_of_other_kinds_are_named) {
  const auto with_frame = [](std::uint8_t marker, std::uint8_t bits) {
    Bytes jpeg = sample("jpeg_420.jpg");
    const Bytes frame = {0xff, 0xc0};
    const auto at = std::search(jpeg.begin(), jpeg.end(), frame.begin(), frame.end());
    at[1] = marker;
    at[4] = bits;
    return jpeg;
  };
  EXPECT_REFUSED(with_frame(0xc3, 8), "a lossless JPEG");
  EXPECT_REFUSED(with_frame(0xc9, 8), "an arithmetic-coded JPEG");
  EXPECT_REFUSED(with_frame(0xc1, 12), "a JPEG with 12 bits a sample");
}

}  // namespace
}  // namespace pinhole
