// torch.nn.ReLU6: y = min(max(0, x), 6), in place.
#include <algorithm>

#include "../layer.h"
#include "../onnx.h"
#include "../torch_source.h"

namespace pinhole {

namespace {

constexpr std::size_t kGrain = 16384;

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
    const real* from = x.data();
    real* to = y.data();
    context.backend.pool().parallel_ranges(
        x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
          for (std::size_t i = begin; i < end; ++i)
            to[i] = std::min(std::max(from[i], real(0)), real(6));
        });
  }

  void backward(RunContext& context, const Tensor& /*x*/, const Tensor& y, const Tensor& dy,
                Tensor* dx) override {
    if (dx == nullptr) return;
    const real* out = y.data();
    const real* from = dy.data();
    real* to = dx->data();
    context.backend.pool().parallel_ranges(y.size(), kGrain,
                                           [&](std::size_t begin, std::size_t end) {
                                             for (std::size_t i = begin; i < end; ++i)
                                               to[i] = out[i] > 0 && out[i] < 6 ? from[i] : real(0);
                                           });
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
