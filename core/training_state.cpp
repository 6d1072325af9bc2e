#include "training_state.h"

#include "error.h"
#include "recipe.h"
#include "sources_digest.h"

namespace pinhole {

namespace {

constexpr std::string_view kFormat = "pinhole-training/1";
constexpr std::string_view kModel = "model.";
constexpr std::string_view kOptimizer = "optimizer.";
constexpr std::string_view kBest = "best.";
constexpr std::string_view kAverage = "average.";

Json number_or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}
std::optional<double> optional_number(const Json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<double>());
}

Json images_json(const ImageDataset& data) {
  return {{"images", data.size()}, {"fingerprint", data.fingerprint()}};
}

TrainerProgress progress_from(const Json& json) {
  TrainerProgress progress{.epoch = json.at("epoch").get<int>(),
                           .step = json.at("step").get<std::int64_t>(),
                           .position = json.at("position").get<std::size_t>(),
                           .loss_sum = json.at("loss_sum").get<double>(),
                           .correct = json.at("correct").get<std::int64_t>(),
                           .history = {},
                           .best_epoch = json.at("best_epoch").get<int>(),
                           .made_with = {}};
  for (const Json& row : json.at("history")) {
    progress.history.push_back({.epoch = row.at("epoch").get<int>(),
                                .train_loss = row.at("train_loss").get<double>(),
                                .train_accuracy = row.at("train_accuracy").get<double>(),
                                .val_loss = optional_number(row.at("val_loss")),
                                .val_accuracy = optional_number(row.at("val_accuracy"))});
  }
  return progress;
}

Json parsed(const Safetensors& file, const char* key, std::string_view what) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end())
    throw Error(text(what, " has no \"", key, "\" in its metadata"));
  return parse_json(found->second, text(what, ": \"", key, '"'));
}

void check_images(const TrainingState& state, const Json& then, const ImageDataset* now,
                  std::string_view purpose) {
  const std::size_t images = now == nullptr ? 0 : now->size();
  const auto had = then.is_null() ? 0 : then.at("images").get<std::size_t>();
  if (had != images) {
    throw Error(
        text(state.what, " was made with ", had, " images ", purpose, ", here are ", images));
  }
  if (now != nullptr && then.at("fingerprint").get<std::string>() != now->fingerprint()) {
    throw Error(text(state.what, " was made with other images ", purpose,
                     ": as many, but their pixels, labels or order differ"));
  }
}

const StoredTensor& tensor_of(const TrainingState& state, const std::string& name) {
  const auto found = state.file.tensors.find(name);
  if (found == state.file.tensors.end())
    throw Error(text(state.what, " has no tensor \"", name, '"'));
  return found->second;
}

/// The tensors `prefix`name of all parameters.
Weights read_values(const TrainingState& state, std::string_view prefix,
                    const std::vector<Parameter*>& parameters) {
  Weights values(parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const std::string name = text(prefix, parameters[i]->name);
    from_torch(tensor_of(state, name), *parameters[i], values[i], text(state.what, ": ", name));
  }
  return values;
}

OptimizerState read_optimizer(const TrainingState& state, const Json& steps,
                              const OptimizerState& kind,
                              const std::vector<Parameter*>& parameters) {
  OptimizerState out{.steps = steps.get<std::vector<std::int64_t>>(), .moments = {}};
  if (!out.steps.empty() && out.steps.size() != parameters.size())
    throw Error(text(state.what, " does not fit the model: it counts the updates of ",
                     out.steps.size(), " parameters, expected ", parameters.size()));
  for (const OptimizerState::Moment& moment : kind.moments) {
    OptimizerState::Moment read{.name = moment.name,
                                .values = std::vector<Tensor>(out.steps.size())};
    for (std::size_t i = 0; i < out.steps.size(); ++i) {
      if (out.steps[i] == 0) continue;
      const std::string name = text(kOptimizer, moment.name, '.', parameters[i]->name);
      from_torch(tensor_of(state, name), *parameters[i], read.values[i],
                 text(state.what, ": ", name));
    }
    out.moments.push_back(std::move(read));
  }
  return out;
}

/// All that the last bit of a sum depends on.
std::string made_with(const Backend& backend) {
#ifdef __wasm__
  constexpr std::string_view kTarget = "WebAssembly";
#else
  constexpr std::string_view kTarget = "native";
#endif
  const std::string description = backend.description();
  return text(description.substr(0, description.rfind(", ")), ", ", kTarget, ", compiler ",
              __VERSION__, ", sources ", kSourcesDigest);
}

/// The builds that have computed a training, in turn, this one's backend the last.
std::vector<std::string> builds_until(const TrainerProgress& progress, const Backend& here) {
  std::vector<std::string> builds = progress.made_with;
  if (std::string now = made_with(here); builds.empty() || builds.back() != now)
    builds.push_back(std::move(now));
  return builds;
}

std::string joined(std::span<const std::string> parts, std::string_view between) {
  std::string all;
  for (const std::string& part : parts) all += text(all.empty() ? "" : between, part);
  return all;
}

std::vector<std::string> lines_of(std::string_view all) {
  std::vector<std::string> lines;
  while (true) {
    const std::size_t end = all.find('\n');
    lines.emplace_back(all.substr(0, end));
    if (end == std::string_view::npos) return lines;
    all.remove_prefix(end + 1);
  }
}

/// What the JSON library says of a value of another type, in our words.
template <class Read>
auto checked(std::string_view what, const Read& read) {
  try {
    return read();
  } catch (const Json::exception&) {
    throw Error(text(what, " is damaged: its record cannot be read"));
  }
}

}  // namespace

