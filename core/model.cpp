#include "model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <set>

#include "error.h"
#include "json.h"

namespace pinhole {

namespace {

constexpr std::string_view kFormat = "pinhole/1";

/// One step of the plan: a layer (or a fusion of several) and where its output and its output's gradient live.
struct Step {
  Layer* layer = nullptr;
  Shape input;  // of one image
  Shape output;  // of one image
  Tensor y, dy;  // borrowed from the arena
  bool needs_dx = false;  // a step before this one has parameters
};

std::string where(const Json& layer, std::size_t index) {
  std::string type = "layer", name = text('#', index);
  if (layer.is_object()) {
    if (const auto t = layer.find("type"); t != layer.end() && t->is_string())
      type = t->get<std::string>();
    if (const auto n = layer.find("name"); n != layer.end() && n->is_string())
      name = n->get<std::string>();
  }
  return text('[', type, ' ', name, ']');
}

Shape read_input(const Json& spec) {
  const auto input = spec.find("input");
  const auto size = [](const Json& value) {
    return value.is_number_integer() && value >= 1 && value <= 16384;
  };
  if (input == spec.end() || !input->is_array() || input->size() != 3 ||
      !std::all_of(input->begin(), input->end(), size)) {
    throw Error(
        text("[model] \"input\" expected [height, width, channels], each from 1 to 16384, got ",
             input == spec.end() ? "nothing" : input->dump()));
  }
  return {1, (*input)[0].get<int>(), (*input)[1].get<int>(), (*input)[2].get<int>()};
}

void check_spec(const Json& spec) {
  if (!spec.is_object())
    throw Error("[model] expected an object with \"format\", \"name\", \"input\" and \"layers\"");
  const auto format = spec.find("format");
  if (format == spec.end() || *format != kFormat) {
    throw Error(text("[model] \"format\" expected \"", kFormat, "\", got ",
                     format == spec.end() ? "nothing" : format->dump()));
  }
  for (const auto& [key, value] : spec.items()) {
    if (key != "format" && key != "name" && key != "input" && key != "layers") {
      throw Error(text("[model] unknown key \"", key, "\"; known are format, name, input, layers"));
    }
  }
  if (const auto name = spec.find("name"); name != spec.end() && !name->is_string()) {
    throw Error(text("[model] \"name\" expected a string, got ", name->dump()));
  }
  const auto layers = spec.find("layers");
  if (layers == spec.end() || !layers->is_array() || layers->empty()) {
    throw Error("[model] \"layers\" expected a list of at least one layer");
  }
}

/// A layer's name, or its position, as nn.Sequential names them.
std::string layer_name(const Json& layer, std::size_t index, std::set<std::string>& taken) {
  std::string name = std::to_string(index);
  if (layer.is_object()) {
    if (const auto given = layer.find("name"); given != layer.end()) {
      if (!given->is_string() || given->get_ref<const std::string&>().empty() ||
          given->get_ref<const std::string&>().find('.') != std::string::npos) {
        throw Error(
            text(where(layer, index), " name expected a string without dots, got ", given->dump()));
      }
      name = given->get<std::string>();
    }
  }
  if (!taken.insert(name).second)
    throw Error(text(where(layer, index), " name \"", name, "\" is taken by a layer before it"));
  return name;
}

}  // namespace

struct Model::Impl {
  Json spec;
  std::shared_ptr<Backend> backend;
  Shape input;
  std::vector<std::unique_ptr<Layer>> layers;  // as in the spec
  std::vector<Shape> outputs;  // of one image, for each layer
  std::size_t body = 0;  // layers that training runs: without a final Softmax or Sigmoid
  Shape logits_shape;
  LossKind loss = LossKind::kCrossEntropy;

  // The plan: made for a batch, made again when the batch grows.
  std::vector<std::unique_ptr<Layer>> fused;
  std::vector<Step> steps;
  Buffer arena;
  int planned_batch = 0;
  bool planned_training = false;
  RunContext last{*backend};  // of the latest forward; backward repeats Dropout's mask from it

