// Protocol Buffers, the little that writing a message takes. Format: https://protobuf.dev/programming-guides/encoding
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace pinhole {

/// One message; its bytes are complete at any time.
class Protobuf {
 public:
  /// int32, int64, bool and enum fields. A negative number takes its two's complement.
  Protobuf& integer(int field, std::int64_t value) {
    return tag(field, 0).varint(static_cast<std::uint64_t>(value));
  }
  Protobuf& number(int field, float value) {
    return tag(field, 5).little_endian(std::bit_cast<std::uint32_t>(value), 4);
  }
  Protobuf& number(int field, double value) {
    return tag(field, 1).little_endian(std::bit_cast<std::uint64_t>(value), 8);
  }
  /// string and bytes fields.
  Protobuf& bytes(int field, std::string_view value) {
    tag(field, 2).varint(value.size());
    bytes_ += value;
    return *this;
  }
  Protobuf& message(int field, const Protobuf& value) { return bytes(field, value.bytes_); }

  const std::string& bytes() const { return bytes_; }

 private:
  Protobuf& tag(int field, unsigned wire_type) {
    return varint(static_cast<std::uint64_t>(field) << 3U | wire_type);
  }
  Protobuf& varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) bytes_ += static_cast<char>((value & 0x7fU) | 0x80U);
    bytes_ += static_cast<char>(value);
    return *this;
  }
  Protobuf& little_endian(std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i, value >>= 8U) bytes_ += static_cast<char>(value & 0xffU);
    return *this;
  }

  std::string bytes_;
};

}  // namespace pinhole
