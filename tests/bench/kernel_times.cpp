#include "kernel_times.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>

#include "dataset.h"
#include "error.h"
#include "json.h"
#include "model.h"
#include "probe.h"

namespace pinhole::bench {

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Fastest of at least five calls and about `seconds` seconds of them, after two that do not count: as the probe finds the limit
/// that a kernel is held against, which others on the machine cannot raise.
double fastest_time(double seconds, const std::function<void()>& call) {
  call();
  call();
  double fastest = std::numeric_limits<double>::infinity();
  double total = 0;
  for (int calls = 0; total < seconds || calls < 5; ++calls) {
    const double start = now();
    call();
    const double took = now() - start;
    fastest = std::min(fastest, took);
    total += took;
  }
  return fastest;
}

Tensor random_tensor(const Shape& shape, std::uint64_t seed) {
  Tensor tensor(shape);
  Rng rng(seed, 7);
  for (std::size_t i = 0; i < tensor.size(); ++i)
    tensor.data()[i] = static_cast<real>(rng.uniform() - 0.5);
  return tensor;
}

Parameter random_parameter(const Shape& shape, Layout layout) {
  Parameter parameter;
  parameter.layout = layout;
  parameter.value = random_tensor(shape, 3);
  parameter.grad.resize(shape);
  parameter.grad.fill(0);
  return parameter;
}

template <class... Tensors>
double gigabytes(const Tensors&... tensors) {
  return static_cast<double>((tensors.size() + ...)) * sizeof(real) / 1e9;
}

/// One square convolution; `first` needs no input gradient, `pooled` is followed by ReLU and MaxPool2d(2).
void time_conv(const std::string& layer, const Conv2dGeometry& g, bool first, bool pooled,
               Backend& backend, double seconds, std::vector<KernelTime>& times) {
  const Tensor x = random_tensor({g.n, g.h, g.w, g.c}, 1);
  Parameter w = random_parameter({g.oc, g.kh, g.kw, g.c}, Layout::kConvWeight);
  Parameter b = random_parameter({1, 1, 1, g.oc}, Layout::kVector);
  Tensor dx(x.shape());
  const std::string shape = text(g.n, " x ", item_text({1, g.h, g.w, g.c}), " -> ", g.oc);
  const double gflop = 2e-9 * g.n * g.oh * g.ow * static_cast<double>(g.oc) * g.kh * g.kw * g.c;
  const auto add = [&](const char* kernel, double flops, double bytes,
                       const std::function<void()>& call) {
    times.push_back({.layer = layer,
                     .kernel = kernel,
                     .shape = shape,
                     .seconds = fastest_time(seconds, call),
                     .gflop = flops,
                     .gigabytes = bytes});
  };
  {
    OpSlot forward, backward;
    const Tensor dy = random_tensor({g.n, g.oh, g.ow, g.oc}, 2);
    Tensor y(dy.shape());
    add("conv2d_forward", gflop, gigabytes(x, w.value, y),
        [&] { backend.conv2d_forward(g, x.data(), w, &b, y.data(), forward); });
    if (!first) {
      add("conv2d_backward_input", gflop, gigabytes(dy, w.value, dx),
          [&] { backend.conv2d_backward_input(g, dy.data(), w, dx.data(), backward); });
    }
    add("conv2d_backward_weight", gflop, gigabytes(x, dy, w.grad), [&] {
      backend.conv2d_backward_weight(g, x.data(), dy.data(), 0, w.grad.data(), b.grad.data());
    });
  }
  if (!pooled) return;
  OpSlot forward, backward;
  const Tensor dy = random_tensor({g.n, g.oh / 2, g.ow / 2, g.oc}, 2);
  Tensor y(dy.shape());
  std::vector<std::uint8_t> winner(y.size());
  add("conv2d_relu_max_pool2d_forward", gflop,
      gigabytes(x, w.value, y) + 1e-9 * static_cast<double>(winner.size()), [&] {
        backend.conv2d_relu_max_pool2d_forward(g, x.data(), w, &b, y.data(), winner.data(),
                                               forward);
      });
  add("conv2d_relu_max_pool2d_backward", first ? gflop : 2 * gflop,
      gigabytes(x, dy, w.grad) + 1e-9 * static_cast<double>(winner.size()) +
          (first ? 0 : gigabytes(dx, w.value)),
      [&] {
        backend.conv2d_relu_max_pool2d_backward(g, x.data(), w, dy.data(), winner.data(),
                                                first ? nullptr : dx.data(), 0, w.grad.data(),
                                                b.grad.data(), backward);
      });
}

void time_linear(const std::string& layer, const LinearGeometry& g, Backend& backend,
                 double seconds, std::vector<KernelTime>& times) {
  const Tensor x = random_tensor({g.n, 1, 1, g.in}, 1), dy = random_tensor({g.n, 1, 1, g.out}, 2);
  Parameter w = random_parameter({g.out, 1, 1, g.in}, Layout::kLinearWeight);
  Parameter b = random_parameter({1, 1, 1, g.out}, Layout::kVector);
  Tensor y(dy.shape()), dx(x.shape());
  OpSlot forward, backward;
  const double gflop = 2e-9 * g.n * static_cast<double>(g.in) * g.out;
  const auto add = [&](const char* kernel, double bytes, const std::function<void()>& call) {
    times.push_back({.layer = layer,
                     .kernel = kernel,
                     .shape = text(g.n, " x ", g.in, " -> ", g.out),
                     .seconds = fastest_time(seconds, call),
                     .gflop = gflop,
                     .gigabytes = bytes});
  };
  add("linear_forward", gigabytes(x, w.value, y), [&] {
    // In training the weight is another one at every step, so packing it is a part of the work.
    w.changed();
    backend.linear_forward(g, x.data(), w, &b, y.data(), forward);
  });
  add("linear_backward_input", gigabytes(dy, w.value, dx), [&] {
    w.changed();
    backend.linear_backward_input(g, dy.data(), w, dx.data(), backward);
  });
  add("linear_backward_weight", gigabytes(x, dy, w.grad), [&] {
    backend.linear_backward_weight(g, x.data(), dy.data(), 0, w.grad.data(), b.grad.data());
  });
}

void time_adam(std::size_t count, Backend& backend, double seconds,
               std::vector<KernelTime>& times) {
  const Shape shape{1, 1, 1, static_cast<int>(count)};
  Tensor value = random_tensor(shape, 1), m(shape), v(shape);
  const Tensor grad = random_tensor(shape, 2);
  m.fill(0);
  v.fill(0);
  Backend::AdamStep step{.lr = 1e-3,
                         .beta1 = 0.9,
                         .beta2 = 0.999,
                         .eps = 1e-8,
                         .weight_decay = 0,
                         .decoupled = false,
                         .step = 1};
  times.push_back({.layer = "all",
                   .kernel = "adam_step",
                   .shape = text(count, " parameters"),
                   .seconds = fastest_time(seconds,
                                           [&] {
                                             backend.adam_step(step, count, grad.data(),
                                                               value.data(), m.data(), v.data());
                                             ++step.step;
                                           }),
                   .gflop = 0,
                   .gigabytes = 7 * gigabytes(value)});
}

}  // namespace

