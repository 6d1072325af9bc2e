// IDX files: the first byte of the input says where the images' file ends and the labels' begins.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>

#include "error.h"
#include "idx.h"

namespace {

/// In memory where the system has such a place.
std::filesystem::path folder() {
  const std::filesystem::path memory = "/dev/shm";
  const auto above =
      std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path();
  std::string pattern = (above / "pinhole-fuzz-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  return pattern;
}

void write(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pinhole;
  static const struct Folder {
    std::filesystem::path path = folder();
    ~Folder() { std::filesystem::remove_all(path); }
  } kFolder;
  if (size == 0) return 0;
  const std::span<const std::uint8_t> bytes(data + 1, size - 1);
  const std::size_t cut = std::min<std::size_t>(bytes.size(), std::size_t{data[0]} * 4);
  write(kFolder.path / "train-images-idx3-ubyte", bytes.first(cut));
  write(kFolder.path / "train-labels-idx1-ubyte", bytes.subspan(cut));
  try {
    const ImageDataset images = load_idx(kFolder.path, true, {5, 7, 1});
    if (images.size() == 0 || images.size() > size) std::abort();
    for (std::size_t i = 0; i < images.size(); ++i) {
      if (images.label(i) < 0 || images.label(i) >= static_cast<int>(images.classes().size()))
        std::abort();
    }
  } catch (const Error&) {}
  return 0;
}
