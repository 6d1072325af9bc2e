// TensorBoard event files: what `tensorboard --logdir DIR` shows. Each event is on the disk when it was added.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "protobuf.h"

namespace pinhole {

class TensorBoard {
 public:
  /// Makes `folder` where it is missing and a new file in it. Throws Error when that cannot be done.
  explicit TensorBoard(const std::filesystem::path& folder);

  void scalar(std::string_view tag, std::int64_t step, double value);
  /// `png`: the bytes of a PNG file of RGB pixels.
  void image(std::string_view tag, std::int64_t step, int height, int width, std::string_view png);

  /// A write has failed (a full disk): remembered, not thrown, so that a training is not lost for its log.
  bool failed() const { return !file_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  void add(std::int64_t step, const Protobuf& value);
  void write(const Protobuf& event);

  std::filesystem::path path_;
  std::ofstream file_;
};

/// CRC-32C (Castagnoli, RFC 3720), which these files check their records with.
std::uint32_t crc32c(std::string_view bytes);

}  // namespace pinhole
