// The plan: fusion, layers in place, shared memory and a changing batch must not change a single gradient. Built in double too.
#include "model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>

#include "check_layer.h"
#include "json.h"
#include "loss.h"

namespace pinhole {

namespace {

const char* const kFused = R"([
  {"type": "Conv2d", "name": "conv1", "out_channels": 5, "kernel_size": 3, "padding": 1},
  {"type": "ReLU"}, {"type": "MaxPool2d", "kernel_size": 2}, {"type": "Flatten"},
  {"type": "Linear", "name": "fc", "out_features": "classes"}, {"type": "Softmax"}])";

// Two fused blocks on odd sizes, a Dropout in place on a flat tensor, a ReLU between Linears.
const char* const kDeep = R"([
  {"type": "Conv2d", "out_channels": 4, "kernel_size": 3, "padding": 1}, {"type": "ReLU"}, {"type": "MaxPool2d", "kernel_size": 2},
  {"type": "Conv2d", "out_channels": 6, "kernel_size": 3, "padding": 1}, {"type": "ReLU"}, {"type": "MaxPool2d", "kernel_size": 2, "stride": 2},
  {"type": "Flatten"}, {"type": "Dropout", "p": 0.25}, {"type": "Linear", "out_features": 7}, {"type": "ReLU"},
  {"type": "Linear", "out_features": "classes"}])";

// Sigmoid keeps its output for backward, so the ReLU after it must not overwrite it; pools that do not fuse.
const char* const kUnfused = R"([
  {"type": "ReLU"},
  {"type": "Conv2d", "out_channels": 4, "kernel_size": 3, "stride": 2, "groups": 1, "padding": 1}, {"type": "Sigmoid"}, {"type": "ReLU"},
  {"type": "Dropout", "p": 0.5}, {"type": "AvgPool2d", "kernel_size": 2, "stride": 1},
  {"type": "Conv2d", "out_channels": 4, "kernel_size": 3, "padding": 1, "groups": 2}, {"type": "MaxPool2d", "kernel_size": 3, "stride": 2, "padding": 1},
  {"type": "ReLU"}, {"type": "Softmax"}, {"type": "AdaptiveAvgPool2d", "output_size": 1}, {"type": "Flatten"},
  {"type": "Linear", "out_features": 1}, {"type": "Sigmoid"}])";

const char* const kNothingBeforeLinear = R"([
  {"type": "AvgPool2d", "kernel_size": 2}, {"type": "Flatten"}, {"type": "ReLU"}, {"type": "Linear", "out_features": "classes"}])";

const char* const kNoParameters =
    R"([{"type": "AdaptiveAvgPool2d", "output_size": 1}, {"type": "Softmax"}])";

// Blocks with a skip connection, one inside another, BatchNorm2d everywhere, a frozen layer in the middle.
const char* const kResidual = R"([
  {"type": "Normalize", "mean": [0.1], "std": [0.5]},
  {"type": "Conv2d", "out_channels": 4, "kernel_size": 3, "padding": 1}, {"type": "BatchNorm2d"}, {"type": "ReLU"},
  {"type": "Residual", "name": "a",
   "body": [{"type": "Conv2d", "out_channels": 4, "kernel_size": 3, "padding": 1}, {"type": "BatchNorm2d"}, {"type": "ReLU6"},
            {"type": "Residual", "body": [{"type": "Conv2d", "out_channels": 4, "kernel_size": 1}, {"type": "SiLU"}]}]},
  {"type": "ReLU"}, {"type": "Conv2d", "out_channels": 4, "kernel_size": 1, "requires_grad": false}, {"type": "ReLU6"},
  {"type": "Residual", "name": "b",
   "body": [{"type": "Conv2d", "out_channels": 6, "kernel_size": 3, "stride": 2, "padding": "same"}, {"type": "Hardswish"},
            {"type": "Dropout", "p": 0.3}],
   "shortcut": [{"type": "Conv2d", "out_channels": 6, "kernel_size": 1, "stride": 2}, {"type": "BatchNorm2d"}]},
  {"type": "ReLU"}, {"type": "AdaptiveAvgPool2d", "output_size": 1}, {"type": "Flatten"},
  {"type": "Linear", "out_features": "classes"}, {"type": "Softmax"}])";

