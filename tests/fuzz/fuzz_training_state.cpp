// Training states, their checksum made right: what is read is offered to a trainer, which takes it or refuses it.
#include <cstdlib>

#include "checked_file.h"
#include "error.h"
#include "file.h"
#include "training_state.h"

namespace {

using namespace pinhole;

ImageDataset images() {
  ImageDataset data(4, 4, 1, {"a", "b"});
  for (int i = 0; i < 6; ++i) {
    std::vector<std::uint8_t> pixels(16, static_cast<std::uint8_t>(40 * i));
    data.add(pixels, i % 2);
  }
  return data;
}

Model tiny_model() {
  return {parse_json(R"({"format": "pinhole/1", "name": "Tiny", "input": [4, 4, 1], "layers": [
              {"type": "Flatten"}, {"type": "Linear", "name": "fc", "out_features": "classes"}]})",
                     "the spec"),
          2, make_backend("reference", 1)};
}

}  // namespace

/// With PINHOLE_WRITE_SEED=FILE in the environment: writes a sound state there, for the corpus, and ends.
extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  const char* path = std::getenv("PINHOLE_WRITE_SEED");
  if (path == nullptr) return 0;
  const ImageDataset data = images();
  Model model = tiny_model();
  TrainerOptions options;
  options.batch_size = 4;
  Trainer trainer(model, data, options);
  trainer.step();
  write_file_atomic(path, save_training_state(trainer, nullptr));
  std::exit(0);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ImageDataset kImages = images();
  static Model model = tiny_model();
  try {
    const TrainingState state = read_training_state(with_checksum({data, size}), "the state");
    Trainer trainer(model, kImages, options_of(state));
    resume_training(trainer, state, nullptr);
  } catch (const Error&) {}
  return 0;
}
