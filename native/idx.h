// IDX files, as MNIST and Fashion-MNIST come (http://yann.lecun.com/exdb/mnist describes the format), plain or gzipped.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "dataset.h"
#include "image.h"

namespace pinhole {

/// Whether `folder` holds train-images-idx3-ubyte or t10k-images-idx3-ubyte, with or without .gz.
bool is_idx_folder(const std::filesystem::path& folder);

/// Whether `folder` holds images of the training part, or of the test part.
bool has_idx_part(const std::filesystem::path& folder, bool train);

/// What load_idx calls the classes, without reading an image.
std::vector<std::string> idx_classes(const std::filesystem::path& folder);

/// The training part (train-*) or the test part (t10k-*), brought to the size and channels of `preparation`. The files name no classes:
/// they are "0", "1", ... to the largest label of the training part (of the test part when it stands alone).
/// Throws Error "FILE: what is wrong": missing, not IDX, cut short, counts that disagree,
/// images that are not square for a model that looks at the middle square.
ImageDataset load_idx(const std::filesystem::path& folder, bool train,
                      const Preparation& preparation);

}  // namespace pinhole
