// The file: a header, the pixels of the readable images one after the other, a record for every sample of the folder, and the reasons
// why some cannot be read. It is written under another name and renamed when it is whole and on the disk.
#include "image_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

#include "decode.h"
#include "error.h"
#include "file.h"
#include "hash.h"

namespace pinhole {
namespace {

namespace fs = std::filesystem;

/// To be raised when the file, decoding or resizing changes, so that older caches are not taken.
constexpr std::uint64_t kFormat = 1;
constexpr std::size_t kPixelsAt = 4096;

/// As a file's system tells it: whoever has the same has, but for forgery, not been written since.
struct Signature {
  std::uint64_t inode = 0, size = 0, modified = 0, changed = 0;  // nanoseconds
  bool operator==(const Signature&) const = default;
};

struct Record {
  std::uint64_t path = 0;  // a hash
  Signature signature{};
  std::uint64_t content = 0;  // a hash
  std::uint64_t reason = 0;  // bytes; 0: the image is there
};

struct Header {
  std::array<char, 8> magic{'P', 'i', 'n', 'h', 'o', 'l', 'e', '\n'};
  std::uint64_t format = kFormat;
  std::uint64_t key = 0;  // of the folder's path and of how the images were made
  std::uint64_t samples = 0, images = 0, image_bytes = 0, index_bytes = 0;
  std::uint64_t checksum = 0;  // of the numbers above and of the index
};
static_assert(sizeof(Header) <= kPixelsAt && std::is_trivially_copyable_v<Header> &&
              std::is_trivially_copyable_v<Record>);

template <class T>
std::span<const std::uint8_t> bytes_of(const T& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof(T)};
}

std::uint64_t checksum(Header header, std::span<const std::uint8_t> index) {
  header.checksum = 0;
  Hash hash;
  hash.add(bytes_of(header));
  hash.add(index);
  return hash.value();
}

std::uint64_t hash_of(const std::string& path) {
  Hash hash;
  hash.add(path);
  return hash.value();
}

/// Nothing (all 0) for a file that is not there or that was written a moment ago: another write may leave the same times.
Signature signature_of(const fs::path& path) {
  constexpr std::int64_t kMoment = 2;  // seconds; file systems have coarser clocks than the system
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return {};
  const std::int64_t now = std::chrono::duration_cast<std::chrono::seconds>(
                               std::chrono::system_clock::now().time_since_epoch())
                               .count();
  if (status.st_ctim.tv_sec + kMoment > now) return {};
  const auto nanoseconds = [](const timespec& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(time.tv_nsec);
  };
  return {status.st_ino, static_cast<std::uint64_t>(status.st_size), nanoseconds(status.st_mtim),
          nanoseconds(status.st_ctim)};
}

/// 0 for a file that cannot be read.
std::uint64_t content_of(const fs::path& path) noexcept {
  try {
    Hash hash;
    hash.add(read_image_file(path));
    return hash.value();
  } catch (const std::exception&) {
    return 0;
  }
}

/// Decodes the samples of a folder in order, on threads of its own, a few images before the one that is asked for.
class DecodeAhead {
 public:
  struct Sample {
    DecodedSample decoded;
    Signature signature;
  };

  DecodeAhead(const ImageFolder& folder, const Preparation& preparation, const DecodeLimits& limits,
              int threads)
      : folder_(folder),
        preparation_(preparation),
        limits_(limits),
        slots_(static_cast<std::size_t>(threads) * kAhead) {
    for (int i = 0; i < threads; ++i)
      threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  }

  Sample next() {
    std::unique_lock lock(mutex_);
    std::unique_ptr<Sample>& slot = slots_[given_ % slots_.size()];
    decoded_.wait(lock, [&] { return slot != nullptr; });
    const std::unique_ptr<Sample> sample = std::move(slot);
    ++given_;
    lock.unlock();
    room_.notify_one();
    return std::move(*sample);
  }

 private:
  static constexpr std::size_t kAhead = 8;  // images a thread

  void work(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (true) {
      const auto may_go = [&] {
        return taken_ == folder_.samples.size() || taken_ < given_ + slots_.size();
      };
      if (!room_.wait(lock, stop, may_go) || taken_ == folder_.samples.size()) return;
      const std::size_t i = taken_++;
      lock.unlock();
      const fs::path& path = folder_.samples[i].first;
      Sample sample{.decoded = {}, .signature = signature_of(path)};  // before it is read
      sample.decoded = decode_sample(path, preparation_, limits_);
      lock.lock();
      slots_[i % slots_.size()] = std::make_unique<Sample>(std::move(sample));
      decoded_.notify_one();
    }
  }

