// torch.optim's update rules, exactly.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backend.h"
#include "parameter.h"

namespace pinhole {

struct OptimizerOptions {
  std::string name = "adam";   // "sgd", "adam", "adamw"
  double lr = 1e-3;
  double weight_decay = 0;     // PyTorch's AdamW default is 1e-2; here it is 0 unless asked
  double momentum = 0.9;       // sgd
  bool nesterov = false;       // sgd
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  // adam, adamw
};

/// What an optimizer remembers of every parameter, in the order of the parameters.
struct OptimizerState {
  struct Moment {
    std::string name;  // as in torch.optim's state_dict: "exp_avg"
    std::vector<Tensor> values;  // like the parameters; empty for one that was never updated
  };
  std::vector<std::int64_t> steps;  // updates that each parameter has had
  std::vector<Moment> moments;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// Updates every parameter that has a gradient, raises its version. Always the same parameters in the same order.
  virtual void step(Backend& backend, const std::vector<Parameter*>& parameters) = 0;
  double lr = 1e-3;

  /// Together with the parameters, all that the next step depends on: it may be written back into another optimizer of the
  /// same options.
  OptimizerState& state() { return state_; }

 protected:
  OptimizerState state_;
};

/// torch.nn.utils.clip_grad_norm_: where the gradients' common Euclidean norm is above `max_norm`, they are scaled down to it.
/// Gives the norm before. The sum is taken in one order, so it does not depend on threads.
double clip_grad_norm(const std::vector<Parameter*>& parameters, double max_norm);

/// Throws Error for an unknown name or a value out of range.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options);

}  // namespace pinhole
