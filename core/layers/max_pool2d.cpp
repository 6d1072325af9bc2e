// torch.nn.MaxPool2d: kernel_size, stride (default kernel_size), padding. The gradient goes to the first largest value.
#include "pool2d.h"

namespace pinhole {

std::size_t MaxPool2d::prepare(const Shape& input, Pass /*pass*/) {
  winner_.resize(std::max(winner_.size(), output_shape(input).size()));
  return 0;
}

void MaxPool2d::forward(RunContext& context, const Tensor& x, Tensor& y) {
  context.backend.max_pool2d_forward(window_.geometry(x.shape()), x.data(), y.data(),
                                     winner_.data());
}

void MaxPool2d::backward(RunContext& context, const Tensor& x, const Tensor& /*y*/,
                         const Tensor& dy, Tensor* dx) {
  if (dx != nullptr)
    context.backend.max_pool2d_backward(window_.geometry(x.shape()), dy.data(), winner_.data(),
                                        dx->data());
}

OnnxValue MaxPool2d::to_onnx(OnnxGraph& graph, const OnnxValue& x) const {
  return {graph.node(name, "MaxPool", {graph.image(*this, x).name}, window_.onnx_attributes())};
}

std::string MaxPool2d::to_torch(TorchSource& source) const {
  source.needs_image(*this);
  return text("nn.MaxPool2d(", window_.torch_arguments(), ')');
}

namespace {

std::unique_ptr<Layer> make(LayerSpec& spec, const BuildContext& context) {
  return std::make_unique<MaxPool2d>(Pool2dWindow(spec, context.input));
}
const RegisterLayer kRegister("MaxPool2d", &make);

}  // namespace

}  // namespace pinhole
