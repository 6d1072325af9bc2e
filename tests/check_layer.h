// The harness that gives every layer its tests from one line. The same test files are built twice: with real = double
// (gradient_tests) they check gradients of every input and parameter against central differences; in float (pinhole_tests) they
// hold every backend against the reference. Both check the shape rule, working in place, accumulation and the spec's errors.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "error.h"
#include "layer.h"

namespace pinhole {

/// `spec`: one layer as JSON. `input`: batch and item shape.
void check_layer(const std::string& spec, const Shape& input);

/// Building `spec` for `input` must fail with a message that contains `expected`.
void expect_layer_error(const std::string& spec, const Shape& input, const std::string& expected);

/// Distinct values of mixed signs in (-1, 1), none near zero and no two near each other, so that no kink (ReLU, a maximum) is
/// within a finite difference. The order depends on `seed`.
void fill_distinct(Tensor& tensor, std::uint64_t seed);

}  // namespace pinhole
