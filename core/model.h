// A chain of layers built from a JSON spec, and what a classifier adds to it: logits, the loss they are meant for, probabilities.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "image.h"
#include "layer.h"

namespace pinhole {

/// What training minimises: from the spec's last layer. Sigmoid -> binary cross entropy, anything else -> cross entropy.
enum class LossKind { kCrossEntropy, kBinaryCrossEntropy };

class Model {
 public:
  /// `classes`: the number behind "out_features": "classes"; 0 when not known (then such a spec is an Error).
  /// Throws Error naming the layer, what came and what was expected. Parameters are initialised with seed 0.
  /// Of more than `most_weights` weights, no memory is taken for those beyond them.
  Model(const Json& spec, int classes, std::shared_ptr<Backend> backend,
        std::size_t most_weights = kMostValues);
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  const Json& spec() const;
  std::string name() const;
  /// The name of the weights that training starts from, as the spec has it ("pretrained"); empty when from scratch. Whoever
  /// builds a new model reads that file and calls load_pretrained.
  std::string pretrained() const;
  Backend& backend() const;
  /// h, w, c of one image (n = 1).
  Shape input_shape() const;
  /// How pictures become its input.
  Preparation preparation() const;
  /// Values the network gives for one image: 1 for a binary model.
  int outputs() const;
  LossKind loss() const;
  /// Classes it tells apart: 2 for one output with Sigmoid.
  int classes() const;

  /// PyTorch's default initialisation of every parameter.
  void init(std::uint64_t seed);
  std::vector<Parameter*> parameters();
  /// Parameters and buffers (running statistics): what a state_dict holds.
  std::vector<Parameter*> state();
  std::size_t parameter_count();

  /// x [n, h, w, c] -> logits [n, 1, 1, outputs]: what comes before a final Softmax or Sigmoid. Valid until the next call.
  /// kTrain keeps what backward needs and lets Dropout drop; `seed` and `step` fix its mask.
  const Tensor& forward(const Tensor& x, Pass pass = Pass::kPredict, std::uint64_t seed = 0,
                        std::uint64_t step = 0);
  /// Right after a forward with kTrain or kExplain of the same, unchanged x: accumulates parameter gradients. `dx` (may be null) gets the
  /// input's gradient; when layers are frozen, only after kExplain.
  void backward(const Tensor& x, const Tensor& dlogits, Tensor* dx = nullptr);
  void zero_grad();
  /// Right after a forward with kTrain: the first layer that gave NaN or infinity, "[Linear fc]"; empty when none did, or when it cannot be seen.
  std::string first_not_finite() const;

  /// How many leading layers are frozen ("requires_grad": false), so that their output, the features of an image, never changes
  /// and may be kept; 0 when none is.
  std::size_t frozen_layers() const;
  /// Of one image.
  Shape feature_shape() const;
  /// x [n, h, w, c] -> features [n, ...]; valid until the next call. Only when frozen_layers() > 0.
  const Tensor& features(const Tensor& x);
  /// forward from features on; backward then takes the features as x.
  const Tensor& forward_features(const Tensor& features, Pass pass = Pass::kPredict,
                                 std::uint64_t seed = 0, std::uint64_t step = 0);

  /// After forward and backward with kExplain: the last output that has a height and a width, and the gradient by it.
  struct Map {
    const Tensor* activation = nullptr;  // [n, h, w, c]; null when the network has no such output
    const Tensor* gradient = nullptr;
  };
  Map last_map() const;
  /// What a pass runs, step by step: "Conv2d+ReLU+MaxPool2d conv1".
  std::vector<std::string> steps(Pass pass) const;

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
  /// The layers as in the spec: what an exporter walks along.
  std::span<const std::unique_ptr<Layer>> chain() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pinhole
