// safetensors files: any (what is read must be written and read the same), as a state_dict, and as a saved model whose checksum is
// made right, so that what lies behind it is reached.
#include <cstdlib>

#include "checked_file.h"
#include "error.h"
#include "model_file.h"

namespace {

using namespace pinhole;

Model& small_model() {
  static Model model(parse_json(
                         R"({"format": "pinhole/1", "name": "Tiny", "input": [4, 4, 3], "layers": [
          {"type": "Conv2d", "name": "conv1", "out_channels": 2, "kernel_size": 3}, {"type": "BatchNorm2d", "name": "bn"},
          {"type": "Flatten"}, {"type": "Linear", "name": "fc", "out_features": "classes"}]})",
                         "the spec"),
                     2, make_backend("reference", 1));
  return model;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> bytes(data, size);
  try {
    const Safetensors file = read_safetensors(bytes, "the file");
    const Safetensors again = read_safetensors(write_safetensors(file), "what was written");
    if (again.metadata != file.metadata || again.tensors.size() != file.tensors.size())
      std::abort();
    for (const auto& [name, tensor] : file.tensors) {
      const StoredTensor& other = again.tensors.at(name);
      if (other.shape != tensor.shape || other.values.size() != tensor.values.size()) std::abort();
    }
    load_model(with_checksum(bytes), make_backend("reference", 1), "the file");
  } catch (const Error&) {}
  try {
    load_state_dict(small_model(), read_safetensors(bytes, "the file"), "the file");
  } catch (const Error&) {}
  return 0;
}