  const ImageFolder& folder_;
  const Preparation preparation_;
  const DecodeLimits limits_;
  std::mutex mutex_;
  std::condition_variable decoded_;
  std::condition_variable_any room_;
  std::vector<std::unique_ptr<Sample>> slots_;  // sample i in i % size
  std::size_t taken_ = 0, given_ = 0;
  std::vector<std::jthread> threads_;  // last: they end before the rest goes
};

/// A whole file in the address space; of it at most `memory` bytes are in memory, beside what is being read.
class Mapping {
 public:
  Mapping(int descriptor, std::size_t size, const fs::path& path) : size_(size) {
    void* const address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0);
    if (address == MAP_FAILED)
      throw Error(text(path.native(), ": cannot map the file: ", std::strerror(errno)));
    data_ = static_cast<const std::uint8_t*>(address);
  }
  ~Mapping() { ::munmap(const_cast<std::uint8_t*>(data_), size_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  const std::uint8_t* data() const { return data_; }

  /// So many bytes more come into memory: when they would be more than `memory`, what was read before is let go. It comes back from the
  /// file when it is read again, so that others may be reading now.
  void reading(std::uint64_t bytes, std::uint64_t memory) {
    if (size_ <= memory) return;
    if (in_memory_.fetch_add(bytes) + bytes <= memory) return;
    in_memory_ = bytes;
    ::madvise(const_cast<std::uint8_t*>(data_), size_, MADV_DONTNEED);
  }

 private:
  const std::uint8_t* data_ = nullptr;
  std::size_t size_;
  std::atomic<std::uint64_t> in_memory_ = 0;
};

std::vector<std::uint8_t> read_at(int descriptor, std::size_t at, std::size_t count) {
  std::vector<std::uint8_t> bytes(count);
  std::size_t filled = 0;
  while (filled < count) {
    const ssize_t got =
        ::pread(descriptor, bytes.data() + filled, count - filled, static_cast<off_t>(at + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    filled += static_cast<std::size_t>(got);
  }
  bytes.resize(filled);
  return bytes;
}

/// Where the disk cannot hold the decoded images, says so before they are decoded.
void check_room(const fs::path& folder, std::uint64_t bytes) {
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  // File systems that do not know report 0 or -1 for everything.
  if (error || space.capacity == 0 || space.available >= bytes) return;
  throw Error(text(folder.native(), ": the decoded images take ", bytes / 1'000'000 + 1,
                   " MB and the disk has ", space.available / 1'000'000, " MB left"));
}

class CachedFolder {
 public:
  CachedFolder(const ImageFolder& folder, const fs::path& root, const Preparation& preparation,
               const DecodeLimits& limits, const ImageCache& cache)
      : folder_(folder), preparation_(preparation), limits_(limits), cache_(cache) {
    image_bytes_ =
        ImageDataset(preparation.height, preparation.width, preparation.channels, folder.classes)
            .image_bytes();
    std::error_code error;
    fs::path real = fs::canonical(root, error);
    if (error) real = fs::absolute(root);
    Hash hash;
    hash.add(real.native());
    for (const std::int64_t number :
         {std::int64_t{preparation.height}, std::int64_t{preparation.width},
          std::int64_t{preparation.channels}, limits.max_pixels})
      hash.add(static_cast<std::uint64_t>(number));
    if (preparation.center_crop) hash.add("center crop");
    key_ = hash.value();
    path_ = cache.folder / text(real.filename().native(), '-', preparation.height, 'x',
                                preparation.width, 'x', preparation.channels, '-', hash.digits(),
                                ".images");
    fs::create_directories(cache.folder, error);
    if (!fs::is_directory(cache.folder))
      throw Error(text(cache.folder.native(), ": cannot make this folder for decoded images",
                       error ? ": " + error.message() : ""));
  }

  CachedImages load(ThreadPool& pool, LoadReport& report,
                    const std::function<void(std::size_t, std::size_t)>& progress) {
    CachedImages result{.images = ImageDataset(preparation_.height, preparation_.width,
                                               preparation_.channels, folder_.classes),
                        .file = path_.native(),
                        .problem = {}};
    Descriptor file = open_file(path_, O_RDONLY | O_NONBLOCK);
    if (!usable(file, pool, result.problem)) {
      const fs::path part = path_.native() + ".part";
      Descriptor locked = lock(part);
      // Another program may have written it in the meantime.
      std::string ignored;
      file = open_file(path_, O_RDONLY | O_NONBLOCK);
      if (usable(file, pool, ignored)) {
        ::unlink(part.c_str());
      } else {
        result.decoded = true;
        write(locked.get(), part, pool.threads(), progress);
        file = std::move(locked);
      }
    }
    map(file.get());
    fill(result.images, report);
    return result;
  }

 private:
  std::size_t index_at() const { return kPixelsAt + header_.images * image_bytes_; }
  std::size_t file_size() const { return index_at() + header_.index_bytes; }

  /// Reads header and index. False when the file cannot be used, with the reason where there is a file.
  bool usable(const Descriptor& file, ThreadPool& pool, std::string& problem) {
    if (!file.is_open()) {
      if (errno != ENOENT) problem = std::strerror(errno);
      return false;
    }
    struct stat status{};
    const std::vector<std::uint8_t> head = read_at(file.get(), 0, sizeof(Header));
    if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
        head.size() != sizeof(Header) ||
        !std::equal(head.begin(), head.begin() + 8, Header().magic.begin())) {
      problem = "it is not a file of decoded images";
      return false;
    }
    std::memcpy(&header_, head.data(), sizeof(Header));
    if (header_.format != kFormat || header_.key != key_ || header_.image_bytes != image_bytes_) {
      problem = "it is of another version or of other images";
      return false;
    }
    // Before sizes from the file are multiplied.
    const auto size = static_cast<std::uint64_t>(status.st_size);
    if (header_.images > size / image_bytes_ || header_.index_bytes > size ||
        header_.samples > size / sizeof(Record) || file_size() != size) {
      problem = "it is truncated or damaged";
      return false;
    }
    const std::vector<std::uint8_t> index = read_at(file.get(), index_at(), header_.index_bytes);
    if (index.size() != header_.index_bytes || checksum(header_, index) != header_.checksum ||
        !parse(index)) {
      problem = "it is truncated or damaged";
      return false;
    }
    if (const std::optional<std::string> changed = changed_file(pool)) {
      problem = *changed;
      return false;
    }
    return true;
  }

  bool parse(std::span<const std::uint8_t> index) {
    const std::size_t records = header_.samples * sizeof(Record);
    if (index.size() < records) return false;
    records_.resize(header_.samples);
    if (records > 0) std::memcpy(records_.data(), index.data(), records);
    reasons_.assign(index.begin() + static_cast<std::ptrdiff_t>(records), index.end());
    std::size_t images = 0, reasons = 0;
    for (const Record& record : records_) {
      if (record.reason > reasons_.size()) return false;
      images += record.reason == 0 ? 1 : 0;
      reasons += record.reason;
    }
    return images == header_.images && reasons == reasons_.size();
  }

  /// Why the records are not those of the folder as it is now.
  std::optional<std::string> changed_file(ThreadPool& pool) const {
    if (records_.size() != folder_.samples.size())
      return text("the folder had ", records_.size(), " files and has ", folder_.samples.size());
    constexpr std::size_t kNone = static_cast<std::size_t>(-1);
    std::atomic<std::size_t> first = kNone;
    pool.parallel_for(records_.size(), [&](std::size_t i) {
      const fs::path& path = folder_.samples[i].first;
      const Record& record = records_[i];
      const auto same = [&] {
        if (record.path != hash_of(path.native())) return false;
        if (record.signature != Signature{} && record.signature == signature_of(path)) return true;
        return record.content == content_of(path);
      };
      if (first.load() < i || same()) return;
      std::size_t before = first;
      while (i < before && !first.compare_exchange_weak(before, i)) {}
    });
    if (first == kNone) return std::nullopt;
    return text(folder_.samples[first].first.native(), " has changed");
  }

  /// The file under its temporary name, which nobody else writes now.
  static Descriptor lock(const fs::path& part) {
    while (true) {
      Descriptor file = open_file(part, O_RDWR | O_CREAT, 0666);
      if (!file.is_open())
        throw Error(text(part.native(), ": cannot write: ", std::strerror(errno)));
      int result;
      do result = ::flock(file.get(), LOCK_EX);
      while (result != 0 && errno == EINTR);
      // Whoever had the lock may have renamed or removed it.
      struct stat ours{}, there{};
      if (::fstat(file.get(), &ours) == 0 && ::stat(part.c_str(), &there) == 0 &&
          ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
        return file;
    }
  }

  /// Fills the temporary file and gives it its name; takes it away when that fails.
  void write(int descriptor, const fs::path& part, int threads,
             const std::function<void(std::size_t, std::size_t)>& progress) {
    try {
      write_contents(descriptor, part, threads, progress);
      if (::rename(part.c_str(), path_.c_str()) != 0)
        throw Error(text(path_.native(), ": cannot write: ", std::strerror(errno)));
    } catch (...) {
      ::unlink(part.c_str());
      throw;
    }
  }

  void write_contents(int descriptor, const fs::path& part, int threads,
                      const std::function<void(std::size_t, std::size_t)>& progress) {
    const std::size_t total = folder_.samples.size();
    ::unlink(path_.c_str());  // of no use, and perhaps the room that the new one needs
    if (::ftruncate(descriptor, 0) != 0)
      throw Error(text(part.native(), ": cannot write: ", std::strerror(errno)));
    check_room(cache_.folder, kPixelsAt + total * (image_bytes_ + sizeof(Record)));
    header_ = {};
    header_.key = key_;
    header_.image_bytes = image_bytes_;
    header_.samples = total;
    records_.assign(total, {});
    reasons_.clear();
    write_all(descriptor, std::vector<std::uint8_t>(kPixelsAt), part);
    DecodeAhead decoder(folder_, preparation_, limits_, threads);
    for (std::size_t i = 0; i < total; ++i) {
      auto [sample, signature] = decoder.next();
      if (sample.failure) std::rethrow_exception(sample.failure);
      records_[i] = {.path = hash_of(folder_.samples[i].first.native()),
                     .signature = signature,
                     .content = sample.content,
                     .reason = sample.reason.size()};
      if (sample.reason.empty()) {
        write_all(descriptor, sample.pixels, part);
        ++header_.images;
      } else {
        // Not the file's fault: next time it is tried again.
        if (sample.lacked_memory) records_[i] = {.reason = sample.reason.size()};
        reasons_ += sample.reason;
      }
      if (progress) progress(i + 1, total);
    }
    std::vector<std::uint8_t> index(total * sizeof(Record));
    if (total > 0) std::memcpy(index.data(), records_.data(), index.size());
    index.insert(index.end(), reasons_.begin(), reasons_.end());
    header_.index_bytes = index.size();
    header_.checksum = checksum(header_, index);
    write_all(descriptor, index, part);
    flush(descriptor, part);
    // Last, so that a file with a header is whole.
    if (::lseek(descriptor, 0, SEEK_SET) != 0)
      throw Error(text(part.native(), ": cannot write: ", std::strerror(errno)));
    write_all(descriptor, bytes_of(header_), part);
    flush(descriptor, part);
  }

  void map(int descriptor) { mapping_ = std::make_shared<Mapping>(descriptor, file_size(), path_); }

  void fill(ImageDataset& images, LoadReport& report) const {
    images.reserve(header_.images);
    const std::uint8_t* next = mapping_->data() + kPixelsAt;
    std::size_t reason = 0;
    for (std::size_t i = 0; i < records_.size(); ++i) {
      const auto& [path, label] = folder_.samples[i];
      if (const std::size_t length = records_[i].reason; length > 0) {
        report.skipped.emplace_back(path.native(), reasons_.substr(reason, length));
        reason += length;
      } else {
        images.add(std::shared_ptr<const std::uint8_t[]>(mapping_, next), label, path.native());
        next += image_bytes_;
      }
    }
    // Around what is read the system maps what it has, up to 64 KiB at either end.
    constexpr std::uint64_t kAround = std::uint64_t{2} << 16U;
    images.on_read([mapping = mapping_, each = image_bytes_ + kAround, memory = cache_.memory](
                       std::size_t count) { mapping->reading(count * each, memory); });
    check_no_class_is_empty(folder_, images, report);
  }

  const ImageFolder& folder_;
  const Preparation preparation_;
  const DecodeLimits limits_;
  const ImageCache& cache_;
  std::uint64_t key_ = 0;
  std::size_t image_bytes_ = 0;
  fs::path path_;
  Header header_;
  std::vector<Record> records_;
  std::string reasons_;
  std::shared_ptr<Mapping> mapping_;
};

}  // namespace

fs::path default_cache_folder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return fs::path(value != nullptr ? value : "");
  };
  if (const fs::path own = variable("PINHOLE_CACHE"); !own.empty()) return own / "images";
  if (const fs::path caches = variable("XDG_CACHE_HOME"); !caches.empty())
    return caches / "pinhole/images";
  return variable("HOME") / ".cache/pinhole/images";
}

CachedImages load_cached_image_folder(const ImageFolder& folder, const fs::path& root,
                                      const Preparation& preparation, ThreadPool& pool,
                                      LoadReport& report, const ImageCache& cache,
                                      const std::function<void(std::size_t, std::size_t)>& progress,
                                      const DecodeLimits& limits) {
  return CachedFolder(folder, root, preparation, limits, cache).load(pool, report, progress);
}

}  // namespace pinhole
