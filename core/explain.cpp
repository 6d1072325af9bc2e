#include "explain.h"

#include <algorithm>

#include "error.h"

namespace pinhole {

HeatMap grad_cam(Model& model, const Tensor& x, int label) {
  if (label < 0 || label >= model.classes())
    throw Error(text(model.name(), " has ", model.classes(), " classes, there is no ", label));
  if (x.shape().n != 1) throw Error(text("a heat map is of 1 image, got ", x.shape().n));
  Tensor dlogits(model.forward(x, Pass::kExplain).shape());
  dlogits.fill(0);
  if (model.outputs() == 1) {
    dlogits.data()[0] = label == 1 ? 1 : -1;
  } else {
    dlogits.data()[label] = 1;
  }
  model.zero_grad();
  model.backward(x, dlogits);
  const auto [activation, gradient] = model.last_map();
  if (activation == nullptr) {
    throw Error(text(model.name(),
                     " has no output with a height and a width before its end, so nothing tells "
                     "where it looked"));
  }
  const Shape shape = activation->shape();
  const auto channels = static_cast<std::size_t>(shape.c);
  const auto pixels = static_cast<std::size_t>(shape.h) * static_cast<std::size_t>(shape.w);
  HeatMap map{.height = shape.h, .width = shape.w, .values = std::vector<real>(pixels)};
  double largest = 0;
  for (std::size_t i = 0; i < pixels; ++i) {
    const real* value = activation->data() + i * channels;
    const real* slope = gradient->data() + i * channels;
    double sum = 0;
    for (std::size_t c = 0; c < channels; ++c) sum += static_cast<double>(slope[c]) * value[c];
    map.values[i] = static_cast<real>(std::max(sum, 0.0));
    largest = std::max(largest, sum);
  }
  if (largest > 0) {
    for (real& value : map.values) value = static_cast<real>(value / largest);
  }
  return map;
}

}  // namespace pinhole
