// The training state on disk: one file in a folder of its own, always whole, whatever ends the program.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "training_state.h"

namespace pinhole {

class Checkpoint {
 public:
  /// Makes the folder when it is not there. Throws Error when it cannot be used, or when it holds a state that `resume` does
  /// not ask for: hours of work are not overwritten by a forgotten option.
  Checkpoint(const std::filesystem::path& folder, bool resume);

  /// What there is to go on from; nothing in a new folder.
  std::optional<TrainingState> read() const;
  void write(Trainer& trainer, const ImageDataset* val, const Json& notes) const;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Brings the lines of a --log to where a training goes on: what was written after that will be written again.
void trim_log(const std::filesystem::path& log, const TrainerProgress& progress);

}  // namespace pinhole
