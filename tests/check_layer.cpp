#include "check_layer.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "json.h"
#include "onnx.h"
#include "torch_source.h"

namespace pinhole {

namespace {

/// A layer built and filled the same way each time, with what one forward and backward gave.
struct Run {
  std::shared_ptr<Backend> backend;
  std::unique_ptr<Layer> layer;
  RunContext context{*backend};
  Buffer scratch;
  Tensor x, y, dy, dx;

  Run(const std::string& spec, const Shape& input, std::string_view backend_name, int threads = 2)
      : backend(make_backend(backend_name, threads)) {
    const Json json = parse_json(spec, "spec");
    const Shape item = input.with_n(1);
    layer = make_layer(json, {.input = item, .flattened = item, .classes = 3, .prefix = "layer"},
                       "[layer]");
    context.pass = Pass::kTrain;
    context.seed = 7;
    context.step = 3;
    x.resize(input);
    fill_distinct(x, 1);
    std::uint64_t seed = 2;
    for (Parameter* parameter : layer->parameters()) {
      fill_distinct(parameter->value, seed++);
      parameter->changed();
    }
    y.resize(layer->output_shape(input));
    dy.resize(y.shape());
    fill_distinct(dy, 99);
    dx.resize(input);
    scratch = Buffer(layer->prepare(input, Pass::kTrain));
    context.scratch = scratch.data();
  }

  void forward() { layer->forward(context, x, y); }
  void backward() { layer->backward(context, x, y, dy, &dx); }
  /// The scalar whose gradient by y is dy.
  double objective() {
    forward();
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i)
      sum += static_cast<double>(y.data()[i]) * static_cast<double>(dy.data()[i]);
    return sum;
  }
};

double largest(const Tensor& tensor) {
  double most = 0;
  for (std::size_t i = 0; i < tensor.size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(tensor.data()[i])));
  return most;
}

void expect_close(const Tensor& got, const Tensor& want, double tolerance,
                  const std::string& what) {
  ASSERT_EQ(got.shape(), want.shape()) << what;
  const double limit = tolerance * (1 + largest(want));
  for (std::size_t i = 0; i < want.size(); ++i) {
    ASSERT_NEAR(got.data()[i], want.data()[i], limit)
        << what << " at " << i << " of " << want.size();
  }
}

#ifdef PINHOLE_DOUBLE

void check_gradients(const std::string& spec, const Shape& input) {
  Run run(spec, input, "reference");
  run.forward();
  run.backward();
  const auto check = [&](Tensor& values, const Tensor& gradient, const std::string& what,
                         const std::function<void()>& changed) {
    constexpr double kStep = 1e-5;
    constexpr double kTolerance = 1e-8;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const real kept = values.data()[i];
      values.data()[i] = kept + kStep;
      changed();
      const double above = run.objective();
      values.data()[i] = kept - kStep;
      changed();
      const double below = run.objective();
      values.data()[i] = kept;
      changed();
      const double numeric = (above - below) / (2 * kStep);
      ASSERT_NEAR(gradient.data()[i], numeric, kTolerance * (1 + std::abs(numeric)))
          << spec << ": d" << what << " at " << i;
    }
  };
  check(run.x, run.dx, "input", [] {});
  for (Parameter* parameter : run.layer->parameters()) {
    ASSERT_EQ(parameter->grad.shape(), parameter->value.shape());
    check(parameter->value, parameter->grad, parameter->name, [&] { parameter->changed(); });
  }
}

#else

void copy(const Tensor& from, Tensor& to) { std::copy_n(from.data(), from.size(), to.data()); }

void check_backends(const std::string& spec, const Shape& input) {
  constexpr double kTolerance = 3e-5;
  Run want(spec, input, "reference");
  want.forward();
  want.backward();
  for (const std::string& name : backend_names()) {
    Run got(spec, input, name);
    got.forward();
    expect_close(got.y, want.y, kTolerance, text(spec, " on ", name, ": y"));
    // Backward from the same y, so that only its own error counts.
    copy(want.y, got.y);
    got.backward();
    expect_close(got.dx, want.dx, kTolerance, text(spec, " on ", name, ": dx"));
    const auto parameters = got.layer->parameters();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      expect_close(parameters[i]->grad, want.layer->parameters()[i]->grad, kTolerance,
                   text(spec, " on ", name, ": d", parameters[i]->name));
    }
    // A weight that changes between two calls must be seen (backends keep packed copies).
    if (!parameters.empty()) {
      Run changed(spec, input, "reference");
      Parameter& there = *changed.layer->parameters()[0];
      for (Parameter* parameter : {parameters[0], &there}) {
        fill_distinct(parameter->value, 55);
        parameter->changed();
      }
      changed.forward();
      got.forward();
      expect_close(got.y, changed.y, kTolerance,
                   text(spec, " on ", name, ": y after the weight changed"));
    }
  }
}