  Tensor probabilities;

  Impl(const Json& json, int classes, std::shared_ptr<Backend> kernels)
      : spec(json), backend(std::move(kernels)) {
    check_spec(spec);
    input = read_input(spec);
    build(classes);
    choose_loss();
    make_steps();
  }

  void build(int classes) {
    BuildContext context{.input = input, .flattened = input, .classes = classes, .prefix = {}};
    std::set<std::string> names;
    std::size_t index = 0;
    for (const Json& layer_spec : spec["layers"]) {
      context.prefix = layer_name(layer_spec, index, names);
      const std::string place = where(layer_spec, index);
      if (context.flattened.item() != context.input.item()) context.flattened = context.input;
      auto layer = make_layer(layer_spec, context, place);
      const Shape out = layer->output_shape(context.input);
      if (out.item() > kMostValues) {
        throw Error(text(place, " gives ", item_text(out), " values for one image, more than the ",
                         kMostValues, " allowed"));
      }
      // A layer that works in place keeps the order of the values: what was flattened stays flattened.
      if (!layer->in_place()) context.flattened = out;
      context.input = out;
      layers.push_back(std::move(layer));
      outputs.push_back(out);
      ++index;
    }
  }

  void choose_loss() {
    const std::string& last_type = layers.back()->type;
    const bool has_final = last_type == "Softmax" || last_type == "Sigmoid";
    body = layers.size() - (has_final ? 1 : 0);
    logits_shape = body > 0 ? outputs[body - 1] : input;
    const std::string end = where(spec["layers"].back(), layers.size() - 1);
    if (logits_shape.h != 1 || logits_shape.w != 1) {
      throw Error(text(end, " the network ends in ", item_text(logits_shape),
                       "; a classifier ends in one value a class (Flatten and Linear)"));
    }
    if (last_type == "Sigmoid" && logits_shape.c != 1) {
      throw Error(text(end, " a final Sigmoid takes 1 value (two classes), got ", logits_shape.c,
                       "; end in Softmax for more classes"));
    }
    if (last_type == "Softmax" && logits_shape.c < 2) {
      throw Error(text(end, " a final Softmax takes 2 or more values, got ", logits_shape.c,
                       "; end in Sigmoid for one"));
    }
    loss = logits_shape.c == 1 ? LossKind::kBinaryCrossEntropy : LossKind::kCrossEntropy;
  }

  void make_steps() {
    Shape in = input;
    bool parameters_before = false;
    for (std::size_t i = 0; i < body;) {
      Layer* layer = layers[i].get();
      std::size_t count = 1;
      const std::span<const std::unique_ptr<Layer>> next(layers.data() + i + 1, body - i - 1);
      if (Fusion fusion = layer->fuse(next); fusion.layer != nullptr) {
        count = fusion.count;
        layer = fusion.layer.get();
        fused.push_back(std::move(fusion.layer));
      }
      i += count;
      steps.push_back({.layer = layer,
                       .input = in,
                       .output = outputs[i - 1],
                       .y = {},
                       .dy = {},
                       .needs_dx = parameters_before});
      parameters_before = parameters_before || !layer->parameters().empty();
      in = outputs[i - 1];
    }
  }

  static constexpr std::size_t kMostInArena =
      std::numeric_limits<std::size_t>::max() / sizeof(real);

