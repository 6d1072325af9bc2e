#include "file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>

#include "error.h"

namespace pinhole {
namespace {

namespace fs = std::filesystem;

Error failure(const fs::path& path, std::string_view what, int code) {
  return Error(text(path.native(), ": ", what, ": ", std::strerror(code)));
}

/// Removes the file unless it was renamed away.
class Temporary {
 public:
  explicit Temporary(fs::path path) : path_(std::move(path)) {}
  ~Temporary() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  void release() { path_.clear(); }

 private:
  fs::path path_;
};

void write_directly(const fs::path& path, std::span<const std::uint8_t> bytes) {
  Descriptor file = open_file(path, O_WRONLY);
  if (!file.is_open()) throw failure(path, "cannot open for writing", errno);
  write_all(file.get(), bytes, path);
  if (file.close() != 0) throw failure(path, "cannot write", errno);
}

/// Where a chain of symbolic links leads, the last one dangling or not.
fs::path link_target(fs::path path) {
  for (int links = 0; links < 40; ++links) {
    std::error_code error;
    if (!fs::is_symlink(path, error)) return path;
    const fs::path next = fs::read_symlink(path, error);
    if (error) throw failure(path, "cannot read the symbolic link", error.value());
    path = next.is_absolute() ? next : path.parent_path() / next;
  }
  throw failure(path, "cannot open for writing", ELOOP);
}

}  // namespace

int Descriptor::close() { return is_open() ? ::close(std::exchange(value_, -1)) : 0; }

// Retries after a signal: Ctrl-C must not break the save that it asked for.
Descriptor open_file(const fs::path& path, int flags, mode_t mode) {
  int value;
  do value = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  while (value < 0 && errno == EINTR);
  return Descriptor(value);
}

void write_all(int descriptor, std::span<const std::uint8_t> bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) throw failure(path, "cannot write", count < 0 ? errno : ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void flush(int descriptor, const fs::path& path) {
  int result;
  do result = ::fsync(descriptor);
  while (result != 0 && errno == EINTR);
  // EINVAL, ENOTSUP: a file system without fsync.
  if (result != 0 && errno != EINVAL && errno != ENOTSUP)
    throw failure(path, "cannot write", errno);
}

std::vector<std::uint8_t> read_file(const fs::path& path) {
  // O_NONBLOCK: opening a pipe must not wait for its writer.
  const Descriptor file = open_file(path, O_RDONLY | O_NONBLOCK);
  if (!file.is_open()) throw failure(path, "cannot open", errno);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) throw failure(path, "cannot read", errno);
  if (S_ISDIR(status.st_mode)) throw Error(text(path.native(), ": is a folder, expected a file"));
  if (!S_ISREG(status.st_mode)) throw Error(text(path.native(), ": is not a regular file"));

  // One byte more than the size, so that the end is seen without another resize; a growing file is read to its end.
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(status.st_size) + 1);
  std::size_t filled = 0;
  while (true) {
    if (filled == bytes.size()) bytes.resize(bytes.size() * 2);
    const ssize_t count = ::read(file.get(), bytes.data() + filled, bytes.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw failure(path, "cannot read", errno);
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  bytes.resize(filled);
  return bytes;
}

void write_file_atomic(const fs::path& path, std::span<const std::uint8_t> bytes) {
  const fs::path target = link_target(path);
  struct stat status{};
  const bool exists = ::stat(target.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode))
    throw Error(text(path.native(), ": is a folder, expected a file name"));
  if (exists && !S_ISREG(status.st_mode))
    return write_directly(target, bytes);  // never replace /dev/null by a file
  if (target.filename().empty()) throw Error(text(path.native(), ": is no file name"));

  static std::atomic<unsigned> counter{0};
  const fs::path folder = target.parent_path();
  const fs::path temporary = folder / text(".pinhole-", ::getpid(), '-', counter++, ".tmp");
  Descriptor file = open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, 0666);
  if (!file.is_open()) throw failure(path, "cannot write", errno);
  Temporary cleanup(temporary);
  if (exists && ::access(target.c_str(), W_OK) != 0) throw failure(path, "cannot write", errno);
  write_all(file.get(), bytes, path);
  if (exists && ::fchmod(file.get(), status.st_mode & 07777) != 0)
    throw failure(path, "cannot write", errno);
  flush(file.get(), path);
  if (file.close() != 0) throw failure(path, "cannot write", errno);
  if (::rename(temporary.c_str(), target.c_str()) != 0) throw failure(path, "cannot write", errno);
  cleanup.release();

  // The rename itself reaches the disk with its folder; the file is complete either way, so failing here is no error.
  const Descriptor directory =
      open_file(folder.empty() ? fs::path(".") : folder, O_RDONLY | O_DIRECTORY);
  if (directory.is_open()) ::fsync(directory.get());
}

}  // namespace pinhole
