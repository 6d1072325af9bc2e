#include "chain.h"

#include <algorithm>
#include <limits>
#include <new>
#include <set>

#include "error.h"
#include "finite.h"
#include "json.h"

namespace pinhole {

namespace {

constexpr std::size_t kMostInMemory = std::numeric_limits<std::size_t>::max() / sizeof(real);

/// A layer's name, or its position, as nn.Sequential names them.
std::string layer_name(const Json& layer, std::size_t index, std::string_view prefix,
                       std::set<std::string>& taken) {
  std::string name = std::to_string(index);
  if (layer.is_object()) {
    if (const auto given = layer.find("name"); given != layer.end()) {
      if (!given->is_string() || given->get_ref<const std::string&>().empty() ||
          given->get_ref<const std::string&>().find('.') != std::string::npos) {
        throw Error(text(layer_place(layer, index, prefix),
                         " name expected a string without dots, got ", given->dump()));
      }
      name = given->get<std::string>();
    }
  }
  if (!taken.insert(name).second) {
    throw Error(text(layer_place(layer, index, prefix), " name \"", name,
                     "\" is taken by a layer before it"));
  }
  return name;
}

bool is_trained(Layer& layer) {
  const auto parameters = layer.parameters();
  return std::any_of(parameters.begin(), parameters.end(),
                     [](const Parameter* p) { return p->requires_grad; });
}

/// Throws std::bad_alloc for more than memory can hold.
std::size_t batch_room(const Shape& item, int batch) {
  const std::size_t values = item.with_n(batch).size();
  if (values > kMostInMemory) throw std::bad_alloc();
  return room_for(values);
}

/// From sizes to offsets; returns the sum.
std::size_t lay_out(std::vector<std::size_t>& regions) {
  std::size_t total = 0;
  for (std::size_t& region : regions) {
    const std::size_t size = region;
    region = total;
    if (size > kMostInMemory - total) throw std::bad_alloc();
    total += size;
  }
  return total;
}

/// Puts a tensor into the region `index`, which may be a new one.
void take(std::vector<std::size_t>& regions, std::size_t index, std::size_t size) {
  if (index >= regions.size()) regions.resize(index + 1, 0);
  regions[index] = std::max(regions[index], size);
}

}  // namespace

std::string layer_place(const Json& layer, std::size_t index, std::string_view prefix) {
  std::string type = "layer", name = text('#', index);
  if (layer.is_object()) {
    if (const auto t = layer.find("type"); t != layer.end() && t->is_string())
      type = t->get<std::string>();
    if (const auto n = layer.find("name"); n != layer.end() && n->is_string())
      name = n->get<std::string>();
  }
  return prefix.empty() ? text('[', type, ' ', name, ']')
                        : text('[', type, ' ', prefix, '.', name, ']');
}

std::unique_ptr<Chain> chain_inside(LayerSpec& spec, std::string_view key,
                                    const BuildContext& context) {
  const Json* layers = spec.layers(key);
  if (layers == nullptr || layers->empty()) return nullptr;
  BuildContext inside = context;
  inside.prefix = text(context.prefix, '.', key);
  inside.flattened = context.input;
  return std::make_unique<Chain>(*layers, inside, Chain::Output::kCallers);
}

Chain::Chain(const Json& specs, const BuildContext& context, Output output)
    : output_(output), input_(context.input) {
  BuildContext inside = context;
  std::set<std::string> names;
  std::size_t index = 0;
  for (const Json& spec : specs) {
    const std::string name = layer_name(spec, index, context.prefix, names);
    inside.prefix = context.prefix.empty() ? name : context.prefix + "." + name;
    const std::string place = layer_place(spec, index, context.prefix);
    if (inside.flattened.item() != inside.input.item()) inside.flattened = inside.input;
    auto layer = make_layer(spec, inside, place);
    const Shape out = layer->output_shape(inside.input);
    if (out.item() > kMostValues) {
      throw Error(text(place, " gives ", item_text(out), " values for one image, more than the ",
                       kMostValues, " allowed"));
    }
    // A layer that works in place keeps the order of the values: what was flattened stays flattened.
    if (!layer->in_place()) inside.flattened = out;
    inside.input = out;
    layers_.push_back(std::move(layer));
    outputs_.push_back(out);
    ++index;
  }
  body_ = layers_.size();
}

std::vector<Parameter*> Chain::parameters() const {
  std::vector<Parameter*> all;
  for (const auto& layer : layers_) {
    for (Parameter* parameter : layer->parameters()) all.push_back(parameter);
  }
  return all;
}

std::vector<Parameter*> Chain::buffers() const {
  std::vector<Parameter*> all;
  for (const auto& layer : layers_) {
    for (Parameter* buffer : layer->buffers()) all.push_back(buffer);
  }
  return all;
}

void Chain::init(Rng& rng) {
  for (const auto& layer : layers_) layer->init(rng);
}

bool Chain::deterministic() const {
  return std::all_of(layers_.begin(), layers_.end(),
                     [](const auto& layer) { return layer->deterministic(); });
}

std::size_t Chain::frozen_layers() const {
  std::size_t count = 0;
  bool any_parameter = false;
  while (count < body_ && layers_[count]->deterministic() && !is_trained(*layers_[count])) {
    any_parameter = any_parameter || !layers_[count]->parameters().empty();
    ++count;
  }
  return any_parameter ? count : 0;
}

void Chain::add_steps(Plan& plan, std::size_t begin, std::size_t end, Pass pass) {
  bool trained_before = !plan.steps.empty() &&
                        (plan.steps.back().trained_before || is_trained(*plan.steps.back().layer));
  for (std::size_t i = begin; i < end;) {
    const std::span<const std::unique_ptr<Layer>> next(layers_.data() + i + 1, end - i - 1);
    const auto fused = [&](bool for_prediction) {
      const auto [entry, is_new] = fusions_.try_emplace({i, end, for_prediction});
      if (is_new) entry->second = for_prediction ? layers_[i]->fold(next) : layers_[i]->fuse(next);
      return entry->second.layer != nullptr ? &entry->second : nullptr;
    };
    Fusion* fusion = pass == Pass::kPredict ? fused(true) : nullptr;
    if (fusion == nullptr) fusion = fused(false);
    Step step;
    step.layer = fusion != nullptr ? fusion->layer.get() : layers_[i].get();
    step.input = i > 0 ? outputs_[i - 1] : input_;
    i += fusion != nullptr ? fusion->count : 1;
    step.output = outputs_[i - 1];
    step.pass = pass;
    step.trained_before = trained_before;
    trained_before = trained_before || is_trained(*step.layer);
    plan.steps.push_back(std::move(step));
  }
}

void Chain::make_steps(Plan& plan, Pass pass) {
  plan.steps.clear();
  // Inside another layer a gradient may have to go through what is frozen.
  const std::size_t frozen = output_ == Output::kOwn ? frozen_layers() : 0;
  if (pass == Pass::kExplain) {
    add_steps(plan, 0, body_, pass);
  } else {
    add_steps(plan, 0, frozen, Pass::kPredict);
    plan.frozen_steps = plan.steps.size();
    add_steps(plan, frozen, body_, pass);
  }
}

void Chain::place_outputs(Plan& plan, Room room, std::vector<std::size_t>& kept,
                          std::vector<std::size_t>& scratch) const {
  bool read_later = true;  // what the previous step wrote; the caller's input must stay as it is
  for (std::size_t k = 0; k < plan.steps.size(); ++k) {
    Step& step = plan.steps[k];
    const bool last = k + 1 == plan.steps.size();
    const Place before = k > 0 ? plan.steps[k - 1].y_place : Place();
    // Backward needs the outputs of the steps that it goes through, and of the last before them.
    const bool keep =
        step.pass != Pass::kPredict || (!last && plan.steps[k + 1].pass != Pass::kPredict);
    if (last && output_ == Output::kCallers) {
      step.y_place = {};
    } else if (k > 0 && step.layer->in_place() && before.kept == keep && !(keep && read_later)) {
      step.y_place = before;
    } else if (keep) {
      step.y_place = {.kept = true, .region = kept.size()};
      read_later = false;
    } else {
      step.y_place = {.kept = false, .region = before.region == 0 && !before.kept ? 1U : 0U};
      read_later = false;
    }
    read_later = read_later || step.layer->uses_output();
    if (step.y_place.region != kNowhere)
      take(step.y_place.kept ? kept : scratch, step.y_place.region,
           batch_room(step.output, plan.images(k, room)));
  }
}

/// Step k writes dy of step k - 1; dy of the last step is the caller's.
void Chain::place_gradients(Plan& plan, Pass pass, Room room,
                            std::vector<std::size_t>& scratch) const {
  if (pass == Pass::kPredict) return;
  for (std::size_t k = plan.steps.size(); k-- > 1;) {
    // Inside another layer, the first step's input may need a gradient as well.
    const bool needed =
        plan.steps[k].trained_before || pass == Pass::kExplain || output_ == Output::kCallers;
    if (!needed) break;
    Place& place = plan.steps[k - 1].dy_place;
    const Place& after = plan.steps[k].dy_place;
    const bool last = k + 1 == plan.steps.size();
    if (pass == Pass::kExplain && plan.steps[k - 1].output.h > 1) {
      // Stays for last_map(): no other gradient may overwrite it.
      place = {.kept = false, .region = std::max<std::size_t>(2, scratch.size())};
    } else if (!last && plan.steps[k].layer->in_place()) {
      place = after;
    } else {
      place = {.kept = false, .region = !last && after.region == 0 ? 1U : 0U};
    }
    take(scratch, place.region, batch_room(plan.steps[k - 1].output, plan.images(k - 1, room)));
  }
}

bool Chain::prepared(int batch, Pass pass, bool from_features) const {
  const Plan& p = plan(pass);
  return p.room.batch >= batch && (from_features || p.frozen_steps == 0 || p.room.frozen >= batch);
}

std::size_t Chain::prepare(int batch, Pass pass, bool from_features) {
  Plan& p = plan(pass);
  if (prepared(batch, pass, from_features)) return p.all_scratch;
  const Room room{.batch = std::max(p.room.batch, batch),
                  .frozen = from_features ? p.room.frozen : std::max(p.room.frozen, batch)};
  p.room = {};
  if (p.steps.empty()) make_steps(p, pass);
  std::vector<std::size_t> kept, outputs, gradients;
  place_outputs(p, room, kept, outputs);
  place_gradients(p, pass, room, gradients);
  // Outputs in scratch are gone when backward begins.
  for (std::size_t r = 0; r < gradients.size(); ++r) take(outputs, r, gradients[r]);
  p.scratch = std::move(outputs);
  p.own_scratch = lay_out(p.scratch);
  p.kept = std::move(kept);
  const std::size_t in_kept = lay_out(p.kept);
  if (in_kept > kept_.size()) {
    kept_ = Buffer();  // first give back, then take: the peak is what counts
    kept_ = Buffer(in_kept);
  }
  if (pass == Pass::kPredict && p.own_scratch <= kept_.size()) {
    // Training has left room enough.
    p.kept = std::move(p.scratch);
    p.scratch.clear();
    p.own_scratch = 0;
    for (Step& step : p.steps) step.y_place.kept = true;
  }
  std::size_t inside = 0;
  for (std::size_t k = 0; k < p.steps.size(); ++k) {
    const Step& step = p.steps[k];
    if (const int images = p.images(k, room); images > 0)
      inside = std::max(inside, step.layer->prepare(step.input.with_n(images), step.pass));
  }
  p.all_scratch = p.own_scratch + inside;
  p.room = room;
  return p.all_scratch;
}

real* Chain::at(const Plan& p, const Place& place, const RunContext& context) const {
  return place.kept ? kept_.data() + p.kept[place.region]
                    : context.scratch + p.scratch[place.region];
}

const Tensor& Chain::run(const RunContext& context, const Tensor& x, Tensor* y, std::size_t begin,
                         std::size_t end) {
  Plan& p = plan(context.pass);
  RunContext inside = context;
  inside.scratch = context.scratch + p.own_scratch;
  const Tensor* in = &x;
  for (std::size_t k = begin; k < end; ++k) {
    Step& step = p.steps[k];
    Tensor* out = &step.y;
    if (step.y_place.region == kNowhere) {
      out = y;
    } else {
      step.y = Tensor::borrow(step.output.with_n(x.shape().n), at(p, step.y_place, context));
    }
    inside.pass = step.pass;
    step.layer->forward(inside, *in, *out);
    in = out;
  }
  return *in;
}

const Tensor& Chain::forward(const RunContext& context, const Tensor& x, Tensor* y,
                             bool from_features) {
  const Plan& p = plan(context.pass);
  return run(context, x, y, from_features ? p.frozen_steps : 0, p.steps.size());
}

const Tensor& Chain::features(const RunContext& context, const Tensor& x) {
  return run(context, x, nullptr, 0, plan(context.pass).frozen_steps);
}

Tensor* Chain::gradient_of(Plan& p, std::size_t k, const RunContext& context, int batch) {
  Step& step = p.steps[k];
  const Shape shape = step.output.with_n(batch);
  // Steps before the first trained one have a place only where somebody was expected to ask: else they own theirs.
  if (step.dy_place.region == kNowhere) {
    step.dy.resize(shape);
  } else {
    step.dy = Tensor::borrow(shape, at(p, step.dy_place, context));
  }
  return &step.dy;
}

void Chain::backward(const RunContext& context, const Tensor& x, const Tensor* y, const Tensor& dy,
                     Tensor* dx, bool from_features) {
  Plan& p = plan(context.pass);
  if (dx != nullptr && p.frozen_steps > 0) {
    throw Error(
        "the gradient of the input goes through frozen layers: run them with Pass::kExplain");
  }
  RunContext inside = context;
  inside.scratch = context.scratch + p.own_scratch;
  const std::size_t first = from_features ? p.frozen_steps : 0;
  for (std::size_t k = p.steps.size(); k-- > first;) {
    Step& step = p.steps[k];
    const bool last = k + 1 == p.steps.size();
    const Tensor& in = k > first ? p.steps[k - 1].y : x;
    const Tensor& out = step.y_place.region == kNowhere ? *y : step.y;
    Tensor* din = dx;
    if (k > 0) {
      din = step.trained_before || dx != nullptr || context.pass == Pass::kExplain
                ? gradient_of(p, k - 1, context, x.shape().n)
                : nullptr;
    }
    inside.pass = step.pass;
    step.layer->backward(inside, in, out, last ? dy : step.dy, din);
    if (din == nullptr) break;  // nothing before this step is trained
  }
}

std::string Chain::first_not_finite(ThreadPool& pool) const {
  for (const Step& step : plan(Pass::kTrain).steps) {
    if (step.y_place.kept && step.y.size() > 0 && !all_finite(pool, step.y))
      return text('[', step.layer->type, ' ', step.layer->name, ']');
  }
  return "";
}

std::pair<const Tensor*, const Tensor*> Chain::last_map() const {
  const Plan& p = plan(Pass::kExplain);
  for (std::size_t k = p.steps.size(); k-- > 0;) {
    const Step& step = p.steps[k];
    if (step.output.h > 1 && step.output.w > 1 && k + 1 < p.steps.size() && step.dy.size() > 0)
      return {&step.y, &step.dy};
  }
  return {nullptr, nullptr};
}

std::vector<std::string> Chain::steps(Pass pass) {
  Plan made;
  std::vector<std::string> names;
  for (const Step& step : planned(pass, made).steps)
    names.push_back(step.layer->type + " " + step.layer->name);
  return names;
}

bool Chain::uses_output() {
  Plan made;
  return planned(Pass::kTrain, made).steps.back().layer->uses_output();
}

const Chain::Plan& Chain::planned(Pass pass, Plan& made) {
  if (!plan(pass).steps.empty()) return plan(pass);
  make_steps(made, pass);
  return made;
}

}  // namespace pinhole
