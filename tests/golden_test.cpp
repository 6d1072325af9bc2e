// The core against PyTorch: tests/golden/*.safetensors hold inputs and PyTorch's answers (made by golden/make_goldens.py in
// float64). Rule: every comparison says its tolerance, and every backend of this build must meet it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <numeric>
#include <optional>

#include "backend.h"
#include "dataset.h"
#include "json.h"
#include "loss.h"
#include "model.h"
#include "model_file.h"
#include "optimizer.h"
#include "rng.h"
#include "trainer.h"

namespace pinhole {
namespace {

// What the plain loops of the reference backend can do of a loss curve in a reasonable time; the other backends do all of it.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(NDEBUG)
constexpr std::size_t kReferenceSteps = 3;
#else
constexpr std::size_t kReferenceSteps =
    7;  // one epoch with its last, smaller batch, and the first step of the next
#endif

std::vector<std::uint8_t> read_source_file(const std::string& path) {
  std::ifstream file(std::string(PINHOLE_SOURCE_DIR) + "/" + path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Safetensors read_golden(const std::string& name) {
  return read_safetensors(read_source_file("tests/golden/" + name + ".safetensors"), name);
}

Json cases_of(const Safetensors& golden) {
  return parse_json(golden.metadata.at("cases"), "cases");
}

/// The tensors whose names start with `prefix`, without it.
Safetensors with_prefix(const Safetensors& golden, const std::string& prefix) {
  Safetensors out;
  for (const auto& [name, tensor] : golden.tensors) {
    if (name.starts_with(prefix)) out.tensors.emplace(name.substr(prefix.size()), tensor);
  }
  return out;
}

/// Images [n, h, w, c], or logits [n, k] as [n, 1, 1, k].
Tensor to_tensor(const StoredTensor& stored) {
  const auto size = [&](std::size_t i) { return static_cast<int>(stored.shape.at(i)); };
  Tensor tensor(stored.shape.size() == 4 ? Shape{size(0), size(1), size(2), size(3)}
                                         : Shape{size(0), 1, 1, size(1)});
  std::copy(stored.values.begin(), stored.values.end(), tensor.data());
  return tensor;
}

/// Every value within `tolerance` of the largest magnitude in `want`.
testing::AssertionResult near(std::span<const real> got, std::span<const float> want,
                              double tolerance, double factor = 1) {
  if (got.size() != want.size()) {
    return testing::AssertionFailure() << got.size() << " values, PyTorch has " << want.size();
  }
  double scale = 1e-7;
  for (const float value : want)
    scale = std::max(scale, std::abs(static_cast<double>(value) * factor));
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double expected = static_cast<double>(want[i]) * factor;
    // Written so that a NaN fails.
    if (!(std::abs(static_cast<double>(got[i]) - expected) <= tolerance * scale)) {
      return testing::AssertionFailure() << "value " << i << " is " << got[i] << ", PyTorch has "
                                         << expected << " (allowed: " << tolerance * scale << ")";
    }
  }
  return testing::AssertionSuccess();
}

std::span<const real> values(const Tensor& tensor) { return {tensor.data(), tensor.size()}; }

class PyTorchGolden : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Backends, PyTorchGolden, testing::ValuesIn(backend_names()),
                         [](const auto& backend) { return backend.param; });

TEST_P(PyTorchGolden, EveryLayerGivesPyTorchsOutputsAndGradients) {
  constexpr double kTolerance =
      1e-5;  // of the largest value of each tensor; sums here have up to 400 terms
  const Safetensors golden = read_golden("layers");
  const Json cases = cases_of(golden);
  ASSERT_GT(cases.size(), 60U);
  const auto backend = make_backend(GetParam(), 2);
  for (const Json& test : cases) {
    const std::string key = test["key"].get<std::string>() + "/";
    SCOPED_TRACE(test["spec"]["name"].get<std::string>());
    const auto stored = [&](const std::string& name) -> const StoredTensor& {
      return golden.tensors.at(key + name);
    };

    Model model(test["spec"], 0, backend);
    load_state_dict(model, with_prefix(golden, key + "state/"), "golden");
    const Tensor x = to_tensor(stored("x"));
    if (golden.tensors.contains(key + "probabilities")) {
      EXPECT_TRUE(near(values(model.predict(x)), stored("probabilities").values, kTolerance));
    }
    const bool differs = golden.tensors.contains(key + "y_eval");  // BatchNorm2d
    EXPECT_TRUE(near(values(model.forward(x)), stored(differs ? "y_eval" : "y").values, kTolerance))
        << "y in evaluation";
    if (test["evaluate"].get<bool>()) continue;

    const Tensor dy = to_tensor(stored("dy"));
    // PyTorch's gradients are laid out as the state_dict is, so a second model takes them as its values.
    Model expected(test["spec"], 0, backend);
    Safetensors gradients = with_prefix(golden, key + "grad/");
    const Safetensors after = with_prefix(golden, key + "after/");
    gradients.tensors.insert(after.tensors.begin(), after.tensors.end());
    load_state_dict(expected, gradients, "golden");
    // Running statistics after one batch.
    Model one(test["spec"], 0, backend);
    load_state_dict(one, with_prefix(golden, key + "state/"), "golden");
    one.forward(x, Pass::kTrain);
    const std::vector<Parameter*> state = one.state();
    for (std::size_t i = 0; i < state.size(); ++i) {
      const auto stored_after = after.tensors.find(state[i]->name);
      if (stored_after == after.tensors.end()) continue;
      EXPECT_TRUE(near(values(state[i]->value), stored_after->second.values, kTolerance))
          << state[i]->name;
    }
    // The second backward adds to the gradients of the first; dx is assigned.
    for (const int times : {1, 2}) {
      SCOPED_TRACE(times == 1 ? "first backward" : "second backward, without zero_grad");
      Tensor dx;
      EXPECT_TRUE(near(values(model.forward(x, Pass::kTrain)), stored("y").values, kTolerance))
          << "y in training";
      model.backward(x, dy, &dx);
      EXPECT_TRUE(near(values(dx), stored("dx").values, kTolerance)) << "dx";
      const auto parameters = model.parameters(), wanted = expected.parameters();
      ASSERT_EQ(parameters.size(), wanted.size());
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        const std::vector<float> want(wanted[i]->value.data(),
                                      wanted[i]->value.data() + wanted[i]->value.size());
        EXPECT_TRUE(near(values(parameters[i]->grad), want, kTolerance, times))
            << "gradient of " << parameters[i]->name;
      }
    }
    model.zero_grad();
    model.forward(x, Pass::kTrain);
    model.backward(x, dy);
    for (std::size_t i = 0; i < model.parameters().size(); ++i) {
      const Tensor& want = expected.parameters()[i]->value;
      EXPECT_TRUE(near(values(model.parameters()[i]->grad),
                       std::vector<float>(want.data(), want.data() + want.size()), kTolerance))
          << "gradient of " << model.parameters()[i]->name << " after zero_grad";
    }
  }
}

TEST(PyTorchGolden, LossesGivePyTorchsValuesAndGradients) {
  const Safetensors golden = read_golden("losses");
  const Json cases = cases_of(golden);
  ASSERT_GE(cases.size(), 12U);
  for (const Json& test : cases) {
    SCOPED_TRACE(test["kind"].get<std::string>() + ": " + test["name"].get<std::string>());
    const std::string key = test["key"].get<std::string>() + "/";
    const Tensor logits = to_tensor(golden.tensors.at(key + "logits"));
    const auto labels = test["labels"].get<std::vector<int>>();
    Tensor dlogits;
    const double got = test["kind"] == "cross_entropy"
                           ? cross_entropy(logits, labels, dlogits)
                           : binary_cross_entropy(logits, labels, dlogits);
    const double want = golden.tensors.at(key + "value").values.at(0);
    // Computed in double and stored as float; PyTorch's losses of sure answers keep the rounding of 1.
    EXPECT_NEAR(got, want, 2e-7 * std::abs(want) + 1e-12);
    EXPECT_TRUE(near(values(dlogits), golden.tensors.at(key + "dlogits").values, 2e-7));
  }
}

OptimizerOptions options_of(const Json& json) {
  OptimizerOptions options;
  options.name = json["name"].get<std::string>();
  options.lr = json["lr"].get<double>();
  options.weight_decay = json.value("weight_decay", 0.0);
  options.momentum = json.value("momentum", options.momentum);
  options.nesterov = json.value("nesterov", false);
  options.beta1 = json.value("beta1", options.beta1);
  options.beta2 = json.value("beta2", options.beta2);
  options.eps = json.value("eps", options.eps);
  return options;
}

TEST_P(PyTorchGolden, OptimizersFollowPyTorchsRulesForTenSteps) {
  // Float32 state rounds a few times a step.
  constexpr double kTolerance = 1e-6;
  const Safetensors golden = read_golden("optimizers");
  const Json cases = cases_of(golden);
  ASSERT_GE(cases.size(), 11U);
  const auto steps = static_cast<std::size_t>(std::stoi(golden.metadata.at("steps")));
  const int halve_lr_before = std::stoi(golden.metadata.at("halve_lr_before_step"));
  const auto backend = make_backend(GetParam(), 2);
  for (const Json& test : cases) {
    SCOPED_TRACE(test["name"].get<std::string>());
    std::vector<Parameter> parameters(2);
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      const std::vector<float>& start = golden.tensors.at("value" + std::to_string(p)).values;
      parameters[p].value.resize({1, 1, 1, static_cast<int>(start.size())});
      std::copy(start.begin(), start.end(), parameters[p].value.data());
    }
    const auto optimizer = make_optimizer(options_of(test["options"]));
    for (std::size_t step = 0; step < steps; ++step) {
      if (static_cast<int>(step) + 1 == halve_lr_before) optimizer->lr /= 2;
      std::vector<Parameter*> pointers;
      std::vector<std::uint64_t> versions;
      for (std::size_t p = 0; p < parameters.size(); ++p) {
        parameters[p].zero_grad();
        parameters[p].take_beta();
        const std::size_t count = parameters[p].value.size();
        std::copy_n(golden.tensors.at("grads" + std::to_string(p)).values.begin() +
                        static_cast<std::ptrdiff_t>(step * count),
                    count, parameters[p].grad.data());
        pointers.push_back(&parameters[p]);
        versions.push_back(parameters[p].version);
      }
      optimizer->step(*backend, pointers);
      for (std::size_t p = 0; p < parameters.size(); ++p) {
        const std::size_t count = parameters[p].value.size();
        const std::vector<float>& want =
            golden.tensors.at(test["key"].get<std::string>() + "/values" + std::to_string(p))
                .values;
        for (std::size_t i = 0; i < count; ++i) {
          const double expected = want[step * count + i];
          // Relative to the largest that this value has been: a value that comes back to nearly 0 keeps its rounding.
          double largest = 0.1;
          for (std::size_t before = 0; before <= step; ++before)
            largest = std::max(largest, std::abs(static_cast<double>(want[before * count + i])));
          ASSERT_NEAR(parameters[p].value.data()[i], expected, kTolerance * largest)
              << "parameter " << p << ", value " << i << ", step " << step + 1;
        }
        EXPECT_GT(parameters[p].version, versions[p])
            << "a step must raise the version, or packed weights go stale";
      }
    }
  }
}

