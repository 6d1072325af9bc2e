#include "model.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "chain.h"
#include "error.h"
#include "json.h"

namespace pinhole {

namespace {

constexpr std::string_view kFormat = "pinhole/1";

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
    if (key != "format" && key != "name" && key != "input" && key != "crop" && key != "layers" &&
        key != "pretrained") {
      throw Error(text("[model] unknown key \"", key,
                       "\"; known are format, name, input, crop, layers, pretrained"));
    }
  }
  if (const auto crop = spec.find("crop");
      crop != spec.end() && (!crop->is_string() || crop->get_ref<const std::string&>() != "center"))
    throw Error(text("[model] \"crop\" expected \"center\", got ", crop->dump()));
  if (const auto name = spec.find("name"); name != spec.end() && !name->is_string()) {
    throw Error(text("[model] \"name\" expected a string, got ", name->dump()));
  }
  if (const auto pretrained = spec.find("pretrained");
      pretrained != spec.end() && !pretrained->is_string()) {
    throw Error(text("[model] \"pretrained\" expected the name of a file of weights, got ",
                     pretrained->dump()));
  }
  const auto layers = spec.find("layers");
  if (layers == spec.end() || !layers->is_array() || layers->empty()) {
    throw Error("[model] \"layers\" expected a list of at least one layer");
  }
}

}  // namespace

struct Model::Impl {
  Json spec;
  std::shared_ptr<Backend> backend;
  Shape input;
  Chain chain;
  Shape logits_shape;
  LossKind loss = LossKind::kCrossEntropy;
  Buffer scratch;
  std::optional<RunContext> last;  // of the latest forward; backward repeats Dropout's mask from it
  bool last_from_features = false;
  Tensor probabilities;

  Impl(const Json& json, int classes, std::shared_ptr<Backend> kernels, std::size_t most_weights)
      : spec((check_spec(json), json)),
        backend(std::move(kernels)),
        input(read_input(spec)),
        chain(spec["layers"],
              {.input = input,
               .flattened = input,
               .classes = classes,
               .prefix = {},
               .weights_left = &most_weights},
              Chain::Output::kOwn) {
    choose_loss();
  }

