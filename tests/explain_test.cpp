// Heat maps against finite differences: the layers behind the map are built a second time as a network of their own, whose input
// is moved a little.
#include "explain.h"

#include <gtest/gtest.h>

#include <cmath>

#include "error.h"
#include "json.h"
#include "rng.h"

namespace pinhole {
namespace {

Json network(const std::vector<int>& input, const std::string& layers) {
  return Json{
      {"format", "pinhole/1"}, {"name", "Net"}, {"input", input}, {"layers", Json::parse(layers)}};
}

Tensor noise(const Shape& shape, std::uint64_t seed) {
  Tensor x(shape);
  Rng rng(seed, 7);
  for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<real>(rng.uniform() * 2 - 1);
  return x;
}

struct Case {
  const char* name;
  std::string front, tail;
  int classes;
};

/// `tail` begins where the last map is; its layers with parameters have names.
const Case kCases[] = {
    {"fused block, then Linear",
     R"({"type": "Conv2d", "name": "conv1", "out_channels": 5, "kernel_size": 3, "padding": 1}, {"type": "ReLU"},
        {"type": "MaxPool2d", "kernel_size": 2},)",
     R"([{"type": "Flatten"}, {"type": "Linear", "name": "fc", "out_features": "classes"}, {"type": "Softmax"}])",
     3},
    {"two Linears with ReLU and Dropout between",
     R"({"type": "Conv2d", "name": "conv1", "out_channels": 4, "kernel_size": 3}, {"type": "BatchNorm2d", "name": "bn"}, {"type": "ReLU"},)",
     R"([{"type": "AdaptiveAvgPool2d", "output_size": 1}, {"type": "Flatten"}, {"type": "Linear", "name": "fc1", "out_features": 6},
         {"type": "ReLU"}, {"type": "Dropout", "p": 0.5}, {"type": "Linear", "name": "fc2", "out_features": "classes"}])",
     4},
    {"one output",
     R"({"type": "Conv2d", "name": "conv1", "out_channels": 3, "kernel_size": 3, "stride": 2}, {"type": "ReLU"},)",
     R"([{"type": "Flatten"}, {"type": "Linear", "name": "fc", "out_features": 1}, {"type": "Sigmoid"}])",
     2},
};

TEST(Explain, weighs_the_last_map_by_the_gradient_that_finite_differences_give) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const std::shared_ptr<Backend> backend = make_backend("auto", 2);
    Model model(network({9, 11, 3}, "[" + c.front + c.tail.substr(1)), c.classes, backend);
    model.init(4);
    const Tensor x = noise({1, 9, 11, 3}, 5);
    for (int label = 0; label < c.classes; ++label) {
      const HeatMap map = grad_cam(model, x, label);
      const Tensor& activation = *model.last_map().activation;
      const Shape shape = activation.shape();
      ASSERT_EQ(map.height, shape.h);
      ASSERT_EQ(map.width, shape.w);
      Tensor values(shape);
      std::copy_n(activation.data(), activation.size(), values.data());

      Model tail(network({shape.h, shape.w, shape.c}, c.tail), c.classes, backend);
      for (Parameter* to : tail.parameters()) {
        for (Parameter* from : model.parameters()) {
          if (from->name != to->name) continue;
          std::copy_n(from->value.data(), from->value.size(), to->value.data());
          to->changed();
        }
      }
      const auto logit = [&] {
        const real* logits = tail.forward(values).data();
        return tail.outputs() == 1 ? (label == 1 ? logits[0] : -logits[0]) : logits[label];
      };
      // The tail is linear between kinks.
      std::vector<double> expected;
      for (std::size_t i = 0; i < values.size(); ++i) {
        const real value = values.data()[i];
        constexpr real kStep = 1.0F / 256;
        values.data()[i] = value + kStep;
        const double above = logit();
        values.data()[i] = value - kStep;
        const double below = logit();
        values.data()[i] = value;
        const double part = value * (above - below) / (2 * kStep);
        if (i % static_cast<std::size_t>(shape.c) == 0) expected.push_back(0);
        expected.back() += part;
      }
      for (double& sum : expected) sum = std::max(sum, 0.0);
      const double largest = *std::max_element(expected.begin(), expected.end());
      for (std::size_t i = 0; i < expected.size(); ++i)
        EXPECT_NEAR(map.values[i], largest > 0 ? expected[i] / largest : 0, 0.01)
            << "label " << label << " at " << i;
    }
  }
}

TEST(Explain, leaves_prediction_and_training_as_they_were) {
  Model model(
      network(
          {8, 8, 3},
          R"([{"type": "Conv2d", "name": "c", "out_channels": 4, "kernel_size": 3}, {"type": "BatchNorm2d", "name": "b"},
                          {"type": "ReLU"}, {"type": "Dropout", "p": 0.5}, {"type": "Flatten"},
                          {"type": "Linear", "name": "fc", "out_features": "classes"}])"),
      3, make_backend("auto", 1));
  const Tensor x = noise({1, 8, 8, 3}, 1);
  const Tensor& before = model.predict(x);
  const std::vector<real> probabilities(before.data(), before.data() + before.size());
  std::vector<std::vector<real>> state;
  for (Parameter* p : model.state())
    state.emplace_back(p->value.data(), p->value.data() + p->value.size());
  const HeatMap first = grad_cam(model, x, 1), again = grad_cam(model, x, 1);
  EXPECT_EQ(first.values, again.values);
  const Tensor& after = model.predict(x);
  EXPECT_EQ(std::vector<real>(after.data(), after.data() + after.size()), probabilities);
  std::size_t index = 0;
  for (Parameter* p : model.state())
    EXPECT_EQ(std::vector<real>(p->value.data(), p->value.data() + p->value.size()), state[index++])
        << p->name;
}

TEST(Explain, says_what_it_cannot_explain) {
  const auto message = [](Model& model, const Tensor& x, int label) -> std::string {
    try {
      grad_cam(model, x, label);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  Model flat(
      network({4, 4, 1}, R"([{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}])"),
      2, make_backend("auto", 1));
  EXPECT_EQ(message(flat, noise({1, 4, 4, 1}, 1), 0),
            "Net has no output with a height and a width before its end, so nothing tells where it "
            "looked");
  EXPECT_EQ(message(flat, noise({1, 4, 4, 1}, 1), 2), "Net has 2 classes, there is no 2");
  EXPECT_EQ(message(flat, noise({2, 4, 4, 1}, 1), 0), "a heat map is of 1 image, got 2");
}

}  // namespace
}  // namespace pinhole
