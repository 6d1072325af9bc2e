// torchvision.ops.SqueezeExcitation: each channel is scaled by a number in (0, 1) that follows from the means of all channels.
// s = Sigmoid(fc2(ReLU(fc1(mean of each channel)))), y = x * s. https://arxiv.org/abs/1709.01507
#include <memory>
#include <string>
#include <vector>

#include "../chain.h"
#include "../error.h"
#include "../json.h"
#include "../onnx.h"
#include "../torch_source.h"

namespace pinhole {

namespace {

class SqueezeExcite final : public Layer {
 public:
  SqueezeExcite(LayerSpec& spec, const BuildContext& context)
      : channels_(context.input.c),
        squeezed_(spec.integer("squeeze_channels", 1)),
        ones_(static_cast<std::size_t>(channels_), 1),
        zeros_(ones_.size(), 0) {
    BuildContext inside = context;
    inside.input = inside.flattened = {1, 1, 1, channels_};
    const std::string fc = R"({"type": "Conv2d", "kernel_size": 1, "name": "fc)";
    const Json layers =
        parse_json(text('[', fc, R"(1", "out_channels": )", squeezed_, R"(}, {"type": "ReLU"}, )",
                        fc, R"(2", "out_channels": )", channels_, R"(}, {"type": "Sigmoid"}])"),
                   spec.where());
    gate_ = std::make_unique<Chain>(layers, inside, Chain::Output::kCallers);
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
    for_images(context, x, [&](const Image& i) {
      context.backend.norm_moments(i.pixels, channels_, x.data() + i.at, means_.data() + i.vector,
                                   scales_.data() + i.vector);  // which are not there yet
    });
    gate_->forward(context, means_, &scales_);
    for_images(context, x, [&](const Image& i) {
      context.backend.norm_forward({scales_.data() + i.vector, zeros_.data(), false}, i.pixels,
                                   channels_, x.data() + i.at, y.data() + i.at);
    });
  }

  void backward(RunContext& context, const Tensor& x, const Tensor& /*y*/, const Tensor& dy,
                Tensor* dx) override {
    d_scales_.resize(means_.shape());
    d_means_.resize(means_.shape());
    for_images(context, x, [&](const Image& i) {
      // With these, its second sum is that of dy * x.
      context.backend.norm_sums({ones_.data(), zeros_.data(), false}, i.pixels, channels_,
                                x.data() + i.at, dy.data() + i.at, ones_.data(), zeros_.data(),
                                d_means_.data() + i.vector,  // which are not there yet
                                d_scales_.data() + i.vector);
    });
    gate_->backward(context, means_, &scales_, d_scales_, dx != nullptr ? &d_means_ : nullptr);
    if (dx == nullptr) return;
    for_images(context, x, [&](const Image& i) {
      real* through_mean = d_means_.data() + i.vector;
      for (int c = 0; c < channels_; ++c) through_mean[c] /= static_cast<real>(i.pixels);
      context.backend.norm_forward({scales_.data() + i.vector, through_mean, false}, i.pixels,
                                   channels_, dy.data() + i.at, dx->data() + i.at);
    });
  }

  std::vector<Parameter*> parameters() override { return gate_->parameters(); }
  void init(Rng& rng) override { gate_->init(rng); }

 private:
  /// One image of a batch: its pixels, where it starts in x, and where its channels do in means_ and the like.
  struct Image {
    std::size_t pixels, at, vector;
  };
  Shape vectors(int n) const { return {n, 1, 1, channels_}; }
  /// On all threads.
  template <class Body>
  void for_images(RunContext& context, const Tensor& x, const Body& body) const {
    const std::size_t values = x.shape().item(), channels = ones_.size();
    context.backend.pool().parallel_for(static_cast<std::size_t>(x.shape().n), [&](std::size_t n) {
      body(Image{values / channels, n * values, n * channels});
    });
  }

  int channels_, squeezed_;
  std::vector<real> ones_, zeros_;
  std::unique_ptr<Chain> gate_;
  Tensor means_, scales_, d_means_, d_scales_;
};

std::unique_ptr<Layer> make(LayerSpec& spec, const BuildContext& context) {
  return std::make_unique<SqueezeExcite>(spec, context);
}
const RegisterLayer kRegister("SqueezeExcite", &make);

}  // namespace

}  // namespace pinhole