ImageDataset random_images(const Shape& image, int classes, int count) {
  std::vector<std::string> names;
  for (int label = 0; label < classes; ++label) names.push_back(text("class ", label));
  ImageDataset data(image.h, image.w, image.c, names);
  Rng rng(0, 11);
  std::vector<std::uint8_t> pixels(data.image_bytes());
  for (int i = 0; i < count; ++i) {
    for (std::uint8_t& value : pixels) value = static_cast<std::uint8_t>(rng.uniform() * 256);
    data.add(pixels, i % classes);
  }
  return data;
}

std::vector<KernelTime> kernel_times(const Json& spec, int classes, int batch, Backend& backend,
                                     double seconds) {
  std::shared_ptr<Backend> shared(&backend, [](Backend*) {});
  Model model(spec, classes, shared);
  const std::vector<Model::LayerInfo> layers = model.layers();
  std::vector<KernelTime> times;

  Shape in = model.input_shape();
  {
    const ImageDataset data = random_images(in, model.classes(), batch);
    std::vector<std::uint32_t> indices(static_cast<std::size_t>(batch));
    for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<std::uint32_t>(i);
    Tensor x;
    std::vector<int> labels;
    const double values = static_cast<double>(in.with_n(batch).size());
    times.push_back(
        {.layer = "input",
         .kernel = "uint8 to float",
         .shape = text(batch, " x ", item_text(in)),
         .seconds = fastest_time(seconds, [&] { data.batch(indices, x, labels, backend.pool()); }),
         .gflop = 0,
         .gigabytes = values * (1 + sizeof(real)) / 1e9});
  }
  bool first = true;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Json& layer = spec["layers"][i];
    const Shape out = layers[i].output;
    if (layers[i].type == "Conv2d") {
      const int kernel = layer["kernel_size"], pad = layer.value("padding", 0),
                stride = layer.value("stride", 1);
      const Conv2dGeometry g{.n = batch,
                             .h = in.h,
                             .w = in.w,
                             .c = in.c,
                             .oh = out.h,
                             .ow = out.w,
                             .oc = out.c,
                             .kh = kernel,
                             .kw = kernel,
                             .stride_h = stride,
                             .stride_w = stride,
                             .pad_top = pad,
                             .pad_left = pad,
                             .pad_bottom = pad,
                             .pad_right = pad,
                             .dilation_h = 1,
                             .dilation_w = 1,
                             .groups = 1};
      const bool pooled = i + 2 < layers.size() && layers[i + 1].type == "ReLU" &&
                          layers[i + 2].type == "MaxPool2d";
      time_conv(layers[i].name, g, first, pooled, backend, seconds, times);
      first = false;
    } else if (layers[i].type == "Linear") {
      time_linear(layers[i].name, {batch, in.c, out.c}, backend, seconds, times);
      first = false;
    }
    in = out;
  }
  time_adam(model.parameter_count(), backend, seconds, times);
  return times;
}

Json kernel_answer(const Json& request) {
  const std::string op = request.at("op");
  const int threads = request.at("threads");
  if (op == "probe") {
    ThreadPool pool(threads);
    const FmaRate fma = fma_rate(pool);
    const Bandwidth memory = memory_bandwidth(pool, request.at("bytes"));
    return {{"threads", pool.threads()}, {"instructions", fma.instructions},
            {"gflops", fma.gflops},      {"read", memory.read},
            {"copy", memory.copy},       {"triad", memory.triad},
            {"bandwidth", memory.best()}};
  }
  if (op == "layers") {
    const auto backend = make_backend("auto", threads);
    Json kernels = Json::array();
    for (const KernelTime& time :
         kernel_times(request.at("spec"), request.at("classes"), request.at("batch"), *backend,
                      request.at("seconds"))) {
      kernels.push_back({{"layer", time.layer},
                         {"kernel", time.kernel},
                         {"shape", time.shape},
                         {"seconds", time.seconds},
                         {"gflop", time.gflop},
                         {"gigabytes", time.gigabytes}});
    }
    return {{"threads", backend->pool().threads()},
            {"backend", backend->description()},
            {"kernels", kernels}};
  }
  throw Error(text("unknown op '", op, "'"));
}

}  // namespace pinhole::bench
