// Why a state_dict does not fit a model, in words that help to mend it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace pinhole {

using TensorShapes = std::map<std::string, std::vector<std::int64_t>>;

/// "[16, 3, 3, 3]".
std::string shape_text(const std::vector<std::int64_t>& shape);

/// Empty when `file` has just the tensors of `model`, in their shapes. Else what is missing, unexpected and of another shape, and a
/// guess at the cause: a prefix that wrapping the module left, other names for the same shapes, another number of classes, another
/// order of dimensions. `order`: the model's names from its first layer to its last.
std::string state_dict_diff(const TensorShapes& model, const std::vector<std::string>& order,
                            const TensorShapes& file);

}  // namespace pinhole