const char* const kChains[] = {kFused,        kDeep,    kUnfused, kNothingBeforeLinear,
                               kNoParameters, kResidual};

Json spec_of(const std::string& layers) {
  return parse_json(
      R"({"format": "pinhole/1", "name": "Test", "input": [9, 10, 3], "layers": )" + layers + "}",
      "spec");
}

Model make(const std::string& layers, std::string_view backend = "reference", int threads = 2) {
  Model model(spec_of(layers), 3, make_backend(backend, threads));
  model.init(5);
  return model;
}

Tensor input(int n) {
  Tensor x({n, 9, 10, 3});
  fill_distinct(x, 4);
  return x;
}

Tensor output_gradient(Model& model, int n) {
  Tensor dy({n, 1, 1, model.outputs()});
  fill_distinct(dy, 8);
  return dy;
}

std::vector<real> gradients(Model& model, const Tensor& x, const Tensor& dy, Tensor* dx) {
  model.zero_grad();
  model.forward(x, Pass::kTrain, 11, 2);
  model.backward(x, dy, dx);
  std::vector<real> all;
  for (const Parameter* p : model.parameters())
    all.insert(all.end(), p->grad.data(), p->grad.data() + p->grad.size());
  return all;
}

}  // namespace

#ifdef PINHOLE_DOUBLE

namespace {

double objective(Model& model, const Tensor& x, const Tensor& dy) {
  const Tensor& y = model.forward(x, Pass::kTrain, 11, 2);
  double sum = 0;
  for (std::size_t i = 0; i < y.size(); ++i)
    sum += static_cast<double>(y.data()[i]) * static_cast<double>(dy.data()[i]);
  return sum;
}

}  // namespace

TEST(Model, has_the_gradients_that_finite_differences_give) {
  for (const char* chain : kChains) {
    SCOPED_TRACE(chain);
    Model model = make(chain);
    Tensor x = input(2), dx;
    const Tensor dy = output_gradient(model, 2);
    const std::vector<real> analytic = gradients(model, x, dy, &dx);
    constexpr double kStep = 1e-6;
    const auto check = [&](real& value, real gradient, const std::string& what,
                           Parameter* parameter) {
      const real kept = value;
      value = kept + kStep;
      if (parameter != nullptr) parameter->changed();
      const double above = objective(model, x, dy);
      value = kept - kStep;
      if (parameter != nullptr) parameter->changed();
      const double numeric = (above - objective(model, x, dy)) / (2 * kStep);
      value = kept;
      if (parameter != nullptr) parameter->changed();
      ASSERT_NEAR(gradient, numeric, 1e-7 * (1 + std::abs(numeric))) << what;
    };
    std::size_t i = 0;
    for (Parameter* p : model.parameters()) {
      for (std::size_t j = 0; j < p->value.size(); ++j)
        check(p->value.data()[j], analytic[i++], text(p->name, " at ", j), p);
    }
    for (std::size_t j = 0; j < x.size(); ++j)
      check(x.data()[j], dx.data()[j], text("input at ", j), nullptr);
  }
}

#else

