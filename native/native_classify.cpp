// native_classify: labels images with a trained model, or scores the model on a folder of labelled images. One image that cannot be
// read never keeps the others from being classified.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <numeric>
#include <set>

#include "arguments.h"
#include "decode.h"
#include "error.h"
#include "file.h"
#include "idx.h"
#include "labelled_data.h"
#include "model_file.h"
#include "program.h"
#include "progress.h"
#include "report.h"
#include "trainer.h"

namespace {

using namespace pinhole;
namespace fs = std::filesystem;

constexpr const char* kProgram = "native_classify";
constexpr std::size_t kBatch = 32;

struct Options {
  std::string model, eval;
  std::vector<std::string> paths;
  int top = 1;
  bool json = false, csv = false;
  DecodeLimits limits;
  int threads = 0;
  std::string backend = "auto";
};

constexpr const char* kDescription =
    "Labels images with a model that native_train or the page has saved.\n";

constexpr const char* kFooter =
    R"(A PATH is an image, or a folder whose images are found in it and in its sub-folders. Each image gives
one line, "path: label probability", with --top K the K most probable labels.

--json prints one array of {"path", "label", "probability", "probabilities": {class: p}}, which always
holds every class. With --eval instead of a PATH it prints one object: images, loss, accuracy, classes,
confusion (rows: the true class), precision, recall, unreadable.

--csv prints the page's table: file, label, probability, whether it reaches the model's own threshold
("sure"; 0 where its training found none), and a column for each class.

--eval takes what native_train --data takes: a folder with one sub-folder per class of the model, or
one with IDX files (the t10k files are scored, the train files where there are no others).

An image that cannot be read is named on standard error; the others are still classified.

Exit code: 0 every image was classified, 1 error or an image that could not be read, 2 wrong usage.

Examples:
  native_classify --model pets.safetensors photo.jpg
  native_classify --model pets.safetensors --top 3 holiday/ cat.webp
  native_classify --model pets.safetensors --json holiday/ > labels.json
  native_classify --model pets.safetensors --csv holiday/ > labels.csv
  native_classify --model pets.safetensors --eval photos-to-test)";

void add_options(CLI::App& app, Options& options) {
  app.footer(kFooter);
  app.get_formatter()->column_width(34);
  app.set_version_flag("--version", "native_classify " PINHOLE_VERSION);
  app.add_option("--model", options.model, "The trained model")
      ->required()
      ->type_name("FILE.safetensors");
  app.add_option("PATH", options.paths, "Images, or folders with images")->type_name("");
  app.add_option("--top", options.top, "How many labels to print for each image")
      ->check(whole_number(1, 1'000'000))
      ->capture_default_str()
      ->type_name("K");
  auto* json = app.add_flag("--json", options.json, "Print JSON");
  app.add_flag("--csv", options.csv, "Print comma-separated values")->excludes(json);
  app.add_option("--eval", options.eval, "Score the model on this folder of labelled images")
      ->type_name("DIR");
  std::vector<std::string> backends = backend_names();
  backends.insert(backends.begin(), "auto");
  app.add_option("--backend", options.backend, "Which kernels run: " + listed(backends))
      ->check(backend_name())
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("--max-pixels", options.limits.max_pixels,
                 "Refuse images of more pixels, before they take memory")
      ->check(whole_number(1, 2'147'483'647))
      ->capture_default_str()
      ->type_name("N");
  app.add_option("--threads", options.threads, "Threads; 0 is one per core")
      ->check(whole_number(0, 1024))
      ->capture_default_str()
      ->type_name("N");
}

/// Counts what could not be classified, and names it.
class Failures {
 public:
  void add(const std::string& message) {
    print_error(kProgram, message);
    ++count_;
  }
  /// For those that were named already.
  void count_named(std::size_t more) { count_ += more; }
  std::size_t count() const { return count_; }

 private:
  std::size_t count_ = 0;
};

/// Adds the images below `folder`, by name. Links to folders are followed, each folder once: links may make circles.
void add_images(const fs::path& folder, std::set<fs::path>& seen, std::vector<fs::path>& images,
                Failures& failures) {
  std::error_code error;
  const fs::path real = fs::canonical(folder, error);
  if (!error && !seen.insert(real).second) return;
  std::vector<fs::path> entries;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    entries.push_back(entry->path());
  }
  if (error) {
    failures.add(text("cannot read the folder ", folder.string(), ": ", error.message()));
    return;
  }
  std::sort(entries.begin(), entries.end());
  for (const fs::path& entry : entries) {
    if (fs::is_directory(entry, error)) {
      add_images(entry, seen, images, failures);
    } else if (has_image_extension(entry.native())) {
      images.push_back(entry);
    }
  }
}

std::vector<fs::path> find_images(const std::vector<std::string>& paths, Failures& failures) {
  std::vector<fs::path> images;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      images.emplace_back(path);
      continue;
    }
    std::set<fs::path> seen;
    const std::size_t before = images.size();
    const std::size_t failed_before = failures.count();
    add_images(path, seen, images, failures);
    if (images.size() == before && failures.count() == failed_before)
      failures.add(text(path, ": no images in this folder"));
  }
  return images;
}