  void choose_loss() {
    // What training runs: without a final Softmax or Sigmoid.
    const std::size_t count = chain.layers().size();
    const std::string& last_type = chain.layers().back()->type;
    const bool has_final = last_type == "Softmax" || last_type == "Sigmoid";
    const std::size_t body = count - (has_final ? 1 : 0);
    chain.run_first(body);
    logits_shape = body > 0 ? chain.output(body - 1) : input;
    const std::string end = layer_place(spec["layers"].back(), count - 1, {});
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

  void check_images(const Shape& shape) const {
    if (shape.with_n(1) == input && shape.n >= 1) return;
    throw Error(text("[", spec.value("name", "model"), "] expected images of ", item_text(input),
                     ", got ", shape.n, " of ", item_text(shape)));
  }

  RunContext context_for(int batch, Pass pass, std::uint64_t seed, std::uint64_t step,
                         bool from_features) {
    if (!chain.prepared(batch, pass, from_features)) {
      const std::size_t values = chain.prepare(batch, pass, from_features);
      if (values > scratch.size()) {
        scratch = Buffer();  // first give back, then take: the peak is what counts
        scratch = Buffer(values);
      }
    }
    return {
        .backend = *backend, .pass = pass, .seed = seed, .step = step, .scratch = scratch.data()};
  }

  const Tensor& forward(const Tensor& x, Pass pass, std::uint64_t seed, std::uint64_t step,
                        bool from_features) {
    last.emplace(context_for(x.shape().n, pass, seed, step, from_features));
    last_from_features = from_features;
    return chain.forward(*last, x, nullptr, from_features);
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

Model::Model(const Json& spec, int classes, std::shared_ptr<Backend> backend,
             std::size_t most_weights)
    : impl_(std::make_unique<Impl>(spec, classes, std::move(backend), most_weights)) {
  init(0);
}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

const Json& Model::spec() const { return impl_->spec; }
std::string Model::name() const { return impl_->spec.value("name", "model"); }
std::string Model::pretrained() const { return impl_->spec.value("pretrained", ""); }
Backend& Model::backend() const { return *impl_->backend; }
Shape Model::input_shape() const { return impl_->input; }
Preparation Model::preparation() const {
  const auto& [n, h, w, c] = impl_->input;
  return {.height = h, .width = w, .channels = c, .center_crop = impl_->spec.contains("crop")};
}
int Model::outputs() const { return impl_->logits_shape.c; }
LossKind Model::loss() const { return impl_->loss; }
int Model::classes() const { return impl_->loss == LossKind::kBinaryCrossEntropy ? 2 : outputs(); }

void Model::init(std::uint64_t seed) {
  constexpr std::uint64_t kStream = 1;
  Rng rng(seed, kStream);
  impl_->chain.init(rng);
}

std::vector<Parameter*> Model::parameters() { return impl_->chain.parameters(); }

std::vector<Parameter*> Model::state() {
  std::vector<Parameter*> all;
  for (const auto& layer : impl_->chain.layers()) {
    for (Parameter* parameter : layer->parameters()) all.push_back(parameter);
    for (Parameter* buffer : layer->buffers()) all.push_back(buffer);
  }
  return all;
}

std::size_t Model::parameter_count() {
  std::size_t count = 0;
  for (const Parameter* parameter : parameters()) count += parameter->value.size();
  return count;
}

const Tensor& Model::forward(const Tensor& x, Pass pass, std::uint64_t seed, std::uint64_t step) {
  impl_->check_images(x.shape());
  return impl_->forward(x, pass, seed, step, false);
}

void Model::backward(const Tensor& x, const Tensor& dlogits, Tensor* dx) {
  const std::optional<RunContext>& last = impl_->last;
  if (!last) throw Error("backward needs a forward before it");
  if (dx != nullptr) dx->resize(x.shape());
  impl_->chain.backward(*last, x, nullptr, dlogits, dx, impl_->last_from_features);
}

std::string Model::first_not_finite() const {
  return impl_->chain.first_not_finite(impl_->backend->pool());
}

void Model::zero_grad() {
  for (Parameter* parameter : parameters()) parameter->zero_grad();
}

std::size_t Model::frozen_layers() const { return impl_->chain.frozen_layers(); }

Shape Model::feature_shape() const {
  const std::size_t frozen = frozen_layers();
  return frozen > 0 ? impl_->chain.output(frozen - 1) : impl_->input;
}

const Tensor& Model::features(const Tensor& x) {
  impl_->check_images(x.shape());
  return impl_->chain.features(impl_->context_for(x.shape().n, Pass::kPredict, 0, 0, false), x);
}

const Tensor& Model::forward_features(const Tensor& features, Pass pass, std::uint64_t seed,
                                      std::uint64_t step) {
  return impl_->forward(features, pass, seed, step, true);
}

Model::Map Model::last_map() const {
  const auto [activation, gradient] = impl_->chain.last_map();
  return {activation, gradient};
}

std::vector<std::string> Model::steps(Pass pass) const { return impl_->chain.steps(pass); }

const Tensor& Model::predict(const Tensor& x) { return impl_->to_probabilities(forward(x)); }
const Tensor& Model::probabilities(const Tensor& logits) { return impl_->to_probabilities(logits); }

std::vector<Model::LayerInfo> Model::layers() const {
  std::vector<LayerInfo> all;
  for (std::size_t i = 0; i < impl_->chain.layers().size(); ++i) {
    Layer& layer = *impl_->chain.layers()[i];
    std::size_t count = 0;
    for (const Parameter* parameter : layer.parameters()) count += parameter->value.size();
    all.push_back({layer.name, layer.type, impl_->chain.output(i), count});
  }
  return all;
}

std::span<const std::unique_ptr<Layer>> Model::chain() const { return impl_->chain.layers(); }

}  // namespace pinhole
