// Labelled images as the programs take them: a folder in ImageFolder layout (one folder a class) or one with IDX files.
// Scanning reads names only, so that what does not fit is said before thousands of photos are decoded.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "dataset.h"
#include "image_cache.h"
#include "image_folder.h"
#include "tensor.h"
#include "thread_pool.h"

namespace pinhole {

enum class IdxPart { kTrain, kTest };

struct LabelledFolder {
  std::filesystem::path path;
  bool idx = false;
  std::vector<std::string> classes;
  ImageFolder images;  // empty for IDX

  /// "ImageFolder" or "IDX".
  std::string kind() const { return idx ? "IDX" : "ImageFolder"; }
};

/// Throws Error when there are no classes, or a class name that is not UTF-8 (a model file could not hold it).
LabelledFolder scan_labelled_folder(const std::filesystem::path& path);

struct LoadedData {
  ImageDataset images;
  std::size_t unreadable = 0;
};

/// Decodes everything to the model's input size, with a progress line; files that cannot be read are named on standard error.
/// Throws Error when a class has no readable image. `part` matters for IDX only.
/// With `cache` the images of a folder are held in its file; IDX files are read whole.
LoadedData load_labelled_folder(const LabelledFolder& folder, IdxPart part,
                                const Preparation& preparation, ThreadPool& pool,
                                std::string_view program, const DecodeLimits& limits = {},
                                const std::optional<ImageCache>& cache = {});

/// Throws Error unless both have the same class names; then the labels of `folder` are numbered in the order of `classes`.
/// `where` says whose classes those are: "the model cats.safetensors".
void match_classes(LabelledFolder& folder, const std::vector<std::string>& classes,
                   std::string_view where);

}  // namespace pinhole
