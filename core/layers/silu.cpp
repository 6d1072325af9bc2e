// torch.nn.SiLU: y = x * sigmoid(x).
#include <cmath>

#include "../layer.h"
#include "../onnx.h"
#include "../torch_source.h"

namespace pinhole {

namespace {

constexpr std::size_t kGrain = 4096;

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
    context.backend.pool().parallel_ranges(x.size(), kGrain,
                                           [&](std::size_t begin, std::size_t end) {
                                             for (std::size_t i = begin; i < end; ++i)
                                               y.data()[i] = x.data()[i] * sigmoid(x.data()[i]);
                                           });
  }

  // dy/dx = s + x s (1 - s), s = sigmoid(x)
  void backward(RunContext& context, const Tensor& x, const Tensor& /*y*/, const Tensor& dy,
                Tensor* dx) override {
    if (dx == nullptr) return;
    context.backend.pool().parallel_ranges(
        x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
          for (std::size_t i = begin; i < end; ++i) {
            const real s = sigmoid(x.data()[i]);
            dx->data()[i] = dy.data()[i] * s * (1 + x.data()[i] * (1 - s));
          }
        });
  }
};

std::unique_ptr<Layer> make(LayerSpec& /*spec*/, const BuildContext& /*context*/) {
  return std::make_unique<SiLU>();
}
const RegisterLayer kRegister("SiLU", &make);

}  // namespace

}  // namespace pinhole
