#include "trainer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "error.h"
#include "finite.h"
#include "loss.h"
#include "nearest_mean.h"

namespace pinhole {

namespace {

int count_correct(const Tensor& logits, const std::vector<int>& labels) {
  const int outputs = logits.shape().c;
  int correct = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    correct += predicted_class(logits.data() + i * static_cast<std::size_t>(outputs), outputs) ==
               labels[i];
  }
  return correct;
}

/// Whether the last epoch is better than all before it.
bool is_better(const TrainerProgress& progress) {
  if (progress.best_epoch == 0) return true;
  const EpochResult& best = progress.history[static_cast<std::size_t>(progress.best_epoch - 1)];
  const EpochResult& last = progress.history.back();
  return last.val_accuracy > best.val_accuracy ||
         (last.val_accuracy == best.val_accuracy && last.val_loss < best.val_loss);
}

/// scikit-learn's "balanced".
std::vector<double> balanced_weights(const ImageDataset& data) {
  std::vector<double> weights;
  const std::vector<std::size_t> counts = data.class_counts();
  for (const std::size_t count : counts) {
    weights.push_back(count == 0 ? 1
                                 : static_cast<double>(data.size()) /
                                       static_cast<double>(counts.size() * count));
  }
  return weights;
}

void check(bool ok, std::string_view name, std::string_view expected, double got) {
  if (!ok) throw Error(text(name, " expected ", expected, ", got ", got));
}

}  // namespace

void check_data_fits(const Model& model, const ImageDataset& data) {
  const Shape want = model.input_shape();
  const Shape have{1, data.height(), data.width(), data.channels()};
  if (have != want) {
    throw Error(text(model.name(), " takes images of ", item_text(want), ", the data set has ",
                     item_text(have)));
  }
  if (static_cast<int>(data.classes().size()) != model.classes()) {
    throw Error(text(model.name(), " tells ", model.classes(), " classes apart, the data set has ",
                     data.classes().size()));
  }
}

Trainer::Trainer(Model& model, const ImageDataset& data, const TrainerOptions& options)
    : model_(model), data_(data), options_(options), optimizer_(make_optimizer(options.optimizer)) {
  check_data_fits(model, data);
  if (!options.augment.empty() && data.channels() != 1 && data.channels() != 3)
    throw Error(text("augmentation takes images of 1 or 3 channels, not ", data.channels()));
  if (data.size() == 0) throw Error("cannot train on an empty data set");
  if (options.batch_size < 1)
    throw Error(text("batch size expected 1 or more, got ", options.batch_size));
  if (options.epochs < 1) throw Error(text("epochs expected 1 or more, got ", options.epochs));
  constexpr int kUsualEpochs = 1000;  // steps of so many take no memory for their history
  progress_.history.reserve(static_cast<std::size_t>(std::min(options.epochs, kUsualEpochs)));
  joins_last_ = model.state().size() > model.parameters().size() && options.batch_size > 1;
  check(options.augment_views >= 0, "augment_views", "a whole number of at least 0",
        options.augment_views);
  const bool augmented = !options.augment.empty();
  const int views = augmented ? std::min(options.augment_views, options.epochs) : 1;
  check_mix(options.mix);
  // Mixed images are new every time.
  if (views > 0 && !options.mix.any() && FeatureCache::pays(model, data, views)) {
    features_ = std::make_unique<FeatureCache>(
        model, data,
        FeatureCache::Views{.augmentation = options.augment, .seed = options.seed, .count = views});
  }
  if (options.nearest_mean_start) {
    check_nearest_mean(model);
    if (!features_) start_features_ = std::make_unique<FeatureCache>(model, data);
  }
  check(options.patience >= 0, "patience", "0 epochs or more", options.patience);
  check_schedule(options.schedule);
  const double smoothing = options.loss.label_smoothing;
  check(smoothing >= 0 && smoothing < 1, "label smoothing", "a number from 0 to below 1",
        smoothing);
  const double norm = options.clip_grad_norm;
  check(std::isfinite(norm) && norm >= 0, "clip_grad_norm", "a number of at least 0", norm);
  check(options.ema_decay >= 0 && options.ema_decay < 1, "ema_decay", "a number from 0 to below 1",
        options.ema_decay);
  for (const double weight : options.loss.class_weights)
    check(std::isfinite(weight) && weight > 0, "a class weight", "a number above 0", weight);
  loss_ = options.loss;
  if (options.balanced_classes) loss_.class_weights = balanced_weights(data);
  if (!loss_.class_weights.empty() && loss_.class_weights.size() != data.classes().size()) {
    throw Error(text("class weights expected one for each of the ", data.classes().size(),
                     " classes, got ", loss_.class_weights.size()));
  }
  if (options.patience > 0) options_.keep_best = true;
}

