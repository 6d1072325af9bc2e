#include "recipe.h"

#include <algorithm>
#include <limits>

#include "error.h"
#include "json.h"

namespace pinhole {

namespace {

class Reader : public JsonReader {
 public:
  using JsonReader::JsonReader;

  template <class Whole>
  void whole(const char* key, Whole& value, std::uint64_t least, std::uint64_t largest) {
    const Json* found = find(key);
    if (found == nullptr) return;
    if (!found->is_number_integer() ||
        (!found->is_number_unsigned() && found->get<std::int64_t>() < 0) ||
        found->get<std::uint64_t>() < least || found->get<std::uint64_t>() > largest) {
      fail(key, text("a whole number from ", least, " to ", largest), *found);
    }
    value = static_cast<Whole>(found->get<std::uint64_t>());
  }
  /// Ranges are checked by whoever uses the number.
  void number(const char* key, double& value) {
    const Json* found = find(key);
    if (found == nullptr) return;
    if (!found->is_number()) fail(key, "a number", *found);
    value = found->get<double>();
  }
  void flag(const char* key, bool& value) {
    const Json* found = find(key);
    if (found == nullptr) return;
    if (!found->is_boolean()) fail(key, "true or false", *found);
    value = found->get<bool>();
  }
  void name(const char* key, std::string& value) {
    const Json* found = find(key);
    if (found == nullptr) return;
    if (!found->is_string()) fail(key, "a name", *found);
    value = found->get<std::string>();
  }
};

constexpr std::uint64_t kLargestInt = 2'147'483'647;

void read_optimizer(const Json& json, std::string_view what, OptimizerOptions& optimizer) {
  Reader reader(json, text(what, ": \"optimizer\""));
  reader.name("name", optimizer.name);
  reader.number("lr", optimizer.lr);
  reader.number("weight_decay", optimizer.weight_decay);
  reader.number("momentum", optimizer.momentum);
  reader.flag("nesterov", optimizer.nesterov);
  reader.number("beta1", optimizer.beta1);
  reader.number("beta2", optimizer.beta2);
  reader.number("eps", optimizer.eps);
  reader.check_all_used();
}

void read_schedule(const Json& json, std::string_view what, ScheduleOptions& schedule) {
  Reader reader(json, text(what, ": \"schedule\""));
  reader.name("type", schedule.name);
  reader.whole("step_size", schedule.step_size, 1, 1'000'000);
  reader.number("gamma", schedule.gamma);
  reader.number("eta_min", schedule.eta_min);
  reader.number("pct_start", schedule.pct_start);
  reader.number("div_factor", schedule.div_factor);
  reader.number("final_div_factor", schedule.final_div_factor);
  reader.number("warmup_epochs", schedule.warmup_epochs);
  reader.number("warmup_start", schedule.warmup_start);
  reader.check_all_used();
}

void read_class_weights(Reader& reader, TrainerOptions& options) {
  const Json* found = reader.find("class_weights");
  if (found == nullptr) return;
  options.balanced_classes = *found == "balanced";
  options.loss.class_weights.clear();
  if (options.balanced_classes || found->is_null()) return;
  const auto is_number = [](const Json& value) { return value.is_number(); };
  if (!found->is_array() || !std::all_of(found->begin(), found->end(), is_number))
    reader.fail("class_weights", "\"balanced\", a list of numbers or null", *found);
  options.loss.class_weights = found->get<std::vector<double>>();
}

/// The first value in which two objects with the same keys differ: "optimizer.lr 0.1, here 0.2".
std::string first_difference(const Json& then, const Json& now, const std::string& prefix = {}) {
  for (const auto& item : then.items()) {
    const Json& other = now.at(item.key());
    if (item.value() == other) continue;
    const std::string key = prefix + item.key();
    if (item.value().is_object() && other.is_object() && item.value().size() == other.size()) {
      std::string inner = first_difference(item.value(), other, key + '.');
      if (!inner.empty()) return inner;
      continue;
    }
    return text(key, ' ', item.value().dump(), ", here ", other.dump());
  }
  return {};
}

}  // namespace

TrainerOptions recipe_from_json(const Json& json, std::string_view what,
                                const TrainerOptions& defaults) {
  TrainerOptions options = defaults;
  Reader reader(json, std::string(what));
  reader.whole("epochs", options.epochs, 1, 1'000'000);
  reader.whole("batch_size", options.batch_size, 1, kLargestInt);
  if (const Json* found = reader.find("optimizer")) read_optimizer(*found, what, options.optimizer);
  reader.whole("seed", options.seed, 0, std::numeric_limits<std::uint64_t>::max());
  reader.flag("shuffle", options.shuffle);
  reader.whole("patience", options.patience, 0, 1'000'000);
  if (const Json* found = reader.find("schedule")) read_schedule(*found, what, options.schedule);
  reader.number("label_smoothing", options.loss.label_smoothing);
  reader.number("mixup_alpha", options.mix.mixup_alpha);
  reader.number("cutmix_alpha", options.mix.cutmix_alpha);
  read_class_weights(reader, options);
  reader.number("clip_grad_norm", options.clip_grad_norm);
  reader.number("ema_decay", options.ema_decay);
  if (const Json* found = reader.find("augment"))
    options.augment = Augmentation(*found, text(what, ": \"augment\""));
  reader.whole("augment_views", options.augment_views, 0, 1'000'000);
  reader.flag("nearest_mean_start", options.nearest_mean_start);
  std::string keep = options.keep_best ? "best" : "last";
  reader.name("keep", keep);
  if (keep != "best" && keep != "last") reader.fail("keep", "\"last\" or \"best\"", keep);
  options.keep_best = keep == "best" || options.patience > 0;
  reader.check_all_used();
  return options;
}

Json recipe_json(const TrainerOptions& options) {
  const OptimizerOptions& o = options.optimizer;
  const ScheduleOptions& s = options.schedule;
  Json class_weights = nullptr;
  if (!options.loss.class_weights.empty()) class_weights = options.loss.class_weights;
  if (options.balanced_classes) class_weights = "balanced";
  return {{"epochs", options.epochs},
          {"batch_size", options.batch_size},
          {"optimizer",
           {{"name", o.name},
            {"lr", o.lr},
            {"weight_decay", o.weight_decay},
            {"momentum", o.momentum},
            {"nesterov", o.nesterov},
            {"beta1", o.beta1},
            {"beta2", o.beta2},
            {"eps", o.eps}}},
          {"schedule",
           {{"type", s.name},
            {"step_size", s.step_size},
            {"gamma", s.gamma},
            {"eta_min", s.eta_min},
            {"pct_start", s.pct_start},
            {"div_factor", s.div_factor},
            {"final_div_factor", s.final_div_factor},
            {"warmup_epochs", s.warmup_epochs},
            {"warmup_start", s.warmup_start}}},
          {"label_smoothing", options.loss.label_smoothing},
          {"mixup_alpha", options.mix.mixup_alpha},
          {"cutmix_alpha", options.mix.cutmix_alpha},
          {"class_weights", std::move(class_weights)},
          {"clip_grad_norm", options.clip_grad_norm},
          {"ema_decay", options.ema_decay},
          {"patience", options.patience},
          {"augment", options.augment.json()},
          {"augment_views", options.augment_views},
          {"nearest_mean_start", options.nearest_mean_start},
          {"seed", options.seed},
          {"shuffle", options.shuffle},
          {"keep", options.keep_best ? "best" : "last"}};
}

std::string recipe_difference(const TrainerOptions& then, const TrainerOptions& now) {
  TrainerOptions same_end = then;
  if (!depends_on_epochs(now.schedule)) same_end.epochs = now.epochs;
  return first_difference(recipe_json(same_end), recipe_json(now));
}

}  // namespace pinhole
