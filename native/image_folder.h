// torchvision.datasets.ImageFolder: a folder whose sub-folders are the classes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "dataset.h"
#include "image.h"
#include "thread_pool.h"

namespace pinhole {

struct ImageFolder {
  std::vector<std::string> classes;  ///< sorted
  std::map<std::string, int> class_to_idx;
  std::vector<std::pair<std::filesystem::path, int>> samples;  ///< in torchvision's order
};

/// Whether a file counts as an image by its name: torchvision's IMG_EXTENSIONS, in any case.
bool has_image_extension(std::string name);

/// Finds classes and samples exactly as torchvision: every sub-folder is a class (hidden ones too, links followed), files
/// anywhere below it count when their extension is one of .jpg .jpeg .png .ppm .bmp .pgm .tif .tiff .webp in any case,
/// files in `root` itself do not. One difference: a link back to a folder above itself is not walked again.
/// Throws Error when `root` is no folder, holds no class folder, or a class holds no file of these extensions (named).
ImageFolder scan_image_folder(const std::filesystem::path& root);

struct LoadReport {
  std::vector<std::pair<std::string, std::string>> skipped;  ///< path, reason
};

/// One image at the model's size, or why there is none.
struct DecodedSample {
  std::vector<std::uint8_t> pixels;
  std::string reason;  // why the file is to be skipped, without its path
  bool lacked_memory = false;  // the reason is not the file's fault
  std::exception_ptr failure;  // nor is this, and it ends the reading
  std::uint64_t content = 0;  // a hash of the file, where it could be read
};

/// Never throws.
DecodedSample decode_sample(const std::filesystem::path& path, const Preparation& preparation,
                            const DecodeLimits& limits) noexcept;

/// Throws Error naming the classes of `folder` of which `dataset` has no image, with the first reason.
void check_no_class_is_empty(const ImageFolder& folder, const ImageDataset& dataset,
                             const LoadReport& report);

/// Called after every few images; false cancels.
using LoadProgress = std::function<bool(std::size_t done, std::size_t total)>;

/// Decodes and resizes all samples on all threads, in the order of `samples`; memory holds the images at the model's size
/// and, besides, one decoded photo a thread. A file that cannot be read is skipped and listed in `report`.
/// Throws Error when a class is left with no image (named), or when the images cannot fit into the memory that is free. After a cancel what was loaded so far is returned.
ImageDataset load_image_folder(const ImageFolder& folder, const Preparation& preparation,
                               ThreadPool& pool, LoadReport& report,
                               const LoadProgress& progress = {}, const DecodeLimits& limits = {});

}  // namespace pinhole
