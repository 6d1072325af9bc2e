// torch.nn.BatchNorm2d: eps, momentum, affine. In training a batch is normalised by its own mean and biased variance, and the
// running statistics follow with `momentum` (the variance unbiased); elsewhere the running statistics normalise.
#include "batch_norm2d.h"

#include <algorithm>
#include <cmath>

#include "../error.h"
#include "../onnx.h"
#include "../torch_source.h"

namespace pinhole {

namespace {

std::size_t as_size(int i) { return static_cast<std::size_t>(i); }

/// Pixels whose sums are added in float before they meet others in double. By shape alone: the bits do not depend on threads.
std::size_t pixels_of_task(std::size_t channels) {
  return std::clamp<std::size_t>(16384 / channels, 16, 256);
}

/// `names` of values, one a channel.
void make_parameter(Parameter& p, const std::string& name, int channels, real value) {
  p.name = name;
  p.value.resize({1, 1, 1, channels});
  p.value.fill(value);
}

}  // namespace

BatchNorm2d::BatchNorm2d(LayerSpec& spec, const BuildContext& context)
    : channels_(context.input.c) {
  if (const int expected = spec.integer("num_features", 1, channels_); expected != channels_) {
    spec.fail(text("num_features is ", expected, ", but the input is ", item_text(context.input)));
  }
  eps_ = spec.number("eps", 0, 1, 1e-5);
  momentum_ = spec.number("momentum", 0, 1, 0.1);
  if (spec.flag("affine", true)) {
    Affine& affine = affine_.emplace();
    make_parameter(affine.weight, context.prefix + ".weight", channels_, 1);
    make_parameter(affine.bias, context.prefix + ".bias", channels_, 0);
  }
  make_parameter(mean_, context.prefix + ".running_mean", channels_, 0);
  make_parameter(variance_, context.prefix + ".running_var", channels_, 1);
  make_parameter(batches_, context.prefix + ".num_batches_tracked", 1, 0);
  batches_.layout = Layout::kCount;
  scale_.resize(as_size(channels_));
  shift_.resize(as_size(channels_));
  a_.resize(as_size(channels_));
  b_.resize(as_size(channels_));
  batch_mean_.resize(as_size(channels_));
  batch_inverse_.resize(as_size(channels_));
}

std::size_t BatchNorm2d::prepare(const Shape& input, Pass pass) {
  if (pass == Pass::kPredict) return 0;
  const std::size_t pixels = input.size() / as_size(channels_);
  const std::size_t task = pixels_of_task(as_size(channels_));
  partials_.reserve((pixels + task - 1) / task * 2 * as_size(channels_));
  return 0;
}

std::vector<Parameter*> BatchNorm2d::parameters() {
  if (!affine_) return {};
  return {&affine_->weight, &affine_->bias};
}

void BatchNorm2d::init(Rng& /*rng*/) {
  if (affine_) {
    affine_->weight.value.fill(1);
    affine_->bias.value.fill(0);
    affine_->weight.changed();
    affine_->bias.changed();
  }
  mean_.value.fill(0);
  variance_.value.fill(1);
  batches_.value.fill(0);
  mean_.changed();
  variance_.changed();
}

OnnxValue BatchNorm2d::to_onnx(OnnxGraph& graph, const OnnxValue& x) const {
  const auto constant = [&](float value) {
    const std::vector<float> values(as_size(channels_), value);
    return graph.constant<float>(name, values, {channels_});
  };
  std::vector<std::string> inputs{graph.image(*this, x).name};
  inputs.push_back(affine_ ? graph.parameter(affine_->weight) : constant(1));
  inputs.push_back(affine_ ? graph.parameter(affine_->bias) : constant(0));
  inputs.push_back(graph.parameter(mean_));
  inputs.push_back(graph.parameter(variance_));
  return {graph.node(name, "BatchNormalization", std::move(inputs),
                     {{"epsilon", static_cast<float>(eps_)}})};
}

std::string BatchNorm2d::to_torch(TorchSource& source) const {
  source.needs_image(*this);
  std::string out = text("nn.BatchNorm2d(", channels_);
  if (eps_ != 1e-5) out += text(", eps=", python(eps_));
  if (momentum_ != 0.1) out += text(", momentum=", python(momentum_));
  if (!affine_) out += ", affine=False";
  return out + ')';
}

std::uint64_t BatchNorm2d::version() const {
  return mean_.version + variance_.version +
         (affine_ ? affine_->weight.version + affine_->bias.version : 0);
}

void BatchNorm2d::scale_and_shift(real* scale, real* shift) const {
  for (std::size_t c = 0; c < as_size(channels_); ++c) {
    const double weight = affine_ ? static_cast<double>(affine_->weight.value.data()[c]) : 1;
    const double bias = affine_ ? static_cast<double>(affine_->bias.value.data()[c]) : 0;
    const double s = weight / std::sqrt(static_cast<double>(variance_.value.data()[c]) + eps_);
    scale[c] = static_cast<real>(s);
    shift[c] = static_cast<real>(bias - s * static_cast<double>(mean_.value.data()[c]));
  }
}

void BatchNorm2d::batch_statistics(RunContext& context, const Tensor& x) {
  const std::size_t channels = as_size(channels_), pixels = x.size() / channels;
  if (pixels < 2) {
    throw Error(text("[BatchNorm2d ", name,
                     "] needs more than one value a channel in training, got a batch of one ",
                     item_text(x.shape()), "; use a batch size that leaves no single image over"));
  }
  const std::size_t task = pixels_of_task(channels);
  real* partials = partials_.data();
  context.backend.pool().parallel_ranges(pixels, task, [&](std::size_t begin, std::size_t end) {
    // Mean and the sum of squares around it, so that a large mean costs no digits.
    real* mean = partials + begin / task * 2 * channels;
    context.backend.norm_moments(end - begin, channels_, x.data() + begin * channels, mean,
                                 mean + channels);
  });
  // Chan, Golub, LeVeque (1979): means and sums of squares of parts into those of the whole, in a fixed order.
  std::vector<double>& mean = batch_mean_;
  std::vector<double>& squares = batch_inverse_;
  std::fill(mean.begin(), mean.end(), 0.0);
  std::fill(squares.begin(), squares.end(), 0.0);
  for (std::size_t begin = 0; begin < pixels; begin += task) {
    const auto before = static_cast<double>(begin);
    const auto added = static_cast<double>(std::min(task, pixels - begin));
    const real* part = partials + begin / task * 2 * channels;
    for (std::size_t c = 0; c < channels; ++c) {
      const double difference = static_cast<double>(part[c]) - mean[c];
      mean[c] += difference * added / (before + added);
      squares[c] += static_cast<double>(part[channels + c]) +
                    difference * difference * before * added / (before + added);
    }
  }
  const auto count = static_cast<double>(pixels);
  const auto follow = [&](real& running, double now) {
    running = static_cast<real>((1 - momentum_) * static_cast<double>(running) + momentum_ * now);
  };
  for (std::size_t c = 0; c < channels; ++c) {
    follow(mean_.value.data()[c], mean[c]);
    follow(variance_.value.data()[c], squares[c] / (count - 1));
    batch_inverse_[c] = 1 / std::sqrt(squares[c] / count + eps_);
  }
  batches_.value.data()[0] += 1;
  mean_.changed();
  variance_.changed();
  batches_.changed();
}

void BatchNorm2d::forward(RunContext& context, const Tensor& x, bool relu, Tensor& y) {
  const std::size_t channels = as_size(channels_);
  by_batch_ = uses_batch(context);
  if (by_batch_) {
    batch_statistics(context, x);
    for (std::size_t c = 0; c < channels; ++c) {
      const double weight = affine_ ? static_cast<double>(affine_->weight.value.data()[c]) : 1;
      const double bias = affine_ ? static_cast<double>(affine_->bias.value.data()[c]) : 0;
      scale_[c] = static_cast<real>(weight * batch_inverse_[c]);
      shift_[c] = static_cast<real>(bias - weight * batch_inverse_[c] * batch_mean_[c]);
    }
  } else {
    scale_and_shift(scale_.data(), shift_.data());
  }
  const Backend::ChannelNorm norm{scale_.data(), shift_.data(), relu};
  context.backend.pool().parallel_ranges(
      x.size() / channels, pixels_of_task(channels), [&](std::size_t begin, std::size_t end) {
        context.backend.norm_forward(norm, end - begin, channels_, x.data() + begin * channels,
                                     y.data() + begin * channels);
      });
}

// With m values a channel, xhat = (x - mean) * inverse, s = weight * inverse:
//   db = sum(dy), dw = sum(dy * xhat), dx = s * (dy - db / m - xhat * dw / m); with running statistics dx = s * dy.
void BatchNorm2d::backward(RunContext& context, const Tensor& x, const Tensor& dy, bool relu,
                           Tensor* dx) {
  const std::size_t channels = as_size(channels_), pixels = x.size() / channels;
  const std::size_t task = pixels_of_task(channels);
  if (!by_batch_) {
    for (std::size_t c = 0; c < channels; ++c) {
      batch_mean_[c] = static_cast<double>(mean_.value.data()[c]);
      batch_inverse_[c] = 1 / std::sqrt(static_cast<double>(variance_.value.data()[c]) + eps_);
    }
  }
  real* partials = partials_.data();
  // xhat = x * a + b
  real* a = a_.data();
  real* b = b_.data();
  for (std::size_t c = 0; c < channels; ++c) {
    a[c] = static_cast<real>(batch_inverse_[c]);
    b[c] = static_cast<real>(-batch_mean_[c] * batch_inverse_[c]);
  }
  const Backend::ChannelNorm norm{scale_.data(), shift_.data(), relu};
  context.backend.pool().parallel_ranges(pixels, task, [&](std::size_t begin, std::size_t end) {
    real* sum = partials + begin / task * 2 * channels;
    context.backend.norm_sums(norm, end - begin, channels_, x.data() + begin * channels,
                              dy.data() + begin * channels, a, b, sum, sum + channels);
  });
  real* dw = nullptr;
  real* db = nullptr;
  if (affine_) {
    const real beta = affine_->weight.take_beta();
    affine_->bias.take_beta();
    dw = affine_->weight.grad.data();
    db = affine_->bias.grad.data();
    if (beta == 0) {
      affine_->weight.grad.fill(0);
      affine_->bias.grad.fill(0);
    }
  }
  const auto count = static_cast<double>(pixels);
  for (std::size_t c = 0; c < channels; ++c) {
    double sum = 0, dot = 0;
    for (std::size_t begin = 0; begin < pixels; begin += task) {
      const real* part = partials + begin / task * 2 * channels;
      sum += static_cast<double>(part[c]);
      dot += static_cast<double>(part[channels + c]);
    }
    const double weight = affine_ ? static_cast<double>(affine_->weight.value.data()[c]) : 1;
    const double s = weight * batch_inverse_[c];
    // dx = dy * scale + x * a + b
    const double by_x = by_batch_ ? -s * dot / count * batch_inverse_[c] : 0;
    a[c] = static_cast<real>(by_x);
    b[c] = by_batch_ ? static_cast<real>(-s * sum / count - by_x * batch_mean_[c]) : real(0);
    if (dw != nullptr) {
      dw[c] += static_cast<real>(dot);
      db[c] += static_cast<real>(sum);
    }
  }
  if (dx == nullptr) return;
  context.backend.pool().parallel_ranges(pixels, task, [&](std::size_t begin, std::size_t end) {
    context.backend.norm_backward(norm, end - begin, channels_, x.data() + begin * channels,
                                  dy.data() + begin * channels, a, b,
                                  dx->data() + begin * channels);
  });
}

namespace {

/// BatchNorm2d and ReLU as one step: what is between them is never written to memory.
class BatchNorm2dReLU final : public Layer {
 public:
  explicit BatchNorm2dReLU(BatchNorm2d& norm) : norm_(norm) {}

  Shape output_shape(const Shape& in) const override { return in; }
  std::size_t prepare(const Shape& input, Pass pass) override { return norm_.prepare(input, pass); }
  void forward(RunContext& context, const Tensor& x, Tensor& y) override {
    norm_.forward(context, x, true, y);
  }
  void backward(RunContext& context, const Tensor& x, const Tensor& /*y*/, const Tensor& dy,
                Tensor* dx) override {
    norm_.backward(context, x, dy, true, dx);
  }
  std::vector<Parameter*> parameters() override { return norm_.parameters(); }

 private:
  BatchNorm2d& norm_;
};

}  // namespace

Fusion BatchNorm2d::fuse(std::span<const std::unique_ptr<Layer>> next) {
  if (next.empty() || next[0]->type != "ReLU") return {};
  auto fused = std::make_unique<BatchNorm2dReLU>(*this);
  fused->type = "BatchNorm2d+ReLU";
  fused->name = name;
  return {std::move(fused), 2};
}

namespace {

std::unique_ptr<Layer> make(LayerSpec& spec, const BuildContext& context) {
  return std::make_unique<BatchNorm2d>(spec, context);
}
const RegisterLayer kRegister("BatchNorm2d", &make);

}  // namespace

}  // namespace pinhole