TEST(Model, gives_the_same_on_every_backend_and_the_same_bits_on_any_number_of_threads) {
  for (const char* chain : kChains) {
    SCOPED_TRACE(chain);
    Model reference = make(chain);
    const Tensor x = input(5);
    const Tensor dy = output_gradient(reference, 5);
    Tensor want_dx;
    const std::vector<real> want = gradients(reference, x, dy, &want_dx);
    for (const std::string& name : backend_names()) {
      std::vector<real> first;
      for (const int threads : {1, 2, 3}) {
        SCOPED_TRACE(text(name, ", ", threads, " threads"));
        Model model = make(chain, name, threads);
        Tensor dx;
        const std::vector<real> got = gradients(model, x, dy, &dx);
        ASSERT_EQ(got.size(), want.size());
        for (std::size_t i = 0; i < got.size(); ++i)
          ASSERT_NEAR(got[i], want[i], 2e-5 * (1 + std::abs(want[i]))) << i;
        for (std::size_t i = 0; i < dx.size(); ++i)
          ASSERT_NEAR(dx.data()[i], want_dx.data()[i], 2e-5) << i;
        if (threads == 1) first = got;
        ASSERT_EQ(got, first);
      }
    }
  }
}

#endif

TEST(Model, does_not_need_the_input_gradient_for_the_parameters) {
  for (const char* chain : kChains) {
    SCOPED_TRACE(chain);
    Model model = make(chain);
    const Tensor x = input(3);
    const Tensor dy = output_gradient(model, 3);
    Tensor dx;
    const std::vector<real> with = gradients(model, x, dy, &dx);
    EXPECT_EQ(gradients(model, x, dy, nullptr), with);
  }
}

TEST(Model, is_not_disturbed_by_a_batch_that_grows_or_shrinks_or_by_an_evaluation_between_steps) {
  for (const char* chain : kChains) {
    SCOPED_TRACE(chain);
    Model fresh = make(chain);
    const Tensor x = input(2), larger = input(6);
    const Tensor dy = output_gradient(fresh, 2);
    const std::vector<real> want = gradients(fresh, x, dy, nullptr);
    Model model = make(chain);
    model.predict(x);
    EXPECT_EQ(gradients(model, x, dy, nullptr), want);
    model.predict(larger);
    EXPECT_EQ(gradients(model, x, dy, nullptr), want);
    gradients(model, larger, output_gradient(model, 6), nullptr);
    EXPECT_EQ(gradients(model, x, dy, nullptr), want);
  }
}

TEST(Model, leaves_its_input_as_it_is) {
  for (const char* chain : kChains) {
    Model model = make(chain);
    const Tensor x = input(2);
    Tensor dx;
    gradients(model, x, output_gradient(model, 2), &dx);
    const Tensor again = input(2);
    EXPECT_TRUE(std::equal(x.data(), x.data() + x.size(), again.data())) << chain;
  }
}

TEST(Model, predicts_probabilities_that_sum_to_one_with_or_without_a_final_activation) {
  for (const char* chain : kChains) {
    Model model = make(chain);
    const Tensor& p = model.predict(input(4));
    ASSERT_EQ(p.shape(), (Shape{4, 1, 1, model.classes()}));
    for (int n = 0; n < 4; ++n) {
      double sum = 0;
      for (int c = 0; c < model.classes(); ++c) sum += p.data()[n * model.classes() + c];
      EXPECT_NEAR(sum, 1, 1e-5) << chain;
    }
  }
}

TEST(Model, chooses_the_loss_from_its_end) {
  EXPECT_EQ(make(kFused).loss(), LossKind::kCrossEntropy);
  EXPECT_EQ(make(kUnfused).loss(), LossKind::kBinaryCrossEntropy);
  EXPECT_EQ(make(kUnfused).classes(), 2);
  EXPECT_EQ(make(kFused).classes(), 3);
}

TEST(Model, keeps_its_spec_and_describes_its_layers) {
  const Model model = make(kFused);
  EXPECT_EQ(model.spec(), spec_of(kFused));
  const auto layers = model.layers();
  ASSERT_EQ(layers.size(), 6U);
  EXPECT_EQ(layers[0].name, "conv1");
  EXPECT_EQ(layers[0].output, (Shape{1, 9, 10, 5}));
  EXPECT_EQ(layers[0].parameters, 5U * 27 + 5);
  EXPECT_EQ(layers[1].name, "1");
  EXPECT_EQ(layers[3].output, (Shape{1, 1, 1, 100}));
}

