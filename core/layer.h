// Layer: what it computes, in one file under layers/, registered there by name. Adding a layer is that file and its test.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backend.h"
#include "json_fwd.h"
#include "rng.h"

namespace pinhole {

struct BuildContext;

/// What a layer's spec says, read with checks: every error names the layer, what came and what was expected.
class LayerSpec {
 public:
  /// `where` starts every message: "[Conv2d conv1]".
  LayerSpec(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  const std::string& where() const { return where_; }
  bool has(std::string_view key) const;
  /// An integer of at least `minimum`. Without a default the key must be there.
  int integer(std::string_view key, int minimum);
  int integer(std::string_view key, int minimum, int fallback);
  /// One integer for both directions, or [vertical, horizontal].
  std::pair<int, int> pair(std::string_view key, int minimum);
  std::pair<int, int> pair(std::string_view key, int minimum, std::pair<int, int> fallback);
  double number(std::string_view key, double minimum, double maximum, double fallback);
  bool flag(std::string_view key, bool fallback);
  /// Is it there, and is it this word?
  bool is(std::string_view key, std::string_view word);
  /// A list of numbers, at least one.
  std::vector<double> numbers(std::string_view key);
  /// A list of layers; null when the key is not there.
  const Json* layers(std::string_view key);
  /// An integer, or the word "classes" for `classes`.
  int features(std::string_view key, int classes);
  /// Throws Error when a weight of this shape would be too large to be meant, or more than the model may have.
  void check_weights(const Shape& shape, const BuildContext& context) const;
  /// Throws Error when the spec has a key that nobody asked for.
  void check_all_used() const;
  [[noreturn]] void fail(std::string_view message) const;

 private:
  const Json* find(std::string_view key, bool required);

  const Json& object_;
  std::string where_;
  std::vector<std::string> used_{"type", "name", "requires_grad"};
};

/// What a layer may know when it is built.
struct BuildContext {
  Shape input;  ///< of one image, n = 1
  Shape flattened;  ///< the shape before Flatten where `input` is flat, else `input`
  int classes = 0;  ///< 0: not known yet
  std::string prefix;  ///< parameters are named `prefix.weight`, `prefix.bias`
  bool frozen = false;  ///< "requires_grad": false here or in a layer around this one
  std::size_t* weights_left = nullptr;  ///< how many the whole model may still get; null: no limit
};

/// What a run of the network is for.
enum class Pass {
  kPredict,  ///< outputs alone
  kTrain,  ///< outputs, and what backward needs for the gradients of the parameters
  kExplain  ///< outputs as prediction gives them, and what backward needs for the gradient of every layer's output
};

/// What a layer may know when it runs.
struct RunContext {
  Backend& backend;
  Pass pass = Pass::kPredict;
  std::uint64_t seed = 0;
  std::uint64_t step = 0;  ///< training step: with `seed` it fixes Dropout's mask
  real* scratch =
      nullptr;  ///< as many values as prepare asked for; contents are lost between calls
};

class Layer;
class OnnxGraph;
struct OnnxValue;
class TorchSource;

/// One step that does the work of `count` layers; none when `layer` is null.
struct Fusion {
  std::unique_ptr<Layer> layer;
  std::size_t count = 0;
};

class Layer {
 public:
  virtual ~Layer() = default;

  /// For any batch. The input's h, w, c are those it was built for.
  virtual Shape output_shape(const Shape& input) const = 0;
  /// Allocates what forward and backward need for this input, so that a step allocates nothing; what an earlier call for another
  /// batch or pass got must stay. Returns how many values of RunContext::scratch they use.
  virtual std::size_t prepare(const Shape& /*input*/, Pass /*pass*/) { return 0; }
  virtual void forward(RunContext& context, const Tensor& x, Tensor& y) = 0;
  /// dx (null when nobody needs it) is assigned; parameter gradients accumulate.
  virtual void backward(RunContext& context, const Tensor& x, const Tensor& y, const Tensor& dy,
                        Tensor* dx) = 0;

  virtual std::vector<Parameter*> parameters() { return {}; }
  /// What is saved with the parameters but not trained by the optimizer (BatchNorm2d's running statistics).
  virtual std::vector<Parameter*> buffers() { return {}; }
  /// PyTorch's default initialisation.
  virtual void init(Rng& /*rng*/) {}

  /// One value of y for each of x, and y may be x, dx may be dy: backward does not read x.
  virtual bool in_place() const { return false; }
  /// backward reads y, so the next layer must not overwrite it.
  virtual bool uses_output() const { return false; }
  /// The same x gives the same y in every training step, as long as the parameters stay.
  virtual bool deterministic() const { return true; }

  /// A faster step for this layer and the first of those that follow, where there is one. It refers to this layer's parameters.
  virtual Fusion fuse(std::span<const std::unique_ptr<Layer>> /*next*/) { return {}; }
  /// The same for prediction alone: it has no backward.
  virtual Fusion fold(std::span<const std::unique_ptr<Layer>> /*next*/) { return {}; }

  /// Adds its nodes to an ONNX graph and gives their output. Throws Error where a layer has none.
  virtual OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const;
  /// How PyTorch writes it: "nn.ReLU()". Throws Error where PyTorch has no such layer.
  virtual std::string to_torch(TorchSource& source) const;

  std::string type;
  std::string name;
  bool frozen =
      false;  ///< "requires_grad": false: nothing of it changes, running statistics included
};

/// No single weight and no layer's output for one image has more values (1 GiB of floats).
inline constexpr std::size_t kMostValues = std::size_t{1} << 28;

using LayerFactory = std::unique_ptr<Layer> (*)(LayerSpec& spec, const BuildContext& context);

/// Conv2d's and Linear's default in PyTorch, weights and biases alike: kaiming_uniform_ with a = sqrt(5), which is
/// uniform in +-1 / sqrt(fan_in).
void init_kaiming_uniform(Parameter& parameter, int fan_in, Rng& rng);

/// Put one at namespace scope in the layer's file: `const RegisterLayer kRegister("ReLU", &make);`
class RegisterLayer {
 public:
  RegisterLayer(std::string type, LayerFactory factory);
};
/// Sorted names of all registered layers.
std::vector<std::string> layer_types();
/// Builds one layer. Throws Error for an unknown type (naming the known ones), an unknown key, an impossible shape.
std::unique_ptr<Layer> make_layer(const Json& spec, const BuildContext& context,
                                  std::string_view where);

}  // namespace pinhole