int Trainer::view() const {
  if (options_.augment.empty()) return 1;
  return options_.augment_views == 0 ? progress_.epoch
                                     : (progress_.epoch - 1) % options_.augment_views + 1;
}

bool Trainer::prepare_step() {
  FeatureCache* const features = start_features_ ? start_features_.get() : features_.get();
  if (features == nullptr) return false;
  const bool more = features->step(options_.batch_size);
  if (options_.nearest_mean_start && !started_from_means_ && progress_.step == 0 &&
      features->done() >= data_.size()) {
    set_to_nearest_mean(model_, *features, data_);
    started_from_means_ = true;
    start_features_.reset();
  }
  return more;
}

std::size_t Trainer::prepared() const {
  if (start_features_) return start_features_->done();
  return features_ ? features_->done() : 0;
}

std::size_t Trainer::to_prepare() const {
  if (start_features_) return start_features_->total();
  return features_ ? features_->total() : 0;
}

int Trainer::steps_per_epoch() const {
  const auto batch = static_cast<std::size_t>(options_.batch_size);
  const std::size_t joined = joins_last_ && data_.size() > 1 && data_.size() % batch == 1 ? 1 : 0;
  return static_cast<int>((data_.size() + batch - 1) / batch - joined);
}

void Trainer::make_order() {
  order_.resize(data_.size());
  std::iota(order_.begin(), order_.end(), 0U);
  if (!options_.shuffle) return;
  constexpr std::uint64_t kStream = 2;
  Rng rng(mix64(options_.seed) + static_cast<std::uint64_t>(progress_.epoch), kStream);
  shuffle(order_, rng);
}

bool Trainer::epoch_ended() const {
  return progress_.epoch > 0 && progress_.position == data_.size() &&
         progress_.history.size() < static_cast<std::size_t>(progress_.epoch);
}

const EpochResult& Trainer::end_epoch(std::optional<double> val_loss,
                                      std::optional<double> val_accuracy) {
  if (!epoch_ended()) throw Error("an epoch can be closed once, after its last step");
  const auto images = static_cast<double>(progress_.position);
  progress_.history.push_back({.epoch = progress_.epoch,
                               .train_loss = progress_.loss_sum / images,
                               .train_accuracy = static_cast<double>(progress_.correct) / images,
                               .val_loss = val_loss,
                               .val_accuracy = val_accuracy});
  if (val_loss && val_accuracy && is_better(progress_)) {
    progress_.best_epoch = progress_.epoch;
    if (options_.keep_best) {
      use_average(true);
      copy_weights(weights(), best_weights_);
      use_average(false);
    }
  }
  return progress_.history.back();
}

bool Trainer::finish() {
  const bool last_is_best = progress_.position == data_.size() && !epoch_ended() &&
                            progress_.best_epoch == progress_.epoch;
  use_average(false);
  const bool other = !best_weights_.empty() && !last_is_best;
  if (!best_weights_.empty()) {
    set_weights(weights(), best_weights_);
  } else if (!average_.empty()) {
    set_weights(weights(), average_);
  }
  best_weights_.clear();
  average_.clear();
  return other;
}

void Trainer::use_average(bool use) {
  if (use == average_used_ || average_.empty()) return;
  swap_weights(weights(), average_);
  average_used_ = use;
}