TEST(Model, initialises_as_pytorch_does_and_the_same_for_the_same_seed) {
  Model a = make(kFused), b = make(kFused), c = make(kFused);
  b.init(5);
  c.init(6);
  const Tensor& weight = a.parameters()[2]->value;  // fc: 100 inputs, so uniform in +-0.1
  double most = 0, sum = 0, squares = 0;
  for (std::size_t i = 0; i < weight.size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(weight.data()[i])));
    sum += weight.data()[i];
    squares += static_cast<double>(weight.data()[i]) * weight.data()[i];
    EXPECT_EQ(weight.data()[i], b.parameters()[2]->value.data()[i]);
  }
  EXPECT_LE(most, 0.1);
  EXPECT_GT(most, 0.095);
  EXPECT_NEAR(sum / weight.size(), 0, 0.015);
  EXPECT_NEAR(squares / weight.size(), 0.01 / 3, 0.0006);
  EXPECT_NE(weight.data()[0], c.parameters()[2]->value.data()[0]);
}

TEST(Model, says_what_is_wrong_with_a_spec) {
  const auto error = [](const std::string& json, int classes = 3) -> std::string {
    try {
      Model(parse_json(json, "spec"), classes, make_backend("reference", 1));
    } catch (const Error& problem) {
      return problem.what();
    }
    return "accepted";
  };
  const auto layers = [&](const std::string& list, int classes = 3) {
    return error(spec_of(list).dump(), classes);
  };
  EXPECT_EQ(error("[]"),
            "[model] expected an object with \"format\", \"name\", \"input\" and \"layers\"");
  EXPECT_EQ(error("{}"), "[model] \"format\" expected \"pinhole/1\", got nothing");
  EXPECT_EQ(error(R"({"format": "pinhole/1", "input": [0, 2, 3], "layers": []})"),
            "[model] \"layers\" expected a list of at least one layer");
  EXPECT_EQ(
      error(R"({"format": "pinhole/1", "input": [0, 2, 3], "layers": [{"type": "ReLU"}]})"),
      "[model] \"input\" expected [height, width, channels], each from 1 to 16384, got [0,2,3]");
  EXPECT_EQ(error(R"({"format": "pinhole/1", "colour": 1})"),
            "[model] unknown key \"colour\"; known are format, name, input, crop, layers, "
            "pretrained");
  EXPECT_NE(layers(R"([{"type": "Conv3d"}])")
                .find("[Conv3d #0] unknown layer type \"Conv3d\"; known are AdaptiveAvgPool2d, "
                      "AvgPool2d, BatchNorm2d, Conv2d"),
            std::string::npos);
  EXPECT_NE(layers(R"([{"type": "ReLU"}, {"type": "MaxPool2d", "kernel_size": 11}])")
                .find("[MaxPool2d #1] kernel 11x11 does not fit input 9x10"),
            std::string::npos);
  EXPECT_NE(layers(R"([{"type": "ReLU"}])").find("[ReLU #0] the network ends in 9x10x3"),
            std::string::npos);
  EXPECT_NE(layers(R"([{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}])", 0)
                .find("how many classes there are is not known yet"),
            std::string::npos);
  EXPECT_NE(
      layers(R"([{"type": "Flatten"}, {"type": "Linear", "out_features": 2}, {"type": "Sigmoid"}])")
          .find("[Sigmoid #2] a final Sigmoid takes 1 value (two classes), got 2"),
      std::string::npos);
  EXPECT_NE(
      layers(R"([{"type": "Flatten"}, {"type": "Linear", "out_features": 1}, {"type": "Softmax"}])")
          .find("a final Softmax takes 2 or more values, got 1"),
      std::string::npos);
  EXPECT_NE(layers(R"([{"type": "ReLU", "name": "a"}, {"type": "ReLU", "name": "a"}])")
                .find("[ReLU a] name \"a\" is taken"),
            std::string::npos);
  EXPECT_NE(layers(R"([{"type": "ReLU", "name": "a.b"}])")
                .find("name expected a string without dots, got \"a.b\""),
            std::string::npos);
  EXPECT_NE(layers("[7]").find("[layer #0] expected an object"), std::string::npos);
}

