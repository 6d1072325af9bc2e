// A chain of layers built from a JSON spec. The spec stays readable; the plan made from it is fast: shapes computed once, one
// arena, layers that work in place, Conv2d + ReLU + MaxPool2d(2) as one step.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "layer.h"

namespace pinhole {

/// What training minimises: from the spec's last layer. Sigmoid -> binary cross entropy, anything else -> cross entropy.
enum class LossKind { kCrossEntropy, kBinaryCrossEntropy };

class Model {
 public:
  /// `classes`: the number behind "out_features": "classes"; 0 when not known (then such a spec is an Error).
  /// Throws Error naming the layer, what came and what was expected. Parameters are initialised with seed 0.
  Model(const Json& spec, int classes, std::shared_ptr<Backend> backend);
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  const Json& spec() const;
  std::string name() const;
  Backend& backend() const;
  /// h, w, c of one image (n = 1).
  Shape input_shape() const;
  /// Values the network gives for one image: 1 for a binary model.
  int outputs() const;
  LossKind loss() const;
  /// Classes it tells apart: 2 for one output with Sigmoid.
  int classes() const;

  /// PyTorch's default initialisation of every parameter.
  void init(std::uint64_t seed);
  std::vector<Parameter*> parameters();
  std::size_t parameter_count();

  /// x [n, h, w, c] -> logits [n, 1, 1, outputs]: what comes before a final Softmax or Sigmoid. Valid until the next call.
  /// `training` keeps what backward needs and lets Dropout drop; `seed` and `step` fix its mask.
  const Tensor& forward(const Tensor& x, bool training = false, std::uint64_t seed = 0,
                        std::uint64_t step = 0);
  /// After forward(x, true) on the same, unchanged x: accumulates parameter gradients. `dx` (may be null) gets the input's gradient.
  void backward(const Tensor& x, const Tensor& dlogits, Tensor* dx = nullptr);
  void zero_grad();

  /// Probabilities [n, 1, 1, classes], through the final Softmax or Sigmoid. A binary model gives {1 - p, p}. Valid until the next call.
  const Tensor& predict(const Tensor& x);
  /// Probabilities from logits, the same way.
  const Tensor& probabilities(const Tensor& logits);

  /// One line a layer: name, type, output shape, parameters.
  struct LayerInfo {
    std::string name, type;
    Shape output;
    std::size_t parameters;
  };
  std::vector<LayerInfo> layers() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pinhole
