// The core for JavaScript: thin hands on core objects, no logic. Two rules: every function goes through `guarded`, because a
// C++ exception that crosses Embind has no message; bytes are copied in and out, because a view of the heap dies when it grows.
#include <emscripten/bind.h>
#include <emscripten/heap.h>
#include <emscripten/val.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <new>
#include <stdexcept>

#include "dataset.h"
#include "error.h"
#include "explain.h"
#include "image.h"
#include "model_file.h"
#include "onnx.h"
#include "recipe.h"
#include "torch_source.h"
#include "trainer.h"
#include "training_state.h"

namespace {

using namespace pinhole;
using emscripten::val;

EMSCRIPTEN_DECLARE_VAL_TYPE(String);
EMSCRIPTEN_DECLARE_VAL_TYPE(Strings);
EMSCRIPTEN_DECLARE_VAL_TYPE(Numbers);
EMSCRIPTEN_DECLARE_VAL_TYPE(Bytes);
EMSCRIPTEN_DECLARE_VAL_TYPE(Indices);
EMSCRIPTEN_DECLARE_VAL_TYPE(Floats);
EMSCRIPTEN_DECLARE_VAL_TYPE(MapOfImage);
EMSCRIPTEN_DECLARE_VAL_TYPE(SplitIndices);
EMSCRIPTEN_DECLARE_VAL_TYPE(Summary);
EMSCRIPTEN_DECLARE_VAL_TYPE(Scores);
EMSCRIPTEN_DECLARE_VAL_TYPE(ValScores);

// ---------------------------------------------------------------- errors

constexpr const char* kOutOfMemory =
    "out of memory: use fewer or smaller images, a smaller batch or a smaller model";

template <auto Function>
struct Guarded;

template <class Result, class... Arguments, Result (*Function)(Arguments...)>
struct Guarded<Function> {
  static Result call(Arguments... arguments) {
    // Thrown after the catch block has ended: a JavaScript exception must not leave one half-finished.
    std::string message;
    try {
      return Function(std::forward<Arguments>(arguments)...);
    } catch (const std::bad_alloc&) {
      message = kOutOfMemory;
    } catch (const std::length_error&) {  // a vector's way to say the same
      message = kOutOfMemory;
    } catch (const std::exception& problem) {
      message = problem.what();
    }
    val::global("Error").new_(message).throw_();
  }
};

template <auto Function>
constexpr auto guarded = &Guarded<Function>::call;

// ---------------------------------------------------------------- values in and out

// Strings and options come in as `val`: what Embind itself copies into the heap for a call is not freed when the call throws.
std::string string_of(const String& value) { return value.as<std::string>(); }

std::vector<std::uint8_t> bytes_of(const val& array) {
  return emscripten::convertJSArrayToNumberVector<std::uint8_t>(array);
}

/// `Array` is the name of a JavaScript typed array; its constructor copies.
template <class T>
val copied(const char* array, std::span<const T> values) {
  return val::global(array).new_(val(emscripten::typed_memory_view(values.size(), values.data())));
}

template <class Range>
val array_of(const Range& values) {
  val array = val::array();
  for (const auto& value : values) array.call<void>("push", val(value));
  return array;
}

/// JavaScript has checked that it is a whole number from 0 to 2^53.
std::uint64_t seed_of(double seed) { return static_cast<std::uint64_t>(seed); }

// ---------------------------------------------------------------- the engine

using BackendPointer = std::shared_ptr<Backend>;

BackendPointer create_backend(String name, int threads) {
  return make_backend(string_of(name), threads);
}
std::string backend_name(Backend& backend) { return std::string(backend.name()); }
std::string backend_description(Backend& backend) { return backend.description(); }
int backend_threads(Backend& backend) { return backend.pool().threads(); }
Strings list_backends() { return Strings(array_of(backend_names())); }

/// Bytes that are allocated and not freed.
double bytes_in_use() { return static_cast<double>(static_cast<std::size_t>(mallinfo().uordblks)); }
double bytes_reserved() { return static_cast<double>(emscripten_get_heap_size()); }

// ---------------------------------------------------------------- images and data sets

Image decode(Bytes encoded, int max_pixels) {
  return decode_image(bytes_of(encoded), {.max_pixels = max_pixels});
}

int image_height(Image& image) { return image.height; }
int image_width(Image& image) { return image.width; }

Image from_rgba(Bytes rgba, int width, int height) {
  const auto pixels = static_cast<std::uint64_t>(std::max(width, 0)) *
                      static_cast<std::uint64_t>(std::max(height, 0));
  const auto bytes = rgba["length"].as<double>();
  if (pixels == 0 || static_cast<double>(pixels * 4) != bytes) {
    throw Error(text("pixels expected width x height x 4 bytes, got ",
                     static_cast<std::uint64_t>(bytes), " bytes for ", width, "x", height));
  }
  return {.width = width, .height = height, .rgba = bytes_of(rgba)};
}

using DatasetPointer = std::shared_ptr<ImageDataset>;

DatasetPointer create_dataset(int height, int width, int channels, Strings classes) {
  return std::make_shared<ImageDataset>(height, width, channels,
                                        emscripten::vecFromJSArray<std::string>(classes));
}

std::uint32_t checked(const ImageDataset& data, std::uint32_t index) {
  if (index >= data.size()) {
    throw Error(text("the data set has ", data.size(), " images, there is no image ", index));
  }
  return index;
}

void dataset_add(ImageDataset& data, const Image& image, int label, String name, bool center_crop) {
  data.add(to_input(image, {data.height(), data.width(), data.channels(), center_crop}), label,
           string_of(name));
}
int dataset_size(ImageDataset& data) { return static_cast<int>(data.size()); }
int dataset_label(ImageDataset& data, std::uint32_t index) {
  return data.label(checked(data, index));
}
std::string dataset_name(ImageDataset& data, std::uint32_t index) {
  return data.name(checked(data, index));
}
Bytes dataset_pixels(ImageDataset& data, std::uint32_t index) {
  return Bytes(copied("Uint8Array", data.pixels(checked(data, index))));
}
Bytes dataset_augmented(ImageDataset& data, std::uint32_t index, String augment, double seed,
                        int epoch) {
  constexpr const char* kWhat = "\"augment\"";
  const Augmentation augmentation(parse_json(string_of(augment), kWhat), kWhat);
  return Bytes(copied<std::uint8_t>(
      "Uint8Array",
      data.changed_pixels(checked(data, index), {augmentation, seed_of(seed), epoch})));
}
Numbers dataset_counts(ImageDataset& data) { return Numbers(array_of(data.class_counts())); }

SplitIndices dataset_split(ImageDataset& data, double val_fraction, double seed) {
  const Split split = stratified_split(data, val_fraction, seed_of(seed));
  val out = val::object();
  out.set("train", copied<std::uint32_t>("Uint32Array", split.train));
  out.set("val", copied<std::uint32_t>("Uint32Array", split.val));
  return SplitIndices(out);
}

DatasetPointer dataset_subset(ImageDataset& data, Indices indices) {
  const auto chosen = emscripten::convertJSArrayToNumberVector<std::uint32_t>(indices);
  for (const std::uint32_t index : chosen) checked(data, index);
  return std::make_shared<ImageDataset>(data.subset(chosen));
}

// ---------------------------------------------------------------- models

using ModelPointer = std::shared_ptr<LoadedModel>;

ModelPointer create_model(BackendPointer backend, String spec, Strings classes, double seed) {
  ModelInfo info{.classes = emscripten::vecFromJSArray<std::string>(classes)};
  Model model(parse_json(string_of(spec), "the model"), static_cast<int>(info.classes.size()),
              std::move(backend));
  if (model.classes() != static_cast<int>(info.classes.size())) {
    throw Error(text(model.name(), " tells ", model.classes(), " classes apart, got ",
                     info.classes.size(), " names"));
  }
  model.init(seed_of(seed));
  return std::make_shared<LoadedModel>(
      LoadedModel{.model = std::move(model), .info = std::move(info)});
}

ModelPointer load(BackendPointer backend, Bytes file, String what) {
  return std::make_shared<LoadedModel>(
      load_model(bytes_of(file), std::move(backend), string_of(what)));
}

void model_load_pretrained(LoadedModel& self, Bytes file, String what) {
  const std::string name = string_of(what);
  load_pretrained(self.model, read_safetensors(bytes_of(file), name), name);
}

Bytes model_save(LoadedModel& self, String training) {
  const std::vector<std::uint8_t> file =
      save_model(self.model, {.classes = self.info.classes,
                              .training = parse_json(string_of(training), "the training record")});
  return Bytes(copied<std::uint8_t>("Uint8Array", file));
}

Bytes model_export_onnx(LoadedModel& self, bool classifier) {
  const std::vector<std::uint8_t> file =
      export_onnx(self.model, self.info, classifier ? OnnxForm::kClassifier : OnnxForm::kNetwork);
  return Bytes(copied<std::uint8_t>("Uint8Array", file));
}

std::string model_export_torch(LoadedModel& self, String weights) {
  return export_torch(self.model, self.info, string_of(weights));
}

std::string model_spec(LoadedModel& self) { return self.model.spec().dump(); }
std::string model_training(LoadedModel& self) { return self.info.training.dump(); }

val size_of(const Shape& shape) { return array_of(std::array{shape.h, shape.w, shape.c}); }

Summary model_summary(LoadedModel& self) {
  val layers = val::array();
  for (const Model::LayerInfo& layer : self.model.layers()) {
    val entry = val::object();
    entry.set("name", layer.name);
    entry.set("type", layer.type);
    entry.set("output", size_of(layer.output));
    entry.set("parameters", layer.parameters);
    layers.call<void>("push", entry);
  }
  val out = val::object();
  out.set("name", self.model.name());
  out.set("input", size_of(self.model.input_shape()));
  out.set("classes", array_of(self.info.classes));
  out.set("layers", layers);
  out.set("parameters", self.model.parameter_count());
  out.set("loss",
          std::string(self.model.loss() == LossKind::kBinaryCrossEntropy ? "binary_cross_entropy"
                                                                         : "cross_entropy"));
  return Summary(out);
}

/// Through a data set of one image: the same numbers as in training.
Tensor input_of(LoadedModel& self, const Image& image) {
  const Shape input = self.model.input_shape();
  ImageDataset data(input.h, input.w, input.c, self.info.classes);
  data.add(to_input(image, self.model.preparation()), 0);
  const std::uint32_t first = 0;
  Tensor x;
  std::vector<int> labels;
  data.batch({&first, 1}, x, labels, self.model.backend().pool());
  return x;
}

MapOfImage model_heat_map(LoadedModel& self, const Image& image, int label) {
  const HeatMap map = grad_cam(self.model, input_of(self, image), label);
  val out = val::object();
  out.set("data", copied<float>("Float32Array", map.values));
  out.set("height", map.height);
  out.set("width", map.width);
  return MapOfImage(out);
}

Floats model_classify(LoadedModel& self, const Image& image) {
  const Tensor& probabilities = self.model.predict(input_of(self, image));
  return Floats(copied<float>("Float32Array", {probabilities.data(), probabilities.size()}));
}

// ---------------------------------------------------------------- training and evaluation

struct Step {
  double step;
  int epoch, images;
  double loss;
  int correct;
  double lr;
  bool end_of_epoch;
};

/// A run keeps its model and data alive, so that they may be disposed of while it lasts.
struct TrainingRun {
  ModelPointer model;
  DatasetPointer data;
  Trainer trainer;
  Json notes;
  std::string inexact{};  // why it cannot end in the bits of the training that it goes on with
};

struct EvaluationRun {
  ModelPointer model;
  DatasetPointer data;
  std::shared_ptr<TrainingRun> training;  // whose kept features it uses; may be null
  Evaluation evaluation;
};

std::shared_ptr<TrainingRun> run_with(const ModelPointer& model, const DatasetPointer& data,
                                      const TrainerOptions& options, Json notes) {
  return std::shared_ptr<TrainingRun>(
      new TrainingRun{model, data, Trainer(model->model, *data, options), std::move(notes)});
}

std::shared_ptr<TrainingRun> start_training(ModelPointer model, DatasetPointer data, String recipe,
                                            String notes) {
  return run_with(model, data,
                  recipe_from_json(parse_json(string_of(recipe), "the settings"), "the settings"),
                  parse_json(string_of(notes), "the notes"));
}

std::shared_ptr<TrainingRun> resume_run(ModelPointer model, DatasetPointer data, DatasetPointer val,
                                        Bytes file, String recipe) {
  const TrainingState state = read_training_state(bytes_of(file), "the training state");
  const std::shared_ptr<TrainingRun> run = run_with(
      model, data, options_of(state, parse_json(string_of(recipe), "the settings")), state.notes);
  resume_training(run->trainer, state, val.get());
  run->inexact = inexact_because(state, model->model.backend());
  return run;
}

bool training_epoch_ended(TrainingRun& run) { return run.trainer.epoch_ended(); }
bool training_finished(TrainingRun& run) { return run.trainer.finished(); }
bool training_finish(TrainingRun& run) { return run.trainer.finish(); }
void training_use_average(TrainingRun& run, bool use) { run.trainer.use_average(use); }
void training_end_epoch(TrainingRun& run, ValScores scores) {
  if (scores.isUndefined()) {
    run.trainer.end_epoch();
  } else {
    run.trainer.end_epoch(scores["loss"].as<double>(), scores["accuracy"].as<double>());
  }
}
std::string training_progress(TrainingRun& run) {
  return progress_json(run.trainer.progress()).dump();
}
std::string training_recipe(TrainingRun& run) { return recipe_json(run.trainer.options()).dump(); }
std::string training_notes(TrainingRun& run) { return run.notes.dump(); }
std::string training_inexact(TrainingRun& run) { return run.inexact; }
Bytes training_state(TrainingRun& run, DatasetPointer val) {
  return Bytes(
      copied<std::uint8_t>("Uint8Array", save_training_state(run.trainer, val.get(), run.notes)));
}

bool training_prepare_step(TrainingRun& run) { return run.trainer.prepare_step(); }
double training_prepared(TrainingRun& run) { return static_cast<double>(run.trainer.prepared()); }
double training_to_prepare(TrainingRun& run) {
  return static_cast<double>(run.trainer.to_prepare());
}

bool training_started_from_means(TrainingRun& run) { return run.trainer.started_from_means(); }

Step training_step(TrainingRun& run) {
  const StepResult result = run.trainer.step();
  return {.step = static_cast<double>(result.step),
          .epoch = result.epoch,
          .images = result.images,
          .loss = result.loss,
          .correct = result.correct,
          .lr = result.lr,
          .end_of_epoch = result.end_of_epoch};
}

std::shared_ptr<EvaluationRun> start_evaluation(ModelPointer model, DatasetPointer data,
                                                int batch_size) {
  return std::shared_ptr<EvaluationRun>(
      new EvaluationRun{model, data, nullptr, Evaluation(model->model, *data, batch_size)});
}

std::shared_ptr<EvaluationRun> evaluation_during(std::shared_ptr<TrainingRun> training,
                                                 DatasetPointer data) {
  return std::shared_ptr<EvaluationRun>(
      new EvaluationRun{training->model, data, training, training->trainer.evaluation(*data)});
}

bool evaluation_step(EvaluationRun& run) { return run.evaluation.step(); }
int evaluation_done(EvaluationRun& run) { return static_cast<int>(run.evaluation.done()); }

Floats evaluation_probabilities(EvaluationRun& run) {
  return Floats(copied<float>("Float32Array", run.evaluation.probabilities()));
}

Scores evaluation_result(EvaluationRun& run) {
  const EvaluationResult result = run.evaluation.result();
  val confusion = val::array(), precision = val::array(), recall = val::array();
  for (int label = 0; label < result.confusion.classes(); ++label) {
    val row = val::array();
    for (int predicted = 0; predicted < result.confusion.classes(); ++predicted) {
      row.call<void>("push", static_cast<double>(result.confusion.at(label, predicted)));
    }
    confusion.call<void>("push", row);
    precision.call<void>("push", result.confusion.precision(label));
    recall.call<void>("push", result.confusion.recall(label));
  }
  val out = val::object();
  out.set("loss", result.loss);
  out.set("accuracy", result.confusion.accuracy());
  out.set("confusion", confusion);
  out.set("precision", precision);
  out.set("recall", recall);
  return Scores(out);
}

}  // namespace