TEST(Model, takes_no_memory_for_more_weights_than_are_allowed) {
  const auto error = [](std::size_t most_weights) -> std::string {
    const Json spec = spec_of(
        R"([{"type": "Conv2d", "out_channels": 4, "kernel_size": 3}, {"type": "Residual", "body": [{"type": "Conv2d", "out_channels": 4, "kernel_size": 1}]}, {"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}])");
    try {
      Model(spec, 3, make_backend("reference", 1), most_weights);
    } catch (const Error& problem) {
      return problem.what();
    }
    return "accepted";
  };
  const std::size_t conv = 4 * 3 * 9, inside = 16, linear = 3 * 4 * 7 * 8;
  EXPECT_EQ(error(conv + inside + linear), "accepted");
  EXPECT_EQ(error(conv + inside + linear - 1),
            "[Linear #3] needs 672 weights, more than the 671 that are left for it");
  EXPECT_EQ(error(conv + inside - 1),
            "[Conv2d 1.body.#0] needs 16 weights, more than the 15 that are left for it");
}

TEST(Model, refuses_images_of_another_size) {
  Model model = make(kFused);
  Tensor x({2, 8, 10, 3});
  try {
    model.forward(x);
    FAIL();
  } catch (const Error& problem) {
    EXPECT_STREQ(problem.what(), "[Test] expected images of 9x10x3, got 2 of 8x10x3");
  }
}

namespace {

const char* const kPretrained = R"([
  {"type": "Normalize", "mean": [0.5], "std": [0.5]},
  {"type": "Conv2d", "name": "stem", "out_channels": 4, "kernel_size": 3, "stride": 2, "padding": "same", "requires_grad": false},
  {"type": "BatchNorm2d", "requires_grad": false}, {"type": "ReLU6"},
  {"type": "Residual", "requires_grad": false, "body": [{"type": "Conv2d", "out_channels": 4, "kernel_size": 3, "padding": 1}]},
  {"type": "AdaptiveAvgPool2d", "output_size": 1}, {"type": "Flatten"}, {"type": "Dropout", "p": 0.5},
  {"type": "Linear", "name": "head", "out_features": "classes"}, {"type": "Softmax"}])";

/// Values that BatchNorm2d does not start with.
void fill_state(Model& model) {
  std::uint64_t seed = 40;
  for (Parameter* p : model.state()) {
    fill_distinct(p->value, ++seed);
    if (p->name.find("running_var") != std::string::npos) {
      for (std::size_t i = 0; i < p->value.size(); ++i) p->value.data()[i] += 1.5;
    }
    p->changed();
  }
}

void expect_same(const Tensor& got, const std::vector<real>& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i)
    ASSERT_NEAR(got.data()[i], want[i], tolerance) << "at " << i;
}

std::vector<real> values(const Tensor& tensor) {
  return {tensor.data(), tensor.data() + tensor.size()};
}

}  // namespace

TEST(Model, folds_batch_norm_and_activations_into_convolutions_for_prediction_alone) {
  for (const char* chain : {kResidual, kPretrained}) {
    Model model = make(chain);
    fill_state(model);
    const Tensor x = input(3);
    const std::vector<real> plain = values(model.forward(x, Pass::kExplain));
    expect_same(model.forward(x), plain, 1e-4);
    // A statistic that changes must be seen.
    for (Parameter* p : model.state()) {
      if (p->name.find("running_mean") == std::string::npos) continue;
      p->value.data()[0] += 1;
      p->changed();
    }
    const std::vector<real> moved = values(model.forward(x, Pass::kExplain));
    EXPECT_GT(std::abs(moved[0] - plain[0]), 1e-6);
    expect_same(model.forward(x), moved, 1e-4);
  }
  Model model = make(kResidual);
  const auto predict = model.steps(Pass::kPredict), train = model.steps(Pass::kTrain);
  EXPECT_EQ(predict[1], "Conv2d+BatchNorm2d+ReLU 1");
  EXPECT_EQ(train[1], "Conv2d 1");
  EXPECT_EQ(make(kFused).steps(Pass::kPredict)[0], "Conv2d+ReLU+MaxPool2d conv1");
  EXPECT_EQ(make(kFused).steps(Pass::kTrain)[0], "Conv2d+ReLU+MaxPool2d conv1");
}

