// torch.nn.SiLU: y = x * sigmoid(x).
#include <cmath>

#include "../onnx.h"
#include "../torch_source.h"
#include "elementwise.h"

namespace pinhole {

namespace {

real sigmoid(real x) { return 1 / (1 + std::exp(-x)); }

class SiLU final : public Layer {
 public:
  Shape output_shape(const Shape& in) const override { return in; }
  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override {
    const std::string gate = graph.node(name, "Sigmoid", {x.name});
    return {graph.node(name, "Mul", {x.name, gate}), x.flat};
  }
  std::string to_torch(TorchSource& /*source*/) const override { return "nn.SiLU()"; }

  void forward(RunContext& context, const Tensor& x, Tensor& y) override {
    map_values(context, kDearGrain, x, y, [](real v) { return v * sigmoid(v); });
  }

  // dy/dx = s + x s (1 - s), s = sigmoid(x)
  void backward(RunContext& context, const Tensor& x, const Tensor& /*y*/, const Tensor& dy,
                Tensor* dx) override {
    if (dx == nullptr) return;
    map_gradient(context, kDearGrain, x, dy, *dx, [](real v, real d) {
      const real s = sigmoid(v);
      return d * s * (1 + v * (1 - s));
    });
  }
};

std::unique_ptr<Layer> make(LayerSpec& /*spec*/, const BuildContext& /*context*/) {
  return std::make_unique<SiLU>();
}
const RegisterLayer kRegister("SiLU", &make);

}  // namespace

}  // namespace pinhole
