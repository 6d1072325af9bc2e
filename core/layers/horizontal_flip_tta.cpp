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

/// Calls pixel(one, other) for every pixel of a batch and the one that it is in the mirror, as offsets of their first channel.
template <class Body>
void for_mirrored(ThreadPool& pool, const Shape& shape, const Body& pixel) {
  const auto width = static_cast<std::size_t>(shape.w),
             channels = static_cast<std::size_t>(shape.c);
  const std::size_t rows = static_cast<std::size_t>(shape.n) * static_cast<std::size_t>(shape.h);
  constexpr std::size_t kGrain = 16384;  // values
  pool.parallel_ranges(rows, std::max<std::size_t>(1, kGrain / (width * channels)),
                       [&](std::size_t begin, std::size_t end) {
                         for (std::size_t row = begin; row < end; ++row) {
                           const std::size_t first = row * width;
                           for (std::size_t w = 0; w < width; ++w)
                             pixel((first + w) * channels, (first + width - 1 - w) * channels);
                         }
                       });
}

void mirror(ThreadPool& pool, const Tensor& from, Tensor& to) {
  const auto channels = static_cast<std::size_t>(from.shape().c);
  for_mirrored(pool, from.shape(), [&](std::size_t a, std::size_t b) {
    std::copy_n(from.data() + a, channels, to.data() + b);
  });
}

/// to = scale * (to + from in the mirror).
void add_mirrored(ThreadPool& pool, const Tensor& from, Tensor& to, real scale) {
  const auto channels = static_cast<std::size_t>(from.shape().c);
  for_mirrored(pool, from.shape(), [&](std::size_t a, std::size_t b) {
    const real* mirrored = from.data() + a;
    real* sum = to.data() + b;
    for (std::size_t c = 0; c < channels; ++c) sum[c] = scale * (sum[c] + mirrored[c]);
  });
}

class HorizontalFlipTTA final : public Layer {
 public:
  HorizontalFlipTTA(LayerSpec& spec, const BuildContext& context) {
    BuildContext inside = context;
    inside.prefix = context.prefix + ".body";
    inside.flattened = context.input;
    const Json* body = spec.layers("body");
    if (body == nullptr || body->empty()) spec.fail("needs a \"body\", a list of layers");
    body_ = std::make_unique<Chain>(*body, inside, Chain::Output::kCallers);
    out_ = body_->output(body->size() - 1);
    uses_output_ = body_->uses_output();
  }

  Shape output_shape(const Shape& in) const override { return out_.with_n(in.n); }

  /// One body for both views: they go through it as one batch.
  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override {
    const auto list = [&](std::vector<std::int64_t> values) {
      const auto count = static_cast<std::int64_t>(values.size());
      return graph.constant<std::int64_t>(name, values, {count});
    };
    const auto mirrored = [&](const std::string& image) {
      return graph.node(name, "Slice",
                        {image, list({-1}), list({INT64_MIN}), list({3}), list({-1})});
    };
    const std::string& image = graph.image(*this, x).name;
    const std::string both =
        graph.node(name, "Concat", {image, mirrored(image)}, {{"axis", std::int64_t{0}}});
    const OnnxValue y = graph.chain(body_->layers(), {both});
    const std::string views =
        graph.node(name, "Reshape",
                   {y.name, y.flat ? list({2, -1, static_cast<std::int64_t>(out_.item())})
                                   : list({2, -1, out_.c, out_.h, out_.w})});
    const auto view = [&](std::int64_t index) {
      const std::string at = graph.constant<std::int64_t>(name, {&index, 1}, {});
      return graph.node(name, "Gather", {views, at}, {{"axis", std::int64_t{0}}});
    };
    const std::string second = y.flat ? view(1) : mirrored(view(1));
    return {graph.node(name, "Mean", {view(0), second}), y.flat};
  }

  std::string to_torch(TorchSource& source) const override {
    source.needs_image(*this);
    source.helper("HorizontalFlipTTA", R"(class HorizontalFlipTTA(nn.Module):
    """body(x); in evaluation the mean of that and of the mirrored image's, mirrored back."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        y = self.body(x)
        if self.training:
            return y
        mirrored = self.body(x.flip(3))
        return (y + (mirrored.flip(3) if mirrored.dim() == 4 else mirrored)) / 2
)");
    return "HorizontalFlipTTA(" + source.sequential(body_->layers()) + ')';
  }

  std::size_t prepare(const Shape& input, Pass pass) override {
    const std::size_t inside = body_->prepare(input.n, pass);
    if (pass == Pass::kTrain) return inside;
    const std::size_t x = room_for(input.size()), y = room_for(output_shape(input).size());
    return inside + (pass == Pass::kExplain ? 2 * x + 2 * y : x + y);
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
    add_mirrored(pool, other_y, y, real(0.5));
  }

  void backward(RunContext& context, const Tensor& x, const Tensor& y, const Tensor& dy,
                Tensor* dx) override {
    if (context.pass == Pass::kTrain) {
      body_->backward(context, x, &y, dy, dx);
      return;
    }
    // What the body keeps is of the last view that went through it: each goes through again.
    ThreadPool& pool = context.backend.pool();
    RunContext inside = context;
    Tensor other_x = take(inside, x.shape()), other_dx = take(inside, x.shape());
    Tensor one_y = take(inside, y.shape()), one_dy = take(inside, y.shape());
    const std::size_t values = dy.size();
    body_->forward(inside, x, &one_y);
    for (std::size_t i = 0; i < values; ++i) one_dy.data()[i] = dy.data()[i] / 2;
    body_->backward(inside, x, &one_y, one_dy, dx);
    mirror(pool, x, other_x);
    body_->forward(inside, other_x, &one_y);
    mirror(pool, dy, one_dy);
    for (std::size_t i = 0; i < values; ++i) one_dy.data()[i] /= 2;
    body_->backward(inside, other_x, &one_y, one_dy, dx != nullptr ? &other_dx : nullptr);
    if (dx != nullptr) add_mirrored(pool, other_dx, *dx, 1);
  }

  std::vector<Parameter*> parameters() override { return body_->parameters(); }
  std::vector<Parameter*> buffers() override { return body_->buffers(); }
  void init(Rng& rng) override {
    for (const auto& layer : body_->layers()) layer->init(rng);
  }
  bool uses_output() const override { return uses_output_; }
  bool deterministic() const override {
    return std::all_of(body_->layers().begin(), body_->layers().end(),
                       [](const auto& layer) { return layer->deterministic(); });
  }

 private:
  /// A tensor from the front of the scratch.
  static Tensor take(RunContext& context, const Shape& shape) {
    Tensor tensor = Tensor::borrow(shape, context.scratch);
    context.scratch += room_for(shape.size());
    return tensor;
  }

  std::unique_ptr<Chain> body_;
  Shape out_;
  bool uses_output_ = false;
};

std::unique_ptr<Layer> make(LayerSpec& spec, const BuildContext& context) {
  return std::make_unique<HorizontalFlipTTA>(spec, context);
}
const RegisterLayer kRegister("HorizontalFlipTTA", &make);

}  // namespace

}  // namespace pinhole
