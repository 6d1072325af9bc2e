// torch.nn.Conv2d: out_channels, kernel_size, stride, padding, dilation, groups, bias. Weights here are [oc, kh, kw, ic].
#include <optional>
#include <tuple>

#include "../error.h"
#include "../json.h"
#include "batch_norm2d.h"
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
  Fusion fold(std::span<const std::unique_ptr<Layer>> next) override;
  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override;
  std::string to_torch(TorchSource& source) const override;

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
  std::size_t prepare(const Shape& input, Pass /*pass*/) override {
    winner_.resize(std::max(winner_.size(), output_shape(input).size()));
    return 0;
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

/// Before and after, so that there are ceil(size / stride) outputs: torch's padding="same", which it has for stride 1, and
/// TensorFlow's SAME, which continues it; the odd one comes after.
std::pair<int, int> same_padding(int size, int kernel, int stride, int dilation) {
  const std::int64_t outputs = (static_cast<std::int64_t>(size) + stride - 1) / stride;
  const std::int64_t total = std::max<std::int64_t>(
      0, (outputs - 1) * stride + static_cast<std::int64_t>(dilation) * (kernel - 1) + 1 - size);
  return {static_cast<int>(total / 2), static_cast<int>(total - total / 2)};
}

Conv2d::Conv2d(LayerSpec& spec, const BuildContext& context) {
  const Shape& in = context.input;
  geometry_.c = in.c;
  geometry_.oc = spec.features("out_channels", context.classes);
  std::tie(geometry_.kh, geometry_.kw) = spec.pair("kernel_size", 1);
  std::tie(geometry_.stride_h, geometry_.stride_w) = spec.pair("stride", 1, {1, 1});
  std::tie(geometry_.dilation_h, geometry_.dilation_w) = spec.pair("dilation", 1, {1, 1});
  if (spec.is("padding", "same")) {
    std::tie(geometry_.pad_top, geometry_.pad_bottom) =
        same_padding(in.h, geometry_.kh, geometry_.stride_h, geometry_.dilation_h);
    std::tie(geometry_.pad_left, geometry_.pad_right) =
        same_padding(in.w, geometry_.kw, geometry_.stride_w, geometry_.dilation_w);
  } else {
    std::tie(geometry_.pad_top, geometry_.pad_left) = spec.pair("padding", 0, {0, 0});
    geometry_.pad_bottom = geometry_.pad_top;
    geometry_.pad_right = geometry_.pad_left;
  }
  geometry_.groups = spec.integer("groups", 1, 1);
  if (const int expected = spec.integer("in_channels", 1, in.c); expected != in.c) {
    spec.fail(text("in_channels is ", expected, ", but the input is ", item_text(in)));
  }
  if (in.c % geometry_.groups != 0 || geometry_.oc % geometry_.groups != 0) {
    spec.fail(text("groups ", geometry_.groups, " does not divide ", in.c, " input and ",
                   geometry_.oc, " output channels"));
  }
  const auto fits = [](int size, int kernel, int dilation, int before, int after) {
    return static_cast<std::int64_t>(size) + before + static_cast<std::int64_t>(after) >=
           static_cast<std::int64_t>(dilation) * (kernel - 1) + 1;
  };
  if (!fits(in.h, geometry_.kh, geometry_.dilation_h, geometry_.pad_top, geometry_.pad_bottom) ||
      !fits(in.w, geometry_.kw, geometry_.dilation_w, geometry_.pad_left, geometry_.pad_right)) {
    spec.fail(text("kernel ", geometry_.kh, 'x', geometry_.kw, " does not fit input ", in.h, 'x',
                   in.w, " with padding ", geometry_.pad_top, ',', geometry_.pad_left));
  }
  spec.check_weights(Shape{geometry_.oc, geometry_.kh, geometry_.kw, in.c / geometry_.groups},
                     context);
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

/// Conv2d, BatchNorm2d and ReLU or ReLU6 as one convolution, for prediction: the statistics are folded into its weights.
class FoldedConv2d final : public Layer {
 public:
  FoldedConv2d(Conv2d& conv, const BatchNorm2d* norm) : conv_(conv), norm_(norm) {}

  void clamp(real low, real high) {
    low_ = low;
    high_ = high;
  }

  Shape output_shape(const Shape& in) const override { return conv_.output_shape(in); }

  void forward(RunContext& context, const Tensor& x, Tensor& y) override {
    Conv2dGeometry g = conv_.geometry(x.shape());
    g.y_min = low_;
    g.y_max = high_;
    if (norm_ == nullptr) {
      context.backend.conv2d_forward(g, x.data(), conv_.weight(), conv_.bias(), y.data(), op_);
      return;
    }
    refresh();
    context.backend.conv2d_forward(g, x.data(), weight_, &bias_, y.data(), op_);
  }

  void backward(RunContext& /*context*/, const Tensor& /*x*/, const Tensor& /*y*/,
                const Tensor& /*dy*/, Tensor* /*dx*/) override {}  // never: for prediction alone
  std::vector<Parameter*> parameters() override { return conv_.parameters(); }

 private:
  void refresh() {
    const std::uint64_t version = conv_.weight().version + norm_->version() +
                                  (conv_.bias() != nullptr ? conv_.bias()->version : 0);
    if (version == folded_) return;
    folded_ = version;
    const Tensor& from = conv_.weight().value;
    const auto outputs = static_cast<std::size_t>(from.shape().n);
    weight_.value.resize(from.shape());
    bias_.value.resize({1, 1, 1, from.shape().n});
    scale_.resize(outputs);
    norm_->scale_and_shift(scale_.data(), bias_.value.data());
    const std::size_t item = from.shape().item();
    for (std::size_t o = 0; o < outputs; ++o) {
      for (std::size_t i = o * item; i < (o + 1) * item; ++i)
        weight_.value.data()[i] = from.data()[i] * scale_[o];
      if (conv_.bias() != nullptr)
        bias_.value.data()[o] += conv_.bias()->value.data()[o] * scale_[o];
    }
    weight_.changed();
    bias_.changed();
  }

  Conv2d& conv_;
  const BatchNorm2d* norm_;
  real low_ = -std::numeric_limits<real>::infinity();
  real high_ = std::numeric_limits<real>::infinity();
  Parameter weight_, bias_;
  std::vector<real> scale_;
  std::uint64_t folded_ = 0;
  OpSlot op_;
};

Fusion Conv2d::fold(std::span<const std::unique_ptr<Layer>> next) {
  const BatchNorm2d* norm =
      next.empty() ? nullptr : dynamic_cast<const BatchNorm2d*>(next[0].get());
  std::size_t count = norm != nullptr ? 2 : 1;
  const std::string& after = next.size() >= count ? next[count - 1]->type : name;
  const bool relu = after == "ReLU", relu6 = after == "ReLU6";
  if (norm == nullptr && relu && fuse(next).layer != nullptr) return {};  // with its pooling
  auto folded = std::make_unique<FoldedConv2d>(*this, norm);
  folded->type = norm != nullptr ? "Conv2d+BatchNorm2d" : "Conv2d";
  folded->name = name;
  if (relu || relu6) {
    folded->clamp(0, relu6 ? real(6) : std::numeric_limits<real>::infinity());
    folded->type += relu6 ? "+ReLU6" : "+ReLU";
    ++count;
  }
  if (count == 1) return {};
  return {std::move(folded), count};
}

OnnxValue Conv2d::to_onnx(OnnxGraph& graph, const OnnxValue& x) const {
  const Conv2dGeometry& g = geometry_;
  std::vector<std::string> inputs{graph.image(*this, x).name, graph.parameter(weight_)};
  if (bias_) inputs.push_back(graph.parameter(*bias_));
  using Ints = std::vector<std::int64_t>;
  return {graph.node(name, "Conv", std::move(inputs),
                     {{"dilations", Ints{g.dilation_h, g.dilation_w}},
                      {"group", std::int64_t{g.groups}},
                      {"kernel_shape", Ints{g.kh, g.kw}},
                      {"pads", Ints{g.pad_top, g.pad_left, g.pad_bottom, g.pad_right}},
                      {"strides", Ints{g.stride_h, g.stride_w}}})};
}

std::string Conv2d::to_torch(TorchSource& source) const {
  source.needs_image(*this);
  const Conv2dGeometry& g = geometry_;
  std::string out = text("nn.Conv2d(", g.c, ", ", g.oc, ", kernel_size=", python(g.kh, g.kw));
  if (g.stride_h != 1 || g.stride_w != 1) out += text(", stride=", python(g.stride_h, g.stride_w));
  const bool symmetric = g.pad_top == g.pad_bottom && g.pad_left == g.pad_right;
  if (!symmetric && g.stride_h == 1 && g.stride_w == 1) {
    out += ", padding=\"same\"";
  } else if (symmetric && (g.pad_top != 0 || g.pad_left != 0)) {
    out += text(", padding=", python(g.pad_top, g.pad_left));
  }
  if (g.dilation_h != 1 || g.dilation_w != 1)
    out += text(", dilation=", python(g.dilation_h, g.dilation_w));
  if (g.groups != 1) out += text(", groups=", g.groups);
  if (!bias_) out += ", bias=False";
  out += ')';
  if (symmetric || (g.stride_h == 1 && g.stride_w == 1)) return out;
  source.helper("PaddedConv2d", R"(class PaddedConv2d(nn.Conv2d):
    """Conv2d with its own padding on each side: left, right, top, bottom."""

    def __init__(self, sides, *arguments, **options):
        super().__init__(*arguments, **options)
        self.sides = sides

    def forward(self, x):
        return super().forward(nn.functional.pad(x, self.sides))
)");
  const std::string sides =
      text('(', g.pad_left, ", ", g.pad_right, ", ", g.pad_top, ", ", g.pad_bottom, "), ");
  return out.replace(0, std::string_view("nn.Conv2d(").size(), "PaddedConv2d(" + sides);
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
