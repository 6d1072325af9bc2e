#include "layer.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "error.h"
#include "json.h"

namespace pinhole {

namespace {

/// A function, because layers register themselves before main in any order.
std::map<std::string, LayerFactory, std::less<>>& registry() {
  static std::map<std::string, LayerFactory, std::less<>> layers;
  return layers;
}

std::string list(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

constexpr int kLargest =
    1 << 24;  // no size in a spec is larger; keeps products of a few of them inside 64 bits

}  // namespace

RegisterLayer::RegisterLayer(std::string type, LayerFactory factory) {
  registry().emplace(std::move(type), factory);
}

std::vector<std::string> layer_types() {
  std::vector<std::string> types;
  for (const auto& [type, factory] : registry()) types.push_back(type);
  return types;
}

std::unique_ptr<Layer> make_layer(const Json& json, const BuildContext& context,
                                  std::string_view where) {
  if (!json.is_object())
    throw Error(text(where, " expected an object like {\"type\": \"ReLU\"}, got ", json.dump()));
  const auto type = json.find("type");
  if (type == json.end() || !type->is_string())
    throw Error(text(where, " needs a \"type\", one of ", list(layer_types())));
  const auto factory = registry().find(type->get_ref<const std::string&>());
  if (factory == registry().end()) {
    throw Error(
        text(where, " unknown layer type ", type->dump(), "; known are ", list(layer_types())));
  }
  LayerSpec spec(json, std::string(where));
  BuildContext inside = context;
  inside.frozen = context.frozen || !spec.flag("requires_grad", true);
  auto layer = factory->second(spec, inside);
  spec.check_all_used();
  layer->type = factory->first;
  layer->name = context.prefix;
  layer->frozen = inside.frozen;
  if (inside.frozen) {
    for (Parameter* parameter : layer->parameters()) parameter->requires_grad = false;
  }
  return layer;
}

void init_kaiming_uniform(Parameter& parameter, int fan_in, Rng& rng) {
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
  for (std::size_t i = 0; i < parameter.value.size(); ++i) {
    parameter.value.data()[i] = static_cast<real>(bound * (2 * rng.uniform() - 1));
  }
  parameter.changed();
}

const Json* LayerSpec::find(std::string_view key, bool required) {
  used_.emplace_back(key);
  const auto found = object_.find(key);
  if (found != object_.end()) return &*found;
  if (required) fail(text("needs \"", key, '"'));
  return nullptr;
}

bool LayerSpec::has(std::string_view key) const { return object_.contains(key); }

void LayerSpec::fail(std::string_view message) const { throw Error(text(where_, ' ', message)); }

namespace {
bool is_size(const Json& value, int minimum) {
  return value.is_number_integer() && value >= minimum && value <= kLargest;
}
}  // namespace

int LayerSpec::integer(std::string_view key, int minimum) {
  const Json& value = *find(key, true);
  if (!is_size(value, minimum))
    fail(
        text(key, " expected an integer from ", minimum, " to ", kLargest, ", got ", value.dump()));
  return value.get<int>();
}

int LayerSpec::integer(std::string_view key, int minimum, int fallback) {
  return has(key) ? integer(key, minimum) : (used_.emplace_back(key), fallback);
}

std::pair<int, int> LayerSpec::pair(std::string_view key, int minimum) {
  const Json& value = *find(key, true);
  if (is_size(value, minimum)) return {value.get<int>(), value.get<int>()};
  if (value.is_array() && value.size() == 2 && is_size(value[0], minimum) &&
      is_size(value[1], minimum)) {
    return {value[0].get<int>(), value[1].get<int>()};
  }
  fail(text(key, " expected an integer from ", minimum, " to ", kLargest,
            " or two in brackets, got ", value.dump()));
}

std::pair<int, int> LayerSpec::pair(std::string_view key, int minimum,
                                    std::pair<int, int> fallback) {
  return has(key) ? pair(key, minimum) : (used_.emplace_back(key), fallback);
}

double LayerSpec::number(std::string_view key, double minimum, double maximum, double fallback) {
  const Json* value = find(key, false);
  if (value == nullptr) return fallback;
  if (!value->is_number() ||
      !(value->get<double>() >= minimum && value->get<double>() <= maximum)) {
    fail(text(key, " expected a number from ", Json(minimum).dump(), " to ", Json(maximum).dump(),
              ", got ", value->dump()));
  }
  return value->get<double>();
}

bool LayerSpec::is(std::string_view key, std::string_view word) {
  const Json* value = find(key, false);
  return value != nullptr && *value == word;
}

std::vector<double> LayerSpec::numbers(std::string_view key) {
  const Json& value = *find(key, true);
  const auto is_number = [](const Json& entry) { return entry.is_number(); };
  if (!value.is_array() || value.empty() || !std::all_of(value.begin(), value.end(), is_number))
    fail(text(key, " expected a list of numbers, got ", value.dump()));
  return value.get<std::vector<double>>();
}

const Json* LayerSpec::layers(std::string_view key) {
  const Json* value = find(key, false);
  if (value != nullptr && !value->is_array())
    fail(text(key, " expected a list of layers, got ", value->dump()));
  return value;
}

bool LayerSpec::flag(std::string_view key, bool fallback) {
  const Json* value = find(key, false);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) fail(text(key, " expected true or false, got ", value->dump()));
  return value->get<bool>();
}

int LayerSpec::features(std::string_view key, int classes) {
  const Json& value = *find(key, true);
  if (value == "classes") {
    if (classes < 1)
      fail(text(key, " is \"classes\", but how many classes there are is not known yet"));
    return classes;
  }
  if (!is_size(value, 1))
    fail(text(key, " expected an integer from 1 to ", kLargest, " or \"classes\", got ",
              value.dump()));
  return value.get<int>();
}

void LayerSpec::check_weights(const Shape& shape, const BuildContext& context) const {
  if (shape.size() > kMostValues) {
    fail(text("needs ", shape.size(), " weights, more than the ", kMostValues,
              " that one layer may have"));
  }
  if (context.weights_left == nullptr) return;
  if (shape.size() > *context.weights_left) {
    fail(text("needs ", shape.size(), " weights, more than the ", *context.weights_left,
              " that are left for it"));
  }
  *context.weights_left -= shape.size();
}

void LayerSpec::check_all_used() const {
  for (const auto& [key, value] : object_.items()) {
    if (std::find(used_.begin(), used_.end(), key) == used_.end()) {
      fail(text("unknown key \"", key, "\"; known are ", list(used_)));
    }
  }
}

}  // namespace pinhole
