// torchvision.transforms.Normalize as a layer: y = (x - mean[c]) / std[c].
#include "../error.h"
#include "../layer.h"
#include "../onnx.h"
#include "../torch_source.h"

namespace pinhole {

namespace {

class Normalize final : public Layer {
 public:
  Normalize(LayerSpec& spec, const BuildContext& context) {
    const std::vector<double> mean = spec.numbers("mean"), deviation = spec.numbers("std");
    const auto channels = static_cast<std::size_t>(context.input.c);
    for (const auto* list : {&mean, &deviation}) {
      if (list->size() != channels && list->size() != 1) {
        spec.fail(text("mean and std expected 1 or ", channels, " numbers, one a channel, got ",
                       list->size()));
      }
    }
    mean_ = mean;
    deviation_ = deviation;
    for (std::size_t c = 0; c < channels; ++c) {
      const double s = deviation[deviation.size() == 1 ? 0 : c];
      if (!(s > 0)) spec.fail(text("std expected numbers above 0, got ", s));
      scale_.push_back(static_cast<real>(1 / s));
      shift_.push_back(static_cast<real>(-mean[mean.size() == 1 ? 0 : c] / s));
    }
  }

  Shape output_shape(const Shape& in) const override { return in; }
  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override {
    const auto by_channel = [&](const std::vector<real>& values) {
      const std::vector<float> copy(values.begin(), values.end());
      return graph.constant<float>(name, copy, {static_cast<std::int64_t>(copy.size()), 1, 1});
    };
    const std::string scaled =
        graph.node(name, "Mul", {graph.image(*this, x).name, by_channel(scale_)});
    return {graph.node(name, "Add", {scaled, by_channel(shift_)})};
  }
  std::string to_torch(TorchSource& source) const override {
    source.needs_image(*this);
    source.helper("Normalize", R"(class Normalize(nn.Module):
    """torchvision.transforms.Normalize as a layer."""

    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(-1, 1, 1), persistent=False)

    def forward(self, x):
        return (x - self.mean) / self.std
)");
    return text("Normalize(mean=", python(mean_), ", std=", python(deviation_), ')');
  }

  void forward(RunContext& context, const Tensor& x, Tensor& y) override {
    rows(context, x.shape(), [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; i += scale_.size()) {
        for (std::size_t c = 0; c < scale_.size(); ++c)
          y.data()[i + c] = x.data()[i + c] * scale_[c] + shift_[c];
      }
    });
  }

  void backward(RunContext& context, const Tensor& /*x*/, const Tensor& /*y*/, const Tensor& dy,
                Tensor* dx) override {
    if (dx == nullptr) return;
    rows(context, dy.shape(), [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; i += scale_.size()) {
        for (std::size_t c = 0; c < scale_.size(); ++c)
          dx->data()[i + c] = dy.data()[i + c] * scale_[c];
      }
    });
  }

  bool in_place() const override { return true; }

 private:
  template <class Body>
  void rows(RunContext& context, const Shape& shape, const Body& body) const {
    const std::size_t channels = scale_.size(), pixels = shape.size() / channels;
    context.backend.pool().parallel_ranges(pixels, 4096, [&](std::size_t begin, std::size_t end) {
      body(begin * channels, end * channels);
    });
  }

  std::vector<double> mean_, deviation_;  // as the spec gives them
  std::vector<real> scale_, shift_;
};

std::unique_ptr<Layer> make(LayerSpec& spec, const BuildContext& context) {
  return std::make_unique<Normalize>(spec, context);
}
const RegisterLayer kRegister("Normalize", &make);

}  // namespace

}  // namespace pinhole
