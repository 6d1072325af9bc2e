// torch.nn.Flatten: [n, h, w, c] -> [n, 1, 1, h * w * c]. Nothing moves in memory; Linear knows PyTorch's order.
#include <cstring>

#include "../layer.h"
#include "../onnx.h"
#include "../torch_source.h"

namespace pinhole {

namespace {

class Flatten final : public Layer {
 public:
  Shape output_shape(const Shape& in) const override {
    return {in.n, 1, 1, static_cast<int>(in.item())};
  }
  void forward(RunContext& /*context*/, const Tensor& x, Tensor& y) override { copy(x, y); }
  void backward(RunContext& /*context*/, const Tensor& /*x*/, const Tensor& /*y*/, const Tensor& dy,
                Tensor* dx) override {
    if (dx != nullptr) copy(dy, *dx);
  }
  bool in_place() const override { return true; }
  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override {
    return {graph.node(name, "Flatten", {x.name}, {{"axis", std::int64_t{1}}}), true};
  }
  std::string to_torch(TorchSource& source) const override {
    source.flattened();
    return "nn.Flatten()";
  }

 private:
  static void copy(const Tensor& from, Tensor& to) {
    if (from.data() != to.data()) std::memcpy(to.data(), from.data(), from.size() * sizeof(real));
  }
};

std::unique_ptr<Layer> make(LayerSpec& /*spec*/, const BuildContext& /*context*/) {
  return std::make_unique<Flatten>();
}
const RegisterLayer kRegister("Flatten", &make);

}  // namespace

}  // namespace pinhole
