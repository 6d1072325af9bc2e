// torch.nn.AvgPool2d: kernel_size, stride (default kernel_size), padding, with count_include_pad=True: padding counts as zeros.
#include <algorithm>

#include "pool2d.h"

namespace pinhole {

namespace {

class AvgPool2d final : public Layer {
 public:
  explicit AvgPool2d(const Pool2dWindow& window) : window_(window) {}

  Shape output_shape(const Shape& in) const override { return window_.output_shape(in); }
  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override {
    std::vector<OnnxAttribute> attributes = window_.onnx_attributes();
    attributes.push_back({"count_include_pad", std::int64_t{1}});
    return {graph.node(name, "AveragePool", {graph.image(*this, x).name}, attributes)};
  }
  std::string to_torch(TorchSource& source) const override {
    source.needs_image(*this);
    return text("nn.AvgPool2d(", window_.torch_arguments(), ')');
  }

  void forward(RunContext& /*context*/, const Tensor& x, Tensor& y) override {
    const Pool2dGeometry g = window_.geometry(x.shape());
    y.fill(0);
    const real scale = real(1) / static_cast<real>(g.kh * g.kw);
    for_each_pair(g, [&](std::size_t xi, std::size_t yi) {
      for (int c = 0; c < g.c; ++c)
        y.data()[yi + static_cast<std::size_t>(c)] +=
            scale * x.data()[xi + static_cast<std::size_t>(c)];
    });
  }

  void backward(RunContext& /*context*/, const Tensor& x, const Tensor& /*y*/, const Tensor& dy,
                Tensor* dx) override {
    if (dx == nullptr) return;
    const Pool2dGeometry g = window_.geometry(x.shape());
    dx->fill(0);
    const real scale = real(1) / static_cast<real>(g.kh * g.kw);
    for_each_pair(g, [&](std::size_t xi, std::size_t yi) {
      for (int c = 0; c < g.c; ++c)
        dx->data()[xi + static_cast<std::size_t>(c)] +=
            scale * dy.data()[yi + static_cast<std::size_t>(c)];
    });
  }

 private:
  /// visit(offset in x, offset in y) for every input pixel of every window.
  template <class Visit>
  static void for_each_pair(const Pool2dGeometry& g, const Visit& visit) {
    const auto at = [](int n, int height, int h, int width, int w, int c) {
      return ((static_cast<std::size_t>(n) * static_cast<std::size_t>(height) +
               static_cast<std::size_t>(h)) *
                  static_cast<std::size_t>(width) +
              static_cast<std::size_t>(w)) *
             static_cast<std::size_t>(c);
    };
    for (int n = 0; n < g.n; ++n) {
      for (int oh = 0; oh < g.oh; ++oh) {
        for (int ow = 0; ow < g.ow; ++ow) {
          const int top = oh * g.stride_h - g.pad_h, left = ow * g.stride_w - g.pad_w;
          for (int h = std::max(top, 0); h < std::min(top + g.kh, g.h); ++h) {
            for (int w = std::max(left, 0); w < std::min(left + g.kw, g.w); ++w) {
              visit(at(n, g.h, h, g.w, w, g.c), at(n, g.oh, oh, g.ow, ow, g.c));
            }
          }
        }
      }
    }
  }

  Pool2dWindow window_;
};

std::unique_ptr<Layer> make(LayerSpec& spec, const BuildContext& context) {
  return std::make_unique<AvgPool2d>(Pool2dWindow(spec, context.input));
}
const RegisterLayer kRegister("AvgPool2d", &make);

}  // namespace

}  // namespace pinhole
