// torchvision.transforms.Normalize as a layer: y = (x - mean[c]) / std[c].
#include "../error.h"
#include "../layer.h"

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
    for (std::size_t c = 0; c < channels; ++c) {
      const double s = deviation[deviation.size() == 1 ? 0 : c];
      if (!(s > 0)) spec.fail(text("std expected numbers above 0, got ", s));
      scale_.push_back(static_cast<real>(1 / s));
      shift_.push_back(static_cast<real>(-mean[mean.size() == 1 ? 0 : c] / s));
    }
  }

  Shape output_shape(const Shape& in) const override { return in; }

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

  std::vector<real> scale_, shift_;
};

std::unique_ptr<Layer> make(LayerSpec& spec, const BuildContext& context) {
  return std::make_unique<Normalize>(spec, context);
}
const RegisterLayer kRegister("Normalize", &make);

}  // namespace

}  // namespace pinhole