/// make_goldens.py's curve_images: noise, and in the bands of rows that belong to the image's class 96 more.
ImageDataset curve_images(std::uint64_t seed, const Shape& input, int classes, int images) {
  std::vector<std::string> names;
  for (int c = 0; c < classes; ++c) names.push_back("class " + std::to_string(c));
  ImageDataset data(input.h, input.w, input.c, names);
  const int band = std::max(1, input.h / (2 * classes));
  const std::size_t row = static_cast<std::size_t>(input.w) * static_cast<std::size_t>(input.c);
  std::vector<std::uint8_t> pixels(input.item());
  for (int i = 0; i < images; ++i) {
    const auto index = static_cast<std::uint64_t>(i);
    const int label =
        static_cast<int>(Rng(seed, 100).at(index) % static_cast<std::uint64_t>(classes));
    const Rng noise(seed, 200 + index);
    for (std::size_t j = 0; j < pixels.size(); ++j) {
      const bool bright = static_cast<int>(j / row) / band % classes == label;
      pixels[j] = static_cast<std::uint8_t>((noise.at(j) & 127) + (bright ? 96 : 0));
    }
    data.add(pixels, label);
  }
  return data;
}

/// make_goldens.py's scaled_state: PyTorch's initial bound times uniform(-1, 1), one stream for each tensor.
Safetensors curve_weights(std::uint64_t seed, const Json& state) {
  Safetensors file;
  double bound = 0;
  std::uint64_t stream = 0;
  for (const Json& entry : state) {
    StoredTensor tensor;
    tensor.shape = entry["shape"].get<std::vector<std::int64_t>>();
    std::size_t count = 1;
    for (const std::int64_t size : tensor.shape) count *= static_cast<std::size_t>(size);
    // A bias follows its weight and has the same bound.
    if (tensor.shape.size() > 1)
      bound = 1 / std::sqrt(static_cast<double>(count) / static_cast<double>(tensor.shape[0]));
    const Rng rng(seed, stream++);
    tensor.values.resize(count);
    for (std::size_t i = 0; i < count; ++i)
      tensor.values[i] = static_cast<float>((rng.uniform_at(i) * 2 - 1) * bound);
    file.tensors.emplace(entry["name"].get<std::string>(), std::move(tensor));
  }
  return file;
}

