// Copies of a model's weights: the best so far, their moving average.
#pragma once

#include <vector>

#include "parameter.h"

namespace pinhole {

/// One tensor for each of a list of parameters.
using Weights = std::vector<Tensor>;

void copy_weights(const std::vector<Parameter*>& from, Weights& to);
void set_weights(const std::vector<Parameter*>& to, const Weights& from);
/// What the model has and what was kept change places.
void swap_weights(const std::vector<Parameter*>& model, Weights& kept);
/// average = decay * average + (1 - decay) * now (torch.optim.swa_utils.AveragedModel with such an avg_fn). The first time it
/// is the weights themselves; running means and variances are averaged too, counts are copied.
void average_weights(const std::vector<Parameter*>& now, double decay, Weights& average);

}  // namespace pinhole
