// torchvision.ops.SqueezeExcitation: each channel is scaled by a number in (0, 1) that follows from the means of all channels.
// s = Sigmoid(fc2(ReLU(fc1(mean of each channel)))), y = x * s. https://arxiv.org/abs/1709.01507
#include <algorithm>
#include <memory>

#include "../chain.h"
#include "../error.h"
#include "../json.h"
#include "../onnx.h"
#include "../torch_source.h"

namespace pinhole {

namespace {

class SqueezeExcite final : public Layer {
 public:
  SqueezeExcite(LayerSpec& spec, const BuildContext& context) : channels_(context.input.c) {
    BuildContext inside = context;
    inside.input = inside.flattened = {1, 1, 1, channels_};
    const auto fc = [](const char* name, int out_channels) {
      return Json{
          {"type", "Conv2d"}, {"name", name}, {"out_channels", out_channels}, {"kernel_size", 1}};
    };
    squeezed_ = spec.integer("squeeze_channels", 1);
    gate_ = std::make_unique<Chain>(
        Json::array({fc("fc1", squeezed_), Json{{"type", "ReLU"}, {"name", "activation"}},
                     fc("fc2", channels_),
                     Json{{"type", "Sigmoid"}, {"name", "scale_activation"}}}),
        inside, Chain::Output::kCallers);
  }

  Shape output_shape(const Shape& in) const override { return in; }

  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override {
    const OnnxValue means{graph.node(name, "GlobalAveragePool", {graph.image(*this, x).name})};
    const OnnxValue scales = graph.chain(gate_->layers(), means);
    return {graph.node(name, "Mul", {x.name, scales.name})};
  }

  std::string to_torch(TorchSource& source) const override {
    source.needs_image(*this);
    source.helper("SqueezeExcite", R"(class SqueezeExcite(nn.Module):
    """torchvision.ops.SqueezeExcitation."""

    def __init__(self, input_channels, squeeze_channels):
        super().__init__()
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)

    def forward(self, x):
        scale = self.fc1(x.mean((2, 3), keepdim=True)).relu()
        return x * self.fc2(scale).sigmoid()
)");
    return text("SqueezeExcite(", channels_, ", ", squeezed_, ')');
  }

  std::size_t prepare(const Shape& input, Pass pass) override {
    for (Tensor* t : {&means_, &scales_, &d_means_, &d_scales_}) t->resize(vectors(input.n));
    return gate_->prepare(input.n, pass);
  }

  void forward(RunContext& context, const Tensor& x, Tensor& y) override {
    means_.resize(vectors(x.shape().n));
    scales_.resize(means_.shape());
    const real one = real(1) / static_cast<real>(pixels(x));
    for_images(context, x, [&](std::size_t image, std::size_t values, std::size_t channels) {
      const real* from = x.data() + image * values;
      real* sum = means_.data() + image * channels;
      std::fill_n(sum, channels, real(0));
      for (std::size_t at = 0; at < values; at += channels) {
        for (std::size_t c = 0; c < channels; ++c) sum[c] += from[at + c];
      }
      for (std::size_t c = 0; c < channels; ++c) sum[c] *= one;
    });
    gate_->forward(context, means_, &scales_);
    for_images(context, x, [&](std::size_t image, std::size_t values, std::size_t channels) {
      const real* from = x.data() + image * values;
      const real* scale = scales_.data() + image * channels;
      real* to = y.data() + image * values;
      for (std::size_t at = 0; at < values; at += channels) {
        for (std::size_t c = 0; c < channels; ++c) to[at + c] = from[at + c] * scale[c];
      }
    });
  }

  void backward(RunContext& context, const Tensor& x, const Tensor& /*y*/, const Tensor& dy,
                Tensor* dx) override {
    d_scales_.resize(means_.shape());
    for_images(context, x, [&](std::size_t image, std::size_t values, std::size_t channels) {
      const real* from = x.data() + image * values;
      const real* d = dy.data() + image * values;
      real* sum = d_scales_.data() + image * channels;
      std::fill_n(sum, channels, real(0));
      for (std::size_t at = 0; at < values; at += channels) {
        for (std::size_t c = 0; c < channels; ++c) sum[c] += from[at + c] * d[at + c];
      }
    });
    if (dx != nullptr) d_means_.resize(means_.shape());
    gate_->backward(context, means_, &scales_, d_scales_, dx != nullptr ? &d_means_ : nullptr);
    if (dx == nullptr) return;
    const real one = real(1) / static_cast<real>(pixels(x));
    for_images(context, x, [&](std::size_t image, std::size_t values, std::size_t channels) {
      const real* d = dy.data() + image * values;
      const real* scale = scales_.data() + image * channels;
      real* through_mean = d_means_.data() + image * channels;
      real* to = dx->data() + image * values;
      for (std::size_t c = 0; c < channels; ++c) through_mean[c] *= one;
      for (std::size_t at = 0; at < values; at += channels) {
        for (std::size_t c = 0; c < channels; ++c)
          to[at + c] = d[at + c] * scale[c] + through_mean[c];
      }
    });
  }

  std::vector<Parameter*> parameters() override { return gate_->parameters(); }
  void init(Rng& rng) override {
    for (const auto& layer : gate_->layers()) layer->init(rng);
  }

 private:
  Shape vectors(int n) const { return {n, 1, 1, channels_}; }
  std::size_t pixels(const Tensor& x) const {
    return x.shape().item() / static_cast<std::size_t>(channels_);
  }
  /// body(image, values of an image, channels), on all threads.
  template <class Body>
  void for_images(RunContext& context, const Tensor& x, const Body& body) const {
    context.backend.pool().parallel_for(
        static_cast<std::size_t>(x.shape().n), [&](std::size_t image) {
          body(image, x.shape().item(), static_cast<std::size_t>(channels_));
        });
  }

  int channels_, squeezed_ = 0;
  std::unique_ptr<Chain> gate_;
  Tensor means_, scales_, d_means_, d_scales_;
};

std::unique_ptr<Layer> make(LayerSpec& spec, const BuildContext& context) {
  return std::make_unique<SqueezeExcite>(spec, context);
}
const RegisterLayer kRegister("SqueezeExcite", &make);

}  // namespace

}  // namespace pinhole
