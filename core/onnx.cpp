// Field numbers and types are those of onnx.proto (https://github.com/onnx/onnx/blob/v1.13.0/onnx/onnx.proto).
#include "onnx.h"

#include <algorithm>
#include <array>

#include "error.h"
#include "model_file.h"

namespace pinhole {

namespace {

constexpr int kIrVersion = 8;
constexpr int kOpset = 18;
constexpr std::size_t kLargestFile = (std::size_t{1} << 31U) - 1;  // of a protobuf message

// TensorProto.DataType
constexpr int kFloat = 1, kUint8 = 2, kInt64 = 7, kDouble = 11;

Protobuf attribute_message(const OnnxAttribute& attribute) {
  enum Type { kTypeFloat = 1, kTypeInt = 2, kTypeString = 3, kTypeInts = 7 };
  Protobuf message;
  message.bytes(1, attribute.name);
  if (const auto* number = std::get_if<float>(&attribute.value)) {
    message.number(2, *number).integer(20, kTypeFloat);
  } else if (const auto* integer = std::get_if<std::int64_t>(&attribute.value)) {
    message.integer(3, *integer).integer(20, kTypeInt);
  } else if (const auto* word = std::get_if<std::string>(&attribute.value)) {
    message.bytes(4, *word).integer(20, kTypeString);
  } else {
    for (const std::int64_t value : std::get<std::vector<std::int64_t>>(attribute.value))
      message.integer(8, value);
    message.integer(20, kTypeInts);
  }
  return message;
}

Protobuf value_info(std::string_view name, int type,
                    std::span<const OnnxGraph::Dimension> dimensions) {
  Protobuf shape;
  for (const OnnxGraph::Dimension& dimension : dimensions) {
    Protobuf one;
    if (const auto* size = std::get_if<std::int64_t>(&dimension)) {
      one.integer(1, *size);
    } else {
      one.bytes(2, std::get<std::string>(dimension));
    }
    shape.message(1, one);
  }
  Protobuf tensor, value, info;
  tensor.integer(1, type).message(2, shape);
  value.message(1, tensor);
  info.bytes(1, name).message(2, value);
  return info;
}

template <class T>
std::string_view raw(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

/// Writes the preprocessing: to_input and the division by 255 in ONNX's words.
class Preprocessing {
 public:
  explicit Preprocessing(OnnxGraph& graph) : graph_(graph) {}

  /// RGB uint8 [n, h, w, 3] of any size -> float [n, channels, height, width] in [0, 1].
  std::string run(std::string x, const Preparation& input) {
    if (input.center_crop) x = center_crop(x, input);
    const std::string shape = node("Shape", {x});
    x = node("Cast", {x}, {{"to", std::int64_t{kFloat}}});
    if (input.channels == 1) x = luma(x);
    x = node("Transpose", {x}, {{"perm", std::vector<std::int64_t>{0, 3, 1, 2}}});
    // Horizontally, then vertically, each to whole numbers: Pillow's order, and so its bytes.
    const Weights columns = weights(shape, 2, input.width), rows = weights(shape, 1, input.height);
    // One statement a node: arguments are evaluated in an order that compilers choose, and the file is to be the same from all.
    std::string high = node("MatMul", {x, columns.high});
    std::string low = node("MatMul", {x, columns.low});
    x = rounded(high, low);
    high = node("MatMul", {node("Transpose", {rows.high}), x});
    low = node("MatMul", {node("Transpose", {rows.low}), x});
    x = rounded(high, low);
    return node("Div", {x, number(255.0F)});
  }

 private:
  /// In units of 2^-22, the upper and the lower 11 bits apart: float [size in, size out].
  struct Weights {
    std::string high, low;
  };
  static constexpr double kUnits = 1 << 22, kLow = 1 << 11;

  std::string node(std::string_view op, std::initializer_list<std::string_view> inputs,
                   const std::vector<OnnxAttribute>& attributes = {}) {
    return graph_.node("preprocess", op, {inputs.begin(), inputs.end()}, attributes);
  }
  template <class T>
  std::string number(T value) {
    return graph_.constant("preprocess", std::span<const T>(&value, 1), {});
  }

  std::string numbers(std::initializer_list<std::int64_t> values) {
    return graph_.constant("preprocess", std::span<const std::int64_t>(values),
                           {static_cast<std::int64_t>(values.size())});
  }

  /// image.h's, of [n, h, w, 3].
  std::string center_crop(const std::string& x, const Preparation& input) {
    const std::string size =
        node("Shape", {x}, {{"start", std::int64_t{1}}, {"end", std::int64_t{3}}});
    const std::string other = node("Gather", {size, numbers({1, 0})});
    const std::string scaled = node("Mul", {other, numbers({input.height, input.width})});
    const std::string largest = node("Div", {scaled, numbers({input.width, input.height})});
    const std::string part = node("Max", {node("Min", {size, largest}), numbers({1})});
    const std::string start = node("Div", {node("Sub", {size, part}), numbers({2})});
    const std::string end = node("Add", {start, part});
    return node("Slice", {x, start, end, numbers({1, 2})});
  }

  /// Pillow's convert("L"), exact in float: every sum is a whole number below 2^24.
  std::string luma(const std::string& x) {
    constexpr std::array<float, 3> parts{19595, 38470, 7471};
    const std::string sum =
        node("MatMul", {x, graph_.constant("preprocess", std::span<const float>(parts), {3, 1})});
    return node("Floor",
                {node("Mul", {node("Add", {sum, number(32768.0F)}), number(1.0F / 65536)})});
  }

  /// bilinear_taps of resize.cpp for axis `axis` of the picture, as a matrix. ONNX's Resize with antialias is not used: ONNX Runtime
  /// places its samples in float, which moves about one pixel of a hundred by 1 and a probability by several 1e-4.
  Weights weights(const std::string& shape, std::int64_t axis, int size_out) {
    const std::array<std::int64_t, 1> which{axis};
    const std::string size_in = node(
        "Cast",
        {node("Gather", {shape, graph_.constant("preprocess", std::span(which).first(1), {})})},
        {{"to", std::int64_t{kDouble}}});
    std::vector<double> middles(static_cast<std::size_t>(size_out));
    for (std::size_t i = 0; i < middles.size(); ++i) middles[i] = static_cast<double>(i) + 0.5;
    const std::string scale = node("Div", {size_in, number<double>(size_out)});
    const std::string support = node("Max", {scale, number(1.0)});
    const std::string center =
        node("Mul",
             {graph_.constant("preprocess", std::span<const double>(middles), {size_out}), scale});
    constexpr std::array<std::int64_t, 1> last{1}, first{0};
    const std::string position = node(
        "Unsqueeze", {node("Range", {number(0.0), size_in, number(1.0)}),
                      graph_.constant("preprocess", std::span<const std::int64_t>(last), {1})});
    const std::string distance =
        node("Abs", {node("Mul", {node("Add", {node("Sub", {position, center}), number(0.5)}),
                                  node("Div", {number(1.0), support})})});
    const std::string triangle = node("Max", {node("Sub", {number(1.0), distance}), number(0.0)});
    const std::string sum =
        node("ReduceSum",
             {triangle, graph_.constant("preprocess", std::span<const std::int64_t>(first), {1})});
    const std::string whole = node(
        "Floor",
        {node("Add", {node("Mul", {node("Div", {triangle, sum}), number(kUnits)}), number(0.5)})});
    const std::string high = node("Floor", {node("Mul", {whole, number(1 / kLow)})});
    const std::string low = node("Sub", {whole, node("Mul", {high, number(kLow)})});
    const std::vector<OnnxAttribute> to_float{{"to", std::int64_t{kFloat}}};
    return {node("Cast", {high}, to_float), node("Cast", {low}, to_float)};
  }

  /// floor((high * 2^11 + low + 2^21) / 2^22) without a number above 2^24, which float could not hold.
  std::string rounded(const std::string& high, const std::string& low) {
    const auto shift = static_cast<float>(1 / kLow);
    const std::string carry = node("Floor", {node("Mul", {low, number(shift)})});
    const std::string sum = node("Add", {node("Add", {high, carry}), number(1024.0F)});
    return node("Floor", {node("Mul", {sum, number(shift)})});
  }

  OnnxGraph& graph_;
};

/// Ends the network: one probability a class, whatever its last layer is.
std::string to_probabilities(OnnxGraph& graph, const Model& model, OnnxValue y) {
  const Layer& last = *model.chain().back();
  y = graph.flat(last, y);
  if (model.loss() == LossKind::kCrossEntropy) {
    if (last.type == "Softmax") return y.name;
    return graph.node("probabilities", "Softmax", {y.name}, {{"axis", std::int64_t{1}}});
  }
  if (last.type != "Sigmoid") y.name = graph.node("probabilities", "Sigmoid", {y.name});
  constexpr std::array one{1.0F};
  const std::string other =
      graph.node("probabilities", "Sub",
                 {graph.constant("probabilities", std::span<const float>(one), {}), y.name});
  return graph.node("probabilities", "Concat", {other, y.name}, {{"axis", std::int64_t{1}}});
}

}  // namespace

OnnxValue Layer::to_onnx(OnnxGraph& /*graph*/, const OnnxValue& /*x*/) const {
  throw Error(text('[', type, ' ', name, "] cannot be exported to ONNX"));
}

OnnxGraph::OnnxGraph(std::string_view name) { graph_.bytes(2, name); }

std::string OnnxGraph::unique(const std::string& name) {
  std::string free = name;
  for (int count = 1; !taken_.insert(free).second; ++count) free = text(name, '_', count);
  return free;
}

void OnnxGraph::add_node(std::string_view name, std::string_view op,
                         std::span<const std::string> inputs, std::string_view output,
                         const std::vector<OnnxAttribute>& attributes) {
  Protobuf message;
  for (const std::string& input : inputs) message.bytes(1, input);
  message.bytes(2, output).bytes(3, name).bytes(4, op);
  for (const OnnxAttribute& attribute : attributes)
    message.message(5, attribute_message(attribute));
  graph_.message(1, message);
}

std::string OnnxGraph::node(std::string_view scope, std::string_view op,
                            std::vector<std::string> inputs,
                            const std::vector<OnnxAttribute>& attributes) {
  std::string path(scope);
  std::replace(path.begin(), path.end(), '.', '/');
  const std::string name = unique(text('/', path, '/', op));
  std::string output = unique(name + "_output_0");
  add_node(name, op, inputs, output, attributes);
  return output;
}

std::string OnnxGraph::tensor(std::string name, int type, std::span<const std::int64_t> shape,
                              std::string_view data) {
  if (graph_.bytes().size() + data.size() > kLargestFile)
    throw Error("the weights do not fit an ONNX file: one holds at most 2 GB");
  Protobuf message;
  for (const std::int64_t size : shape) message.integer(1, size);
  message.integer(2, type).bytes(8, name).bytes(9, data);
  graph_.message(5, message);
  return name;
}

std::string OnnxGraph::parameter(const Parameter& parameter) {
  if (taken_.contains(parameter.name)) return parameter.name;
  const StoredTensor stored = to_torch(parameter, parameter.value);
  return tensor(unique(parameter.name), kFloat, stored.shape, raw<float>(stored.values));
}

template <class T>
std::string OnnxGraph::constant(std::string_view scope, std::span<const T> values,
                                const std::vector<std::int64_t>& shape) {
  constexpr int type = std::is_same_v<T, float>    ? kFloat
                       : std::is_same_v<T, double> ? kDouble
                                                   : kInt64;
  return tensor(unique(text('/', scope, "/Constant_output_0")), type, shape, raw(values));
}
template std::string OnnxGraph::constant(std::string_view, std::span<const float>,
                                         const std::vector<std::int64_t>&);
template std::string OnnxGraph::constant(std::string_view, std::span<const double>,
                                         const std::vector<std::int64_t>&);
template std::string OnnxGraph::constant(std::string_view, std::span<const std::int64_t>,
                                         const std::vector<std::int64_t>&);

OnnxValue OnnxGraph::flat(const Layer& layer, const OnnxValue& x) {
  if (x.flat) return x;
  return {node(layer.name, "Flatten", {x.name}, {{"axis", std::int64_t{1}}}), true};
}

const OnnxValue& OnnxGraph::image(const Layer& layer, const OnnxValue& x) {
  if (!x.flat) return x;
  throw Error(text('[', layer.type, ' ', layer.name,
                   "] cannot be exported: it comes after a Flatten or Linear, and PyTorch's ",
                   layer.type, " takes no flat input"));
}

OnnxValue OnnxGraph::chain(std::span<const std::unique_ptr<Layer>> layers, OnnxValue x) {
  for (const auto& layer : layers) x = layer->to_onnx(*this, x);
  return x;
}

void OnnxGraph::input(std::string_view name, int type, std::span<const Dimension> shape) {
  taken_.emplace(name);
  graph_.message(11, value_info(name, type, shape));
}

void OnnxGraph::output(std::string_view name, int type, std::span<const Dimension> shape) {
  taken_.emplace(name);
  graph_.message(12, value_info(name, type, shape));
}

void OnnxGraph::rename(std::string_view from, std::string_view to) {
  const std::array inputs{std::string(from)};
  add_node(unique("/Identity"), "Identity", inputs, to, {});
}

std::vector<std::uint8_t> export_onnx(const Model& model, const ModelInfo& info, OnnxForm form) {
  const Shape shape = model.input_shape();
  using Dimensions = std::vector<OnnxGraph::Dimension>;
  OnnxGraph graph(model.name());
  graph.output("probabilities", kFloat, Dimensions{"batch", std::int64_t{model.classes()}});
  OnnxValue x{"input"};
  if (form == OnnxForm::kNetwork) {
    graph.input(
        "input", kFloat,
        Dimensions{"batch", std::int64_t{shape.c}, std::int64_t{shape.h}, std::int64_t{shape.w}});
  } else {
    graph.input("image", kUint8, Dimensions{"batch", "height", "width", std::int64_t{3}});
    x.name = Preprocessing(graph).run("image", model.preparation());
  }
  graph.rename(to_probabilities(graph, model, graph.chain(model.chain(), std::move(x))),
               "probabilities");

  Protobuf opset, file;
  opset.bytes(1, "").integer(2, kOpset);
  file.integer(1, kIrVersion)
      .bytes(2, "pinhole")
      .bytes(3, "0.1")
      .message(8, opset)
      .message(7, graph.message());
  for (const auto& [key, value] : model_metadata(model, info)) {
    Protobuf entry;
    entry.bytes(1, key).bytes(2, value);
    file.message(14, entry);
  }
  if (file.bytes().size() > kLargestFile)
    throw Error("the weights do not fit an ONNX file: one holds at most 2 GB");
  return {file.bytes().begin(), file.bytes().end()};
}

}  // namespace pinhole
