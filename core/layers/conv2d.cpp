// torch.nn.Conv2d: out_channels, kernel_size, stride, padding, dilation, groups, bias. Weights here are [oc, kh, kw, ic].
#include <optional>
#include <tuple>

#include "pool2d.h"

namespace pinhole {

namespace {

class Conv2d final : public Layer {
 public:
  Conv2d(LayerSpec& spec, const BuildContext& context);

  Shape output_shape(const Shape& in) const override;
  void forward(RunContext& context, const Tensor& x, Tensor& y) override;
  void backward(RunContext& context, const Tensor& x, const Tensor& y, const Tensor& dy,
                Tensor* dx) override;
  std::vector<Parameter*> parameters() override;
  void init(Rng& rng) override;
  Fusion fuse(std::span<const std::unique_ptr<Layer>> next) override;

  Conv2dGeometry geometry(const Shape& in) const;
  const Parameter& weight() const { return weight_; }
  const Parameter* bias() const { return bias_ ? &*bias_ : nullptr; }
  real* weight_grad() { return weight_.grad.data(); }
  real* bias_grad() { return bias_ ? bias_->grad.data() : nullptr; }
  /// For weight and bias, which are always written together.
  real take_beta();

 private:
  Conv2dGeometry geometry_{};
  Parameter weight_;
  std::optional<Parameter> bias_;
  OpSlot forward_op_, backward_op_;
};

/// Conv2d + ReLU + MaxPool2d(2) as one step of the plan: the convolution's output is never written to memory as a whole.
class Conv2dReLUMaxPool2d final : public Layer {
 public:
  explicit Conv2dReLUMaxPool2d(Conv2d& conv) : conv_(conv) {}

  Shape output_shape(const Shape& in) const override {
    const Shape out = conv_.output_shape(in);
    return {out.n, out.h / 2, out.w / 2, out.c};
  }
  void prepare(const Shape& input, bool /*training*/) override {
    winner_.resize(output_shape(input).size());
  }
  void forward(RunContext& context, const Tensor& x, Tensor& y) override {
    context.backend.conv2d_relu_max_pool2d_forward(conv_.geometry(x.shape()), x.data(),
                                                   conv_.weight(), conv_.bias(), y.data(),
                                                   winner_.data(), forward_op_);
  }
  void backward(RunContext& context, const Tensor& x, const Tensor& /*y*/, const Tensor& dy,
                Tensor* dx) override {
    const real beta = conv_.take_beta();
    context.backend.conv2d_relu_max_pool2d_backward(
        conv_.geometry(x.shape()), x.data(), conv_.weight(), dy.data(), winner_.data(),
        dx != nullptr ? dx->data() : nullptr, beta, conv_.weight_grad(), conv_.bias_grad(),
        backward_op_);
  }
  std::vector<Parameter*> parameters() override { return conv_.parameters(); }