TEST(Model, gives_the_same_from_kept_features_as_from_images) {
  Model model = make(kPretrained);
  fill_state(model);
  EXPECT_EQ(model.frozen_layers(), 7U);  // all before Dropout
  EXPECT_EQ(model.feature_shape(), (Shape{1, 1, 1, 4}));
  EXPECT_EQ(make(kDeep).frozen_layers(), 0U);
  const Tensor x = input(4);
  Tensor features({4, 1, 1, 4});
  const std::vector<real> kept = values(model.features(x));
  std::copy(kept.begin(), kept.end(), features.data());
  const std::vector<real> plain = values(model.forward(x));
  expect_same(model.forward_features(features), plain, 0);
  const Tensor dy = output_gradient(model, 4);
  const auto head_gradient = [&](bool from_features) {
    model.zero_grad();
    if (from_features) {
      model.forward_features(features, Pass::kTrain, 3, 4);
      model.backward(features, dy);
    } else {
      model.forward(x, Pass::kTrain, 3, 4);
      model.backward(x, dy);
    }
    std::vector<real> all;
    for (const Parameter* p : model.parameters()) {
      EXPECT_EQ(p->requires_grad, p->name.starts_with("head.")) << p->name;
      if (p->requires_grad) all.insert(all.end(), p->grad.data(), p->grad.data() + p->grad.size());
      if (!p->requires_grad) {
        EXPECT_TRUE(p->grad_empty) << p->name << " is frozen and got a gradient";
      }
    }
    return all;
  };
  EXPECT_EQ(head_gradient(true), head_gradient(false));
}

TEST(Model, explains_with_the_gradient_of_the_last_map) {
  for (const char* chain : {kResidual, kPretrained, kFused}) {
    SCOPED_TRACE(chain);
    Model model = make(chain);
    fill_state(model);
    const Tensor x = input(1);
    Tensor dx;
    const Tensor dy = output_gradient(model, 1);
    const std::vector<real> logits = values(model.forward(x, Pass::kExplain));
    model.backward(x, dy, &dx);
    const Model::Map map = model.last_map();
    ASSERT_NE(map.activation, nullptr);
    EXPECT_GT(map.activation->shape().h, 1);
    EXPECT_EQ(map.activation->shape(), map.gradient->shape());
    // Dropout is off and the statistics are the running ones, as in prediction.
    expect_same(model.forward(x), logits, 1e-4);
  }
  Model flat = make(kNoParameters);
  const Tensor x = input(1);
  flat.forward(x, Pass::kExplain);
  flat.backward(x, output_gradient(flat, 1));
  EXPECT_EQ(flat.last_map().activation, nullptr);
}

#ifndef PINHOLE_DOUBLE

