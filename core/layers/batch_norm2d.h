// BatchNorm2d for those who fold it: Conv2d does, for prediction. It takes a ReLU that follows into its own passes.
#pragma once

#include <optional>
#include <vector>

#include "../layer.h"

namespace pinhole {

class BatchNorm2d final : public Layer {
 public:
  BatchNorm2d(LayerSpec& spec, const BuildContext& context);

  Shape output_shape(const Shape& in) const override { return in; }
  std::size_t prepare(const Shape& input, Pass pass) override;
  void forward(RunContext& context, const Tensor& x, Tensor& y) override {
    forward(context, x, false, y);
  }
  void backward(RunContext& context, const Tensor& x, const Tensor& /*y*/, const Tensor& dy,
                Tensor* dx) override {
    backward(context, x, dy, false, dx);
  }
  /// With a ReLU after it, or without.
  void forward(RunContext& context, const Tensor& x, bool relu, Tensor& y);
  void backward(RunContext& context, const Tensor& x, const Tensor& dy, bool relu, Tensor* dx);
  std::vector<Parameter*> parameters() override;
  std::vector<Parameter*> buffers() override { return {&mean_, &variance_, &batches_}; }
  void init(Rng& rng) override;
  /// Each batch is normalised by itself, with nothing to train as well.
  bool deterministic() const override { return frozen; }
  Fusion fuse(std::span<const std::unique_ptr<Layer>> next) override;
  OnnxValue to_onnx(OnnxGraph& graph, const OnnxValue& x) const override;
  std::string to_torch(TorchSource& source) const override;

  /// With the running statistics, y = scale[c] * x + shift[c].
  void scale_and_shift(real* scale, real* shift) const;
  /// Rises whenever these change.
  std::uint64_t version() const;

 private:
  /// Statistics of the batch itself; otherwise the running ones.
  bool uses_batch(const RunContext& context) const {
    return context.pass == Pass::kTrain && !frozen;
  }
  void batch_statistics(RunContext& context, const Tensor& x);

  int channels_;
  double eps_, momentum_;
  struct Affine {
    Parameter weight, bias;
  };
  std::optional<Affine> affine_;
  Parameter mean_, variance_, batches_;
  std::vector<double> batch_mean_, batch_inverse_;  // of the latest training batch
  std::vector<real> scale_, shift_;  // of the latest forward pass, one a channel
  std::vector<real> a_, b_;  // of backward
  Buffer partials_;
  bool by_batch_ = false;
};

}  // namespace pinhole
