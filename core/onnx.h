// ONNX files (opset 18, IR version 8) of a model. A layer adds its own nodes through OnnxGraph; the graph is NCHW, parameters
// have the names and layouts of PyTorch's state_dict and nodes the names that PyTorch's exporter gives: "/conv1/Conv".
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "layer.h"
#include "protobuf.h"

namespace pinhole {

class Model;
struct ModelInfo;

/// What flows between nodes.
struct OnnxValue {
  std::string name;
  bool flat = false;  ///< [n, c], after Flatten or Linear; else [n, c, h, w]
};

struct OnnxAttribute {
  std::string name;
  std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>> value;
};

class OnnxGraph {
 public:
  explicit OnnxGraph(std::string_view name);
  /// Adds a node "/SCOPE/OP" (a layer's name, its dots as slashes) and gives the name of its output.
  std::string node(std::string_view scope, std::string_view op, std::vector<std::string> inputs,
                   const std::vector<OnnxAttribute>& attributes = {});
  /// Adds a layer's weights under their own name, unless they are there, and gives the name back.
  std::string parameter(const Parameter& parameter);
  /// Adds a constant (T is std::int64_t, float or double; no shape: a scalar) and gives its name.
  template <class T>
  std::string constant(std::string_view scope, std::span<const T> values,
                       const std::vector<std::int64_t>& shape);

  /// x as [n, c], through a Flatten where it is not.
  OnnxValue flat(const Layer& layer, const OnnxValue& x);
  /// x, which must be [n, c, h, w]: throws Error after a Flatten, where PyTorch has no such network either.
  const OnnxValue& image(const Layer& layer, const OnnxValue& x);
  /// Layer after layer.
  OnnxValue chain(std::span<const std::unique_ptr<Layer>> layers, OnnxValue x);

  /// Declares an input or output of the graph; a dimension is a size or, for any size, its name.
  using Dimension = std::variant<std::int64_t, std::string>;
  void input(std::string_view name, int type, std::span<const Dimension> shape);
  void output(std::string_view name, int type, std::span<const Dimension> shape);
  /// Adds an Identity, so that `from` has the name of a declared output.
  void rename(std::string_view from, std::string_view to);

  /// The GraphProto so far.
  const Protobuf& message() const { return graph_; }

 private:
  std::string unique(const std::string& name);
  std::string tensor(std::string name, int type, std::span<const std::int64_t> shape,
                     std::string_view data);
  void add_node(std::string_view name, std::string_view op, std::span<const std::string> inputs,
                std::string_view output, const std::vector<OnnxAttribute>& attributes);

  Protobuf graph_;
  std::set<std::string, std::less<>> taken_;
};

enum class OnnxForm {
  kNetwork,  ///< "input" float [batch, channels, height, width] in [0, 1]
  kClassifier  ///< "image" uint8 RGB [batch, height, width, 3], upright, of any size
};

/// The bytes of an .onnx file. Its output "probabilities" is float [batch, classes] in both forms and for every model: one with a
/// single output gives {1 - p, p}, so that the class is always the largest. metadata_props holds "classes" (a JSON list in label order),
/// "preprocessing" and "spec", as the safetensors file does.
/// Throws Error when a layer has no ONNX form, or the weights do not fit the 2 GB of a protobuf message.
std::vector<std::uint8_t> export_onnx(const Model& model, const ModelInfo& info, OnnxForm form);

}  // namespace pinhole
