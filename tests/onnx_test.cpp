// What an ONNX file says of itself, read back by a reader of its own. That ONNX Runtime gives the same numbers is shown by
// tests/interop/exports.mjs.
#include "onnx.h"

#include <gtest/gtest.h>

#include <cstring>

#include "error.h"
#include "json.h"
#include "model_file.h"
#include "protobuf_fields.h"
#include "torch_source.h"

namespace pinhole {
namespace {

using Field = ProtobufField;

Model model_of(std::string_view layers, std::string_view input = "[6, 5, 3]", int classes = 3) {
  return {parse_json(text(R"({"format": "pinhole/1", "name": "Net", "input": )", input,
                          R"(, "layers": )", layers, "}"),
                     "spec"),
          classes, make_backend("reference", 1)};
}

constexpr std::string_view kSmall = R"([
  {"type": "Conv2d", "name": "conv1", "out_channels": 4, "kernel_size": 3},
  {"type": "ReLU", "name": "relu"},
  {"type": "Dropout", "name": "drop"},
  {"type": "Flatten", "name": "flatten"},
  {"type": "Linear", "name": "fc", "out_features": "classes"},
  {"type": "Softmax", "name": "softmax"}])";
const ModelInfo kInfo{.classes = {"a", "b", "ö"}};

struct Graph {
  std::vector<Field> file, graph;
  std::vector<std::string> nodes, initializers, inputs, outputs;

