// native_export: a trained model as ONNX, as PyTorch source or as a web page, and the proof that what was written answers as Pinhole does.
#include <filesystem>
#include <iostream>

#include "arguments.h"
#include "child_process.h"
#include "error.h"
#include "file.h"
#include "model_file.h"
#include "onnx.h"
#include "parity.h"
#include "program.h"
#include "report.h"
#include "torch_source.h"

namespace {

using namespace pinhole;
namespace fs = std::filesystem;

constexpr const char* kProgram = "native_export";

struct Options {
  std::string model, format, out, verify;
  std::size_t pictures = 100;
};

constexpr const char* kDescription =
    "Writes a trained model as ONNX, as PyTorch source or as a web page, and checks that it still "
    "answers the same.\n";

constexpr const char* kFooter =
    R"(Formats:
  onnx             The network. Input "input": float [batch, channels, height, width] in [0, 1], the
                   picture already at the model's size.
  onnx-classifier  The whole classifier. Input "image": uint8 RGB [batch, height, width, 3], upright, of
                   any size; resizing and scaling are inside.
  torch            A Python file: the nn.Module, transform(), load() and predict(path), with the weights
                   beside it as NAME.safetensors. It needs torch, numpy and Pillow, nothing of Pinhole.
  html             One HTML file that classifies pictures and the camera, opened from a disk and without a
                   network: model and engine are in it. Written by Node with the engine for browsers,
                   which `npm run export` builds.

Both ONNX forms are opset 18 (IR version 8). Their output "probabilities" is float [batch, classes], for a
model with one output {1 - p, p}: the class is always the largest. The class names, in that order, are in
metadata_props under "classes".

--verify runs the pictures of a folder through the written file and through Pinhole and writes what came of
it to parity.json in the same folder: the largest difference of a probability and how many labels agree. It
is an error when a probability differs by more than 0.0001. ONNX files are run by ONNX Runtime in Node
(npm package onnxruntime-node; `npm run export` fetches it), Python files by python3, HTML files by the
WebAssembly that is in them.

Exit code: 0 written (and verified), 1 error or answers that differ, 2 wrong usage.

Examples:
  native_export --model pets.safetensors --format onnx
  native_export --model pets.safetensors --format onnx-classifier --out site/pets.onnx
  native_export --model pets.safetensors --format torch --verify photos
  native_export --model pets.safetensors --format html)";

void add_options(CLI::App& app, Options& options) {
  app.footer(kFooter);
  app.get_formatter()->column_width(34);
  app.set_version_flag("--version", "native_export " PINHOLE_VERSION);
  app.add_option("--model", options.model, "The trained model")
      ->required()
      ->type_name("FILE.safetensors");
  app.add_option("--format", options.format, "onnx, onnx-classifier, torch or html")
      ->required()
      ->check(one_of({"onnx", "onnx-classifier", "torch", "html"}))
      ->type_name("NAME");
  app.add_option(
         "--out", options.out,
         "Where it is written (default: beside the model, with .onnx, .py or .html at its end)")
      ->type_name("FILE");
  app.add_option("--verify", options.verify, "Compare the answers on the pictures in this folder")
      ->type_name("DIR");
  app.add_option("--pictures", options.pictures,
                 "The most pictures to verify with, taken evenly from the folder")
      ->check(whole_number(1, 1'000'000))
      ->capture_default_str()
      ->type_name("N");
}

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// The weights go beside the Python file, under its name. Another model that is there already is not overwritten.
void write_weights(const fs::path& path, std::span<const std::uint8_t> bytes) {
  std::error_code error;
  if (fs::exists(path, error)) {
    const std::vector<std::uint8_t> there = read_file(path);
    if (std::ranges::equal(there, bytes)) return;
    throw Error(text("the weights would be written to ", path.string(),
                     ", where another file is; choose another name with --out"));
  }
  write_file_atomic(path, bytes);
  std::cout << "wrote  " << printable(path.string()) << " (" << bytes.size() << " bytes)\n";
}

void write(const fs::path& path, std::span<const std::uint8_t> bytes) {
  write_file_atomic(path, bytes);
  std::cout << "wrote  " << printable(path.string()) << " (" << bytes.size() << " bytes)"
            << std::endl;
}

std::string extension_of(const std::string& format) {
  return format == "torch" ? ".py" : format == "html" ? ".html" : ".onnx";
}

/// By the engine for browsers, in Node.
std::string export_html(const std::string& model) {
  return ChildProcess({"node", script_above_program("scripts/export_html.mjs").string(), model})
      .finish();
}

int export_model(const Options& options) {
  const std::vector<std::uint8_t> file = read_file(options.model);
  LoadedModel loaded = load_model(file, make_backend("auto", 0), options.model);
  const bool torch = options.format == "torch";
  const fs::path out =
      !options.out.empty()
          ? fs::path(options.out)
          : fs::path(options.model).replace_extension(extension_of(options.format));
  check_can_write(out, loaded.model.parameter_count() * sizeof(float));
  if (torch) {
    const fs::path weights = fs::path(out).replace_extension(".safetensors");
    const std::string source = export_torch(loaded.model, loaded.info, weights.filename().string());
    write_weights(weights, file);
    write(out, bytes_of(source));
  } else if (options.format == "html") {
    write(out, bytes_of(export_html(options.model)));
  } else {
    const OnnxForm form = options.format == "onnx" ? OnnxForm::kNetwork : OnnxForm::kClassifier;
    write(out, export_onnx(loaded.model, loaded.info, form));
  }
  if (options.verify.empty()) return kExitOk;
  const Parity parity = check_parity(loaded, out, options.format, options.verify, options.pictures);
  write_parity(out, parity);
  std::cout << parity_text(parity) << std::endl;
  return parity.passed() ? kExitOk : kExitError;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program(kProgram, [&] {
    CLI::App app(kDescription, kProgram);
    Options options;
    add_options(app, options);
    if (const std::optional<int> exit_code = parse_arguments(app, argc, argv)) return *exit_code;
    return export_model(options);
  });
}
