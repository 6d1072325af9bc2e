#include "trainer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "error.h"
#include "loss.h"

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
  if (data.size() == 0) throw Error("cannot train on an empty data set");
  if (options.batch_size < 1)
    throw Error(text("batch size expected 1 or more, got ", options.batch_size));
}

int Trainer::steps_per_epoch() const {
  const auto batch = static_cast<std::size_t>(options_.batch_size);
  return static_cast<int>((data_.size() + batch - 1) / batch);
}

void Trainer::start_epoch() {
  ++epoch_;
  position_ = 0;
  order_.resize(data_.size());
  std::iota(order_.begin(), order_.end(), 0U);
  if (!options_.shuffle) return;
  constexpr std::uint64_t kStream = 2;
  Rng rng(mix64(options_.seed) + static_cast<std::uint64_t>(epoch_), kStream);
  shuffle(order_, rng);
}

StepResult Trainer::step() {
  if (position_ == order_.size()) start_epoch();
  const std::size_t count =
      std::min(static_cast<std::size_t>(options_.batch_size), order_.size() - position_);
  data_.batch(std::span(order_).subspan(position_, count), x_, labels_, model_.backend().pool());

  const auto number = static_cast<std::uint64_t>(step_ + 1);
  const Tensor& logits = model_.forward(x_, Pass::kTrain, options_.seed, number);
  StepResult result{.step = step_ + 1, .epoch = epoch_, .images = static_cast<int>(count)};
  result.correct = count_correct(logits, labels_);
  result.loss = loss(model_.loss(), logits, labels_, dlogits_);
  if (!std::isfinite(result.loss)) {
    throw Error(text("the loss is not a finite number at step ", result.step, " (epoch ", epoch_,
                     "): the training diverged; try a smaller learning rate than ",
                     optimizer_->lr));
  }
  model_.zero_grad();
  model_.backward(x_, dlogits_);
  optimizer_->step(model_.backend(), model_.parameters());

  ++step_;
  position_ += count;
  result.end_of_epoch = position_ == order_.size();
  return result;
}

Evaluation::Evaluation(Model& model, const ImageDataset& data, int batch_size)
    : model_(model), data_(data), batch_size_(batch_size), confusion_(model.classes()) {
  check_data_fits(model, data);
  if (batch_size < 1) throw Error(text("batch size expected 1 or more, got ", batch_size));
  probabilities_.reserve(data.size() * static_cast<std::size_t>(model.classes()));
}

bool Evaluation::step() {
  const std::size_t count =
      std::min(static_cast<std::size_t>(batch_size_), data_.size() - position_);
  if (count == 0) return false;
  indices_.resize(count);
  std::iota(indices_.begin(), indices_.end(), static_cast<std::uint32_t>(position_));
  data_.batch(indices_, x_, labels_, model_.backend().pool());
  const Tensor& logits = model_.forward(x_);
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
