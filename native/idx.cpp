#include "idx.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>

#include "error.h"
#include "image.h"
#include "memory_check.h"

namespace pinhole {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kImagesMagic = 0x0803,
                        kLabelsMagic = 0x0801;  // unsigned bytes, 3 or 1 dimensions

/// The file NAME or NAME.gz in `folder`.
std::optional<fs::path> find_file(const fs::path& folder, const std::string& name) {
  for (const char* suffix : {"", ".gz"}) {
    fs::path path = folder / (name + suffix);
    std::error_code error;
    if (fs::is_regular_file(path, error)) return path;
  }
  return std::nullopt;
}

fs::path require_file(const fs::path& folder, const std::string& name) {
  if (auto path = find_file(folder, name)) return *path;
  throw Error(text(folder.native(), ": there is no ", name, " or ", name, ".gz"));
}

/// A plain or gzipped file, read in order (zlib tells them apart).
class Reader {
 public:
  explicit Reader(const fs::path& path) : path_(path), file_(gzopen(path.c_str(), "rb")) {
    if (file_ == nullptr) fail("cannot open the file");
    gzbuffer(file_.get(), 1 << 17);
  }

  [[noreturn]] void fail(std::string_view what) const {
    throw Error(text(path_.native(), ": ", what));
  }

  std::uint32_t u32() {
    std::array<std::uint8_t, 4> b{};
    if (read(b.data(), 4) != 4) fail("not an IDX file: it ends inside its header");
    return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
  }

  /// Everything left, which must be `count` bytes. Memory grows with what arrives, not with what a header claims.
  std::vector<std::uint8_t> rest(std::uint64_t count, std::string_view contents) {
    constexpr std::uint64_t kStep = 1 << 22;
    std::vector<std::uint8_t> bytes;
    while (bytes.size() < count) {
      const std::size_t filled = bytes.size(), wanted = static_cast<std::size_t>(
                                                   std::min<std::uint64_t>(kStep, count - filled));
      if (bytes.capacity() < filled + wanted)
        bytes.reserve(
            static_cast<std::size_t>(std::min<std::uint64_t>(count, 2 * (filled + wanted))));
      bytes.resize(filled + wanted);
      const std::size_t got = read(bytes.data() + filled, wanted);
      if (got < wanted)
        fail(text("truncated: its header announces ", contents, " (", count, " bytes), it holds ",
                  filled + got, " bytes"));
    }
    std::uint8_t extra;
    if (read(&extra, 1) != 0)
      fail(text("holds more than the ", contents, " that its header announces"));
    return bytes;
  }

 private:
  std::size_t read(std::uint8_t* out, std::size_t count) {
    const int got = gzread(file_.get(), out, static_cast<unsigned>(count));
    int code = Z_OK;
    const char* const message = gzerror(file_.get(), &code);
    if (code == Z_BUF_ERROR) fail("truncated: the compressed data ends too soon");
    if (got < 0) fail(text("cannot read the file: ", message));
    return static_cast<std::size_t>(got);
  }

  struct Close {
    void operator()(gzFile file) const { gzclose(file); }
  };
  fs::path path_;
  std::unique_ptr<std::remove_pointer_t<gzFile>, Close> file_;
};

struct Images {
  fs::path path;
  int count = 0, height = 0, width = 0;
  std::vector<std::uint8_t> pixels;
};

Images read_images(const fs::path& path) {
  constexpr std::uint32_t kMaxSide = 1 << 14, kMaxCount = 1u << 31;
  Reader reader(path);
  if (const std::uint32_t magic = reader.u32(); magic != kImagesMagic) {
    reader.fail(text("not an IDX file of images: it begins with the number ", magic, ", expected ",
                     kImagesMagic));
  }
  const std::uint32_t count = reader.u32(), height = reader.u32(), width = reader.u32();
  const std::string contents = text(count, " images of ", height, 'x', width);
  if (count == 0 || count >= kMaxCount || height == 0 || width == 0 || height > kMaxSide ||
      width > kMaxSide) {
    reader.fail(text("a header that makes no sense: ", contents));
  }
  return {path, static_cast<int>(count), static_cast<int>(height), static_cast<int>(width),
          reader.rest(std::uint64_t{count} * height * width, contents)};
}

std::vector<std::uint8_t> read_labels(const fs::path& path) {
  Reader reader(path);
  if (const std::uint32_t magic = reader.u32(); magic != kLabelsMagic) {
    reader.fail(text("not an IDX file of labels: it begins with the number ", magic, ", expected ",
                     kLabelsMagic));
  }
  const std::uint32_t count = reader.u32();
  if (count == 0) reader.fail("holds no labels");
  return reader.rest(count, text(count, " labels"));
}

}  // namespace

bool is_idx_folder(const fs::path& folder) {
  return has_idx_part(folder, true) || has_idx_part(folder, false);
}

bool has_idx_part(const fs::path& folder, bool train) {
  return find_file(folder, train ? "train-images-idx3-ubyte" : "t10k-images-idx3-ubyte")
      .has_value();
}

std::vector<std::string> idx_classes(const fs::path& folder) {
  const auto train_labels = find_file(folder, "train-labels-idx1-ubyte");
  const std::vector<std::uint8_t> labels =
      read_labels(train_labels ? *train_labels : require_file(folder, "t10k-labels-idx1-ubyte"));
  const int largest = *std::max_element(labels.begin(), labels.end());
  std::vector<std::string> classes;
  for (int label = 0; label <= largest; ++label) classes.push_back(std::to_string(label));
  return classes;
}

ImageDataset load_idx(const fs::path& folder, bool train, const Preparation& preparation) {
  const auto [height, width, channels, center_crop] = preparation;
  const std::string part = train ? "train" : "t10k";
  const fs::path labels_path = require_file(folder, part + "-labels-idx1-ubyte");
  const Images images = read_images(require_file(folder, part + "-images-idx3-ubyte"));
  const std::vector<std::uint8_t> labels = read_labels(labels_path);
  if (labels.size() != static_cast<std::size_t>(images.count)) {
    throw Error(text(labels_path.native(), ": holds ", labels.size(), " labels for the ",
                     images.count, " images of ", images.path.native()));
  }

  if (center_crop && images.height != images.width) {
    throw Error(text(images.path.native(), ": holds images of ", images.height, 'x', images.width,
                     "; for a model with \"crop\" expected square ones"));
  }

  std::vector<std::string> classes = idx_classes(folder);
  const int largest = *std::max_element(labels.begin(), labels.end());
  if (largest >= static_cast<int>(classes.size())) {
    throw Error(text(labels_path.native(), ": has the label ", largest,
                     ", the training part's largest is ", classes.size() - 1));
  }

  check_images_fit_memory(labels.size(), height, width, channels);
  ImageDataset dataset(height, width, channels, std::move(classes));
  dataset.reserve(labels.size());
  const std::size_t item = static_cast<std::size_t>(images.height) * images.width;
  const std::span<const std::uint8_t> pixels(images.pixels);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    dataset.add(to_input(pixels.subspan(i * item, item), images.height, images.width, 1, height,
                         width, channels),
                labels[i]);
  }
  return dataset;
}

}  // namespace pinhole
