// The images that a model is most sure of and wrong about.
#pragma once

#include <cstdint>
#include <vector>

#include "dataset.h"
#include "model.h"

namespace pinhole {

struct Mistake {
  std::uint32_t image = 0;  // position in the data set
  int label = 0, predicted = 0;
  double probability = 0;  // of `predicted`
};

/// At most `most`, the surest first.
std::vector<Mistake> worst_mistakes(Model& model, const ImageDataset& data, std::size_t most,
                                    int batch_size = 32);

}  // namespace pinhole
