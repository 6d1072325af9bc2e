// torch.nn.Linear: out_features, bias. The input is flat; weights are [out, in], with `in` in the NHWC order of what was flattened.
#include <optional>

#include "../error.h"
#include "../layer.h"
#include "../onnx.h"
#include "../torch_source.h"

namespace pinhole {

namespace {

class Linear final : public Layer {
 public:
  Linear(LayerSpec& spec, const BuildContext& context) {
    const Shape& in = context.input;
    if (in.h != 1 || in.w != 1)
      spec.fail(text("needs a flat input (put a Flatten before it), got ", item_text(in)));
    in_ = in.c;
    out_ = spec.features("out_features", context.classes);
    if (const int expected = spec.integer("in_features", 1, in_); expected != in_) {
      spec.fail(text("in_features is ", expected, ", but the input has ", in_, " values"));
    }
    spec.check_weights(context.flattened.with_n(out_), context);
    weight_.name = context.prefix + ".weight";
    weight_.layout = Layout::kLinearWeight;
    weight_.value.resize(context.flattened.with_n(out_));
    if (spec.flag("bias", true)) {
      bias_.emplace();
      bias_->name = context.prefix + ".bias";
      bias_->value.resize({1, 1, 1, out_});
    }
  }

  Shape output_shape(const Shape& in) const override { return {in.n, 1, 1, out_}; }

  void forward(RunContext& context, const Tensor& x, Tensor& y) override {
    context.backend.linear_forward({x.shape().n, in_, out_}, x.data(), weight_,
                                   bias_ ? &*bias_ : nullptr, y.data(), forward_op_);
  }

  void backward(RunContext& context, const Tensor& x, const Tensor& /*y*/, const Tensor& dy,
                Tensor* dx) override {
    const LinearGeometry g{x.shape().n, in_, out_};
    if (dx != nullptr)
      context.backend.linear_backward_input(g, dy.data(), weight_, dx->data(), backward_op_);
    const real beta = weight_.take_beta();
    if (bias_) bias_->take_beta();
    context.backend.linear_backward_weight(g, x.data(), dy.data(), beta, weight_.grad.data(),
                                           bias_ ? bias_->grad.data() : nullptr);
  }

  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override {
    std::vector<std::string> inputs{graph.flat(*this, x).name, graph.parameter(weight_)};
    if (bias_) inputs.push_back(graph.parameter(*bias_));
    return {graph.node(name, "Gemm", std::move(inputs), {{"transB", std::int64_t{1}}}), true};
  }
  std::string to_torch(TorchSource& source) const override {
    source.needs_flat();
    return text("nn.Linear(", in_, ", ", out_, bias_ ? "" : ", bias=False", ')');
  }

  std::vector<Parameter*> parameters() override {
    std::vector<Parameter*> all{&weight_};
    if (bias_) all.push_back(&*bias_);
    return all;
  }

  void init(Rng& rng) override {
    init_kaiming_uniform(weight_, in_, rng);
    if (bias_) init_kaiming_uniform(*bias_, in_, rng);
  }

 private:
  int in_, out_;
  Parameter weight_;
  std::optional<Parameter> bias_;
  OpSlot forward_op_, backward_op_;
};

std::unique_ptr<Layer> make(LayerSpec& spec, const BuildContext& context) {
  return std::make_unique<Linear>(spec, context);
}
const RegisterLayer kRegister("Linear", &make);

}  // namespace

}  // namespace pinhole
