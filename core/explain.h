// Where in an image a network saw what made it answer as it did.
#pragma once

#include <vector>

#include "model.h"

namespace pinhole {

/// How much each place speaks for a class, from 0 to 1, at the resolution of the last output with a height and a width.
struct HeatMap {
  int height = 0, width = 0;
  std::vector<real> values;  // row by row; all 0 when nothing speaks for the class
};

/// Grad-CAM, element by element: at each place of the last map the values times the gradient of `label`'s logit by them, summed
/// over the channels, cut off at 0 and divided by the largest. Where the network ends in a global average this is Grad-CAM as
/// Selvaraju et al. (2017) have it, which takes the gradient's mean over the places; where it ends in Flatten and Linear, as the
/// lesson's do, that mean would mix up places of which each has its own weight (HiResCAM, Draelos and Carin 2021).
/// `x` is one image [1, h, w, c]. A binary model's logit speaks for label 1; for label 0 its sign is turned. Throws Error when the
/// network has no such map or no such class. Leaves gradients in the parameters, which a training step clears before it adds its own.
HeatMap grad_cam(Model& model, const Tensor& x, int label);

}  // namespace pinhole