  Graph(const Model& model, const ModelInfo& info, OnnxForm form) {
    const std::vector<std::uint8_t> bytes = export_onnx(model, info, form);
    file = fields({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    graph = fields(text_of(file, 7));
    for (const Field& node : all_of(graph, 1)) nodes.push_back(text_of(fields(node.bytes), 3));
    for (const Field& tensor : all_of(graph, 5))
      initializers.push_back(text_of(fields(tensor.bytes), 8));
    for (const Field& info_field : all_of(graph, 11))
      inputs.push_back(text_of(fields(info_field.bytes), 1));
    for (const Field& info_field : all_of(graph, 12))
      outputs.push_back(text_of(fields(info_field.bytes), 1));
  }
};

using Names = std::vector<std::string>;

TEST(Onnx, file_says_opset_18_and_ir_version_8) {
  const Graph onnx(model_of(kSmall), kInfo, OnnxForm::kNetwork);
  EXPECT_EQ(all_of(onnx.file, 1).at(0).value, 8U);
  EXPECT_EQ(all_of(fields(text_of(onnx.file, 8)), 2).at(0).value, 18U);
  EXPECT_EQ(text_of(onnx.graph, 2), "Net");
}

TEST(Onnx, names_are_those_of_pytorchs_exporter) {
  const Graph onnx(model_of(kSmall), kInfo, OnnxForm::kNetwork);
  EXPECT_EQ(onnx.inputs, Names{"input"});
  EXPECT_EQ(onnx.outputs, Names{"probabilities"});
  EXPECT_EQ(onnx.initializers, (Names{"conv1.weight", "conv1.bias", "fc.weight", "fc.bias"}));
  EXPECT_EQ(onnx.nodes, (Names{"/conv1/Conv", "/relu/Relu", "/flatten/Flatten", "/fc/Gemm",
                               "/softmax/Softmax", "/Identity"}));
}

TEST(Onnx, batch_is_symbolic_and_the_classifier_takes_any_size) {
  const auto dims = [](const std::string& info) {
    std::string out;
    const auto tensor = fields(text_of(fields(text_of(fields(info), 2)), 1));
    for (const Field& dim : all_of(fields(text_of(tensor, 2)), 1)) {
      const std::vector<Field> one = fields(dim.bytes);
      out += (one[0].number == 1 ? std::to_string(one[0].value) : one[0].bytes) + " ";
    }
    return out;
  };
  const Graph network(model_of(kSmall), kInfo, OnnxForm::kNetwork);
  EXPECT_EQ(dims(text_of(network.graph, 11)), "batch 3 6 5 ");
  EXPECT_EQ(dims(text_of(network.graph, 12)), "batch 3 ");
  const Graph classifier(model_of(kSmall), kInfo, OnnxForm::kClassifier);
  EXPECT_EQ(classifier.inputs, Names{"image"});
  EXPECT_EQ(dims(text_of(classifier.graph, 11)), "batch height width 3 ");
}

TEST(Onnx, metadata_holds_classes_and_spec) {
  const Model model = model_of(kSmall);
  const Graph onnx(model, kInfo, OnnxForm::kNetwork);
  std::map<std::string, std::string> metadata;
  for (const Field& entry : all_of(onnx.file, 14))
    metadata[text_of(fields(entry.bytes), 1)] = text_of(fields(entry.bytes), 2);
  EXPECT_EQ(metadata.at("classes"), R"(["a","b","ö"])");
  EXPECT_EQ(parse_json(metadata.at("spec"), "spec"), model.spec());
}

TEST(Onnx, weights_are_laid_out_as_in_the_state_dict) {
  Model model = model_of(kSmall);
  const Graph onnx(model, kInfo, OnnxForm::kNetwork);
  for (const Parameter* parameter : model.parameters()) {
    const StoredTensor stored = to_torch(*parameter, parameter->value);
    for (const Field& tensor : all_of(onnx.graph, 5)) {
      const std::vector<Field> parts = fields(tensor.bytes);
      if (text_of(parts, 8) != parameter->name) continue;
      const std::string data = text_of(parts, 9);
      ASSERT_EQ(data.size(), stored.values.size() * sizeof(float));
      EXPECT_EQ(std::memcmp(data.data(), stored.values.data(), data.size()), 0);
    }
  }
}

TEST(Onnx, a_network_without_its_last_layer_gives_probabilities_all_the_same) {
  const auto last_nodes = [](std::string_view layers, int classes) {
    const Graph onnx(model_of(layers, "[2, 2, 1]", classes), {.classes = {"a", "b"}},
                     OnnxForm::kNetwork);
    return Names(onnx.nodes.begin() + 2, onnx.nodes.end());
  };
  EXPECT_EQ(last_nodes(R"([{"type": "Flatten"}, {"type": "Linear", "out_features": 2}])", 2),
            (Names{"/probabilities/Softmax", "/Identity"}));
  EXPECT_EQ(last_nodes(R"([{"type": "Flatten"}, {"type": "Linear", "out_features": 1}])", 2),
            (Names{"/probabilities/Sigmoid", "/probabilities/Sub", "/probabilities/Concat",
                   "/Identity"}));
  EXPECT_EQ(
      last_nodes(
          R"([{"type": "Flatten"}, {"type": "Linear", "out_features": 1}, {"type": "Sigmoid"}])",
          2),
      (Names{"/2/Sigmoid", "/probabilities/Sub", "/probabilities/Concat", "/Identity"}));
}

TEST(Onnx, a_missing_flatten_is_added_where_pytorch_needs_one) {
  const Model model = model_of(
      R"([{"type": "AdaptiveAvgPool2d", "output_size": 1}, {"type": "Linear", "out_features": 3}])");
  const Graph onnx(model, kInfo, OnnxForm::kNetwork);
  EXPECT_EQ(onnx.nodes.at(1), "/1/Flatten");
  const std::string source = export_torch(model, kInfo, "w.safetensors");
  EXPECT_NE(source.find("torch.flatten(x, 1)\n        x = self._modules[\"1\"](x)"),
            std::string::npos)
      << source;
}

TEST(Onnx, a_convolution_after_flatten_is_refused_by_name) {
  const Model model = model_of(
      R"([{"type": "Flatten"}, {"type": "Conv2d", "name": "late", "out_channels": 3, "kernel_size": 1}])");
  for (const bool torch : {false, true}) {
    try {
      if (torch) {
        export_torch(model, kInfo, "w");
      } else {
        export_onnx(model, kInfo, OnnxForm::kNetwork);
      }
      ADD_FAILURE() << "exported";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("[Conv2d late]"), std::string::npos) << error.what();
    }
  }
}

TEST(Onnx, class_name_that_is_not_utf8_is_an_error) {
  const Model model = model_of(kSmall);
  EXPECT_THROW(export_onnx(model, {.classes = {"a", "b", "\xff"}}, OnnxForm::kNetwork), Error);
  EXPECT_THROW(export_torch(model, {.classes = {"a", "b", "\xff"}}, "w"), Error);
}

TEST(TorchSource, module_reads_as_a_person_writes_it) {
  const std::string source = export_torch(model_of(kSmall), kInfo, "net.safetensors");
  const std::string expected = R"(class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, kernel_size=3)
        self.relu = nn.ReLU()
        self.drop = nn.Dropout(0.5)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(48, 3)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x):
        x = self.conv1(x)
        x = self.relu(x)
        x = self.drop(x)
        x = self.flatten(x)
        x = self.fc(x)
        x = self.softmax(x)
        return x
)";
  EXPECT_NE(source.find(expected), std::string::npos) << source;
  EXPECT_NE(source.find("CLASSES = [\"a\",\"b\",\"ö\"]"), std::string::npos);
  EXPECT_EQ(source.find('@' + std::string("CLASS")), std::string::npos);
}