void print_text(const fs::path& path, std::span<const real> probabilities,
                const std::vector<std::string>& classes, int top) {
  std::vector<std::size_t> order(classes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return probabilities[a] > probabilities[b];
  });
  order.resize(std::min(order.size(), static_cast<std::size_t>(top)));
  std::cout << printable(path.string()) << ':';
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    char number[32];
    std::snprintf(number, sizeof number, " %.4f", static_cast<double>(probabilities[order[rank]]));
    std::cout << (rank > 0 ? ", " : " ") << printable(classes[order[rank]]) << number;
  }
  std::cout << '\n';
}

Json to_json(const fs::path& path, std::span<const real> probabilities,
             const std::vector<std::string>& classes) {
  const auto best = static_cast<std::size_t>(
      std::max_element(probabilities.begin(), probabilities.end()) - probabilities.begin());
  Json by_class = Json::object();
  for (std::size_t c = 0; c < classes.size(); ++c) by_class[classes[c]] = probabilities[c];
  return Json{{"path", path.string()},
              {"label", classes[best]},
              {"probability", probabilities[best]},
              {"probabilities", std::move(by_class)}};
}

/// A field of RFC 4180. A leading =, +, - or @ would be a formula to a spreadsheet: it gets a quote in front.
std::string csv_field(std::string_view text) {
  std::string field = printable(text);
  if (!field.empty() && std::string_view("=+-@\t\r").find(field[0]) != std::string_view::npos)
    field.insert(0, 1, '\'');
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string quoted = "\"";
  for (const char letter : field) quoted += letter == '"' ? "\"\"" : std::string(1, letter);
  return quoted + '"';
}

void print_csv_head(const std::vector<std::string>& classes) {
  std::cout << "file,label,probability,sure";
  for (const std::string& name : classes) std::cout << ',' << csv_field(name);
  std::cout << "\r\n";
}

/// Below it an answer is not sure: what the training found, or 0.
double threshold_of(const ModelInfo& info) {
  const Json found = info.training.value("calibration", Json::object());
  const Json threshold = found.is_object() ? found.value("threshold", Json(0.0)) : Json(0.0);
  return threshold.is_number() ? threshold.get<double>() : 0.0;
}

void print_csv(const fs::path& path, std::span<const real> probabilities, const ModelInfo& info) {
  const std::vector<std::string>& classes = info.classes;
  const auto best = std::max_element(probabilities.begin(), probabilities.end());
  const auto number = [](real value) {
    char digits[32];
    std::snprintf(digits, sizeof digits, ",%.9g", static_cast<double>(value));
    return std::string(digits);
  };
  std::cout << csv_field(path.string()) << ','
            << csv_field(classes[static_cast<std::size_t>(best - probabilities.begin())])
            << number(*best) << (static_cast<double>(*best) >= threshold_of(info) ? ",yes" : ",no");
  for (const real probability : probabilities) std::cout << number(probability);
  std::cout << "\r\n";
}

/// What one image came to: pixels at the model's input size, or why there are none.
struct Decoded {
  std::vector<std::uint8_t> pixels;
  std::string problem;
};

std::vector<Decoded> decode_batch(std::span<const fs::path> paths, const Preparation& input,
                                  ThreadPool& pool, const DecodeLimits& limits) {
  std::vector<Decoded> decoded(paths.size());
  pool.parallel_for(paths.size(), [&](std::size_t i) {
    try {
      decoded[i].pixels = to_input(decode_file(paths[i], limits), input);
    } catch (const std::exception& error) {
      decoded[i].problem = error.what();
    }
  });
  return decoded;
}

