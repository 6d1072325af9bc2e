// Pinhole's native column: answers requests, one JSON a line on standard input, one JSON a line on standard output.
//   {"op": "prepare", "spec", "classes", "batch", "images", "kind": "train" | "infer", "threads"} -> {"description"}
//   {"op": "measure", "seconds"}  -> {"images", "seconds", "steps", "loss"}: one step that does not count, then steps for that long
//   {"op": "memory"}              -> {"bytes"}: the process's peak above what it held with the images alone; in a fresh process,
//                                    prepared with "memory": true
//   {"op": "load", "folder", "images", "size", "threads"} -> {"images", "seconds"}: photos decoded and resized
//   and those of kernel_answer
#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>

#include "error.h"
#include "image_folder.h"
#include "json.h"
#include "kernel_times.h"
#include "trainer.h"

namespace {

using namespace pinhole;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// A line of /proc/self/status in bytes; Linux alone has it.
double status_bytes(std::string_view key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key)) return 1024.0 * std::stod(line.substr(key.size() + 1));
  }
  throw Error("this system does not tell how much memory a process uses (/proc/self/status)");
}

/// One prepared row.
class Run {
 public:
  explicit Run(const Json& request)
      : batch_(request.at("batch")),
        training_(request.at("kind") == "train"),
        data_(bench::random_images(input_shape(request.at("spec")), request.at("classes"),
                                   request.at("images"))),
        backend_(make_backend("auto", request.at("threads"))) {
    if (request.value("memory", false)) {
      std::ofstream("/proc/self/clear_refs") << "5";  // the peak starts anew
      with_data_ = status_bytes("VmRSS:");
    }
    model_.emplace(request.at("spec"), request.at("classes"), backend_);
  }

  std::string description() const { return backend_->description(); }

  Json measure(double at_least) {
    step();
    int steps = 0;
    const double start = now();
    double seconds = 0;
    while (seconds < at_least || steps == 0) {
      step();
      ++steps;
      seconds = now() - start;
    }
    return {{"images", steps * batch_}, {"seconds", seconds}, {"steps", steps}, {"loss", loss_}};
  }

  Json peak_memory() {
    for (int i = 0; i < 4; ++i) step();
    return {{"bytes", status_bytes("VmHWM:") - with_data_}};
  }

 private:
  static Shape input_shape(const Json& spec) {
    return {1, spec["input"][0], spec["input"][1], spec["input"][2]};
  }

  void step() {
    if (training_) {
      if (!trainer_)
        trainer_.emplace(*model_, data_, TrainerOptions{.optimizer = {}, .batch_size = batch_});
      loss_ = trainer_->step().loss;
      return;
    }
    indices_.resize(static_cast<std::size_t>(batch_));
    for (std::uint32_t& index : indices_) {
      index = next_;
      next_ = static_cast<std::uint32_t>((next_ + 1) % data_.size());
    }
    data_.batch(indices_, x_, labels_, backend_->pool());
    model_->predict(x_);
  }

  int batch_;
  bool training_;
  ImageDataset data_;
  std::shared_ptr<Backend> backend_;
  double with_data_ = 0;
  std::optional<Model> model_;
  std::optional<Trainer> trainer_;
  std::vector<std::uint32_t> indices_;
  std::uint32_t next_ = 0;
  Tensor x_;
  std::vector<int> labels_;
  double loss_ = 0;
};

Json load(const Json& request) {
  ImageFolder folder = scan_image_folder(request.at("folder").get<std::string>());
  const auto found = folder.samples;
  const std::size_t images = request.at("images");
  folder.samples.clear();
  for (std::size_t i = 0; i < images; ++i) folder.samples.push_back(found[i % found.size()]);
  ThreadPool pool(request.at("threads"));
  LoadReport report;
  const int size = request.at("size");
  const double start = now();
  const ImageDataset data = load_image_folder(folder, {size, size, 3}, pool, report);
  const double seconds = now() - start;
  if (data.size() != images) throw Error(text(images - data.size(), " photos could not be read"));
  return {{"images", data.size()}, {"seconds", seconds}};
}

Json answer(const Json& request, std::unique_ptr<Run>& run) {
  const std::string op = request.at("op");
  if (op == "prepare") {
    run.reset();
    run = std::make_unique<Run>(request);
    return {{"description", run->description()}};
  }
  if (op == "measure" || op == "memory") {
    if (!run) throw Error(text("'", op, "' needs 'prepare' before it"));
    return op == "measure" ? run->measure(request.at("seconds")) : run->peak_memory();
  }
  if (op == "release") {
    run.reset();
    return Json::object();
  }
  return op == "load" ? load(request) : bench::kernel_answer(request);
}

}  // namespace

int main() {
  std::unique_ptr<Run> run;
  for (std::string line; std::getline(std::cin, line);) {
    Json reply;
    try {
      reply = answer(parse_json(line, "the request"), run);
    } catch (const std::exception& problem) {
      reply = {{"error", problem.what()}};
    }
    std::cout << reply.dump() << std::endl;
  }
}