bool Trainer::finished() const {
  const std::size_t closed = progress_.history.size();
  const bool impatient = options_.patience > 0 && progress_.best_epoch > 0 &&
                         closed >= static_cast<std::size_t>(progress_.best_epoch) +
                                       static_cast<std::size_t>(options_.patience);
  return impatient || closed >= static_cast<std::size_t>(options_.epochs);
}

void Trainer::set_progress(TrainerProgress progress) {
  const auto epochs = static_cast<std::int64_t>(progress.epoch);
  const auto closed = static_cast<std::int64_t>(progress.history.size());
  const auto batch = static_cast<std::size_t>(options_.batch_size);
  const bool whole = progress.position == data_.size();
  const bool fits =
      epochs >= 0 && progress.position <= data_.size() &&
      (whole ? closed == epochs || closed == epochs - 1
             : closed == std::max<std::int64_t>(epochs - 1, 0)) &&
      (whole || progress.position % batch == 0) && progress.best_epoch >= 0 &&
      progress.best_epoch <= closed &&
      progress.step ==
          std::max<std::int64_t>(epochs - 1, 0) * steps_per_epoch() +
              (whole && epochs > 0
                   ? steps_per_epoch()
                   : static_cast<std::int64_t>((progress.position + batch - 1) / batch));
  if (!fits)
    throw Error("the training state contradicts itself: epoch, step and position do not fit");
  progress_ = std::move(progress);
  if (progress_.step > 0) start_features_.reset();
  if (progress_.epoch > 0) make_order();
}

StepResult Trainer::step() {
  use_average(false);
  while (prepare_step()) {}
  if (epoch_ended()) end_epoch();
  if (progress_.position == order_.size()) {
    ++progress_.epoch;
    progress_.position = 0;
    progress_.loss_sum = 0;
    progress_.correct = 0;
    make_order();
  }
  std::size_t count =
      std::min(static_cast<std::size_t>(options_.batch_size), order_.size() - progress_.position);
  if (joins_last_ && order_.size() - progress_.position - count == 1) ++count;

  StepResult result{
      .step = progress_.step + 1, .epoch = progress_.epoch, .images = static_cast<int>(count)};
  const Tensor& logits = forward(std::span(order_).subspan(progress_.position, count),
                                 static_cast<std::uint64_t>(result.step));
  // Of mixed images, the label that has the larger part is right.
  result.correct = count_correct(logits, share_ < 0.5 ? second_labels_ : labels_);
  result.loss = loss(model_.loss(), logits, labels_, dlogits_, loss_,
                     {.labels = second_labels_, .share = share_});
  result.lr = learning_rate(options_.schedule, options_.optimizer.lr, progress_.step,
                            steps_per_epoch(), options_.epochs);
  if (!std::isfinite(result.loss)) throw diverged("the loss is not a finite number", result);
  model_.zero_grad();
  model_.backward(x_, dlogits_);
  const std::vector<Parameter*> parameters = model_.parameters();
  for (const Parameter* p : parameters) {
    // Before the weights are changed by it.
    if (!p->grad_empty && !all_finite(model_.backend().pool(), p->grad))
      throw diverged(text("the gradient of ", p->name, " is not finite"), result);
  }
  if (options_.clip_grad_norm > 0) clip_grad_norm(parameters, options_.clip_grad_norm);
  optimizer_->lr = result.lr;
  optimizer_->step(model_.backend(), parameters);
  if (options_.ema_decay > 0) {
    const auto steps = static_cast<double>(result.step);
    average_weights(weights(), std::min(options_.ema_decay, (1 + steps) / (10 + steps)), average_);
  }

  ++progress_.step;
  progress_.position += count;
  progress_.loss_sum += result.loss * static_cast<double>(count);
  progress_.correct += result.correct;
  result.end_of_epoch = progress_.position == order_.size();
  return result;
}

