// Trainer::step() trains one batch, Evaluation::step() scores one: the step belongs to the core, the loop to the front end,
// which so can show progress and stop between any two.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "augment.h"
#include "dataset.h"
#include "error.h"
#include "feature_cache.h"
#include "loss.h"
#include "metrics.h"
#include "mix.h"
#include "model.h"
#include "optimizer.h"
#include "scheduler.h"
#include "weights.h"

namespace pinhole {

struct TrainerOptions {
  OptimizerOptions optimizer = {};
  int batch_size = 32;
  std::uint64_t seed = 0;  // order of the images and Dropout's masks
  bool shuffle = true;
  int epochs = 10;  // the trainer says when they are done; step() goes on if asked
  bool keep_best = false;  // finish() brings back the epoch that was best on the validation images
  int patience =
      0;  // ends after so many epochs in a row that were not better, and keeps the best; 0: never
  ScheduleOptions schedule = {};
  LossOptions loss = {};
  bool balanced_classes =
      false;  // class weights from the data: images / (classes * images of the class)
  double clip_grad_norm = 0;  // 0: not clipped
  Augmentation augment = {};  // of the training images
  /// Looks that `augment` gives an image, one an epoch in turn; with frozen layers their features are computed once. 0: a new one
  /// every epoch.
  int augment_views = 0;
  MixOptions mix = {};  // of the images of a batch with each other
  /// A frozen trunk's head starts as the nearest-class-mean classifier (nearest_mean.h), not from what is in the model.
  bool nearest_mean_start = false;
  /// Validates and keeps a moving average of the weights instead of the last ones; 0: none. While it is young it forgets
  /// faster, min(ema_decay, (1 + steps) / (10 + steps)), as TensorFlow's ExponentialMovingAverage does with num_updates.
  double ema_decay = 0;
};

struct StepResult {
  std::int64_t step = 0;  // from 1
  int epoch = 0;  // from 1
  int images = 0;  // in this batch
  double loss = 0;  // mean over the batch, before the update
  int correct = 0;  // predicted right, before the update
  double lr = 0;  // learning rate of the update
  bool end_of_epoch = false;
};

/// One row of the history.
struct EpochResult {
  int epoch = 0;  // from 1
  // Means over the images as they were trained on, each before its step's update.
  double train_loss = 0, train_accuracy = 0;
  std::optional<double> val_loss = {}, val_accuracy = {};  // none without validation images
};

/// Where a training stands, weights and optimizer apart. Orders and masks follow from seed, epoch and step, so that this is
/// all there is to remember of chance.
struct TrainerProgress {
  int epoch = 0;  // the one begun last; 0: none
  std::int64_t step = 0;
  std::size_t position = 0;  // images of this epoch that are done
  double loss_sum = 0;  // over them
  std::int64_t correct = 0;  // of them
  std::vector<EpochResult> history;  // shorter than `epoch` until the epoch is closed
  int best_epoch = 0;  // the highest validation accuracy, of equals the lowest loss; 0: none yet
  std::vector<std::string> made_with;  // before it came here: the builds that computed it, in turn
};

class Evaluation;

class Trainer {
 public:
  /// Both must outlive the trainer. Throws Error when the data set does not fit the model (image size, classes, empty).
  Trainer(Model& model, const ImageDataset& data, const TrainerOptions& options);

  /// What comes before the first step: the features of a batch of images when the model has frozen layers. False when nothing
  /// is left to do; step() does all that is left. Of to_prepare() images, each counted once for every view, prepared() are done.
  bool prepare_step();
  std::size_t prepared() const;
  std::size_t to_prepare() const;
  /// With nearest_mean_start: the model has its first answer. In the middle of the preparation, if there are several views.
  bool started_from_means() const { return started_from_means_; }

  /// One batch: forward, loss, backward, update. The last batch of an epoch may be smaller; where BatchNorm2d needs more than one
  /// image, a single one that is left over joins the batch before it. Throws Error when the loss is not finite.
  StepResult step();
  /// An epoch's last step is done, and the epoch not yet closed.
  bool epoch_ended() const;
  /// Closes the epoch, with what the validation images gave. step() does so too, without any.
  const EpochResult& end_epoch(std::optional<double> val_loss = {},
                               std::optional<double> val_accuracy = {});
  /// Every epoch of the options is closed, or patience is at its end.
  bool finished() const;
  /// Gives the model the weights that it is to keep, when all is done, or stopped, or after an Error: the trainer's last act.
  /// False when they are those it had at the end.
  bool finish();
  int steps_per_epoch() const;
  /// Of the model as it is, on data that stays while the trainer does: what frozen layers give for it is computed once.
  Evaluation evaluation(const ImageDataset& data);

  Model& model() const { return model_; }
  const ImageDataset& data() const { return data_; }
  const TrainerOptions& options() const { return options_; }
  Optimizer& optimizer() { return *optimizer_; }

  /// What trains, and what a layer remembers besides.
  std::vector<Parameter*> weights() const { return model_.state(); }
  /// The weights of progress().best_epoch, like weights(); empty while there is none, or none is kept.
  Weights& best_weights() { return best_weights_; }
  /// The moving average of weights(); empty before the first step, or without one.
  Weights& average() { return average_; }
  /// Puts the average into the model, to validate it, and the trained weights back: between steps only.
  void use_average(bool use);

  const TrainerProgress& progress() const { return progress_; }
  /// Goes on from there; weights and the optimizer's state are set beside it (training_state.h does all three).
  /// Throws Error when it cannot be the progress of a training on this data.
  void set_progress(TrainerProgress progress);

 private:
  void make_order();
  /// Which of the images' looks this epoch shows, from 1.
  int view() const;
  /// Fills x_ and labels_, and mixes them.
  const Tensor& forward(std::span<const std::uint32_t> indices, std::uint64_t number);
  /// Says where NaN or infinity is, as far as it can be seen.
  Error diverged(std::string_view what, const StepResult& at);

  Model& model_;
  const ImageDataset& data_;
  TrainerOptions options_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<FeatureCache> features_, val_features_;
  std::unique_ptr<FeatureCache>
      start_features_;  // for the nearest means, where features_ is not there
  bool started_from_means_ = false;
  const ImageDataset* val_ = nullptr;  // whose features val_features_ holds
  bool joins_last_ = false;
  std::vector<std::uint32_t> order_;
  TrainerProgress progress_;
  Weights best_weights_, average_;
  bool average_used_ = false;
  LossOptions loss_;
  Tensor x_, unmixed_, dlogits_;
  std::vector<int> labels_, second_labels_;
  double share_ = 1;  // of labels_, where there are second ones
};

struct EvaluationResult {
  double loss = 0;  // mean over the images
  ConfusionMatrix confusion;
};

class Evaluation {
 public:
  /// `features`: of the same model and data, filled as far as needed; null when the images go through the whole model.
  Evaluation(Model& model, const ImageDataset& data, int batch_size = 32,
             FeatureCache* features = nullptr);
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
  FeatureCache* features_;
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
