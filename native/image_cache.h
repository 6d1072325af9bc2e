// The decoded images of a folder in a file that is mapped into memory, for data sets that are larger than memory and so that a
// second run need not decode them. What is trained is the same, bit for bit, as without it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "image_folder.h"

namespace pinhole {

struct ImageCache {
  std::filesystem::path folder;  // made when it is not there
  std::uint64_t memory =
      0;  // bytes of images that may be in memory, beside the batch that is being read
};

/// $PINHOLE_CACHE/images, or else $XDG_CACHE_HOME/pinhole/images, or else ~/.cache/pinhole/images.
std::filesystem::path default_cache_folder();

struct CachedImages {
  ImageDataset images;
  std::string file;  // where the cache is
  bool decoded = false;  // false: the cache was there
  std::string problem;  // why a cache that was there was made anew
};

/// As load_image_folder, with the images in a file in `cache.folder` that belongs to `root`, the preparation and the limits. What is in it is
/// used as long as the files of `folder` are those that were decoded: the same paths with the same sizes and times, or else with the
/// same contents. Otherwise it is written anew, decoding ahead of the writing on threads of its own. Two programs that need the same file
/// wait for each other. Throws Error as load_image_folder does, and when the file cannot be written, a full disk included.
CachedImages load_cached_image_folder(
    const ImageFolder& folder, const std::filesystem::path& root, const Preparation& preparation,
    ThreadPool& pool, LoadReport& report, const ImageCache& cache,
    const std::function<void(std::size_t done, std::size_t total)>& progress = {},
    const DecodeLimits& limits = {});

}  // namespace pinhole
