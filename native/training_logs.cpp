#include "training_logs.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "error.h"
#include "mistakes.h"
#include "png.h"

namespace pinhole {

namespace {

constexpr std::size_t kMistakes = 16;

void open(std::ofstream& file, const std::string& path, bool append) {
  if (path.empty()) return;
  file.open(path, append ? std::ios::app : std::ios::trunc);
  if (!file) throw Error(text("cannot write the log ", path));
}

/// Empty where there is no finite number, as spreadsheets want it.
std::string csv_number(std::optional<double> value) {
  if (!value || !std::isfinite(*value)) return "";
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.9g", *value);
  return buffer;
}

std::string csv_row(const EpochResult& epoch) {
  return text(epoch.epoch, ',', csv_number(epoch.train_loss), ',', csv_number(epoch.train_accuracy),
              ',', csv_number(epoch.val_loss), ',', csv_number(epoch.val_accuracy));
}

}  // namespace

TrainingLogs::TrainingLogs(const Places& places, const std::vector<EpochResult>* history)
    : jsonl_path_(places.jsonl), csv_path_(places.csv) {
  open(jsonl_, places.jsonl, history != nullptr);
  open(csv_, places.csv, false);
  if (!csv_path_.empty()) {
    csv_ << "epoch,train_loss,train_accuracy,val_loss,val_accuracy,seconds,images_per_second\n";
    for (const EpochResult& epoch : history != nullptr ? *history : std::vector<EpochResult>())
      csv_ << csv_row(epoch) << ",,\n";
    csv_.flush();
  }
  if (!places.tensorboard.empty()) tensorboard_ = std::make_unique<TensorBoard>(places.tensorboard);
}

void TrainingLogs::step(const StepResult& step, double images_per_second) {
  if (!jsonl_path_.empty()) jsonl_ << json_line(step_json(step, images_per_second)) << std::endl;
  if (tensorboard_ != nullptr) tensorboard_->scalar("step/loss", step.step, step.loss);
}

void TrainingLogs::epoch(const EpochRecord& record, std::int64_t steps) {
  if (!jsonl_path_.empty()) jsonl_ << json_line(epoch_json(record)) << std::endl;
  if (!csv_path_.empty())
    csv_ << csv_row(record) << ',' << csv_number(record.seconds) << ','
         << csv_number(record.images_per_second) << std::endl;
  if (tensorboard_ == nullptr) return;
  const auto scalar = [&](std::string_view tag, std::optional<double> value) {
    if (value) tensorboard_->scalar(tag, steps, *value);
  };
  scalar("loss/train", record.train_loss);
  scalar("loss/val", record.val_loss);
  scalar("accuracy/train", record.train_accuracy);
  scalar("accuracy/val", record.val_accuracy);
  scalar("images_per_second", record.images_per_second);
}

void TrainingLogs::pictures(const EvaluationResult& validation, Model& model,
                            const ImageDataset& data, std::int64_t steps) {
  if (tensorboard_ == nullptr) return;
  const int field = std::clamp(480 / validation.confusion.classes(), 1, 24);
  const int side = field * validation.confusion.classes();
  tensorboard_->image("confusion", steps, side, side,
                      encode_png(confusion_pixels(validation.confusion, field), side, side, 3));
  for (const Mistake& mistake : worst_mistakes(model, data, kMistakes)) {
    std::vector<std::uint8_t> rgb;
    for (const std::uint8_t value : data.pixels(mistake.image))
      rgb.insert(rgb.end(), data.channels() == 1 ? 3 : 1, value);
    const auto name = [&](int label) { return data.classes()[static_cast<std::size_t>(label)]; };
    tensorboard_->image(text("mistakes/", name(mistake.label), " called ", name(mistake.predicted),
                             " (", mistake.image, ')'),
                        steps, data.height(), data.width(),
                        encode_png(rgb, data.height(), data.width(), 3));
  }
}

std::string TrainingLogs::failed() const {
  if (!jsonl_path_.empty() && !jsonl_) return jsonl_path_;
  if (!csv_path_.empty() && !csv_) return csv_path_;
  if (tensorboard_ != nullptr && tensorboard_->failed()) return tensorboard_->path().string();
  return "";
}

std::vector<std::uint8_t> confusion_pixels(const ConfusionMatrix& confusion, int side) {
  const int classes = confusion.classes();
  std::vector<std::uint8_t> out;
  for (int y = 0; y < classes * side; ++y) {
    const int label = y / side;
    std::int64_t row = 0;
    for (int c = 0; c < classes; ++c) row += confusion.at(label, c);
    for (int x = 0; x < classes * side; ++x) {
      const double part =
          row > 0 ? static_cast<double>(confusion.at(label, x / side)) / static_cast<double>(row)
                  : 0;
      // From white to a blue, or on wrong fields to a red.
      const bool right = x / side == label;
      for (const int dark : {right ? 30 : 180, right ? 80 : 40, right ? 180 : 30})
        out.push_back(static_cast<std::uint8_t>(std::lround(255 - part * (255 - dark))));
    }
  }
  return out;
}

}  // namespace pinhole
