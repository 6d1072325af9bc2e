// Whole files in and out, with one sentence when it does not work.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace pinhole {

/// The bytes of a regular file (or of what a symbolic link leads to). Throws Error "PATH: reason"; a pipe or a device is
/// refused, not waited for.
std::vector<std::uint8_t> read_file(const std::filesystem::path& path);

/// Writes all or nothing: a temporary file in the same folder, flushed to the disk, then renamed over `path`. On any failure, a
/// full disk included, the temporary file is removed, an existing file stays as it was and an Error is thrown.
/// An existing file keeps its permissions; a symbolic link is followed. A device or pipe is written to directly.
void write_file_atomic(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);

}  // namespace pinhole
