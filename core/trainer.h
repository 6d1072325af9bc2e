// Trainer::step() trains one batch, Evaluation::step() scores one: the step belongs to the core, the loop to the front end,
// which so can show progress and stop between any two.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "dataset.h"
#include "metrics.h"
#include "model.h"
#include "optimizer.h"

namespace pinhole {

struct TrainerOptions {
  OptimizerOptions optimizer;
  int batch_size = 32;
  std::uint64_t seed = 0;  // order of the images and Dropout's masks
  bool shuffle = true;
};

struct StepResult {
  std::int64_t step = 0;  // from 1
  int epoch = 0;  // from 1
  int images = 0;  // in this batch
  double loss = 0;  // mean over the batch, before the update
  int correct = 0;  // predicted right, before the update
  bool end_of_epoch = false;
};

class Trainer {
 public:
  /// Both must outlive the trainer. Throws Error when the data set does not fit the model (image size, classes, empty).
  Trainer(Model& model, const ImageDataset& data, const TrainerOptions& options);

  /// One batch: forward, loss, backward, update. The last batch of an epoch may be smaller.
  /// Throws Error when the loss is not finite.
  StepResult step();
  int steps_per_epoch() const;
  Optimizer& optimizer() { return *optimizer_; }

 private:
  void start_epoch();

  Model& model_;
  const ImageDataset& data_;
  TrainerOptions options_;
  std::unique_ptr<Optimizer> optimizer_;
  std::vector<std::uint32_t> order_;
  std::size_t position_ = 0;
  std::int64_t step_ = 0;
  int epoch_ = 0;
  Tensor x_, dlogits_;
  std::vector<int> labels_;
};

struct EvaluationResult {
  double loss = 0;  // mean over the images
  ConfusionMatrix confusion;
};

class Evaluation {
 public:
  Evaluation(Model& model, const ImageDataset& data, int batch_size = 32);
  /// Scores one batch; false when all are done.
  bool step();
  std::size_t done() const { return position_; }
  EvaluationResult result() const;
  /// Of every image scored so far, in the data set's order: classes() values each.
  const std::vector<real>& probabilities() const { return probabilities_; }

 private:
  Model& model_;
  const ImageDataset& data_;
  int batch_size_;
  std::size_t position_ = 0;
  double loss_sum_ = 0;
  ConfusionMatrix confusion_;
  std::vector<real> probabilities_;
  Tensor x_, dlogits_;
  std::vector<int> labels_;
  std::vector<std::uint32_t> indices_;
};

/// The whole data set at once.
EvaluationResult evaluate(Model& model, const ImageDataset& data, int batch_size = 32);

/// Throws Error when `data` cannot be used with `model`: another image size or another number of classes.
void check_data_fits(const Model& model, const ImageDataset& data);

}  // namespace pinhole