#endif

void check_shape_rule(const std::string& spec, const Shape& input) {
  Run run(spec, input, "reference");
  EXPECT_EQ(run.layer->output_shape(input).n, input.n);
  EXPECT_EQ(run.layer->output_shape(input.with_n(1)).with_n(input.n),
            run.layer->output_shape(input))
      << spec;
  // Every output is written: none keeps what was there.
  run.y.fill(std::numeric_limits<real>::quiet_NaN());
  run.dx.fill(std::numeric_limits<real>::quiet_NaN());
  run.forward();
  run.backward();
  for (std::size_t i = 0; i < run.y.size(); ++i)
    ASSERT_FALSE(std::isnan(run.y.data()[i])) << spec << ": y at " << i << " is never written";
  for (std::size_t i = 0; i < run.dx.size(); ++i)
    ASSERT_FALSE(std::isnan(run.dx.data()[i])) << spec << ": dx at " << i << " is never written";
}

void check_accumulation(const std::string& spec, const Shape& input) {
  Run once(spec, input, "reference");
  Run twice(spec, input, "reference");
  for (Run* run : {&once, &twice, &twice}) {
    run->forward();
    run->backward();
  }
  const auto parameters = once.layer->parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    Tensor& grad = parameters[i]->grad;
    for (std::size_t j = 0; j < grad.size(); ++j) grad.data()[j] *= 2;
    expect_close(twice.layer->parameters()[i]->grad, grad, 1e-5,
                 text(spec, ": two backwards of ", parameters[i]->name));
  }
  expect_close(twice.dx, once.dx, 0, text(spec, ": dx is assigned, not added"));
}

void check_in_place(const std::string& spec, const Shape& input) {
  Run apart(spec, input, "reference");
  if (!apart.layer->in_place()) return;
  apart.forward();
  apart.backward();
  for (const std::string& name : backend_names()) {
    Run same(spec, input, name);
    ASSERT_EQ(same.x.size(), same.y.size())
        << spec << " works in place but changes the number of values";
    Tensor y = Tensor::borrow(same.y.shape(), same.x.data());
    same.layer->forward(same.context, same.x, y);
    expect_close(y, apart.y, 1e-6, text(spec, " in place on ", name, ": y"));
    Tensor dx = Tensor::borrow(same.dx.shape(), same.dy.data());
    // x is gone: backward may read y alone, and only where it says so.
    Tensor gone(input);
    gone.fill(std::numeric_limits<real>::quiet_NaN());
    same.layer->backward(same.context, gone, same.layer->uses_output() ? y : gone, same.dy, &dx);
    expect_close(dx, apart.dx, 1e-6, text(spec, " in place on ", name, ": dx"));
  }
}

/// Every layer has a form in both; that it is the right one, the tests of whole exports show.
void check_exports(const std::string& spec, const Shape& input) {
  const Run run(spec, input, "reference");
  OnnxGraph graph("graph");
  EXPECT_NO_THROW({
    const OnnxValue y = run.layer->to_onnx(graph, {"x"});
    EXPECT_NE(y.name, "") << spec;
    TorchSource source;
    EXPECT_NE(run.layer->to_torch(source), "") << spec;
  }) << spec;
}

}  // namespace

void fill_distinct(Tensor& tensor, std::uint64_t seed) {
  std::vector<std::uint32_t> order(tensor.size());
  std::iota(order.begin(), order.end(), 0U);
  Rng rng(seed);
  shuffle(order, rng);
  // Half a step off the grid: with an odd count the middle value would be zero.
  const double count = static_cast<double>(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    tensor.data()[i] = static_cast<real>((2 * static_cast<double>(order[i]) + 0.75) / count - 1);
  }
}

void check_layer(const std::string& spec, const Shape& input) {
  SCOPED_TRACE(spec + " on " + std::to_string(input.n) + " of " + item_text(input));
  check_shape_rule(spec, input);
  check_accumulation(spec, input);
  check_in_place(spec, input);
  check_exports(spec, input);
#ifdef PINHOLE_DOUBLE
  check_gradients(spec, input);
#else
  check_backends(spec, input);
#endif
}

void expect_layer_error(const std::string& spec, const Shape& input, const std::string& expected) {
  try {
    const Shape item = input.with_n(1);
    make_layer(parse_json(spec, "spec"),
               {.input = item, .flattened = item, .classes = 3, .prefix = "layer"}, "[layer]");
    FAIL() << spec << " was accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(expected), std::string::npos)
        << "got: " << error.what() << "\nwanted: " << expected;
  }
}

}  // namespace pinhole
