// Training images beside what augmentation makes of them.
#pragma once

#include <cstdint>
#include <string>

#include "dataset.h"

namespace pinhole {

/// A sheet as PNG: a row for each of up to `rows` images, which are of all classes in turn; on the left the image, and beside it what a
/// training with this seed is shown of it in its first `looks` epochs. Small images are drawn larger, by a whole number.
std::string preview_sheet(const ImageDataset& images, const Augmentation& augmentation,
                          std::uint64_t seed, int looks, int rows = 8);

}  // namespace pinhole
