// torch.nn.AdaptiveAvgPool2d(1): the mean of each channel, "global average pooling".
#include "../layer.h"
#include "../onnx.h"
#include "../torch_source.h"

namespace pinhole {

namespace {

class AdaptiveAvgPool2d final : public Layer {
 public:
  Shape output_shape(const Shape& in) const override { return {in.n, 1, 1, in.c}; }
  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override {
    return {graph.node(name, "GlobalAveragePool", {graph.image(*this, x).name})};
  }
  std::string to_torch(TorchSource& source) const override {
    source.needs_image(*this);
    return "nn.AdaptiveAvgPool2d(1)";
  }

  void forward(RunContext& /*context*/, const Tensor& x, Tensor& y) override {
    const auto channels = static_cast<std::size_t>(x.shape().c);
    const std::size_t item = x.shape().item();
    const std::size_t pixels = item / channels;
    const real scale = real(1) / static_cast<real>(pixels);
    y.fill(0);
    for (std::size_t n = 0; n < static_cast<std::size_t>(x.shape().n); ++n) {
      real* yi = y.data() + n * channels;
      const real* xi = x.data() + n * item;
      for (std::size_t start = 0; start < item; start += channels) {
        for (std::size_t c = 0; c < channels; ++c) yi[c] += xi[start + c];
      }
      for (std::size_t c = 0; c < channels; ++c) yi[c] *= scale;
    }
  }

  void backward(RunContext& /*context*/, const Tensor& x, const Tensor& /*y*/, const Tensor& dy,
                Tensor* dx) override {
    if (dx == nullptr) return;
    const auto channels = static_cast<std::size_t>(x.shape().c);
    const std::size_t item = x.shape().item();
    const std::size_t pixels = item / channels;
    const real scale = real(1) / static_cast<real>(pixels);
    for (std::size_t n = 0; n < static_cast<std::size_t>(x.shape().n); ++n) {
      const real* dyi = dy.data() + n * channels;
      real* dxi = dx->data() + n * item;
      for (std::size_t start = 0; start < item; start += channels) {
        for (std::size_t c = 0; c < channels; ++c) dxi[start + c] = dyi[c] * scale;
      }
    }
  }
};

std::unique_ptr<Layer> make(LayerSpec& spec, const BuildContext& /*context*/) {
  if (spec.pair("output_size", 1) != std::pair(1, 1))
    spec.fail("output_size expected 1, the only one there is");
  return std::make_unique<AdaptiveAvgPool2d>();
}
const RegisterLayer kRegister("AdaptiveAvgPool2d", &make);

}  // namespace

}  // namespace pinhole