void classify(const Options& options, LoadedModel& loaded, Failures& failures) {
  Model& model = loaded.model;
  const std::vector<std::string>& classes = loaded.info.classes;
  const Preparation input = model.preparation();
  const std::vector<fs::path> images = find_images(options.paths, failures);
  // Labels on a terminal show the progress themselves.
  ProgressLine line(isatty(STDOUT_FILENO) == 0);
  const Stopwatch clock;
  bool first = true;
  if (options.json) std::cout << '[';
  if (options.csv) print_csv_head(classes);
  for (std::size_t begin = 0; begin < images.size(); begin += kBatch) {
    const auto paths = std::span(images).subspan(begin, std::min(kBatch, images.size() - begin));
    const std::vector<Decoded> decoded =
        decode_batch(paths, input, model.backend().pool(), options.limits);
    ImageDataset batch(input.height, input.width, input.channels, classes);
    std::vector<std::size_t> readable;
    for (std::size_t i = 0; i < paths.size(); ++i) {
      if (decoded[i].problem.empty()) {
        batch.add(decoded[i].pixels, 0);
        readable.push_back(i);
      } else {
        line.clear();
        failures.add(decoded[i].problem);
      }
    }
    if (readable.empty()) continue;
    std::vector<std::uint32_t> indices(readable.size());
    std::iota(indices.begin(), indices.end(), 0U);
    Tensor x;
    std::vector<int> labels;
    batch.batch(indices, x, labels, model.backend().pool());
    const Tensor& probabilities = model.predict(x);
    for (std::size_t i = 0; i < readable.size(); ++i) {
      const std::span<const real> row(probabilities.data() + i * classes.size(), classes.size());
      if (options.json) {
        std::cout << (first ? "\n" : ",\n") << json_line(to_json(paths[readable[i]], row, classes));
      } else if (options.csv) {
        print_csv(paths[readable[i]], row, loaded.info);
      } else {
        print_text(paths[readable[i]], row, classes, options.top);
      }
      first = false;
    }
    const std::size_t done = begin + paths.size();
    const double speed = static_cast<double>(done) / std::max(clock.seconds(), 1e-9);
    line.update({.label = "classifying",
                 .done = done,
                 .total = images.size(),
                 .images_per_second = speed,
                 .seconds_left = static_cast<double>(images.size() - done) / speed});
  }
  line.clear();
  if (options.json) std::cout << (first ? "]\n" : "\n]\n");
}

void evaluate_folder(const Options& options, LoadedModel& loaded, Failures& failures) {
  Model& model = loaded.model;
  LabelledFolder folder = scan_labelled_folder(options.eval);
  match_classes(folder, loaded.info.classes, "the model " + options.model);
  const IdxPart part =
      folder.idx && !has_idx_part(folder.path, false) ? IdxPart::kTrain : IdxPart::kTest;
  LoadedData data = load_labelled_folder(folder, part, model.preparation(), model.backend().pool(),
                                         kProgram, options.limits);
  Evaluation evaluation(model, data.images, static_cast<int>(kBatch));
  {
    ProgressLine line;
    Stopwatch clock;
    while (evaluation.step()) {
      line.update({.label = "evaluating",
                   .done = evaluation.done(),
                   .total = data.images.size(),
                   .images_per_second =
                       static_cast<double>(evaluation.done()) / std::max(clock.seconds(), 1e-9)});
    }
  }
  if (options.json) {
    Json result = evaluation_json(evaluation.result(), loaded.info.classes);
    result["unreadable"] = data.unreadable;
    std::cout << json_line(result) << '\n';
  } else {
    std::cout << printable(options.eval) << ": "
              << evaluation_text(evaluation.result(), loaded.info.classes);
  }
  failures.count_named(data.unreadable);
}

}  // namespace

int main(int argc, char** argv) {
  return run_program(kProgram, [&] {
    CLI::App app(kDescription, kProgram);
    Options options;
    add_options(app, options);
    if (const std::optional<int> exit_code = parse_arguments(app, argc, argv)) return *exit_code;
    if (options.paths.empty() && options.eval.empty()) {
      print_error(kProgram,
                  "nothing to do: give a PATH or --eval DIR (native_classify --help explains)");
      return kExitUsage;
    }
    if (options.json && !options.paths.empty() && !options.eval.empty()) {
      print_error(kProgram, "--json prints one document: give a PATH or --eval DIR, not both");
      return kExitUsage;
    }
    if (options.csv && !options.eval.empty()) {
      print_error(kProgram, "--csv is a table of classified images: give PATHs, not --eval");
      return kExitUsage;
    }
    LoadedModel loaded = load_model(read_file(options.model),
                                    make_backend(options.backend, options.threads), options.model);
    Failures failures;
    if (!options.paths.empty()) classify(options, loaded, failures);
    if (!options.eval.empty()) evaluate_folder(options, loaded, failures);
    if (failures.count() > 0)
      std::cerr << kProgram << ": " << counted(failures.count(), "image")
                << " could not be classified\n";
    return failures.count() > 0 ? kExitError : kExitOk;
  });
}
