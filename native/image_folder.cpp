#include "image_folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <new>
#include <string_view>

#include "decode.h"
#include "error.h"
#include "hash.h"
#include "memory_check.h"

namespace pinhole {
namespace {

namespace fs = std::filesystem;

// torchvision.datasets.folder.IMG_EXTENSIONS
constexpr std::array<std::string_view, 9> kExtensions = {".jpg", ".jpeg", ".png",  ".ppm", ".bmp",
                                                         ".pgm", ".tif",  ".tiff", ".webp"};
constexpr std::string_view kExtensionList =
    ".jpg, .jpeg, .png, .ppm, .bmp, .pgm, .tif, .tiff, .webp";

/// What os.scandir sees: names and whether each leads to a folder (links followed).
struct Entry {
  std::string name;
  bool is_folder;
};

std::vector<Entry> list_folder(const fs::path& folder) {
  std::vector<Entry> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code unreachable;  // a broken link is a file that cannot be read
    entries.push_back({it->path().filename().native(), it->is_directory(unreachable)});
  }
  if (error) throw Error(text(folder.native(), ": cannot list the folder: ", error.message()));
  return entries;
}

using FolderId = std::pair<dev_t, ino_t>;

FolderId folder_id(const fs::path& folder) {
  struct stat status{};
  if (::stat(folder.c_str(), &status) != 0)
    throw Error(text(folder.native(), ": cannot open the folder"));
  return {status.st_dev, status.st_ino};
}

/// os.walk(followlinks=True) of one class: (folder, image file names) for each folder below and at `folder`.
void walk(const fs::path& folder, std::vector<FolderId>& above,
          std::vector<std::pair<std::string, std::vector<std::string>>>& found) {
  const FolderId id = folder_id(folder);
  if (std::find(above.begin(), above.end(), id) != above.end()) return;
  above.push_back(id);
  std::vector<std::string> files;
  for (Entry& entry : list_folder(folder)) {
    if (entry.is_folder) {
      walk(folder / entry.name, above, found);
    } else if (has_image_extension(entry.name)) {
      files.push_back(std::move(entry.name));
    }
  }
  above.pop_back();
  if (!files.empty()) {
    std::sort(files.begin(), files.end());
    found.emplace_back(folder.native(), std::move(files));
  }
}

/// "a, b and c"
std::string list_names(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    out += i == 0 ? "" : i + 1 == names.size() ? " and " : ", ";
    out += names[i];
  }
  return out;
}

}  // namespace

bool has_image_extension(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return std::any_of(kExtensions.begin(), kExtensions.end(),
                     [&](std::string_view extension) { return name.ends_with(extension); });
}

ImageFolder scan_image_folder(const fs::path& root) {
  std::error_code error;
  const fs::file_status status = fs::status(root, error);
  if (!fs::exists(status)) throw Error(text(root.native(), ": no such folder"));
  if (!fs::is_directory(status)) throw Error(text(root.native(), ": is not a folder"));

  ImageFolder folder;
  for (Entry& entry : list_folder(root)) {
    if (entry.is_folder) folder.classes.push_back(std::move(entry.name));
  }
  if (folder.classes.empty()) {
    throw Error(
        text(root.native(),
             ": couldn't find any class folder, expected one sub-folder of images for each class"));
  }
  // Python sorts str by code point, which for UTF-8 is the order of the bytes.
  std::sort(folder.classes.begin(), folder.classes.end());

  std::vector<std::string> empty;
  for (std::size_t label = 0; label < folder.classes.size(); ++label) {
    const std::string& name = folder.classes[label];
    folder.class_to_idx[name] = static_cast<int>(label);
    std::vector<FolderId> above;
    std::vector<std::pair<std::string, std::vector<std::string>>> found;
    walk(root / name, above, found);
    if (found.empty()) empty.push_back(name);
    // sorted(os.walk(...)): by the whole path as a string, so "a-b" comes before "a/b".
    std::sort(found.begin(), found.end());
    for (const auto& [path, files] : found) {
      for (const std::string& file : files)
        folder.samples.emplace_back(fs::path(path) / file, static_cast<int>(label));
    }
  }
  if (!empty.empty()) {
    throw Error(text(root.native(), ": found no image for the class",
                     empty.size() > 1 ? "es " : " ", list_names(empty),
                     "; supported extensions are ", kExtensionList));
  }
  return folder;
}

DecodedSample decode_sample(const fs::path& path, const Preparation& preparation,
                            const DecodeLimits& limits) noexcept {
  DecodedSample sample;
  try {
    const std::vector<std::uint8_t> bytes = read_image_file(path);
    Hash hash;
    hash.add(bytes);
    sample.content = hash.value();
    sample.pixels = to_input(decode_any_image(bytes, limits), preparation);
  } catch (const Error& error) {
    sample.reason = error.what();
    // The report has the path beside it.
    if (const std::string prefix = path.native() + ": "; sample.reason.starts_with(prefix))
      sample.reason.erase(0, prefix.size());
  } catch (const std::bad_alloc&) {
    sample.reason = "not enough memory to decode it";
    sample.lacked_memory = true;
  } catch (...) {
    sample.failure = std::current_exception();
  }
  return sample;
}

void check_no_class_is_empty(const ImageFolder& folder, const ImageDataset& dataset,
                             const LoadReport& report) {
  std::vector<std::string> unreadable;
  const std::vector<std::size_t> counts = dataset.class_counts();
  for (std::size_t label = 0; label < counts.size(); ++label) {
    if (counts[label] == 0) unreadable.push_back(folder.classes[label]);
  }
  if (!unreadable.empty()) {
    std::string first;
    for (const auto& [path, label] : folder.samples) {
      if (folder.classes[static_cast<std::size_t>(label)] != unreadable.front()) continue;
      for (const auto& [skipped, reason] : report.skipped) {
        if (skipped == path.native() && first.empty())
          first = text(" (", skipped, ": ", reason, ")");
      }
      if (!first.empty()) break;
    }
    throw Error(text("no image of the class", unreadable.size() > 1 ? "es " : " ",
                     list_names(unreadable), " can be read", first));
  }
}

ImageDataset load_image_folder(const ImageFolder& folder, const Preparation& preparation,
                               ThreadPool& pool, LoadReport& report, const LoadProgress& progress,
                               const DecodeLimits& limits) {
  const std::size_t total = folder.samples.size();
  const auto [height, width, channels, center_crop] = preparation;
  check_images_fit_memory(total, height, width, channels);
  ImageDataset dataset(height, width, channels, folder.classes);
  dataset.reserve(total);
  const std::size_t block = static_cast<std::size_t>(pool.threads()) * 8;
  std::vector<DecodedSample> slots(std::min(block, total));
  for (std::size_t begin = 0; begin < total; begin += block) {
    const std::size_t count = std::min(block, total - begin);
    pool.parallel_for(count, [&](std::size_t i) {
      slots[i] = decode_sample(folder.samples[begin + i].first, preparation, limits);
    });
    for (std::size_t i = 0; i < count; ++i) {
      const auto& [path, label] = folder.samples[begin + i];
      if (slots[i].failure) std::rethrow_exception(slots[i].failure);
      if (slots[i].reason.empty()) {
        dataset.add(slots[i].pixels, label, path.native());
      } else {
        report.skipped.emplace_back(path.native(), slots[i].reason);
      }
    }
    if (progress && !progress(begin + count, total)) return dataset;
  }

  check_no_class_is_empty(folder, dataset, report);
  return dataset;
}

}  // namespace pinhole
