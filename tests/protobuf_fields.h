// Reads Protocol Buffers independently of core/protobuf.h: the fields of a message in order, numbers as they are, bytes that may be
// messages.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pinhole {

struct ProtobufField {
  int number = 0;
  std::uint64_t value = 0;  // of fixed32 and fixed64 the bits
  std::string bytes;
};

inline std::vector<ProtobufField> fields(std::string_view message) {
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(message.at(0));
      message.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
      if (byte < 0x80) return value;
    }
  };
  const auto fixed = [&](std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = size; i-- > 0;)
      value = value << 8U | static_cast<std::uint8_t>(message.at(i));
    message.remove_prefix(size);
    return value;
  };
  std::vector<ProtobufField> all;
  while (!message.empty()) {
    const std::uint64_t tag = varint();
    ProtobufField field;
    field.number = static_cast<int>(tag >> 3U);
    switch (tag & 7U) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.value = fixed(8);
        break;
      case 2: {
        const std::size_t size = varint();
        if (size > message.size()) {
          ADD_FAILURE() << "a field of " << size << " bytes in a message of " << message.size();
          return all;
        }
        field.bytes = message.substr(0, size);
        message.remove_prefix(size);
        break;
      }
      case 5:
        field.value = fixed(4);
        break;
      default:
        ADD_FAILURE() << "wire type " << (tag & 7U);
        return all;
    }
    all.push_back(field);
  }
  return all;
}

inline std::vector<ProtobufField> all_of(const std::vector<ProtobufField>& from, int number) {
  std::vector<ProtobufField> found;
  for (const ProtobufField& field : from) {
    if (field.number == number) found.push_back(field);
  }
  return found;
}

/// The bytes of the first field of this number; empty when there is none.
inline std::string text_of(const std::vector<ProtobufField>& from, int number) {
  const std::vector<ProtobufField> found = all_of(from, number);
  return found.empty() ? "" : found[0].bytes;
}

}  // namespace pinhole
