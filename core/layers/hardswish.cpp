// torch.nn.Hardswish: y = x * min(max(x + 3, 0), 6) / 6.
#include <algorithm>

#include "../onnx.h"
#include "../torch_source.h"
#include "elementwise.h"

namespace pinhole {

namespace {

class Hardswish final : public Layer {
 public:
  Shape output_shape(const Shape& in) const override { return in; }
  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override {
    return {graph.node(name, "HardSwish", {x.name}), x.flat};
  }
  std::string to_torch(TorchSource& /*source*/) const override { return "nn.Hardswish()"; }

  void forward(RunContext& context, const Tensor& x, Tensor& y) override {
    map_values(context, kCheapGrain, x, y,
               [](real v) { return v * std::min(std::max(v + 3, real(0)), real(6)) / 6; });
  }

  void backward(RunContext& context, const Tensor& x, const Tensor& /*y*/, const Tensor& dy,
                Tensor* dx) override {
    if (dx == nullptr) return;
    map_gradient(context, kCheapGrain, x, dy, *dx, [](real v, real d) {
      return d * (v <= -3 ? real(0) : v >= 3 ? real(1) : v / 3 + real(0.5));
    });
  }
};

std::unique_ptr<Layer> make(LayerSpec& /*spec*/, const BuildContext& /*context*/) {
  return std::make_unique<Hardswish>();
}
const RegisterLayer kRegister("Hardswish", &make);

}  // namespace

}  // namespace pinhole
