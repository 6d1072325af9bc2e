// torch.nn.Dropout(p): in training each value is dropped with probability p and the others are scaled by 1 / (1 - p).
// The mask is a function of seed, step and position, so backward makes it again instead of keeping it.
#include <algorithm>

#include "../error.h"
#include "../layer.h"
#include "../onnx.h"
#include "../torch_source.h"

namespace pinhole {

namespace {

class Dropout final : public Layer {
 public:
  Dropout(double p, std::uint64_t stream) : p_(p), stream_(stream) {}

  Shape output_shape(const Shape& in) const override { return in; }
  void forward(RunContext& context, const Tensor& x, Tensor& y) override { apply(context, x, y); }
  void backward(RunContext& context, const Tensor& /*x*/, const Tensor& /*y*/, const Tensor& dy,
                Tensor* dx) override {
    if (dx != nullptr) apply(context, dy, *dx);
  }
  bool in_place() const override { return true; }
  bool deterministic() const override { return p_ == 0; }
  /// Exported models predict, and then it does nothing.
  OnnxValue to_onnx(OnnxGraph& /*graph*/, const OnnxValue& x) const override { return x; }
  std::string to_torch(TorchSource& /*source*/) const override {
    return text("nn.Dropout(", python(p_), ')');
  }

 private:
  void apply(const RunContext& context, const Tensor& from, Tensor& to) const {
    if (context.pass != Pass::kTrain || p_ == 0) {
      if (from.data() != to.data()) std::copy_n(from.data(), from.size(), to.data());
      return;
    }
    const Rng mask(mix64(context.seed ^ stream_) + context.step, kStream);
    const real scale = p_ < 1 ? static_cast<real>(1 / (1 - p_)) : real(0);
    for (std::size_t i = 0; i < from.size(); ++i) {
      to.data()[i] = mask.uniform_at(i) < p_ ? real(0) : from.data()[i] * scale;
    }
  }

  static constexpr std::uint64_t kStream = 3;
  double p_;
  std::uint64_t stream_;  // of this layer's name: two Dropouts of one model drop different values
};

std::unique_ptr<Layer> make(LayerSpec& spec, const BuildContext& context) {
  std::uint64_t stream = 0;
  for (const char letter : context.prefix)
    stream = mix64(stream + static_cast<unsigned char>(letter));
  return std::make_unique<Dropout>(spec.number("p", 0, 1, 0.5), stream);
}
const RegisterLayer kRegister("Dropout", &make);

}  // namespace

}  // namespace pinhole
