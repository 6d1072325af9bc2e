// A model's spec: what is accepted must run, and its exporters must answer or refuse.
#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "error.h"
#include "json.h"
#include "model.h"
#include "model_file.h"
#include "onnx.h"
#include "torch_source.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pinhole;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  constexpr std::size_t kMost = 100'000;  // weights, and values of a layer
  try {
    Model model(parse_json(text, "the spec"), 3, make_backend("reference", 1), kMost);
    std::size_t most = model.input_shape().item();
    for (const Model::LayerInfo& layer : model.layers()) most = std::max(most, layer.output.item());
    if (most > kMost) return 0;
    Tensor x(model.input_shape().with_n(2));
    x.fill(0.5);
    const Tensor& y = model.predict(x);
    if (y.shape().n != 2 || y.shape().c != model.classes()) std::abort();
    const ModelInfo info{
        .classes = std::vector<std::string>(static_cast<std::size_t>(model.classes()), "a")};
    load_model(save_model(model, info), make_backend("reference", 1), "what was saved");
    export_onnx(model, info, OnnxForm::kClassifier);
    export_torch(model, info, "w.safetensors");
  } catch (const Error&) {}
  return 0;
}
