// torch.nn.ReLU6: y = min(max(0, x), 6), in place.
#include <algorithm>

#include "../onnx.h"
#include "../torch_source.h"
#include "elementwise.h"

namespace pinhole {

namespace {

class ReLU6 final : public Layer {
 public:
  Shape output_shape(const Shape& in) const override { return in; }
  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override {
    const float low = 0, high = 6;
    std::vector<std::string> inputs{x.name, graph.constant<float>(name, {&low, 1}, {}),
                                    graph.constant<float>(name, {&high, 1}, {})};
    return {graph.node(name, "Clip", std::move(inputs)), x.flat};
  }
  std::string to_torch(TorchSource& /*source*/) const override { return "nn.ReLU6()"; }

  void forward(RunContext& context, const Tensor& x, Tensor& y) override {
    map_values(context, kCheapGrain, x, y,
               [](real v) { return std::min(std::max(v, real(0)), real(6)); });
  }

  void backward(RunContext& context, const Tensor& /*x*/, const Tensor& y, const Tensor& dy,
                Tensor* dx) override {
    if (dx == nullptr) return;
    map_gradient(context, kCheapGrain, y, dy, *dx,
                 [](real v, real d) { return v > 0 && v < 6 ? d : real(0); });
  }

  bool in_place() const override { return true; }
  bool uses_output() const override { return true; }
};

std::unique_ptr<Layer> make(LayerSpec& /*spec*/, const BuildContext& /*context*/) {
  return std::make_unique<ReLU6>();
}
const RegisterLayer kRegister("ReLU6", &make);

}  // namespace

}  // namespace pinhole
