// torch.nn.Hardswish: y = x * min(max(x + 3, 0), 6) / 6.
#include <algorithm>

#include "../layer.h"
#include "../onnx.h"
#include "../torch_source.h"

namespace pinhole {

namespace {

constexpr std::size_t kGrain = 16384;

class Hardswish final : public Layer {
 public:
  Shape output_shape(const Shape& in) const override { return in; }
  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override {
    return {graph.node(name, "HardSwish", {x.name}), x.flat};
  }
  std::string to_torch(TorchSource& /*source*/) const override { return "nn.Hardswish()"; }

  void forward(RunContext& context, const Tensor& x, Tensor& y) override {
    const real* from = x.data();
    real* to = y.data();
    context.backend.pool().parallel_ranges(
        x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
          for (std::size_t i = begin; i < end; ++i)
            to[i] = from[i] * std::min(std::max(from[i] + 3, real(0)), real(6)) / 6;
        });
  }

  void backward(RunContext& context, const Tensor& x, const Tensor& /*y*/, const Tensor& dy,
                Tensor* dx) override {
    if (dx == nullptr) return;
    const real* in = x.data();
    const real* from = dy.data();
    real* to = dx->data();
    context.backend.pool().parallel_ranges(
        x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
          for (std::size_t i = begin; i < end; ++i) {
            const real slope = in[i] <= -3 ? real(0) : in[i] >= 3 ? real(1) : in[i] / 3 + real(0.5);
            to[i] = from[i] * slope;
          }
        });
  }
};

std::unique_ptr<Layer> make(LayerSpec& /*spec*/, const BuildContext& /*context*/) {
  return std::make_unique<Hardswish>();
}
const RegisterLayer kRegister("Hardswish", &make);

}  // namespace

}  // namespace pinhole
