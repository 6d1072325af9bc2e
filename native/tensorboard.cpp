// Field numbers from TensorFlow's event.proto and summary.proto; records as in its record_writer.cc: length, masked CRC of the
// length, data, masked CRC of the data.
#include "tensorboard.h"

#include <unistd.h>

#include <array>
#include <chrono>

#include "error.h"

namespace pinhole {

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void append(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xffU);
}

/// CRCs of data that holds CRCs are weak, so the format turns them.
std::uint32_t masked_crc(std::string_view bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return ((crc >> 15U) | (crc << 17U)) + 0xa282ead8U;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static const auto table = [] {
    std::array<std::uint32_t, 256> t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit)
        value = (value & 1U) != 0 ? 0x82f63b78U ^ (value >> 1U) : value >> 1U;
      t[i] = value;
    }
    return t;
  }();
  std::uint32_t crc = ~0U;
  for (const char byte : bytes)
    crc = table[(crc ^ static_cast<std::uint8_t>(byte)) & 0xffU] ^ (crc >> 8U);
  return ~crc;
}

TensorBoard::TensorBoard(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw Error(text("cannot make the folder ", folder.string(), ": ", error.message()));
  // TensorBoard reads every file with "tfevents" in its name; time and process keep two runs apart.
  path_ = folder / text("events.out.tfevents.", static_cast<std::int64_t>(now()), '.', ::getpid(),
                        ".pinhole");
  file_.open(path_, std::ios::binary | std::ios::trunc);
  if (!file_) throw Error(text("cannot write ", path_.string()));
  Protobuf event;
  write(event.number(1, now()).bytes(3, "brain.Event:2"));
}

void TensorBoard::scalar(std::string_view tag, std::int64_t step, double value) {
  Protobuf entry;
  add(step, entry.bytes(1, tag).number(2, static_cast<float>(value)));
}

void TensorBoard::image(std::string_view tag, std::int64_t step, int height, int width,
                        std::string_view png) {
  constexpr int kRgb = 3;
  Protobuf picture, entry;
  picture.integer(1, height).integer(2, width).integer(3, kRgb).bytes(4, png);
  add(step, entry.bytes(1, tag).message(4, picture));
}

void TensorBoard::add(std::int64_t step, const Protobuf& value) {
  Protobuf summary, event;
  summary.message(1, value);
  write(event.number(1, now()).integer(2, step).message(5, summary));
}

void TensorBoard::write(const Protobuf& event) {
  std::string record;
  append(record, event.bytes().size(), 8);
  append(record, masked_crc(record), 4);
  record += event.bytes();
  append(record, masked_crc(event.bytes()), 4);
  file_ << record << std::flush;
}

}  // namespace pinhole