Error Trainer::diverged(std::string_view what, const StepResult& at) {
  std::string where;
  for (const Parameter* p : model_.state()) {
    if (!all_finite(model_.backend().pool(), p->value)) {
      where = text(p->name, " holds");
      break;
    }
  }
  if (where.empty()) {
    where = model_.first_not_finite();
    if (!where.empty()) where += " gives";
  }
  if (!where.empty()) where = ": " + where + " NaN or infinity";
  return Error(text(what, " at step ", at.step, " (epoch ", at.epoch, ")", where,
                    "; the training diverged, try a smaller learning rate than ", at.lr));
}

const Tensor& Trainer::forward(std::span<const std::uint32_t> indices, std::uint64_t number) {
  if (!features_) {
    const ImageDataset::Change change{options_.augment, options_.seed, view()};
    data_.batch(indices, x_, labels_, model_.backend().pool(),
                options_.augment.empty() ? nullptr : &change);
    if (options_.mix.any()) {
      share_ =
          mix_batch(options_.mix, options_.seed, number, x_, unmixed_, model_.backend().pool());
      labels_before(labels_, second_labels_);
    }
    return model_.forward(x_, Pass::kTrain, options_.seed, number);
  }
  features_->gather(indices, x_, view());
  labels_.clear();
  for (const std::uint32_t index : indices) labels_.push_back(data_.label(index));
  return model_.forward_features(x_, Pass::kTrain, options_.seed, number);
}

Evaluation Trainer::evaluation(const ImageDataset& data) {
  if (val_ != &data) {
    val_ = &data;
    val_features_ =
        FeatureCache::pays(model_, data) ? std::make_unique<FeatureCache>(model_, data) : nullptr;
  }
  return Evaluation(model_, data, options_.batch_size, val_features_.get());
}

Evaluation::Evaluation(Model& model, const ImageDataset& data, int batch_size,
                       FeatureCache* features)
    : model_(model),
      data_(data),
      batch_size_(batch_size),
      features_(features),
      confusion_(model.classes()) {
  check_data_fits(model, data);
  if (batch_size < 1) throw Error(text("batch size expected 1 or more, got ", batch_size));
  if (features == nullptr && model.frozen_layers() > 0)
    batch_size_ = std::min(batch_size, FeatureCache::kMostAtOnce);
  probabilities_.reserve(data.size() * static_cast<std::size_t>(model.classes()));
}

bool Evaluation::step() {
  const std::size_t count =
      std::min(static_cast<std::size_t>(batch_size_), data_.size() - position_);
  if (count == 0) return false;
  indices_.resize(count);
  std::iota(indices_.begin(), indices_.end(), static_cast<std::uint32_t>(position_));
  if (features_ != nullptr) {
    while (features_->done() < position_ + count) features_->step(batch_size_);
    features_->gather(indices_, x_);
    labels_.clear();
    for (const std::uint32_t index : indices_) labels_.push_back(data_.label(index));
  } else {
    data_.batch(indices_, x_, labels_, model_.backend().pool());
  }
  const Tensor& logits = features_ != nullptr ? model_.forward_features(x_) : model_.forward(x_);
  loss_sum_ += loss(model_.loss(), logits, labels_, dlogits_) * static_cast<double>(count);
  const int outputs = model_.outputs();
  for (std::size_t i = 0; i < count; ++i) {
    confusion_.add(labels_[i],
                   predicted_class(logits.data() + i * static_cast<std::size_t>(outputs), outputs));
  }
  const Tensor& shown = model_.probabilities(logits);
  probabilities_.insert(probabilities_.end(), shown.data(), shown.data() + shown.size());
  position_ += count;
  return true;
}

EvaluationResult Evaluation::result() const {
  return {.loss = position_ == 0 ? 0 : loss_sum_ / static_cast<double>(position_),
          .confusion = confusion_};
}

EvaluationResult evaluate(Model& model, const ImageDataset& data, int batch_size) {
  Evaluation evaluation(model, data, batch_size);
  while (evaluation.step()) {}
  return evaluation.result();
}

}  // namespace pinhole