namespace {

/// What a training step and then a prediction of one batch ran, as {body: times}.
std::map<std::string, int> paths_of(const std::string& layers, std::string_view backend,
                                    bool predict = false) {
  Model model = make(layers, backend);
  const Tensor x = input(3);
  if (predict) {
    model.forward(x);
  } else {
    gradients(model, x, output_gradient(model, 3), nullptr);
  }
  std::map<std::string, int> all;
  for (const auto& [path, times] : model.backend().paths())
    all[std::string(path)] = static_cast<int>(times);
  return all;
}

const char* const kDepthwise = R"([
  {"type": "Conv2d", "out_channels": 8, "kernel_size": 3, "stride": 2, "padding": 1}, {"type": "ReLU6"},
  {"type": "Conv2d", "out_channels": 8, "kernel_size": 3, "padding": 1, "groups": 8}, {"type": "ReLU6"},
  {"type": "AdaptiveAvgPool2d", "output_size": 1}, {"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}])";

}  // namespace

TEST(FastPaths, a_block_of_conv_relu_and_pool_is_one_pass_and_the_first_has_no_input_gradient) {
  using Expected = std::map<std::string, int>;
  for (const char* backend : {"simd", "xnnpack"}) {
    EXPECT_EQ(paths_of(kFused, backend), (Expected{{"simd conv2d_relu_max_pool2d_forward", 1},
                                                   {"simd sparse conv2d_backward_weight", 1}}));
    EXPECT_EQ(paths_of(kDeep, backend), (Expected{{"simd conv2d_relu_max_pool2d_forward", 2},
                                                  {"simd sparse conv2d_backward_weight", 2},
                                                  {"simd sparse conv2d_backward_input", 1}}));
  }
}

TEST(FastPaths, three_by_three_taps_on_many_channels_go_by_winograds_tiles) {
  const char* const chain = R"([
  {"type": "Conv2d", "out_channels": 32, "kernel_size": 3, "padding": 1},
  {"type": "Conv2d", "out_channels": 32, "kernel_size": 3, "padding": 1},
  {"type": "Conv2d", "out_channels": 64, "kernel_size": 3, "padding": 1}, {"type": "ReLU"}, {"type": "MaxPool2d", "kernel_size": 2},
  {"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}])";
  for (const char* backend : {"simd", "xnnpack"}) {
    std::map<std::string, int> paths = paths_of(chain, backend);
    EXPECT_EQ(paths["simd winograd conv2d_forward"], 1);
    EXPECT_EQ(paths["simd winograd conv2d_relu_max_pool2d_forward"], 1);
    EXPECT_EQ(paths["simd winograd conv2d_backward_input"], 1);
    EXPECT_EQ(paths["simd winograd conv2d_backward_weight"], 1);
  }
}

TEST(FastPaths, depthwise_convolutions_have_kernels_of_their_own) {
  using Expected = std::map<std::string, int>;
  EXPECT_EQ(paths_of(kDepthwise, "simd"), (Expected{{"simd conv2d_forward", 1},
                                                    {"simd depthwise conv2d_forward", 1},
                                                    {"simd conv2d_backward_weight", 1},
                                                    {"simd depthwise conv2d_backward_weight", 1},
                                                    {"simd depthwise conv2d_backward_input", 1}}));
}

TEST(FastPaths,
     xnnpack_runs_forward_and_the_input_gradient_of_every_convolution_that_is_not_fused) {
  using Expected = std::map<std::string, int>;
  EXPECT_EQ(paths_of(kDepthwise, "xnnpack"), (Expected{{"xnnpack conv2d_forward", 2},
                                                       {"simd conv2d_backward_weight", 1},
                                                       {"simd depthwise conv2d_backward_weight", 1},
                                                       {"xnnpack conv2d_backward_input", 1}}));
  EXPECT_EQ(paths_of(kPretrained, "xnnpack", true), (Expected{{"xnnpack conv2d_forward", 2}}));
}

TEST(FastPaths, the_lessons_networks_take_them) {
  for (const char* file : {"binary_cnn", "multiclass_cnn", "fashion_cnn"}) {
    std::ifstream in(std::filesystem::path(PINHOLE_SOURCE_DIR) / "models" / text(file, ".json"));
    std::ostringstream spec;
    spec << in.rdbuf();
    Model model(parse_json(spec.str(), file), 2, make_backend("auto", 1));
    for (const auto& [pass, name] : {std::pair{Pass::kTrain, "train"}, {Pass::kPredict, "predict"}})
      EXPECT_TRUE(model.steps(pass)[0].starts_with("Conv2d+ReLU+MaxPool2d "))
          << file << ' ' << name;
  }
}

#endif

}  // namespace pinhole
