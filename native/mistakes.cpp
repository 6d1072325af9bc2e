#include "mistakes.h"

#include <algorithm>
#include <numeric>

namespace pinhole {

std::vector<Mistake> worst_mistakes(Model& model, const ImageDataset& data, std::size_t most,
                                    int batch_size) {
  std::vector<Mistake> all;
  Tensor x;
  std::vector<int> labels;
  const auto step = static_cast<std::size_t>(batch_size);
  for (std::size_t begin = 0; begin < data.size(); begin += step) {
    std::vector<std::uint32_t> indices(std::min(step, data.size() - begin));
    std::iota(indices.begin(), indices.end(), static_cast<std::uint32_t>(begin));
    data.batch(indices, x, labels, model.backend().pool());
    const Tensor& probabilities = model.predict(x);
    const auto classes = static_cast<std::size_t>(probabilities.shape().c);
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const real* row = probabilities.data() + i * classes;
      const auto predicted = static_cast<int>(std::max_element(row, row + classes) - row);
      if (predicted != labels[i]) {
        all.push_back({.image = indices[i],
                       .label = labels[i],
                       .predicted = predicted,
                       .probability = static_cast<double>(row[predicted])});
      }
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const Mistake& a, const Mistake& b) {
    return a.probability > b.probability;
  });
  all.resize(std::min(all.size(), most));
  return all;
}

}  // namespace pinhole
