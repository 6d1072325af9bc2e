// native_train: trains a model on a folder of labelled images and saves it. What it saves depends on the data, the options
// and the backend, never on time or on the number of threads.
#include <iostream>
#include <limits>
#include <tuple>

#include "arguments.h"
#include "checkpoint.h"
#include "error.h"
#include "explain.h"
#include "file.h"
#include "heat_picture.h"
#include "html_report.h"
#include "idx.h"
#include "labelled_data.h"
#include "mistakes.h"
#include "model_file.h"
#include "png.h"
#include "preview.h"
#include "program.h"
#include "progress.h"
#include "recipe.h"
#include "report.h"
#include "trainer.h"
#include "training_logs.h"

namespace {

using namespace pinhole;

constexpr const char* kProgram = "native_train";

struct Options {
  std::string data, model, out, val, init, checkpoint, recipe, report, preview;
  TrainingLogs::Places logs;
  std::vector<std::string> command;
  std::optional<double> val_split;
  DecodeLimits limits;
  std::optional<std::uint64_t> cache_mb;
  std::string cache_dir;
  TrainerOptions trainer;
  bool no_shuffle = false;
  bool resume = false;
  std::int64_t checkpoint_steps = 0;  // 0: every epoch only
  int threads = 0;
  std::string backend = "auto";
};

constexpr const char* kDescription =
    R"(Trains an image classifier on a folder of labelled images and saves it as safetensors.

--data takes a folder with one sub-folder per class (torchvision's ImageFolder), or a folder
with IDX files (train-images-idx3-ubyte[.gz] and companions, as MNIST and Fashion-MNIST come).
)";

constexpr const char* kFooter =
    R"(Which images validate: those of --val; or a part of every class, --val-split; without either
option the t10k files of an IDX folder, or else a fifth of every class. Unreadable images are
skipped and named.

--log writes one JSON object per line: for every step {step, epoch, loss, lr, images_per_second}
and after every epoch {epoch, train_loss, train_accuracy, val_loss, val_accuracy, seconds}. The train_*
values are means over the epoch's steps, each taken before its update; seconds are training alone.

--csv, --tensorboard and --report tell the same to spreadsheets, to TensorBoard (tensorboard --logdir DIR;
with the confusion matrix and the surest mistakes as images) and, when all is done, to a browser.

How it trains: from the defaults below; then the recipe, a JSON file with keys such as epochs,
batch_size, optimizer, schedule, label_smoothing, augment (models/README.md has them all): --recipe,
or else the NAME.recipe.json beside the model's spec where there is one; then the options given here.

Ctrl-C stops after the current step and saves the model as it is; a second Ctrl-C quits at once
without saving.

--checkpoint DIR keeps the whole state of the training in DIR, written after every epoch and when
stopped. After a crash or a stop the same command with --resume goes on from there and saves, byte
for byte, the file of a training that was never interrupted, for any number of threads. A state from
other kernels, another build or the browser is gone on with too, and a note says that the last digits will
differ. Where there is no state yet, --resume starts from the beginning. More --epochs than before are taken.

--cache-mb N is for folders of images that are larger than memory: they are decoded once, into a file (for
images of 224x224 in colour 150 KB each), and at most N MB of it are in memory at a time. What is trained is the same, byte for
byte. The file is made anew when an image has changed, and may be removed at any time. What frozen layers make of the
images stays in memory: for the transfer model 3 KB an image.

Exit code: 0 trained and saved, 1 error, 2 wrong usage, 130 stopped by Ctrl-C and saved (143 when
stopped by SIGTERM, 129 by SIGHUP).

Examples:
  # photos/cats/*.jpg, photos/dogs/*.jpg -> a classifier; a fifth of each class validates
  native_train --data photos --out pets.safetensors

  # two classes, one output, binary cross entropy
  native_train --data photos --model binary_cnn --out pets.safetensors --epochs 20

  # Fashion-MNIST as Debian's dataset-fashion-mnist installs it
  native_train --data /usr/share/datasets/fashion-mnist --model fashion_cnn --epochs 3 --out fashion.safetensors

  # a long training that may be killed at any time: repeat this command until it is done
  native_train --data photos --epochs 200 --checkpoint photos.state --resume --out pets.safetensors

  # what augmentation does to the images, before a training
  native_train --data photos --recipe pinhole_small --preview looks.png