constexpr std::string_view kBlock = R"([
  {"type": "Residual", "name": "block", "body": [
     {"type": "Conv2d", "name": "conv1", "out_channels": 3, "kernel_size": 3, "padding": 1, "bias": false},
     {"type": "BatchNorm2d", "name": "bn1"}]},
  {"type": "AdaptiveAvgPool2d", "name": "pool", "output_size": 1}, {"type": "Flatten", "name": "flatten"},
  {"type": "Linear", "name": "fc", "out_features": "classes"}])";

TEST(Onnx, blocks_are_paths_and_their_weights_keep_their_names) {
  const Graph onnx(model_of(kBlock), kInfo, OnnxForm::kNetwork);
  EXPECT_EQ(Names(onnx.nodes.begin(), onnx.nodes.begin() + 3),
            (Names{"/block/body/conv1/Conv", "/block/body/bn1/BatchNormalization", "/block/Add"}));
  EXPECT_EQ(Names(onnx.initializers.begin(), onnx.initializers.begin() + 5),
            (Names{"block.body.conv1.weight", "block.body.bn1.weight", "block.body.bn1.bias",
                   "block.body.bn1.running_mean", "block.body.bn1.running_var"}));
}

TEST(TorchSource, blocks_are_sequences_in_a_module_of_their_own) {
  const std::string source = export_torch(model_of(kBlock), kInfo, "w");
  const std::string expected = R"(        self.block = Residual(nn.Sequential(OrderedDict([
            ("conv1", nn.Conv2d(3, 3, kernel_size=3, padding=1, bias=False)),
            ("bn1", nn.BatchNorm2d(3)),
        ])))
)";
  EXPECT_NE(source.find(expected), std::string::npos) << source;
  EXPECT_NE(source.find("class Residual(nn.Module):"), std::string::npos);
  EXPECT_NE(source.find("from collections import OrderedDict"), std::string::npos);
}

TEST(TorchSource, padding_that_torch_lacks_has_a_class_of_its_own) {
  const auto line = [](std::string_view stride) {
    return export_torch(
        model_of(
            text(
                R"([{"type": "Conv2d", "name": "c", "out_channels": 3, "kernel_size": 2, "padding": "same", "stride": )",
                stride, R"(}, {"type": "AdaptiveAvgPool2d", "output_size": 1}])"),
            "[5, 5, 3]"),
        kInfo, "w");
  };
  EXPECT_NE(line("1").find("nn.Conv2d(3, 3, kernel_size=2, padding=\"same\")"), std::string::npos);
  EXPECT_NE(line("2").find("PaddedConv2d((0, 1, 0, 1), 3, 3, kernel_size=2, stride=2)"),
            std::string::npos)
      << line("2");
}

TEST(TorchSource, names_that_python_cannot_have_as_attributes_are_kept) {
  const std::string source = export_torch(
      model_of(
          R"([{"type": "Flatten", "name": "forward"}, {"type": "ReLU", "name": "lambda"},
              {"type": "ReLU", "name": "a b\"\\"}, {"type": "Linear", "out_features": 3}])"),
      kInfo, "w");
  for (const char* name : {R"(self._modules["forward"] = )", R"(self._modules["lambda"] = )",
                           R"(self._modules["a b\"\\"] = )", R"(self._modules["3"] = )"})
    EXPECT_NE(source.find(name), std::string::npos) << name;
}

}  // namespace
}  // namespace pinhole
