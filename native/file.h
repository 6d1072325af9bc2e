// Whole files in and out, with one sentence when it does not work.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <utility>
#include <vector>

namespace pinhole {

/// The bytes of a regular file (or of what a symbolic link leads to). Throws Error "PATH: reason"; a pipe or a device is
/// refused, not waited for.
std::vector<std::uint8_t> read_file(const std::filesystem::path& path);

/// Writes all or nothing: a temporary file in the same folder, flushed to the disk, then renamed over `path`. On any failure, a
/// full disk included, the temporary file is removed, an existing file stays as it was and an Error is thrown.
/// An existing file keeps its permissions; a symbolic link is followed. A device or pipe is written to directly.
void write_file_atomic(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);

/// An open file, closed in the end.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() { close(); }
  int get() const { return value_; }
  bool is_open() const { return value_ >= 0; }
  /// 0, or -1 and errno: an error that only shows when the last blocks are written (NFS, quotas).
  int close();

 private:
  int value_;
};

/// As open(2); errno says why where it is not open.
Descriptor open_file(const std::filesystem::path& path, int flags, mode_t mode = 0);
/// All of the bytes, or an Error that begins with `path`.
void write_all(int descriptor, std::span<const std::uint8_t> bytes,
               const std::filesystem::path& path);
/// To the disk itself, where the file system can do that.
void flush(int descriptor, const std::filesystem::path& path);

}  // namespace pinhole