  /// Gives every output and gradient its place in one arena.
  void plan(int batch, bool training) {
    batch = std::max(batch, planned_batch);
    training = training || planned_training;
    const auto bytes = [&](const Shape& item) {
      const std::size_t values = item.with_n(batch).size();
      if (values > kMostInArena) throw std::bad_alloc();
      // Every tensor starts on a cache line and is followed by the slack that vector kernels may read.
      return (values + 32 + 15) / 16 * 16;
    };
    // Regions: in training one for every output that is not made in place; in inference two in turn. Then up to two for gradients.
    std::vector<std::size_t> regions;
    std::vector<std::size_t> y_region(steps.size()), dy_region(steps.size());
    const auto take = [&](std::size_t region, const Shape& item) {
      regions[region] = std::max(regions[region], bytes(item));
    };
    bool region_is_read_later = true;  // the caller's input must stay as it is
    for (std::size_t k = 0; k < steps.size(); ++k) {
      const Layer& layer = *steps[k].layer;
      if (k > 0 && layer.in_place() && !(training && region_is_read_later)) {
        y_region[k] = y_region[k - 1];
      } else if (training || k < 2) {
        y_region[k] = regions.size();
        regions.push_back(0);
        region_is_read_later = false;
      } else {
        y_region[k] = y_region[k - 1] == 0 ? std::min<std::size_t>(1, regions.size()) : 0;
        if (y_region[k] == regions.size()) regions.push_back(0);
      }
      take(y_region[k], steps[k].output);
      region_is_read_later = region_is_read_later || layer.uses_output();
    }
    if (training) {
      const std::size_t first = regions.size();
      // dy of the last step is the caller's; step k writes dy of step k - 1.
      for (std::size_t k = steps.size(); k-- > 1 && steps[k].needs_dx;) {
        const bool last_step = k + 1 == steps.size();
        if (!last_step && steps[k].layer->in_place()) {
          dy_region[k - 1] = dy_region[k];
        } else {
          dy_region[k - 1] = last_step ? first : first + (dy_region[k] == first ? 1 : 0);
          if (dy_region[k - 1] == regions.size()) regions.push_back(0);
        }
        take(dy_region[k - 1], steps[k - 1].output);
      }
    }
    std::vector<std::size_t> offset(regions.size());
    std::size_t total = 0;
    for (std::size_t r = 0; r < regions.size(); ++r) {
      offset[r] = total;
      if (regions[r] > kMostInArena - total) throw std::bad_alloc();
      total += regions[r];
    }
    arena = Buffer();  // first give back, then take: the peak is what counts
    planned_batch = 0;
    arena = Buffer(total);
    for (std::size_t k = 0; k < steps.size(); ++k) {
      Step& step = steps[k];
      step.y = Tensor::borrow(step.output.with_n(batch), arena.data() + offset[y_region[k]]);
      if (training && k + 1 < steps.size() && steps[k + 1].needs_dx) {
        step.dy = Tensor::borrow(step.output.with_n(batch), arena.data() + offset[dy_region[k]]);
      }
      step.layer->prepare(step.input.with_n(batch), training);
    }
    planned_batch = batch;
    planned_training = training;
  }

  const Tensor& forward(const Tensor& x, bool training, std::uint64_t seed,
                        std::uint64_t step_number) {
    const Shape& shape = x.shape();
    if (shape.with_n(1) != input || shape.n < 1) {
      throw Error(text("[", spec.value("name", "model"), "] expected images of ", item_text(input),
                       ", got ", shape.n, " of ", item_text(shape)));
    }
    if (shape.n > planned_batch || (training && !planned_training)) plan(shape.n, training);
    last.training = training;
    last.seed = seed;
    last.step = step_number;
    const Tensor* in = &x;
    for (Step& step : steps) {
      step.y.resize(step.output.with_n(shape.n));
      step.layer->forward(last, *in, step.y);
      in = &step.y;
    }
    return *in;
  }

  void backward(const Tensor& x, const Tensor& dlogits, Tensor* dx) {
    if (dx != nullptr) dx->resize(x.shape());
    for (std::size_t k = steps.size(); k-- > 0;) {
      const Tensor& in = k > 0 ? steps[k - 1].y : x;
      const Tensor& dy = k + 1 < steps.size() ? steps[k].dy : dlogits;
      Tensor* din = dx;
      if (k > 0)
        din = steps[k].needs_dx || dx != nullptr ? gradient_of(k - 1, x.shape().n) : nullptr;
      steps[k].layer->backward(last, in, steps[k].y, dy, din);
      if (din == nullptr) break;  // nothing before this step has parameters
    }
  }

