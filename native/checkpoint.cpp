#include "checkpoint.h"

#include <sstream>

#include "error.h"
#include "file.h"
#include "report.h"

namespace pinhole {

namespace fs = std::filesystem;

Checkpoint::Checkpoint(const fs::path& folder, bool resume) : path_(folder / "state.safetensors") {
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (!fs::is_directory(folder))
    throw Error(text(folder.native(), ": cannot make this folder for the training state",
                     problem ? ": " + problem.message() : ""));
  if (!resume && fs::exists(path_)) {
    throw Error(text(path_.native(),
                     " is the state of an earlier training: --resume goes on with it; for a new "
                     "training name another folder or remove it"));
  }
  // What a killed program was writing.
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, problem)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".pinhole-") && name.ends_with(".tmp")) fs::remove(entry.path(), problem);
  }
}

std::optional<TrainingState> Checkpoint::read() const {
  if (!fs::exists(path_)) return std::nullopt;
  return read_training_state(read_file(path_), path_.native());
}

void Checkpoint::write(Trainer& trainer, const ImageDataset* val, const Json& notes) const {
  write_file_atomic(path_, save_training_state(trainer, val, notes));
}

void trim_log(const fs::path& log, const TrainerProgress& progress) {
  if (!fs::is_regular_file(log)) return;
  const std::vector<std::uint8_t> bytes = read_file(log);
  std::istringstream lines(std::string(bytes.begin(), bytes.end()));
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object()) break;  // the line that was being written
    const bool done = json.contains("step")
                          ? json["step"] <= progress.step
                          : json.contains("epoch") && json["epoch"] <= progress.history.size();
    if (done) kept += line + '\n';
  }
  write_file_atomic(log, {reinterpret_cast<const std::uint8_t*>(kept.data()), kept.size()});
}

}  // namespace pinhole
