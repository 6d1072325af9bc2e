// Event files read back by a reader of its own: records, their checksums bit by bit, and the messages inside.
#include "tensorboard.h"

#include <gtest/gtest.h>

#include <bit>

#include "error.h"
#include "image.h"
#include "png.h"
#include "protobuf_fields.h"
#include "temporary_folder.h"

namespace pinhole {
namespace {

namespace fs = std::filesystem;

/// CRC-32C bit by bit, masked as TFRecord files have it.
std::uint32_t masked(std::string_view bytes) {
  std::uint32_t crc = ~0U;
  for (const char byte : bytes) {
    crc ^= static_cast<std::uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1U) != 0 ? crc >> 1U ^ 0x82f63b78U : crc >> 1U;
  }
  crc = ~crc;
  return ((crc >> 15U) | (crc << 17U)) + 0xa282ead8U;
}

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;)
    value = value << 8U | static_cast<std::uint8_t>(bytes[i]);
  return value;
}

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The events of a file whose every checksum is right.
std::vector<std::vector<ProtobufField>> events(const fs::path& path) {
  const std::string bytes = content(path);
  std::string_view rest = bytes;
  std::vector<std::vector<ProtobufField>> all;
  while (rest.size() >= 16) {
    const std::size_t size = little_endian(rest.substr(0, 8));
    EXPECT_EQ(little_endian(rest.substr(8, 4)), masked(rest.substr(0, 8)));
    if (size > rest.size() - 16) break;
    const std::string_view data = rest.substr(12, size);
    EXPECT_EQ(little_endian(rest.substr(12 + size, 4)), masked(data));
    all.push_back(fields(data));
    rest.remove_prefix(16 + size);
  }
  EXPECT_TRUE(rest.empty());
  return all;
}

TEST(TensorBoard, crc32c_gives_the_standards_check_value) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);  // RFC 3720, B.4
}

TEST(TensorBoard, file_begins_with_its_version_and_holds_scalars_in_order) {
  const TemporaryFolder folder;
  TensorBoard board(folder.path() / "runs" / "one");
  board.scalar("loss/train", 1, 0.75);
  board.scalar("loss/train", 300, -2.5e10);
  EXPECT_NE(board.path().filename().string().find("tfevents"), std::string::npos);
  const auto all = events(board.path());
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(text_of(all[0], 3), "brain.Event:2");
  EXPECT_GT(std::bit_cast<double>(all_of(all[0], 1).at(0).value), 1.6e9);  // seconds since 1970
  const auto check = [&](std::size_t event, std::uint64_t step, float value) {
    EXPECT_EQ(all_of(all[event], 2).at(0).value, step);
    const auto entry = fields(text_of(fields(text_of(all[event], 5)), 1));
    EXPECT_EQ(text_of(entry, 1), "loss/train");
    EXPECT_EQ(std::bit_cast<float>(static_cast<std::uint32_t>(all_of(entry, 2).at(0).value)),
              value);
  };
  check(1, 1, 0.75F);
  check(2, 300, -2.5e10F);
  EXPECT_FALSE(board.failed());
}

TEST(TensorBoard, images_are_pngs_that_decode_to_the_same_pixels) {
  const TemporaryFolder folder;
  TensorBoard board(folder.path());
  std::vector<std::uint8_t> pixels;
  for (int i = 0; i < 5 * 7 * 3; ++i) pixels.push_back(static_cast<std::uint8_t>(37 * i));
  board.image("mistakes/1", 4, 5, 7, encode_png(pixels, 5, 7, 3));
  const auto picture =
      fields(text_of(fields(text_of(fields(text_of(events(board.path()).at(1), 5)), 1)), 4));
  EXPECT_EQ(all_of(picture, 1).at(0).value, 5U);
  EXPECT_EQ(all_of(picture, 2).at(0).value, 7U);
  EXPECT_EQ(all_of(picture, 3).at(0).value, 3U);
  const std::string png = text_of(picture, 4);
  const Image image = decode_image({reinterpret_cast<const std::uint8_t*>(png.data()), png.size()});
  EXPECT_EQ(to_input(image, 5, 7, 3), pixels);
}

TEST(TensorBoard, folder_that_cannot_be_made_is_an_error) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "file") << "no folder";
  EXPECT_THROW(TensorBoard(folder.path() / "file"), Error);
}

TEST(Png, grey_pixels_decode_to_themselves) {
  const std::vector<std::uint8_t> pixels{0, 1, 127, 128, 254, 255};
  const std::string png = encode_png(pixels, 2, 3, 1);
  const Image image = decode_image({reinterpret_cast<const std::uint8_t*>(png.data()), png.size()});
  EXPECT_EQ(to_input(image, 2, 3, 1), pixels);
}

}  // namespace
}  // namespace pinhole