Json progress_json(const TrainerProgress& progress) {
  Json history = Json::array();
  for (const EpochResult& epoch : progress.history) {
    history.push_back({{"epoch", epoch.epoch},
                       {"train_loss", epoch.train_loss},
                       {"train_accuracy", epoch.train_accuracy},
                       {"val_loss", number_or_null(epoch.val_loss)},
                       {"val_accuracy", number_or_null(epoch.val_accuracy)}});
  }
  return {{"epoch", progress.epoch},       {"step", progress.step},
          {"position", progress.position}, {"loss_sum", progress.loss_sum},
          {"correct", progress.correct},   {"best_epoch", progress.best_epoch},
          {"history", std::move(history)}};
}

std::vector<std::uint8_t> save_training_state(Trainer& trainer, const ImageDataset* val,
                                              const Json& notes) {
  trainer.use_average(false);
  Safetensors file;
  const auto store = [&](std::string_view prefix, const Parameter& parameter,
                         const Tensor& values) {
    file.tensors[text(prefix, parameter.name)] = to_torch(parameter, values);
  };
  const std::vector<Parameter*> weights = trainer.weights();
  for (const Parameter* p : weights) store(kModel, *p, p->value);
  const Weights &best = trainer.best_weights(), &average = trainer.average();
  for (std::size_t i = 0; i < best.size(); ++i) store(kBest, *weights[i], best[i]);
  for (std::size_t i = 0; i < average.size(); ++i) store(kAverage, *weights[i], average[i]);
  const std::vector<Parameter*> parameters = trainer.model().parameters();
  const OptimizerState& optimizer = trainer.optimizer().state();
  for (const OptimizerState::Moment& moment : optimizer.moments) {
    for (std::size_t i = 0; i < moment.values.size(); ++i) {
      if (moment.values[i].size() == 0) continue;
      store(text(kOptimizer, moment.name, '.'), *parameters[i], moment.values[i]);
    }
  }
  Json progress = progress_json(trainer.progress());
  progress["updates"] = optimizer.steps;
  file.metadata["spec"] = trainer.model().spec().dump();
  file.metadata["classes"] = Json(trainer.data().classes()).dump();
  file.metadata["recipe"] = recipe_json(trainer.options()).dump();
  file.metadata["progress"] = progress.dump();
  file.metadata["data"] = Json{{"train", images_json(trainer.data())},
                               {"val", val == nullptr ? Json(nullptr) : images_json(*val)}}
                              .dump();
  file.metadata["notes"] = notes.dump();
  file.metadata["made_with"] =
      joined(builds_until(trainer.progress(), trainer.model().backend()), "\n");
  return write_checked(std::move(file), kFormat);
}

TrainingState read_training_state(std::span<const std::uint8_t> bytes, std::string_view what) {
  TrainingState state;
  state.what = what;
  state.file = read_checked(bytes, what, kFormat, "training state");
  state.spec = parsed(state.file, "spec", what);
  state.recipe = parsed(state.file, "recipe", what);
  state.notes = parsed(state.file, "notes", what);
  const Json classes = parsed(state.file, "classes", what);
  const Json progress = parsed(state.file, "progress", what);
  checked(what, [&] {
    state.classes = classes.get<std::vector<std::string>>();
    state.progress = progress_from(progress);
    return true;
  });
  const auto builds = state.file.metadata.find("made_with");
  state.progress.made_with =
      lines_of(builds == state.file.metadata.end() ? "a build that it does not name"
                                                   : std::string_view(builds->second));
  return state;
}

TrainerOptions options_of(const TrainingState& state, const Json& asked) {
  const TrainerOptions then = recipe_from_json(state.recipe, text("the recipe in ", state.what));
  TrainerOptions now = recipe_from_json(asked, "the settings", then);
  const std::string difference = recipe_difference(then, now);
  if (!difference.empty()) throw Error(text(state.what, " was made with ", difference));
  return now;
}

std::string inexact_because(const TrainingState& state, const Backend& backend) {
  const std::vector<std::string> builds = builds_until(state.progress, backend);
  if (builds.size() == 1) return {};
  const std::span before(state.progress.made_with);
  return text(state.what, " was made with ", joined(before, ", then "), ", here is ", builds.back(),
              ": what comes out will differ in its last digits from an uninterrupted training");
}

void resume_training(Trainer& trainer, const TrainingState& state, const ImageDataset* val) {
  Model& model = trainer.model();
  options_of(state, recipe_json(trainer.options()));
  if (state.classes != trainer.data().classes())
    throw Error(text(state.what, " was made with other classes: ", Json(state.classes).dump()));
  if (state.spec != model.spec())
    throw Error(text(state.what, " is of another model than ", model.name(), ": the specs differ"));
  const std::vector<Parameter*> weights = trainer.weights();
  const Weights values = read_values(state, kModel, weights);
  Weights best, average;
  if (trainer.options().ema_decay > 0 && state.progress.step > 0)
    average = read_values(state, kAverage, weights);
  if (trainer.options().keep_best && state.progress.best_epoch > 0)
    best = read_values(state, kBest, weights);
  const Json data = parsed(state.file, "data", state.what);
  OptimizerState optimizer = checked(state.what, [&] {
    check_images(state, data.at("train"), &trainer.data(), "to train on");
    check_images(state, data.at("val"), val, "to validate on");
    return read_optimizer(state, parsed(state.file, "progress", state.what).at("updates"),
                          trainer.optimizer().state(), model.parameters());
  });
  trainer.set_progress(state.progress);
  trainer.optimizer().state() = std::move(optimizer);
  trainer.best_weights() = std::move(best);
  trainer.average() = std::move(average);
  set_weights(weights, values);
}

}  // namespace pinhole