// Typed by hand in web/engine/core.ts; a test compares the two.
EMSCRIPTEN_BINDINGS(pinhole) {
  using emscripten::class_;
  emscripten::register_type<String>("string");
  emscripten::register_type<Strings>("string[]");
  emscripten::register_type<Numbers>("number[]");
  emscripten::register_type<Bytes>("Uint8Array");
  emscripten::register_type<Indices>("Uint32Array");
  emscripten::register_type<Floats>("Float32Array");
  emscripten::register_type<ValScores>("{ loss: number; accuracy: number } | undefined");
  emscripten::register_type<MapOfImage>("{ data: Float32Array; height: number; width: number }");
  emscripten::register_type<SplitIndices>("{ train: Uint32Array; val: Uint32Array }");
  emscripten::register_type<Summary>(
      "{ name: string; input: [number, number, number]; classes: string[]; parameters: number; "
      "loss: 'cross_entropy' | "
      "'binary_cross_entropy'; layers: { name: string; type: string; output: [number, number, "
      "number]; parameters: number }[] }");
  emscripten::register_type<Scores>(
      "{ loss: number; accuracy: number; confusion: number[][]; precision: number[]; recall: "
      "number[] }");

  emscripten::function("backendNames", guarded<&list_backends>);
  emscripten::function("bytesInUse", guarded<&bytes_in_use>);
  emscripten::function("bytesReserved", guarded<&bytes_reserved>);

  class_<Backend>("Backend")
      .smart_ptr<BackendPointer>("BackendPointer")
      .class_function("create", guarded<&create_backend>)
      .function("name", guarded<&backend_name>)
      .function("description", guarded<&backend_description>)
      .function("threads", guarded<&backend_threads>);

  class_<Image>("Image")
      .class_function("decode", guarded<&decode>)
      .class_function("fromRgba", guarded<&from_rgba>)
      .function("height", guarded<&image_height>)
      .function("width", guarded<&image_width>);

  class_<ImageDataset>("ImageDataset")
      .smart_ptr<DatasetPointer>("ImageDatasetPointer")
      .class_function("create", guarded<&create_dataset>)
      .function("add", guarded<&dataset_add>)
      .function("size", guarded<&dataset_size>)
      .function("label", guarded<&dataset_label>)
      .function("name", guarded<&dataset_name>)
      .function("pixels", guarded<&dataset_pixels>)
      .function("augmented", guarded<&dataset_augmented>)
      .function("counts", guarded<&dataset_counts>)
      .function("split", guarded<&dataset_split>)
      .function("subset", guarded<&dataset_subset>);

  class_<LoadedModel>("Model")
      .smart_ptr<ModelPointer>("ModelPointer")
      .class_function("create", guarded<&create_model>)
      .class_function("load", guarded<&load>)
      .function("loadPretrained", guarded<&model_load_pretrained>)
      .function("save", guarded<&model_save>)
      .function("exportOnnx", guarded<&model_export_onnx>)
      .function("exportTorch", guarded<&model_export_torch>)
      .function("spec", guarded<&model_spec>)
      .function("training", guarded<&model_training>)
      .function("summary", guarded<&model_summary>)
      .function("classify", guarded<&model_classify>)
      .function("heatMap", guarded<&model_heat_map>);

  emscripten::value_object<Step>("Step")
      .field("step", &Step::step)
      .field("epoch", &Step::epoch)
      .field("images", &Step::images)
      .field("loss", &Step::loss)
      .field("correct", &Step::correct)
      .field("lr", &Step::lr)
      .field("endOfEpoch", &Step::end_of_epoch);

  class_<TrainingRun>("TrainingRun")
      .smart_ptr<std::shared_ptr<TrainingRun>>("TrainingRunPointer")
      .class_function("start", guarded<&start_training>)
      .class_function("resume", guarded<&resume_run>)
      .function("prepareStep", guarded<&training_prepare_step>)
      .function("prepared", guarded<&training_prepared>)
      .function("toPrepare", guarded<&training_to_prepare>)
      .function("startedFromMeans", guarded<&training_started_from_means>)
      .function("step", guarded<&training_step>)
      .function("epochEnded", guarded<&training_epoch_ended>)
      .function("endEpoch", guarded<&training_end_epoch>)
      .function("useAverage", guarded<&training_use_average>)
      .function("finished", guarded<&training_finished>)
      .function("finish", guarded<&training_finish>)
      .function("progress", guarded<&training_progress>)
      .function("recipe", guarded<&training_recipe>)
      .function("notes", guarded<&training_notes>)
      .function("inexact", guarded<&training_inexact>)
      .function("state", guarded<&training_state>);

  class_<EvaluationRun>("EvaluationRun")
      .smart_ptr<std::shared_ptr<EvaluationRun>>("EvaluationRunPointer")
      .class_function("start", guarded<&start_evaluation>)
      .class_function("during", guarded<&evaluation_during>)
      .function("step", guarded<&evaluation_step>)
      .function("done", guarded<&evaluation_done>)
      .function("probabilities", guarded<&evaluation_probabilities>)
      .function("result", guarded<&evaluation_result>);
}