TEST_P(PyTorchGolden, TwentyTrainingStepsFollowPyTorchsLossCurve) {
  constexpr double kTolerance = 1e-4;
  const Safetensors golden = read_golden("loss_curves");
  const Json cases = cases_of(golden);
  ASSERT_EQ(cases.size(), 6U);
  const int batch_size = std::stoi(golden.metadata.at("batch_size"));
  const int images = std::stoi(golden.metadata.at("images"));
  const auto all_steps = static_cast<std::size_t>(std::stoi(golden.metadata.at("steps")));
  const std::size_t steps = GetParam() == "reference" ? kReferenceSteps : all_steps;
  const auto backend = make_backend(GetParam(), 2);
  std::optional<ImageDataset> data;  // SGD and Adam train on the same images
  for (const Json& test : cases) {
    SCOPED_TRACE(test["name"].get<std::string>() + " with " +
                 test["options"]["name"].get<std::string>());
    const std::string key = test["key"].get<std::string>() + "/";
    const auto stored = [&](const std::string& name) -> const std::vector<float>& {
      return golden.tensors.at(key + name).values;
    };
    // PyTorch's own float32 and float64 differ by up to 4e-6 on these curves: the tolerance is far above rounding.
    ASSERT_LT(10 * stored("float32_difference")[0], kTolerance);
    const int classes = test["classes"].get<int>();
    const auto seed = test["seed"].get<std::uint64_t>();
    const auto spec_bytes = read_source_file(test["spec"].get<std::string>());
    Model model(
        parse_json({reinterpret_cast<const char*>(spec_bytes.data()), spec_bytes.size()}, "spec"),
        classes, backend);
    load_state_dict(model, curve_weights(seed, test["state"]), "golden");
    if (!data || data->height() != model.input_shape().h ||
        static_cast<int>(data->classes().size()) != classes) {
      data.emplace(curve_images(seed, model.input_shape(), classes, images));
    }
    TrainerOptions options;
    options.optimizer = options_of(test["options"]);
    options.batch_size = batch_size;
    options.shuffle = false;
    Trainer trainer(model, *data, options);
    for (std::size_t i = 0; i < steps; ++i) {
      const StepResult step = trainer.step();
      EXPECT_NEAR(step.loss, stored("losses")[i], kTolerance * stored("losses")[i])
          << "loss at step " << i + 1;
      EXPECT_EQ(step.correct, stored("correct")[i]) << "at step " << i + 1;
    }
    if (steps < all_steps) continue;
    const EvaluationResult result = evaluate(model, *data, batch_size);
    EXPECT_NEAR(result.loss, stored("evaluation_loss")[0],
                kTolerance * stored("evaluation_loss")[0]);
    EXPECT_EQ(
        std::llround(result.confusion.accuracy() * static_cast<double>(result.confusion.total())),
        stored("evaluation_correct")[0]);
    EXPECT_EQ(result.confusion.total(), images);
    // The first layer's weights have come through every gradient of the network.
    Model expected(model.spec(), classes, backend);
    Safetensors weights = curve_weights(seed, test["state"]);
    weights.tensors.at("conv1.weight") = golden.tensors.at(key + "conv1.weight");
    load_state_dict(expected, weights, "golden");
    const Tensor& want = expected.parameters().front()->value;
    EXPECT_TRUE(near(values(model.parameters().front()->value),
                     std::vector<float>(want.data(), want.data() + want.size()), kTolerance))
        << "conv1.weight at the end";
  }
}

}  // namespace
}  // namespace pinhole