 private:
  Conv2d& conv_;
  std::vector<std::uint8_t> winner_;
  OpSlot forward_op_, backward_op_;
};

Conv2d::Conv2d(LayerSpec& spec, const BuildContext& context) {
  const Shape& in = context.input;
  geometry_.c = in.c;
  geometry_.oc = spec.features("out_channels", context.classes);
  std::tie(geometry_.kh, geometry_.kw) = spec.pair("kernel_size", 1);
  std::tie(geometry_.stride_h, geometry_.stride_w) = spec.pair("stride", 1, {1, 1});
  std::tie(geometry_.pad_top, geometry_.pad_left) = spec.pair("padding", 0, {0, 0});
  geometry_.pad_bottom = geometry_.pad_top;
  geometry_.pad_right = geometry_.pad_left;
  std::tie(geometry_.dilation_h, geometry_.dilation_w) = spec.pair("dilation", 1, {1, 1});
  geometry_.groups = spec.integer("groups", 1, 1);
  if (const int expected = spec.integer("in_channels", 1, in.c); expected != in.c) {
    spec.fail(text("in_channels is ", expected, ", but the input is ", item_text(in)));
  }
  if (in.c % geometry_.groups != 0 || geometry_.oc % geometry_.groups != 0) {
    spec.fail(text("groups ", geometry_.groups, " does not divide ", in.c, " input and ",
                   geometry_.oc, " output channels"));
  }
  const auto fits = [](int size, int kernel, int dilation, int pad) {
    return static_cast<std::int64_t>(size) + 2 * static_cast<std::int64_t>(pad) >=
           static_cast<std::int64_t>(dilation) * (kernel - 1) + 1;
  };
  if (!fits(in.h, geometry_.kh, geometry_.dilation_h, geometry_.pad_top) ||
      !fits(in.w, geometry_.kw, geometry_.dilation_w, geometry_.pad_left)) {
    spec.fail(text("kernel ", geometry_.kh, 'x', geometry_.kw, " does not fit input ", in.h, 'x',
                   in.w, " with padding ", geometry_.pad_top, ',', geometry_.pad_left));
  }
  spec.check_weights(Shape{geometry_.oc, geometry_.kh, geometry_.kw, in.c / geometry_.groups});
  weight_.name = context.prefix + ".weight";
  weight_.layout = Layout::kConvWeight;
  weight_.value.resize({geometry_.oc, geometry_.kh, geometry_.kw, in.c / geometry_.groups});
  if (spec.flag("bias", true)) {
    bias_.emplace();
    bias_->name = context.prefix + ".bias";
    bias_->value.resize({1, 1, 1, geometry_.oc});
  }
}

Shape Conv2d::output_shape(const Shape& in) const {
  const Conv2dGeometry& g = geometry_;
  return {in.n, (in.h + g.pad_top + g.pad_bottom - g.dilation_h * (g.kh - 1) - 1) / g.stride_h + 1,
          (in.w + g.pad_left + g.pad_right - g.dilation_w * (g.kw - 1) - 1) / g.stride_w + 1, g.oc};
}

Conv2dGeometry Conv2d::geometry(const Shape& in) const {
  Conv2dGeometry g = geometry_;
  const Shape out = output_shape(in);
  g.n = in.n;
  g.h = in.h;
  g.w = in.w;
  g.oh = out.h;
  g.ow = out.w;
  return g;
}

void Conv2d::forward(RunContext& context, const Tensor& x, Tensor& y) {
  context.backend.conv2d_forward(geometry(x.shape()), x.data(), weight_, bias(), y.data(),
                                 forward_op_);
}

void Conv2d::backward(RunContext& context, const Tensor& x, const Tensor& /*y*/, const Tensor& dy,
                      Tensor* dx) {
  const Conv2dGeometry g = geometry(x.shape());
  if (dx != nullptr)
    context.backend.conv2d_backward_input(g, dy.data(), weight_, dx->data(), backward_op_);
  const real beta = take_beta();
  context.backend.conv2d_backward_weight(g, x.data(), dy.data(), beta, weight_.grad.data(),
                                         bias_grad());
}

std::vector<Parameter*> Conv2d::parameters() {
  std::vector<Parameter*> all{&weight_};
  if (bias_) all.push_back(&*bias_);
  return all;
}

void Conv2d::init(Rng& rng) {
  init_kaiming_uniform(weight_, static_cast<int>(weight_.value.shape().item()), rng);
  if (bias_) init_kaiming_uniform(*bias_, static_cast<int>(weight_.value.shape().item()), rng);
}

real Conv2d::take_beta() {
  if (bias_) bias_->take_beta();
  return weight_.take_beta();
}

Fusion Conv2d::fuse(std::span<const std::unique_ptr<Layer>> next) {
  if (next.size() < 2 || next[0]->type != "ReLU") return {};
  const auto* pool = dynamic_cast<const MaxPool2d*>(next[1].get());
  if (pool == nullptr || !pool->window().is(2, 2, 0)) return {};
  auto fused = std::make_unique<Conv2dReLUMaxPool2d>(*this);
  fused->type = "Conv2d+ReLU+MaxPool2d";
  fused->name = name;
  return {std::move(fused), 3};
}

std::unique_ptr<Layer> make(LayerSpec& spec, const BuildContext& context) {
  return std::make_unique<Conv2d>(spec, context);
}
const RegisterLayer kRegister("Conv2d", &make);

}  // namespace

}  // namespace pinhole
