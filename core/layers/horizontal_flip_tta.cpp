// Test-time augmentation as a layer: in training y = body(x), in prediction the mean of that and of what the body makes of the
// image mirrored left to right, mirrored back. ResNet-9 of DAWNBench and its successors predict like this, ttach calls it
// hflip_transform with merge_mode "mean". Before a global average and a Linear it is the mean of both views' logits. It costs a second
// pass in prediction and nothing in training. In PyTorch a module with one nn.Sequential, `body`.
#include <algorithm>
#include <memory>

#include "../chain.h"
#include "../error.h"
#include "../json.h"
#include "../onnx.h"
#include "../torch_source.h"

namespace pinhole {

namespace {

/// to = from in the mirror; with `mean`, to = the mean of that and what it was.
void mirror(ThreadPool& pool, const Tensor& from, Tensor& to, bool mean = false) {
  const auto width = static_cast<std::size_t>(from.shape().w),
             channels = static_cast<std::size_t>(from.shape().c);
  constexpr std::size_t kGrain = 16384;  // values
  const std::size_t pixels = from.size() / channels;
  pool.parallel_ranges(pixels, std::max<std::size_t>(1, kGrain / channels),
                       [&](std::size_t begin, std::size_t end) {
                         for (std::size_t pixel = begin; pixel < end; ++pixel) {
                           const std::size_t column = pixel % width;
                           const real* a = from.data() + pixel * channels;
                           real* b = to.data() + (pixel - column + (width - 1 - column)) * channels;
                           for (std::size_t c = 0; c < channels; ++c)
                             b[c] = mean ? (b[c] + a[c]) / 2 : a[c];
                         }
                       });
}

class HorizontalFlipTTA final : public Layer {
 public:
  HorizontalFlipTTA(LayerSpec& spec, const BuildContext& context) {
    body_ = chain_inside(spec, "body", context);
    if (!body_) spec.fail("needs a \"body\", a list of layers");
    uses_output_ = body_->uses_output();
  }

  Shape output_shape(const Shape& in) const override { return body_->output().with_n(in.n); }

  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override {
    // image[..., ::-1]
    const auto mirrored = [&](const std::string& image) {
      const auto number = [&](std::int64_t value) {
        return graph.constant<std::int64_t>(name, {&value, 1}, {1});
      };
      return graph.node(name, "Slice",
                        {image, number(-1), number(INT64_MIN), number(3), number(-1)});
    };
    const OnnxValue y = graph.chain(body_->layers(), graph.image(*this, x));
    const OnnxValue other = graph.chain(body_->layers(), {mirrored(x.name)});
    return {graph.node(name, "Mean", {y.name, y.flat ? other.name : mirrored(other.name)}), y.flat};
  }

  std::string to_torch(TorchSource& source) const override {
    source.needs_image(*this);
    source.helper("HorizontalFlipTTA", R"(class HorizontalFlipTTA(nn.Module):
    """body(x); in evaluation its mean with that of the mirror image, mirrored back."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        y = self.body(x)
        if not self.training:
            mirrored = self.body(x.flip(3))
            y = (y + (mirrored.flip(3) if y.dim() == 4 else mirrored)) / 2
        return y
)");
    return "HorizontalFlipTTA(" + source.sequential(body_->layers()) + ')';
  }

  std::size_t prepare(const Shape& input, Pass pass) override {
    const std::size_t inside = body_->prepare(input.n, pass);
    if (pass == Pass::kTrain) return inside;
    const std::size_t views = room_for(input.size()) + room_for(output_shape(input).size());
    return inside + (pass == Pass::kExplain ? 2 : 1) * views;
  }

  void forward(RunContext& context, const Tensor& x, Tensor& y) override {
    if (context.pass == Pass::kTrain) {
      body_->forward(context, x, &y);
      return;
    }
    ThreadPool& pool = context.backend.pool();
    RunContext inside = context;
    Tensor other_x = take(inside, x.shape()), other_y = take(inside, y.shape());
    mirror(pool, x, other_x);
    body_->forward(inside, x, &y);
    body_->forward(inside, other_x, &other_y);
    mirror(pool, other_y, y, true);
  }

  void backward(RunContext& context, const Tensor& x, const Tensor& y, const Tensor& dy,
                Tensor* dx) override {
    if (context.pass == Pass::kTrain) {
      body_->backward(context, x, &y, dy, dx);
      return;
    }
    if (dx == nullptr) return;  // Pass::kExplain wants no gradients of parameters
    // What the body keeps is of the last view that went through it: each goes through again.
    ThreadPool& pool = context.backend.pool();
    RunContext inside = context;
    Tensor other_x = take(inside, x.shape()), other_dx = take(inside, x.shape());
    Tensor view_y = take(inside, y.shape()), other_dy = take(inside, y.shape());
    body_->forward(inside, x, &view_y);
    body_->backward(inside, x, &view_y, dy, dx);
    mirror(pool, x, other_x);
    mirror(pool, dy, other_dy);
    body_->forward(inside, other_x, &view_y);
    body_->backward(inside, other_x, &view_y, other_dy, &other_dx);
    mirror(pool, other_dx, *dx, true);
  }

  std::vector<Parameter*> parameters() override { return body_->parameters(); }
  std::vector<Parameter*> buffers() override { return body_->buffers(); }
  void init(Rng& rng) override { body_->init(rng); }
  bool uses_output() const override { return uses_output_; }
  bool deterministic() const override { return body_->deterministic(); }

 private:
  /// A tensor from the front of the scratch.
  static Tensor take(RunContext& context, const Shape& shape) {
    Tensor tensor = Tensor::borrow(shape, context.scratch);
    context.scratch += room_for(shape.size());
    return tensor;
  }

  std::unique_ptr<Chain> body_;
  bool uses_output_ = false;
};

std::unique_ptr<Layer> make(LayerSpec& spec, const BuildContext& context) {
  return std::make_unique<HorizontalFlipTTA>(spec, context);
}
const RegisterLayer kRegister("HorizontalFlipTTA", &make);

}  // namespace

}  // namespace pinhole
