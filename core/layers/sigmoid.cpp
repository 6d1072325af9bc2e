// torch.nn.Sigmoid: y = 1 / (1 + exp(-x)). As a model's last layer it is what prediction shows; training uses the logits.
#include <cmath>

#include "../layer.h"
#include "../onnx.h"
#include "../torch_source.h"

namespace pinhole {

namespace {

class Sigmoid final : public Layer {
 public:
  Shape output_shape(const Shape& in) const override { return in; }
  void forward(RunContext& /*context*/, const Tensor& x, Tensor& y) override {
    for (std::size_t i = 0; i < x.size(); ++i) y.data()[i] = 1 / (1 + std::exp(-x.data()[i]));
  }
  void backward(RunContext& /*context*/, const Tensor& /*x*/, const Tensor& y, const Tensor& dy,
                Tensor* dx) override {
    if (dx == nullptr) return;
    for (std::size_t i = 0; i < y.size(); ++i)
      dx->data()[i] = dy.data()[i] * y.data()[i] * (1 - y.data()[i]);
  }
  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override {
    return {graph.node(name, "Sigmoid", {x.name}), x.flat};
  }
  std::string to_torch(TorchSource& /*source*/) const override { return "nn.Sigmoid()"; }
  bool in_place() const override { return true; }
  bool uses_output() const override { return true; }
};

std::unique_ptr<Layer> make(LayerSpec& /*spec*/, const BuildContext& /*context*/) {
  return std::make_unique<Sigmoid>();
}
const RegisterLayer kRegister("Sigmoid", &make);

}  // namespace

}  // namespace pinhole