  /// Where the gradient of step k's output goes. Steps before the first parameter have a place in the arena only when somebody
  /// asked for the input's gradient, which training does not: they own theirs.
  Tensor* gradient_of(std::size_t k, int batch) {
    steps[k].dy.resize(steps[k].output.with_n(batch));
    return &steps[k].dy;
  }

  const Tensor& to_probabilities(const Tensor& logits) {
    const auto n = static_cast<std::size_t>(logits.shape().n),
               k = static_cast<std::size_t>(logits.shape().c);
    if (loss == LossKind::kBinaryCrossEntropy) {
      probabilities.resize({logits.shape().n, 1, 1, 2});
      for (std::size_t i = 0; i < n; ++i) {
        const real p = 1 / (1 + std::exp(-logits.data()[i]));
        probabilities.data()[2 * i] = 1 - p;
        probabilities.data()[2 * i + 1] = p;
      }
      return probabilities;
    }
    probabilities.resize(logits.shape());
    for (std::size_t i = 0; i < n; ++i) {
      const real* row = logits.data() + i * k;
      real* out = probabilities.data() + i * k;
      const real largest = *std::max_element(row, row + k);
      real sum = 0;
      for (std::size_t c = 0; c < k; ++c) sum += out[c] = std::exp(row[c] - largest);
      for (std::size_t c = 0; c < k; ++c) out[c] /= sum;
    }
    return probabilities;
  }
};

Model::Model(const Json& spec, int classes, std::shared_ptr<Backend> backend)
    : impl_(std::make_unique<Impl>(spec, classes, std::move(backend))) {
  init(0);
}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

const Json& Model::spec() const { return impl_->spec; }
std::string Model::name() const { return impl_->spec.value("name", "model"); }
Backend& Model::backend() const { return *impl_->backend; }
Shape Model::input_shape() const { return impl_->input; }
int Model::outputs() const { return impl_->logits_shape.c; }
LossKind Model::loss() const { return impl_->loss; }
int Model::classes() const { return impl_->loss == LossKind::kBinaryCrossEntropy ? 2 : outputs(); }

void Model::init(std::uint64_t seed) {
  constexpr std::uint64_t kStream = 1;
  Rng rng(seed, kStream);
  for (const auto& layer : impl_->layers) layer->init(rng);
}

std::vector<Parameter*> Model::parameters() {
  std::vector<Parameter*> all;
  for (const auto& layer : impl_->layers) {
    for (Parameter* parameter : layer->parameters()) all.push_back(parameter);
  }
  return all;
}

std::size_t Model::parameter_count() {
  std::size_t count = 0;
  for (const Parameter* parameter : parameters()) count += parameter->value.size();
  return count;
}

const Tensor& Model::forward(const Tensor& x, bool training, std::uint64_t seed,
                             std::uint64_t step) {
  return impl_->forward(x, training, seed, step);
}

void Model::backward(const Tensor& x, const Tensor& dlogits, Tensor* dx) {
  impl_->backward(x, dlogits, dx);
}

void Model::zero_grad() {
  for (Parameter* parameter : parameters()) parameter->zero_grad();
}

const Tensor& Model::predict(const Tensor& x) {
  return impl_->to_probabilities(impl_->forward(x, false, 0, 0));
}
const Tensor& Model::probabilities(const Tensor& logits) { return impl_->to_probabilities(logits); }

std::vector<Model::LayerInfo> Model::layers() const {
  std::vector<LayerInfo> all;
  for (std::size_t i = 0; i < impl_->layers.size(); ++i) {
    Layer& layer = *impl_->layers[i];
    std::size_t count = 0;
    for (const Parameter* parameter : layer.parameters()) count += parameter->value.size();
    all.push_back({layer.name, layer.type, impl_->outputs[i], count});
  }
  return all;
}

}  // namespace pinhole
