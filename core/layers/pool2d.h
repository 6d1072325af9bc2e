// The window that MaxPool2d and AvgPool2d share: kernel_size, stride, padding and their rules, as PyTorch has them. MaxPool2d is
// declared here because Conv2d fuses with it.
#pragma once

#include <tuple>

#include "../error.h"
#include "../layer.h"
#include "../onnx.h"
#include "../torch_source.h"

namespace pinhole {

struct Pool2dWindow {
  int kh, kw, stride_h, stride_w, pad_h, pad_w;

  Pool2dWindow(LayerSpec& spec, const Shape& in) {
    std::tie(kh, kw) = spec.pair("kernel_size", 1);
    std::tie(stride_h, stride_w) = spec.pair("stride", 1, {kh, kw});
    std::tie(pad_h, pad_w) = spec.pair("padding", 0, {0, 0});
    if (kh > kLargestKernel || kw > kLargestKernel) {
      spec.fail(
          text("kernel ", kh, 'x', kw, " is larger than ", kLargestKernel, 'x', kLargestKernel));
    }
    if (2 * pad_h > kh || 2 * pad_w > kw) {
      spec.fail(text("padding ", pad_h, ',', pad_w, " is more than half of kernel ", kh, 'x', kw));
    }
    if (in.h + 2 * pad_h < kh || in.w + 2 * pad_w < kw) {
      spec.fail(text("kernel ", kh, 'x', kw, " does not fit input ", in.h, 'x', in.w,
                     " with padding ", pad_h, ',', pad_w));
    }
  }

  Shape output_shape(const Shape& in) const {
    return {in.n, (in.h + 2 * pad_h - kh) / stride_h + 1, (in.w + 2 * pad_w - kw) / stride_w + 1,
            in.c};
  }

  Pool2dGeometry geometry(const Shape& in) const {
    const Shape out = output_shape(in);
    return {in.n, in.h, in.w, in.c, out.h, out.w, kh, kw, stride_h, stride_w, pad_h, pad_w};
  }

  /// Square kernel, stride and padding of these sizes.
  bool is(int kernel, int stride, int padding) const {
    return kh == kernel && kw == kernel && stride_h == stride && stride_w == stride &&
           pad_h == padding && pad_w == padding;
  }

  std::vector<OnnxAttribute> onnx_attributes() const {
    return {{"kernel_shape", std::vector<std::int64_t>{kh, kw}},
            {"pads", std::vector<std::int64_t>{pad_h, pad_w, pad_h, pad_w}},
            {"strides", std::vector<std::int64_t>{stride_h, stride_w}}};
  }
  /// "kernel_size=2, stride=2", without what is PyTorch's default.
  std::string torch_arguments() const {
    std::string out = text("kernel_size=", python(kh, kw));
    if (stride_h != kh || stride_w != kw) out += text(", stride=", python(stride_h, stride_w));
    if (pad_h != 0 || pad_w != 0) out += text(", padding=", python(pad_h, pad_w));
    return out;
  }

  static constexpr int kLargestKernel = 255;  // a position in the window fits 16 bits
};

class MaxPool2d final : public Layer {
 public:
  explicit MaxPool2d(const Pool2dWindow& window) : window_(window) {}

  Shape output_shape(const Shape& in) const override { return window_.output_shape(in); }
  std::size_t prepare(const Shape& input, Pass pass) override;
  void forward(RunContext& context, const Tensor& x, Tensor& y) override;
  void backward(RunContext& context, const Tensor& x, const Tensor& y, const Tensor& dy,
                Tensor* dx) override;
  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override;
  std::string to_torch(TorchSource& source) const override;

  const Pool2dWindow& window() const { return window_; }

 private:
  Pool2dWindow window_;
  std::vector<std::uint16_t> winner_;
};

}  // namespace pinhole
