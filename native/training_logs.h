// Where a training is written down while it runs: JSON lines, a CSV table of the epochs, TensorBoard. A write that fails is
// remembered, not thrown: the model is to be saved first.
#pragma once

#include <fstream>
#include <memory>
#include <string>

#include "report.h"
#include "tensorboard.h"

namespace pinhole {

class TrainingLogs {
 public:
  /// Where each goes; empty: nowhere. Throws Error when one cannot be begun.
  struct Places {
    std::string jsonl, csv, tensorboard;
  };
  /// `history`: the epochs that a resumed training has behind it; null for a new one. JSON lines go on where they end; the CSV
  /// table is written anew.
  TrainingLogs(const Places& places, const std::vector<EpochResult>* history);

  void step(const StepResult& step, double images_per_second);
  void epoch(const EpochRecord& record, std::int64_t steps);
  /// After the last epoch: the confusion matrix and the surest mistakes as pictures, for TensorBoard.
  void pictures(const EvaluationResult& validation, Model& model, const ImageDataset& data,
                std::int64_t steps);

  /// What could not be written; empty when all was.
  std::string failed() const;

 private:
  std::string jsonl_path_, csv_path_;
  std::ofstream jsonl_, csv_;
  std::unique_ptr<TensorBoard> tensorboard_;
};

/// A confusion matrix as RGB pixels: each row is the true class, the darker the larger the part of its images. `side` pixels a field.
std::vector<std::uint8_t> confusion_pixels(const ConfusionMatrix& confusion, int side);

}  // namespace pinhole