  # go on from earlier weights with another optimizer, keep the curve
  native_train --data photos --init pets.safetensors --optimizer sgd --lr 0.01 --log curve.jsonl --out pets2.safetensors

Then: native_classify --model pets.safetensors photo.jpg)";

void add_options(CLI::App& app, Options& options) {
  constexpr double kNoEnd = std::numeric_limits<double>::infinity();
  app.footer(kFooter);
  app.get_formatter()->column_width(34);
  app.set_version_flag("--version", "native_train " PINHOLE_VERSION);
  OptimizerOptions& optimizer = options.trainer.optimizer;

  app.add_option("--data", options.data, "Folder of labelled images")->required()->type_name("DIR");
  app.add_option("--model", options.model,
                 "A spec's path, or its name in models/ (default: transfer, for IDX files "
                 "fashion_cnn)")
      ->type_name("SPEC.json");
  app.add_option("--out", options.out,
                 "Where the trained model is saved (all but --preview need it)")
      ->type_name("FILE.safetensors");
  app.add_option("--preview", options.preview,
                 "Write a sheet of training images as the recipe's augmentation changes them, and "
                 "train nothing")
      ->type_name("FILE.png");

  auto* val = app.add_option("--val", options.val,
                             "Folder of images to validate on, with the same classes");
  val->type_name("DIR");
  app.add_option("--val-split", options.val_split,
                 "Part of every class that validates (default: 0.2)")
      ->check(number_from(0, 1))
      ->type_name("PART")
      ->excludes(val);

  app.add_option("--max-pixels", options.limits.max_pixels,
                 "Refuse images of more pixels, before they take memory")
      ->check(whole_number(1, 2'147'483'647))
      ->capture_default_str()
      ->type_name("N");

  auto* cache = app.add_option("--cache-mb", options.cache_mb,
                               "Keep the decoded images in a file and at most N MB of them in "
                               "memory; a second run starts from that file");
  cache->check(whole_number(1, 1'000'000'000))->type_name("N");
  app.add_option("--cache-dir", options.cache_dir,
                 "Folder of that file (default: ~/.cache/pinhole/images)")
      ->needs(cache)
      ->type_name("DIR");

  app.add_option("--recipe", options.recipe,
                 "A recipe's path, or the name of one in models/; \"none\" for none")
      ->type_name("RECIPE.json");
  app.add_option("--epochs", options.trainer.epochs, "Passes over the training images")
      ->check(whole_number(1, 1'000'000))
      ->capture_default_str()
      ->type_name("N");
  app.add_option("--batch-size", options.trainer.batch_size, "Images per step")
      ->check(whole_number(1, 65'536))
      ->capture_default_str()
      ->type_name("N");
  app.add_option("--optimizer", optimizer.name, "adam, adamw or sgd")
      ->check(one_of({"adam", "adamw", "sgd"}))
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("--lr", optimizer.lr, "Learning rate")
      ->check(number_from(0, kNoEnd, true))
      ->capture_default_str()
      ->type_name("X");
  app.add_option("--momentum", optimizer.momentum, "Momentum, for sgd")
      ->check(number_from(0, 1))
      ->capture_default_str()
      ->type_name("X");
  app.add_option("--weight-decay", optimizer.weight_decay,
                 "Weight decay (L2 for adam and sgd, decoupled for adamw)")
      ->check(number_from(0, kNoEnd))
      ->capture_default_str()
      ->type_name("X");
  app.add_option("--schedule", options.trainer.schedule.name,
                 "How the learning rate goes: constant, step, cosine or one_cycle")
      ->check(one_of({"constant", "step", "cosine", "one_cycle"}))
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("--warmup-epochs", options.trainer.schedule.warmup_epochs,
                 "The learning rate rises for so many epochs first")
      ->check(number_from(0, 1'000'000))
      ->capture_default_str()
      ->type_name("X");
  app.add_option("--label-smoothing", options.trainer.loss.label_smoothing,
                 "Part of each target that is spread over all classes")
      ->check(number_from(0, 1))
      ->capture_default_str()
      ->type_name("X");
  for (const auto& [name, what, alpha] :
       {std::tuple("--mixup-alpha", "Blend images of a batch, and their labels",
                   &options.trainer.mix.mixup_alpha),
        std::tuple("--cutmix-alpha", "Put a box of one image into another, mix their labels",
                   &options.trainer.mix.cutmix_alpha)}) {
    app.add_option(name, *alpha, text(what, " (0: not; often 0.2 to 1)"))
        ->check(number_from(0, mix::kLargestAlpha))
        ->capture_default_str()
        ->type_name("X");
  }
  app.add_flag("--balanced", options.trainer.balanced_classes,
               "Classes with few images count as much as those with many");
  app.add_option("--clip-grad-norm", options.trainer.clip_grad_norm,
                 "Largest norm of the gradients; 0 does not clip")
      ->check(number_from(0, kNoEnd))
      ->capture_default_str()
      ->type_name("X");
  app.add_option("--ema-decay", options.trainer.ema_decay,
                 "Save a moving average of the weights with this decay; 0 saves the last ones")
      ->check(number_from(0, 1))
      ->capture_default_str()
      ->type_name("X");
  app.add_option("--patience", options.trainer.patience,
                 "Stop after so many epochs without a better validation, keep the best; 0 never")
      ->check(whole_number(0, 1'000'000))
      ->capture_default_str()
      ->type_name("N");
  app.add_option("--seed", options.trainer.seed,
                 "Fixes initial weights, split and order of the images")
      ->check(whole_number(0, std::numeric_limits<std::uint64_t>::max()))
      ->capture_default_str()
      ->type_name("N");
  app.add_flag("--keep-best", options.trainer.keep_best,
               "Save the weights of the epoch with the best validation accuracy, not the last");
  app.add_flag("--no-shuffle", options.no_shuffle, "Train on the images in the data's order");
  app.add_option("--init", options.init, "Start from the weights in this file")
      ->type_name("FILE.safetensors");

  auto* checkpoint = app.add_option("--checkpoint", options.checkpoint,
                                    "Folder that keeps the state of the training");
  checkpoint->type_name("DIR");
  app.add_flag("--resume", options.resume, "Go on from the state in the --checkpoint folder")
      ->needs(checkpoint);
  app.add_option("--checkpoint-steps", options.checkpoint_steps,
                 "Write the state every N steps too")
      ->check(whole_number(1, 1'000'000'000))
      ->needs(checkpoint)
      ->type_name("N");

  app.add_option("--log", options.logs.jsonl, "Write steps and epochs as JSON lines")
      ->type_name("FILE.jsonl");
  app.add_option("--csv", options.logs.csv, "Write the epochs as a table")->type_name("FILE.csv");
  app.add_option("--tensorboard", options.logs.tensorboard,
                 "Write event files for TensorBoard into this folder")
      ->type_name("DIR");
  app.add_option("--report", options.report,
                 "Write what came of it as a page: curves, confusion matrix, worst mistakes")
      ->type_name("FILE.html");
  std::vector<std::string> backends = backend_names();
  backends.insert(backends.begin(), "auto");
  app.add_option("--backend", options.backend, "Which kernels run: " + listed(backends))
      ->check(backend_name())
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("--threads", options.threads,
                 "Threads; 0 is one per core. The result is the same for any number")
      ->check(whole_number(0, 1024))
      ->capture_default_str()
      ->type_name("N");
}

/// The settings of those options that were given, as a recipe.
Json given_settings(const CLI::App& app, const TrainerOptions& values) {
  const Json all = recipe_json(values);
  Json given = Json::object();
  for (const auto& [option, key] : std::initializer_list<std::pair<const char*, const char*>>{
           {"--epochs", "/epochs"},
           {"--batch-size", "/batch_size"},
           {"--optimizer", "/optimizer/name"},
           {"--lr", "/optimizer/lr"},
           {"--momentum", "/optimizer/momentum"},
           {"--weight-decay", "/optimizer/weight_decay"},
           {"--schedule", "/schedule/type"},
           {"--warmup-epochs", "/schedule/warmup_epochs"},
           {"--label-smoothing", "/label_smoothing"},
           {"--mixup-alpha", "/mixup_alpha"},
           {"--cutmix-alpha", "/cutmix_alpha"},
           {"--balanced", "/class_weights"},
           {"--clip-grad-norm", "/clip_grad_norm"},
           {"--ema-decay", "/ema_decay"},
           {"--patience", "/patience"},
           {"--seed", "/seed"},
           {"--no-shuffle", "/shuffle"},
           {"--keep-best", "/keep"}}) {
    const Json::json_pointer pointer{std::string(key)};
    if (app.count(option) > 0) given[pointer] = all.at(pointer);
  }
  return given;
}

Json read_json(const std::filesystem::path& path) {
  const std::vector<std::uint8_t> bytes = read_file(path);
  return parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string());
}

/// --recipe, or what lies beside the spec; nothing for "none".
std::optional<std::filesystem::path> recipe_file(const std::string& name,
                                                 const std::filesystem::path& spec) {
  if (name == "none") return std::nullopt;
  if (!name.empty()) return find_recipe(name);
  std::filesystem::path beside = spec;
  beside.replace_extension(".recipe.json");
  return std::filesystem::exists(beside) ? std::optional(beside) : std::nullopt;
}

struct Data {
  ImageDataset train;
  std::optional<ImageDataset> val;
  Json
      record;  // for the saved file: counts only, no paths, which are nobody's business but the owner's
};

void check_classes_fit(const Model& model, const LabelledFolder& folder) {
  const auto have = static_cast<int>(folder.classes.size());
  if (have == model.classes()) return;
  throw Error(text(
      "the model ", model.name(), " tells ", model.classes(), " classes apart, but ",
      folder.path.string(), " has ", have, " (", listed(folder.classes), ")",
      model.outputs() == 1 ? "; for other than two classes use a model that ends in Softmax" : ""));
}

Data load_data(const Options& options, const LabelledFolder& folder,
               std::optional<LabelledFolder>& val_folder, const Model& model) {
  const Preparation input = model.preparation();
  ThreadPool& pool = model.backend().pool();
  const bool own_test_part =
      folder.idx && options.val.empty() && !options.val_split && has_idx_part(folder.path, false);

  std::optional<ImageCache> cache;
  if (options.cache_mb) {
    cache = {.folder = options.cache_dir.empty() ? default_cache_folder()
                                                 : std::filesystem::path(options.cache_dir),
             .memory = *options.cache_mb * 1'000'000};
  }
  LoadedData loaded =
      load_labelled_folder(folder, IdxPart::kTrain, input, pool, kProgram, options.limits, cache);
  Data data{.train = std::move(loaded.images), .val = std::nullopt, .record = Json::object()};
  data.record["kind"] = folder.kind();
  std::size_t unreadable = loaded.unreadable;
  if (val_folder || own_test_part) {
    LoadedData val = load_labelled_folder(val_folder ? *val_folder : folder, IdxPart::kTest, input,
                                          pool, kProgram, options.limits, cache);
    data.val = std::move(val.images);
    unreadable += val.unreadable;
    data.record["validation"] = val_folder ? "another folder" : "t10k";
  } else {
    const double part = options.val_split.value_or(0.2);
    const Split split = stratified_split(data.train, part, options.trainer.seed);
    if (!split.val.empty()) {
      data.val = data.train.subset(split.val);
      data.train = data.train.subset(split.train);
      data.record["validation"] = "split";
      data.record["val_split"] = part;
    }
  }
  const auto counts = [](const ImageDataset& images) {
    Json by_class = Json::object();
    const std::vector<std::size_t> class_counts = images.class_counts();
    for (std::size_t c = 0; c < class_counts.size(); ++c)
      by_class[images.classes()[c]] = class_counts[c];
    return by_class;
  };
  data.record["train_images"] = data.train.size();
  data.record["val_images"] = data.val ? data.val->size() : 0;
  data.record["train_images_of_class"] = counts(data.train);
  if (data.val) data.record["val_images_of_class"] = counts(*data.val);
  data.record["unreadable"] = unreadable;
  return data;
}

/// What came of the training, in the end or when it was stopped.
struct Outcome {
  std::vector<EpochResult> history;
  std::optional<EvaluationResult> validation;  // of the weights that are saved
  bool stopped = false;  // before all was done; then after this:
  int epoch = 0;
  std::int64_t step = 0;
  int signal = 0;
  std::optional<int> best_epoch;  // whose weights are saved, where the best are kept
  std::string checkpoint_problem;  // why the state could not be written
};

/// Runs the epochs; prints a row of the table after each.
class Session {
 public:
  /// `checkpoint` may be null. `notes` are kept in the state.
  Session(const Options& options, Trainer& trainer, const Data& data, TrainingLogs& log,
          const Checkpoint* checkpoint, Json notes, const StopSignals& signals)
      : options_(options),
        trainer_(trainer),
        data_(data),
        log_(log),
        checkpoint_(checkpoint),
        notes_(std::move(notes)),
        signals_(signals) {}

  Outcome run() {
    std::cout << epoch_table_header() << std::endl;
    for (const EpochResult& epoch : trainer_.progress().history) print_row({epoch});
    prepare();
    while (!trainer_.finished() && !stop()) run_epoch();
    if (stop()) write_state();
    if (trainer_.finish()) outcome_.validation.reset();
    // Not yet for these weights, or for the last ones before the pause.
    if (!stop() && !outcome_.validation) validate(epoch_label());
    const TrainerProgress& progress = trainer_.progress();
    outcome_.stopped = !trainer_.finished() || (data_.val && !outcome_.validation);
    outcome_.epoch = progress.epoch;
    outcome_.step = progress.step;
    outcome_.history = progress.history;
    if (trainer_.options().keep_best && data_.val) outcome_.best_epoch = progress.best_epoch;
    outcome_.signal = signals_.received();
    return std::move(outcome_);
  }

 private:
  bool stop() const {
    return signals_.received() != 0 || !log_.failed().empty() ||
           !outcome_.checkpoint_problem.empty();
  }

  void print_row(const EpochRecord& record) {
    line_.clear();
    std::cout << epoch_table_row(record) << std::endl;
  }

  /// What frozen layers make of the images; and the answer of the nearest class mean, as soon as there is one.
  void prepare() {
    const Stopwatch clock;
    bool answered = trainer_.started_from_means();
    bool more = true;
    while (more && !trainer_.finished() && !stop()) {
      more = trainer_.prepare_step();
      if (!answered && trainer_.started_from_means()) {
        answered = true;
        first_answer();
      }
      if (!more) break;
      const double speed =
          static_cast<double>(trainer_.prepared()) / std::max(clock.seconds(), 1e-9);
      line_.update({.label = "features",
                    .done = trainer_.prepared(),
                    .total = trainer_.to_prepare(),
                    .images_per_second = speed,
                    .seconds_left =
                        static_cast<double>(trainer_.to_prepare() - trainer_.prepared()) / speed});
    }
  }

  void first_answer() {
    validate("nearest class mean");
    if (!outcome_.validation) return;
    std::cout << first_answer_row(*outcome_.validation) << std::endl;
    outcome_.validation.reset();
  }

  /// What is left of the present epoch, or all of the next.
  void run_epoch() {
    outcome_.validation.reset();
    const TrainerProgress& progress = trainer_.progress();
    const std::size_t before =
        trainer_.data().size() == progress.position && !trainer_.epoch_ended() ? 0
                                                                               : progress.position;
    const Stopwatch clock;
    while (!trainer_.epoch_ended() && !stop()) {
      const Stopwatch step_clock;
      const StepResult step = trainer_.step();
      log_.step(step, step.images / std::max(step_clock.seconds(), 1e-9));
      show(progress.position - before, clock.seconds());
      if (options_.checkpoint_steps > 0 && step.step % options_.checkpoint_steps == 0)
        write_state();
    }
    const double seconds = clock.seconds();
    if (!trainer_.epoch_ended()) return;
    validate(epoch_label());
    if (stop() && data_.val && !outcome_.validation) return;
    EpochRecord record{outcome_.validation
                           ? trainer_.end_epoch(outcome_.validation->loss,
                                                outcome_.validation->confusion.accuracy())
                           : trainer_.end_epoch()};
    record.seconds = seconds;
    record.images_per_second =
        static_cast<double>(progress.position - before) / std::max(seconds, 1e-9);
    print_row(record);
    log_.epoch(record, progress.step);
    write_state();
  }

  /// A state that cannot be written ends the training, so that what there is can be saved.
  void write_state() {
    if (checkpoint_ == nullptr || !outcome_.checkpoint_problem.empty()) return;
    try {
      checkpoint_->write(trainer_, data_.val ? &*data_.val : nullptr, notes_);
    } catch (const Error& problem) {
      outcome_.checkpoint_problem = problem.what();
    }
  }

  std::string epoch_label() const {
    return text("epoch ", trainer_.progress().epoch, '/', trainer_.options().epochs);
  }

  /// `done` images in `seconds`, now.
  void show(std::size_t done, double seconds) {
    const TrainerProgress& progress = trainer_.progress();
    const std::size_t total = data_.train.size();
    const double speed = static_cast<double>(done) / std::max(seconds, 1e-9);
    const double loss = progress.loss_sum / static_cast<double>(progress.position);
    const auto epochs_left = static_cast<double>(trainer_.options().epochs - progress.epoch);
    const double images_left =
        static_cast<double>(total - progress.position) + epochs_left * static_cast<double>(total);
    // Before the first validation has run, its time is taken as that of a third of the work per image.
    const double validation = validation_seconds_ >= 0 ? validation_seconds_
                              : data_.val ? static_cast<double>(data_.val->size()) / (3 * speed)
                                          : 0;
    const std::string detail = "loss " + loss_text(loss);
    const std::string label = epoch_label();
    line_.update({.label = label,
                  .done = progress.position,
                  .total = total,
                  .images_per_second = speed,
                  .seconds_left = images_left / speed + (epochs_left + 1) * validation,
                  .detail = detail});
  }

  /// No validation comes of it when there is nothing to validate on or a signal cuts it short.
  void validate(const std::string& label) {
    if (!data_.val || stop()) return;
    const std::string name = label + " validating";
    Stopwatch clock;
    trainer_.use_average(true);  // until the next step
    Evaluation evaluation = trainer_.evaluation(*data_.val);
    while (evaluation.step()) {
      if (stop()) return;
      line_.update({.label = name,
                    .done = evaluation.done(),
                    .total = data_.val->size(),
                    .images_per_second =
                        static_cast<double>(evaluation.done()) / std::max(clock.seconds(), 1e-9)});
    }
    validation_seconds_ = clock.seconds();
    outcome_.validation = evaluation.result();
    line_.clear();
  }

  static std::string loss_text(double loss) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.4f", loss);
    return buffer;
  }

  const Options& options_;
  Trainer& trainer_;
  const Data& data_;
  TrainingLogs& log_;
  const Checkpoint* checkpoint_;
  Json notes_;
  const StopSignals& signals_;
  ProgressLine line_;
  Outcome outcome_;
  double validation_seconds_ = -1;
};

/// The training record of the saved file. Nothing in it depends on time, threads or paths.
Json training_record(const Options& options, const Model& model, const Data& data,
                     const Outcome& outcome, bool init) {
  const OptimizerOptions& optimizer = options.trainer.optimizer;
  Json optimizer_record{
      {"name", optimizer.name}, {"lr", optimizer.lr}, {"weight_decay", optimizer.weight_decay}};
  if (optimizer.name == "sgd") optimizer_record["momentum"] = optimizer.momentum;
  Json history = Json::array();
  for (const EpochResult& epoch : outcome.history) history.push_back(epoch_result_json(epoch));
  Json record{{"program", "native_train " PINHOLE_VERSION},
              {"backend", model.backend().name()},
              {"data", data.record},
              {"options",
               {{"epochs", options.trainer.epochs},
                {"batch_size", options.trainer.batch_size},
                {"optimizer", std::move(optimizer_record)},
                {"seed", options.trainer.seed},
                {"shuffle", options.trainer.shuffle},
                {"init", init}}},
              {"recipe", recipe_json(options.trainer)},
              {"history", std::move(history)}};
  if (outcome.best_epoch) record["best_epoch"] = *outcome.best_epoch;
  if (outcome.stopped) record["stopped"] = {{"epoch", outcome.epoch}, {"step", outcome.step}};
  if (outcome.validation) {
    Json result = evaluation_json(*outcome.validation, data.train.classes());
    result.erase("classes");
    result.erase("confusion");
    record["validation"] = std::move(result);
  }
  return record;
}

void print_plan(const Model& model, std::size_t parameters, const Data& data,
                const LabelledFolder& folder) {
  std::cout << "data   " << printable(folder.path.string()) << ": "
            << counted(data.train.size(), "image") << " to train on, "
            << (data.val ? data.val->size() : 0) << " to validate; " << folder.classes.size()
            << " classes: " << listed(folder.classes) << '\n'
            << "model  " << printable(model.name()) << ", input " << item_text(model.input_shape())
            << ", " << parameters << " parameters, "
            << (model.loss() == LossKind::kBinaryCrossEntropy ? "binary cross entropy"
                                                              : "cross entropy")
            << '\n'
            << "runs   " << model.backend().description() << '\n'
            << std::endl;
}

/// Over image `index` what speaks for `label`, as PNG; empty for a model without a map to tell it.
std::string heat_png(Model& model, const ImageDataset& images, std::uint32_t index, int label) {
  Tensor x;
  std::vector<int> labels;
  images.batch(std::span(&index, 1), x, labels, model.backend().pool());
  HeatMap map;
  try {
    map = grad_cam(model, x, label);
  } catch (const Error&) {
    return {};
  }
  return encode_png(
      heat_picture(map, images.pixels(index), images.height(), images.width(), images.channels()),
      images.height(), images.width(), 3);
}

/// --report: what came of the training as a page.
void write_report(const Options& options, Model& model, const Data& data, const Outcome& outcome) {
  constexpr std::size_t kMistakes = 24;
  HtmlReport report;
  report.title = model.name();
  report.command = options.command;
  report.classes = data.train.classes();
  report.history = outcome.history;
  report.validation = outcome.validation;
  const TrainerOptions& trainer = options.trainer;
  report.facts = {
      {"images",
       text(data.train.size(), " to train on, ", data.val ? data.val->size() : 0, " to validate")},
      {"input", item_text(model.input_shape())},
      {"parameters", std::to_string(model.parameter_count())},
      {"optimizer", trainer.optimizer.name},
      {"runs on", model.backend().description()},
      {"saved as", options.out},
  };
  if (outcome.stopped)
    report.facts.emplace_back("stopped", text("in epoch ", outcome.epoch, " of ", trainer.epochs));
  if (outcome.validation && data.val) {
    const ImageDataset& images = *data.val;
    for (const Mistake& mistake : worst_mistakes(model, images, kMistakes)) {
      const auto name = [&](int label) { return report.classes[static_cast<std::size_t>(label)]; };
      report.mistakes.push_back(
          {.label = name(mistake.label),
           .predicted = name(mistake.predicted),
           .name = images.name(mistake.image),
           .probability = mistake.probability,
           .png = encode_png(images.pixels(mistake.image), images.height(), images.width(),
                             images.channels()),
           .heat_png = heat_png(model, images, mistake.image, mistake.predicted)});
    }
  }
  const std::string html = html_report(report);
  write_file_atomic(options.report,
                    {reinterpret_cast<const std::uint8_t*>(html.data()), html.size()});
  std::cout << "report " << printable(options.report) << std::endl;
}

/// --preview: what a training with these options would be shown.
void write_preview(const Options& options, const ImageDataset& images) {
  constexpr int kLooks = 7;
  const TrainerOptions& trainer = options.trainer;
  if (trainer.augment.empty()) {
    throw Error(
        "there is nothing to preview: without an \"augment\" list in the recipe the images stay as "
        "they are");
  }
  const int views = trainer.augment_views > 0 ? trainer.augment_views : trainer.epochs;
  const int looks = std::min({kLooks, views, trainer.epochs});
  const std::string png = preview_sheet(images, trainer.augment, trainer.seed, looks);
  write_file_atomic(options.preview,
                    {reinterpret_cast<const std::uint8_t*>(png.data()), png.size()});
  std::cout << "preview " << printable(options.preview) << ": images on the left, and as "
            << (looks == 1 ? "epoch 1 shows" : text("epochs 1 to ", looks, " show")) << " them"
            << std::endl;
}

int train(Options options, const Json& given) {
  LabelledFolder folder = scan_labelled_folder(options.data);
  if (folder.classes.size() < 2) {
    throw Error(text(options.data, " has one class only (", listed(folder.classes),
                     "); a classifier needs two or more"));
  }
  if (folder.idx && options.cache_mb)
    throw Error(text(options.data, ": IDX files are read whole, without --cache-mb"));
  std::optional<LabelledFolder> val_folder;
  if (!options.val.empty()) {
    val_folder = scan_labelled_folder(options.val);
    match_classes(*val_folder, folder.classes, options.data);
  }

  const std::filesystem::path spec_path = find_model_spec(!options.model.empty() ? options.model
                                                          : folder.idx           ? "fashion_cnn"
                                                                                 : "transfer");
  const Json spec = read_json(spec_path);
  const std::optional<std::filesystem::path> recipe = recipe_file(options.recipe, spec_path);
  options.trainer = recipe_from_json(
      given, "the options",
      recipe ? recipe_from_json(read_json(*recipe), recipe->string()) : TrainerOptions());
  Model model(spec, static_cast<int>(folder.classes.size()),
              make_backend(options.backend, options.threads));
  check_classes_fit(model, folder);
  if (!options.preview.empty()) {
    check_can_write(options.preview, 1'000'000);
    write_preview(options, load_data(options, folder, val_folder, model).train);
    return kExitOk;
  }
  std::optional<Checkpoint> checkpoint;
  std::optional<TrainingState> state;
  if (!options.checkpoint.empty()) {
    checkpoint.emplace(options.checkpoint, options.resume);
    state = checkpoint->read();
  }
  if (!options.init.empty())
    options.trainer.nearest_mean_start = false;  // starts from those weights
  model.init(options.trainer.seed);
  if (!model.pretrained().empty() && options.init.empty() && !state) {
    const std::filesystem::path file = find_pretrained(model.pretrained(), spec_path);
    load_pretrained(model, read_safetensors(read_file(file), file.string()), file.string());
  }
  if (!options.init.empty() && !state) {
    const std::vector<std::uint8_t> bytes = read_file(options.init);
    load_state_dict(model, read_safetensors(bytes, options.init), options.init);
  }
  const std::size_t parameters = model.parameter_count();
  check_can_write(options.out, parameters * sizeof(float));
  if (state) {
    options_of(*state, recipe_json(options.trainer));  // before thousands of photos are decoded
    if (!options.logs.jsonl.empty()) trim_log(options.logs.jsonl, state->progress);
  }
  TrainingLogs log(options.logs, state ? &state->progress.history : nullptr);
  if (!options.report.empty()) check_can_write(options.report, 1'000'000);

  const Data data = load_data(options, folder, val_folder, model);
  Trainer trainer(model, data.train, options.trainer);
  if (state) resume_training(trainer, *state, data.val ? &*data.val : nullptr);
  // Whether there was an --init is kept, so that the saved file does not depend on pauses.
  const Json notes = state ? state->notes : Json{{"init", !options.init.empty()}};
  print_plan(model, parameters, data, folder);
  if (state) {
    std::cout << "going on after epoch " << trainer.progress().history.size() << ", step "
              << trainer.progress().step << '\n';
    if (const std::string why = inexact_because(*state, model.backend()); !why.empty())
      std::cout << "note: " << printable(why) << '\n';
    std::cout << std::endl;
  }

  const StopSignals signals;  // until the model is saved
  const Outcome outcome =
      Session(options, trainer, data, log, checkpoint ? &*checkpoint : nullptr, notes, signals)
          .run();
  const bool init = notes.value("init", false);
  const std::vector<std::uint8_t> file =
      save_model(model, {.classes = folder.classes,
                         .training = training_record(options, model, data, outcome, init)});
  write_file_atomic(options.out, file);

  std::cout << '\n';
  if (outcome.stopped) {
    std::cout << "stopped after step " << outcome.step << " (epoch " << outcome.epoch << " of "
              << options.trainer.epochs << ")"
              << (checkpoint ? "; the same command with --resume goes on from there\n" : "\n");
  } else if (outcome.validation) {
    std::cout << "Validation: " << evaluation_text(*outcome.validation, folder.classes) << '\n';
  } else if (!data.val) {
    std::cout << "no images to validate on, so no accuracy on unseen images\n";
  }
  std::cout << "saved  " << printable(options.out) << " (" << file.size() << " bytes)" << std::endl;
  if (outcome.validation && data.val)
    log.pictures(*outcome.validation, model, *data.val, outcome.step);
  if (!options.report.empty()) write_report(options, model, data, outcome);
  if (const std::string failed = log.failed(); !failed.empty())
    throw Error(
        text("cannot write the log ", failed, "; training stopped and the model was saved"));
  if (!outcome.checkpoint_problem.empty())
    throw Error(text(outcome.checkpoint_problem, "; training stopped and the model was saved"));
  return outcome.stopped ? 128 + outcome.signal : kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program(kProgram, [&] {
    CLI::App app(kDescription, kProgram);
    Options options;
    add_options(app, options);
    if (const std::optional<int> exit_code = parse_arguments(app, argc, argv)) return *exit_code;
    if (options.out.empty() && options.preview.empty()) {
      print_error(kProgram, "--out is required (native_train --help explains)");
      return kExitUsage;
    }
    options.trainer.shuffle = !options.no_shuffle;
    options.command.assign(argv, argv + argc);
    return train(options, given_settings(app, options.trainer));
  });
}
