// The nearest-class-mean classifier as a first answer: an image belongs to the class whose training images have, on the average, the
// nearest features. It is linear in the features, so a frozen trunk's head can be it before the first step, and train on from there.
// Mensink, Verbeek, Perronnin, Csurka, "Distance-Based Image Classification: Generalizing to New Classes at Near-Zero Cost",
// TPAMI 2013.
#pragma once

#include "feature_cache.h"
#include "model.h"

namespace pinhole {

/// Throws Error unless all that `model` trains is a Linear at its end, on a frozen layer's one pixel of features; a BatchNorm2d,
/// Flatten and Dropout may be in between.
void check_nearest_mean(const Model& model);

/// Sets the last Linear, and a BatchNorm2d's running statistics before it, from the first view's features of `data`, which must
/// be there.
void set_to_nearest_mean(Model& model, const FeatureCache& features, const ImageDataset& data);

}  // namespace pinhole
