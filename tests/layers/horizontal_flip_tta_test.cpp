#include <algorithm>
#include <cmath>

#include "check_layer.h"
#include "json.h"

namespace pinhole {

namespace {

const char* const kBody =
    R"("body": [{"type": "Conv2d", "name": "conv", "out_channels": 4, "kernel_size": [3, 2], "stride": [1, 2]},
                {"type": "BatchNorm2d", "name": "bn"}, {"type": "SiLU"}])";
const Shape kInput{2, 5, 7, 3};

/// A layer with fixed weights, and what it takes to run it.
struct Built {
  std::shared_ptr<Backend> backend = make_backend("auto", 2);
  std::unique_ptr<Layer> layer;
  RunContext context{*backend};
  Buffer scratch;

  explicit Built(Pass pass) {
    const Shape item = kInput.with_n(1);
    layer =
        make_layer(parse_json(text(R"({"type": "HorizontalFlipTTA", )", kBody, '}'), "spec"),
                   {.input = item, .flattened = item, .classes = 0, .prefix = "layer"}, "[layer]");
    std::uint64_t seed = 2;
    for (Parameter* parameter : layer->parameters()) {
      fill_distinct(parameter->value, seed++);
      parameter->changed();
    }
    context.pass = pass;
    scratch = Buffer(layer->prepare(kInput, pass));
    context.scratch = scratch.data();
  }

  Tensor forward(const Tensor& x) {
    Tensor y(layer->output_shape(x.shape()));
    layer->forward(context, x, y);
    return y;
  }
};

Tensor mirrored(const Tensor& x) {
  Tensor out(x.shape());
  const auto width = static_cast<std::size_t>(x.shape().w);
  const auto channels = static_cast<std::size_t>(x.shape().c);
  for (std::size_t pixel = 0; pixel < x.size() / channels; ++pixel) {
    const std::size_t column = pixel % width;
    const std::size_t other = pixel - column + (width - 1 - column);
    std::copy_n(x.data() + pixel * channels, channels, out.data() + other * channels);
  }
  return out;
}

}  // namespace

TEST(HorizontalFlipTTA, trains_as_its_body_does) {
  check_layer(text(R"({"type": "HorizontalFlipTTA", )", kBody, '}'), kInput);
  check_layer(
      R"({"type": "HorizontalFlipTTA", "body": [{"type": "Conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1}, {"type": "ReLU"}]})",
      {3, 4, 5, 3});
  check_layer(
      R"({"type": "HorizontalFlipTTA", "body": [{"type": "Flatten"}, {"type": "Linear", "out_features": 4}]})",
      {2, 3, 4, 2});
}

TEST(HorizontalFlipTTA, predicts_the_same_for_an_image_and_its_mirror_image) {
  Tensor x(kInput);
  fill_distinct(x, 1);
  for (const Pass pass : {Pass::kPredict, Pass::kExplain}) {
    Built built(pass);
    const Tensor y = built.forward(x), other = mirrored(built.forward(mirrored(x)));
    double most = 0, asymmetry = 0;
    const Tensor back = mirrored(y);
    for (std::size_t i = 0; i < y.size(); ++i) {
      EXPECT_NEAR(y.data()[i], other.data()[i], 1e-6) << i;
      most = std::max(most, std::abs(static_cast<double>(y.data()[i])));
      asymmetry = std::max(asymmetry, std::abs(static_cast<double>(y.data()[i] - back.data()[i])));
    }
    EXPECT_GT(most, 0.1);
    EXPECT_GT(asymmetry, 0.1) << "a map keeps its left and right";
  }
}

TEST(HorizontalFlipTTA, explains_with_the_gradient_of_what_it_predicts) {
  Built built(Pass::kExplain);
  Tensor x(kInput), dx(kInput);
  fill_distinct(x, 1);
  const Tensor y = built.forward(x);
  Tensor dy(y.shape());
  fill_distinct(dy, 99);
  built.layer->backward(built.context, x, y, dy, &dx);
  const auto objective = [&] {
    const Tensor now = built.forward(x);
    double sum = 0;
    for (std::size_t i = 0; i < now.size(); ++i)
      sum += static_cast<double>(now.data()[i]) * static_cast<double>(dy.data()[i]);
    return sum;
  };
  const real step = sizeof(real) == 8 ? real(1e-5) : real(1.0 / 128);
  const double tolerance = sizeof(real) == 8 ? 1e-8 : 3e-3;
  for (std::size_t i = 0; i < x.size(); i += 7) {
    const real kept = x.data()[i];
    x.data()[i] = kept + step;
    const double above = objective();
    x.data()[i] = kept - step;
    const double below = objective();
    x.data()[i] = kept;
    EXPECT_NEAR(dx.data()[i], (above - below) / (2 * static_cast<double>(step)), tolerance) << i;
  }
}

TEST(HorizontalFlipTTA, says_what_is_missing) {
  expect_layer_error(R"({"type": "HorizontalFlipTTA"})", {1, 4, 4, 3},
                     "needs a \"body\", a list of layers");
  expect_layer_error(R"({"type": "HorizontalFlipTTA", "body": [{"type": "Conv9d"}]})", {1, 4, 4, 3},
                     "[Conv9d layer.body.#0] unknown layer type");
}

}  // namespace pinhole
