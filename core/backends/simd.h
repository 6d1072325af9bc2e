// Our own kernels behind the seam: a table of innermost loops per instruction set (simd_kernels.h), and here the cutting into
// tiles. Rule: tiles depend on shapes alone, never on the number of threads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backend.h"
#include "simd_kernels.h"

namespace pinhole {

class SimdBackend : public Backend {
 public:
  SimdBackend(int threads, const SimdKernels& kernels) : Backend(threads), kernels_(kernels) {}

  std::string_view name() const override { return "simd"; }
  std::string description() const override;

  void conv2d_forward(const Conv2dGeometry& g, const real* x, const Parameter& w,
                      const Parameter* b, real* y, OpSlot& op) override;
  void conv2d_backward_input(const Conv2dGeometry& g, const real* dy, const Parameter& w, real* dx,
                             OpSlot& op) override;
  void conv2d_backward_weight(const Conv2dGeometry& g, const real* x, const real* dy, real beta,
                              real* dw, real* db) override;
  void conv2d_relu_max_pool2d_forward(const Conv2dGeometry& g, const real* x, const Parameter& w,
                                      const Parameter* b, real* y, std::uint8_t* winner,
                                      OpSlot& op) override;
  void conv2d_relu_max_pool2d_backward(const Conv2dGeometry& g, const real* x, const Parameter& w,
                                       const real* dy, const std::uint8_t* winner, real* dx,
                                       real beta, real* dw, real* db, OpSlot& op) override;
  void linear_forward(const LinearGeometry& g, const real* x, const Parameter& w,
                      const Parameter* b, real* y, OpSlot& op) override;
  void linear_backward_input(const LinearGeometry& g, const real* dy, const Parameter& w, real* dx,
                             OpSlot& op) override;
  void linear_backward_weight(const LinearGeometry& g, const real* x, const real* dy, real beta,
                              real* dw, real* db) override;
  void relu_forward(std::size_t count, const real* x, real* y) override;
  void relu_backward(std::size_t count, const real* y, const real* dy, real* dx) override;
  void norm_moments(std::size_t pixels, int c, const real* x, real* mean,
                    real* squares) const override;
  void norm_forward(const ChannelNorm& norm, std::size_t pixels, int c, const real* x,
                    real* y) const override;
  void norm_sums(const ChannelNorm& norm, std::size_t pixels, int c, const real* x, const real* dy,
                 const real* a, const real* b, real* sum, real* dot) const override;
  void norm_backward(const ChannelNorm& norm, std::size_t pixels, int c, const real* x,
                     const real* dy, const real* a, const real* b, real* dx) const override;
  void max_pool2d_forward(const Pool2dGeometry& g, const real* x, real* y,
                          std::uint16_t* winner) override;
  void max_pool2d_backward(const Pool2dGeometry& g, const real* dy, const std::uint16_t* winner,
                           real* dx) override;
  void sgd_step(const SgdStep& s, std::size_t count, const real* grad, real* value,
                real* velocity) override;
  void adam_step(const AdamStep& s, std::size_t count, const real* grad, real* value, real* m,
                 real* v) override;

 protected:
  const SimdKernels& kernels() const { return kernels_; }

 private:
  void sparse_backward_weight(const Conv2dGeometry& g, const real* x, const real* dy,
                              const std::uint8_t* winner, real beta, real* dw, real* db);
  void sparse_backward_input(const Conv2dGeometry& g, const Parameter& w, const real* dy,
                             const std::uint8_t* winner, real* dx, OpSlot& op);
  /// dw and db from `tasks` partial sums of `stride` values each: [oc, rows, round_up(length)] and then [oc].
  void add_partials(int tasks, std::size_t stride, const real* partials, int oc, int rows,
                    int length, real beta, real* dw, real* db);

  const SimdKernels& kernels_;
};

/// Names of the instruction sets that this machine can run, the fastest first.
std::vector<std::string> simd_instruction_sets();
/// The table of that name, the fastest for an empty name; null when this machine or build has none such.
const SimdKernels* find_simd_kernels(std::string_view instruction_set = {});

}  // namespace pinhole
