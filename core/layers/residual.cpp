// A skip connection: y = body(x) + shortcut(x), where both are lists of layers and no shortcut means x itself. In PyTorch a module with
// two nn.Sequential, `body` and `shortcut`.
#include <algorithm>
#include <memory>

#include "../chain.h"
#include "../error.h"
#include "../json.h"
#include "../onnx.h"
#include "../torch_source.h"

namespace pinhole {

namespace {

constexpr std::size_t kGrain = 16384;

void add(ThreadPool& pool, const Tensor& from, Tensor& to) {
  const real* a = from.data();
  real* b = to.data();
  pool.parallel_ranges(to.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) b[i] += a[i];
  });
}

class Residual final : public Layer {
 public:
  Residual(LayerSpec& spec, const BuildContext& context) {
    body_ = chain_inside(spec, "body", context);
    if (!body_) spec.fail("needs a \"body\", a list of layers");
    const Shape out = body_->output();
    Shape skipped = context.input;
    shortcut_ = chain_inside(spec, "shortcut", context);
    if (shortcut_) {
      skipped = shortcut_->output();
      // Its output is added and gone.
      if (const auto& end = shortcut_->layers().back(); end->uses_output())
        spec.fail(text("its shortcut ends in ", end->type,
                       ", whose gradient needs its output again; end it in Conv2d or BatchNorm2d"));
    }
    if (out != skipped) {
      spec.fail(text("its body gives ", item_text(out), ", its ",
                     shortcut_ ? "shortcut" : "input (there is no shortcut) is",
                     shortcut_ ? " gives " : " ", item_text(skipped), "; both are added"));
    }
    out_ = out;
    own_sum_ = body_->uses_output();
  }

  Shape output_shape(const Shape& in) const override { return out_.with_n(in.n); }

  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override {
    OnnxValue y = graph.chain(body_->layers(), x);
    OnnxValue skipped = shortcut_ ? graph.chain(shortcut_->layers(), x) : x;
    if (y.flat != skipped.flat) {
      y = graph.flat(*this, y);
      skipped = graph.flat(*this, skipped);
    }
    return {graph.node(name, "Add", {y.name, skipped.name}), y.flat};
  }

  std::string to_torch(TorchSource& source) const override {
    source.helper("Residual", R"(class Residual(nn.Module):
    """body(x) + shortcut(x); without a shortcut, x itself is added."""

    def __init__(self, body, shortcut=None):
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x):
        return self.body(x) + (x if self.shortcut is None else self.shortcut(x))
)");
    const bool flat_before = source.flat();
    std::string out = "Residual(" + source.sequential(body_->layers());
    const bool flat_after = source.flat();
    source.set_flat(flat_before);
    if (shortcut_) out += ", " + source.sequential(shortcut_->layers());
    if (source.flat() != flat_after)
      throw Error(text("[Residual ", name,
                       "] cannot be exported: of what it adds one part is flat, the other is not"));
    return out + ')';
  }

  std::size_t prepare(const Shape& input, Pass pass) override {
    const Shape out = output_shape(input);
    // One tensor for the shortcut's output, or later for its gradient; one more where the body's last layer reads its own
    // output again in backward, so that the sum must go elsewhere.
    if (own_sum_ && pass != Pass::kPredict) body_output_.resize(out);
    std::size_t inside = body_->prepare(input.n, pass);
    if (!shortcut_) return inside;
    return room_for(std::max(out.size(), input.size())) +
           std::max(inside, shortcut_->prepare(input.n, pass));
  }

  void forward(RunContext& context, const Tensor& x, Tensor& y) override {
    ThreadPool& pool = context.backend.pool();
    const bool apart = own_sum_ && context.pass != Pass::kPredict;
    RunContext inside = context;
    if (shortcut_) inside.scratch += room_for(std::max(y.size(), x.size()));
    if (apart) body_output_.resize(y.shape());
    body_->forward(inside, x, apart ? &body_output_ : &y);
    if (apart) std::copy_n(body_output_.data(), y.size(), y.data());
    if (!shortcut_) return add(pool, x, y);
    Tensor skipped = Tensor::borrow(y.shape(), context.scratch);
    shortcut_->forward(inside, x, &skipped);
    add(pool, skipped, y);
  }

  void backward(RunContext& context, const Tensor& x, const Tensor& y, const Tensor& dy,
                Tensor* dx) override {
    ThreadPool& pool = context.backend.pool();
    RunContext inside = context;
    if (shortcut_) inside.scratch += room_for(std::max(y.size(), x.size()));
    body_->backward(inside, x, own_sum_ ? &body_output_ : &y, dy, dx);
    if (!shortcut_) {
      if (dx != nullptr) add(pool, dy, *dx);
      return;
    }
    if (dx == nullptr) return shortcut_->backward(inside, x, &y, dy, nullptr);
    Tensor skipped = Tensor::borrow(x.shape(), context.scratch);
    shortcut_->backward(inside, x, &y, dy, &skipped);
    add(pool, skipped, *dx);
  }

  std::vector<Parameter*> parameters() override { return joined(&Chain::parameters); }
  std::vector<Parameter*> buffers() override { return joined(&Chain::buffers); }

  void init(Rng& rng) override {
    body_->init(rng);
    if (shortcut_) shortcut_->init(rng);
  }

  bool deterministic() const override {
    return body_->deterministic() && (!shortcut_ || shortcut_->deterministic());
  }

 private:
  std::vector<Parameter*> joined(std::vector<Parameter*> (Chain::*list)() const) const {
    std::vector<Parameter*> all = (*body_.*list)();
    if (shortcut_) {
      for (Parameter* parameter : (*shortcut_.*list)()) all.push_back(parameter);
    }
    return all;
  }

  std::unique_ptr<Chain> body_, shortcut_;
  Shape out_;
  bool own_sum_ = false;
  Tensor body_output_;
};

std::unique_ptr<Layer> make(LayerSpec& spec, const BuildContext& context) {
  return std::make_unique<Residual>(spec, context);
}
const RegisterLayer kRegister("Residual", &make);

}  // namespace

}  // namespace pinhole
