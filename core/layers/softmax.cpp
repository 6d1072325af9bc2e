// torch.nn.Softmax(dim=1): over the channels of each position. As a model's last layer it is what prediction shows; training
// uses the logits.
#include <algorithm>
#include <cmath>

#include "../layer.h"
#include "../onnx.h"
#include "../torch_source.h"

namespace pinhole {

namespace {

class Softmax final : public Layer {
 public:
  Shape output_shape(const Shape& in) const override { return in; }

  void forward(RunContext& /*context*/, const Tensor& x, Tensor& y) override {
    const auto channels = static_cast<std::size_t>(x.shape().c);
    for (std::size_t start = 0; start < x.size(); start += channels) {
      const real* xi = x.data() + start;
      real* yi = y.data() + start;
      const real largest = *std::max_element(xi, xi + channels);
      real sum = 0;
      for (std::size_t c = 0; c < channels; ++c) sum += yi[c] = std::exp(xi[c] - largest);
      for (std::size_t c = 0; c < channels; ++c) yi[c] /= sum;
    }
  }

  // dx = y * (dy - sum(y * dy))
  void backward(RunContext& /*context*/, const Tensor& /*x*/, const Tensor& y, const Tensor& dy,
                Tensor* dx) override {
    if (dx == nullptr) return;
    const auto channels = static_cast<std::size_t>(y.shape().c);
    for (std::size_t start = 0; start < y.size(); start += channels) {
      const real* yi = y.data() + start;
      const real* dyi = dy.data() + start;
      real* dxi = dx->data() + start;
      real sum = 0;
      for (std::size_t c = 0; c < channels; ++c) sum += yi[c] * dyi[c];
      for (std::size_t c = 0; c < channels; ++c) dxi[c] = yi[c] * (dyi[c] - sum);
    }
  }

  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override {
    return {graph.node(name, "Softmax", {x.name}, {{"axis", std::int64_t{1}}}), x.flat};
  }
  std::string to_torch(TorchSource& /*source*/) const override { return "nn.Softmax(dim=1)"; }
  bool in_place() const override { return true; }
  bool uses_output() const override { return true; }
};

std::unique_ptr<Layer> make(LayerSpec& spec, const BuildContext& /*context*/) {
  if (spec.integer("dim", 1, 1) != 1)
    spec.fail("dim expected 1 (over the channels), the only one there is");
  return std::make_unique<Softmax>();
}
const RegisterLayer kRegister("Softmax", &make);

}  // namespace

}  // namespace pinhole
