// torch.nn.ReLU: y = max(0, x), in place.
#include "../layer.h"
#include "../onnx.h"
#include "../torch_source.h"

namespace pinhole {

namespace {

class ReLU final : public Layer {
 public:
  Shape output_shape(const Shape& in) const override { return in; }
  void forward(RunContext& context, const Tensor& x, Tensor& y) override {
    context.backend.relu_forward(x.size(), x.data(), y.data());
  }
  void backward(RunContext& context, const Tensor& /*x*/, const Tensor& y, const Tensor& dy,
                Tensor* dx) override {
    if (dx != nullptr) context.backend.relu_backward(y.size(), y.data(), dy.data(), dx->data());
  }
  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override {
    return {graph.node(name, "Relu", {x.name}), x.flat};
  }
  std::string to_torch(TorchSource& /*source*/) const override { return "nn.ReLU()"; }
  bool in_place() const override { return true; }
  bool uses_output() const override { return true; }
};

std::unique_ptr<Layer> make(LayerSpec& /*spec*/, const BuildContext& /*context*/) {
  return std::make_unique<ReLU>();
}
const RegisterLayer kRegister("ReLU", &make);

}  // namespace

}  // namespace pinhole
