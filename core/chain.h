// Layers in a row and the plan that runs them fast: shapes computed once, memory taken once, layers that work in place, several
// layers as one step. A Model is one chain; a Residual has one or two inside.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "layer.h"

namespace pinhole {

class Chain {
 public:
  /// Who holds the last layer's output: the chain, or whoever calls forward.
  enum class Output { kOwn, kCallers };

  /// `specs`: a JSON list of layers. `context` says what goes in; names of layers and parameters start with its prefix.
  /// Throws Error naming the layer, what came and what was expected.
  Chain(const Json& specs, const BuildContext& context, Output output);

  const std::vector<std::unique_ptr<Layer>>& layers() const { return layers_; }
  /// Of layer `index`, for one image.
  const Shape& output(std::size_t index) const { return outputs_[index]; }
  /// Of the last layer, for one image.
  const Shape& output() const { return outputs_.back(); }
  std::vector<Parameter*> parameters() const;
  std::vector<Parameter*> buffers() const;
  /// PyTorch's default initialisation of every layer.
  void init(Rng& rng);
  /// Whether every layer is, as Layer::deterministic has it.
  bool deterministic() const;
  /// Runs only the first `count` layers from now on. Before the first prepare.
  void run_first(std::size_t count) { body_ = count; }

  /// As many leading layers as give the same output for the same image in every training step because nothing of them is
  /// trained; 0 when none of these has a parameter.
  std::size_t frozen_layers() const;
  /// Names of the steps that a pass runs, for people and tests: "Conv2d+ReLU+MaxPool2d conv1".
  std::vector<std::string> steps(Pass pass);
  /// Whether backward of the last step in training reads the output again.
  bool uses_output();

  bool prepared(int batch, Pass pass, bool from_features = false) const;
  /// Plans for up to `batch` images; afterwards forward and backward allocate nothing. With `from_features` the frozen layers are
  /// not going to run and take no memory. Returns how many values of scratch are used.
  std::size_t prepare(int batch, Pass pass, bool from_features = false);
  /// `context.pass` must be prepared. `y`: where the output goes; null when the chain owns it. With `from_features`, x is what
  /// the frozen layers gave.
  const Tensor& forward(const RunContext& context, const Tensor& x, Tensor* y,
                        bool from_features = false);
  /// The frozen layers alone (there must be some): valid until the next call.
  const Tensor& features(const RunContext& context, const Tensor& x);
  /// After forward with the same arguments. `y` as forward got it. dx may be null.
  void backward(const RunContext& context, const Tensor& x, const Tensor* y, const Tensor& dy,
                Tensor* dx, bool from_features = false);

  /// After a forward of a kTrain pass: the first step that gave NaN or infinity, "[Linear fc]"; empty when none did. What frozen layers
  /// gave is no longer there.
  std::string first_not_finite(ThreadPool& pool) const;

  /// After forward and backward of a kExplain pass: the output of the last step that has a height and a width, and the loss's
  /// gradient by it. Null when there is none.
  std::pair<const Tensor*, const Tensor*> last_map() const;

 private:
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

  /// Where a tensor lives: in memory that the chain keeps, or in the caller's scratch.
  struct Place {
    bool kept = false;
    std::size_t region = kNowhere;
  };

  /// One step of a plan: a layer, or a fusion of several.
  struct Step {
    Layer* layer = nullptr;
    Shape input, output;  // of one image
    Pass pass = Pass::kPredict;
    bool trained_before = false;  // a step before this one has a parameter to train
    Place y_place, dy_place;
    Tensor y, dy;  // borrowed from their places
  };

  /// Images that a plan can run, and how many of them through the frozen steps.
  struct Room {
    int batch = 0, frozen = 0;
  };

  struct Plan {
    std::vector<Step> steps;
    std::size_t frozen_steps = 0;
    std::vector<std::size_t> kept, scratch;  // offsets of the regions
    std::size_t own_scratch = 0;
    std::size_t all_scratch = 0;  // with that of the layers
    Room room;

    int images(std::size_t step, Room most) const {
      return step < frozen_steps ? most.frozen : most.batch;
    }
  };

  Plan& plan(Pass pass) { return plans_[static_cast<std::size_t>(pass)]; }
  const Plan& plan(Pass pass) const { return plans_[static_cast<std::size_t>(pass)]; }
  /// The plan of a pass, or where there is none yet its steps alone, in `made`.
  const Plan& planned(Pass pass, Plan& made);
  void add_steps(Plan& plan, std::size_t begin, std::size_t end, Pass pass);
  void make_steps(Plan& plan, Pass pass);
  void place_outputs(Plan& plan, Room room, std::vector<std::size_t>& kept,
                     std::vector<std::size_t>& scratch) const;
  void place_gradients(Plan& plan, Pass pass, Room room, std::vector<std::size_t>& scratch) const;
  real* at(const Plan& plan, const Place& place, const RunContext& context) const;
  const Tensor& run(const RunContext& context, const Tensor& x, Tensor* y, std::size_t begin,
                    std::size_t end);
  Tensor* gradient_of(Plan& plan, std::size_t k, const RunContext& context, int batch);

  Output output_;
  Shape input_;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::vector<Shape> outputs_;
  std::size_t body_ = 0;
  /// By first layer, end of its part of the chain, and whether for prediction alone.
  std::map<std::tuple<std::size_t, std::size_t, bool>, Fusion> fusions_;
  std::array<Plan, 3> plans_;
  Buffer kept_;
};

/// The list of layers that a layer's spec has under `key`, for inside that layer; null when there is none or it is empty.
std::unique_ptr<Chain> chain_inside(LayerSpec& spec, std::string_view key,
                                    const BuildContext& context);

/// "[Conv2d conv1]": starts every message about the layer.
std::string layer_place(const Json& layer, std::size_t index, std::string_view prefix);

}  // namespace pinhole
