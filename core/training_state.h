// The whole of a training as a safetensors file, to go on from later: weights, the optimizer's moments, where it stands, its
// history and recipe, and what it was trained on. Going on gives the bits that the training would have had without the pause;
// on another target or backend it gives that training's numbers as nearly as the two agree.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "json.h"
#include "model_file.h"
#include "trainer.h"

namespace pinhole {

/// Between any two calls of the trainer. `val`: the images it is validated on, or null. `notes`: what the caller wants back.
std::vector<std::uint8_t> save_training_state(Trainer& trainer, const ImageDataset* val,
                                              const Json& notes = Json::object());

/// {epoch, step, position, loss_sum, correct, best_epoch, history: [{epoch, train_loss, train_accuracy, val_loss, val_accuracy}]}
Json progress_json(const TrainerProgress& progress);

/// What a state says before there is a trainer to go on with it.
struct TrainingState {
  std::string what;  // starts messages: a file name
  Json spec, recipe, notes;
  std::vector<std::string> classes;
  TrainerProgress progress;
  Safetensors file;
};

/// Throws Error when the bytes are damaged or no training state.
TrainingState read_training_state(std::span<const std::uint8_t> bytes, std::string_view what);

/// The trainer's options, with the state's values where the caller has no opinion: keys that `asked` has must agree.
TrainerOptions options_of(const TrainingState& state, const Json& asked = Json::object());

/// A sentence when what comes out here cannot be, to the bit, that of a training that is never interrupted, because other kernels
/// or another build, which round differently, computed a part of it; else empty. The number of threads makes no difference.
std::string inexact_because(const TrainingState& state, const Backend& backend);

/// Brings a new trainer to where the state's was. Throws Error in one sentence when the state is of another model, other
/// images or other options; then nothing has changed.
void resume_training(Trainer& trainer, const TrainingState& state, const ImageDataset* val);

}  // namespace pinhole
