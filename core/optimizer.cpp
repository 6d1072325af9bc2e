#include "optimizer.h"

#include <array>
#include <cmath>

#include "error.h"

namespace pinhole {

namespace {

/// A zeroed value per parameter value, made on first use.
real* values_for(OptimizerState::Moment& moment, std::size_t index, const Parameter& parameter) {
  if (moment.values.size() <= index) moment.values.resize(index + 1);
  Tensor& values = moment.values[index];
  if (values.size() != parameter.value.size()) {
    values.resize(parameter.value.shape());
    values.fill(0);
  }
  return values.data();
}

class Sgd final : public Optimizer {
 public:
  explicit Sgd(const OptimizerOptions& options) : options_(options) {
    if (options.momentum != 0) state_.moments.push_back({.name = "momentum_buffer", .values = {}});
  }

  void step(Backend& backend, const std::vector<Parameter*>& parameters) override {
    state_.steps.resize(parameters.size());
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      Parameter& p = *parameters[i];
      if (p.grad_empty || !p.requires_grad) continue;
      real* velocity = options_.momentum != 0 ? values_for(state_.moments[0], i, p) : nullptr;
      const bool first = ++state_.steps[i] == 1;
      backend.sgd_step({lr, options_.momentum, options_.weight_decay, options_.nesterov, first},
                       p.value.size(), p.grad.data(), p.value.data(), velocity);
      p.changed();
    }
  }

 private:
  OptimizerOptions options_;
};

class Adam final : public Optimizer {
 public:
  explicit Adam(const OptimizerOptions& options) : options_(options) {
    state_.moments.push_back({.name = "exp_avg", .values = {}});
    state_.moments.push_back({.name = "exp_avg_sq", .values = {}});
  }

  void step(Backend& backend, const std::vector<Parameter*>& parameters) override {
    state_.steps.resize(parameters.size());
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      Parameter& p = *parameters[i];
      if (p.grad_empty || !p.requires_grad) continue;
      backend.adam_step({lr, options_.beta1, options_.beta2, options_.eps, options_.weight_decay,
                         options_.name == "adamw", ++state_.steps[i]},
                        p.value.size(), p.grad.data(), p.value.data(),
                        values_for(state_.moments[0], i, p), values_for(state_.moments[1], i, p));
      p.changed();
    }
  }

 private:
  OptimizerOptions options_;
};

void check(bool ok, std::string_view name, std::string_view expected, double got) {
  if (!ok) throw Error(text(name, " expected ", expected, ", got ", got));
}

}  // namespace

double clip_grad_norm(const std::vector<Parameter*>& parameters, double max_norm) {
  constexpr std::size_t kLanes = 8;  // sums side by side, which a compiler may not make of one
  double total = 0;
  for (const Parameter* p : parameters) {
    if (p->grad_empty) continue;
    const real* grad = p->grad.data();
    const std::size_t size = p->grad.size();
    std::array<double, kLanes> sums{};
    std::size_t i = 0;
    for (; i + kLanes <= size; i += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        const double g = grad[i + lane];
        sums[lane] += g * g;
      }
    }
    for (; i < size; ++i) sums[0] += static_cast<double>(grad[i]) * static_cast<double>(grad[i]);
    for (const double sum : sums) total += sum;
  }
  const double norm = std::sqrt(total);
  const double factor = max_norm / (norm + 1e-6);
  if (factor < 1) {
    for (Parameter* p : parameters) {
      if (p->grad_empty) continue;
      real* grad = p->grad.data();
      for (std::size_t i = 0; i < p->grad.size(); ++i) grad[i] *= static_cast<real>(factor);
    }
  }
  return norm;
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& o) {
  check(std::isfinite(o.lr) && o.lr >= 0, "learning rate", "a number of at least 0", o.lr);
  check(std::isfinite(o.weight_decay) && o.weight_decay >= 0, "weight decay",
        "a number of at least 0", o.weight_decay);
  check(o.momentum >= 0 && o.momentum < 1, "momentum", "a number from 0 to below 1", o.momentum);
  check(o.beta1 >= 0 && o.beta1 < 1, "beta1", "a number from 0 to below 1", o.beta1);
  check(o.beta2 >= 0 && o.beta2 < 1, "beta2", "a number from 0 to below 1", o.beta2);
  check(std::isfinite(o.eps) && o.eps >= 0, "eps", "a number of at least 0", o.eps);
  std::unique_ptr<Optimizer> optimizer;
  if (o.name == "sgd") {
    if (o.nesterov && o.momentum == 0) throw Error("Nesterov needs a momentum above 0");
    optimizer = std::make_unique<Sgd>(o);
  } else if (o.name == "adam" || o.name == "adamw") {
    optimizer = std::make_unique<Adam>(o);
  } else {
    throw Error(text("unknown optimizer \"", o.name, "\"; known are sgd, adam, adamw"));
  }
  optimizer->lr = o.lr;
  return optimizer;
}

}  // namespace pinhole
