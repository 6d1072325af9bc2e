#include "scheduler.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "error.h"

namespace pinhole {

namespace {

/// From `start` (part = 0) to `end` (part = 1) along half a cosine.
double annealed(double start, double end, double part) {
  return end + (start - end) / 2 * (std::cos(std::numbers::pi * part) + 1);
}

double one_cycle(const ScheduleOptions& o, double lr, std::int64_t step, std::int64_t total) {
  const double start = lr / o.div_factor;
  const auto now = static_cast<double>(step);
  const double top = o.pct_start * static_cast<double>(total) - 1;  // the step of the full rate
  const auto last = static_cast<double>(total - 1);
  if (now <= top && top > 0) return annealed(start, lr, now / top);
  return annealed(lr, start / o.final_div_factor, last > top ? (now - top) / (last - top) : 1);
}

}  // namespace

void check_schedule(const ScheduleOptions& o) {
  const auto check = [](bool ok, const char* name, const char* expected, double got) {
    if (!ok) throw Error(text("schedule: ", name, " expected ", expected, ", got ", got));
  };
  if (o.name != "constant" && o.name != "step" && o.name != "cosine" && o.name != "one_cycle") {
    throw Error(
        text("unknown schedule \"", o.name, "\"; known are constant, step, cosine, one_cycle"));
  }
  check(o.step_size >= 1, "step_size", "1 epoch or more", o.step_size);
  check(o.gamma > 0 && o.gamma <= 1, "gamma", "a number above 0, up to 1", o.gamma);
  check(std::isfinite(o.eta_min) && o.eta_min >= 0, "eta_min", "a number of at least 0", o.eta_min);
  check(o.pct_start >= 0 && o.pct_start <= 1, "pct_start", "a number from 0 to 1", o.pct_start);
  check(std::isfinite(o.div_factor) && o.div_factor >= 1, "div_factor", "a number of at least 1",
        o.div_factor);
  check(std::isfinite(o.final_div_factor) && o.final_div_factor >= 1, "final_div_factor",
        "a number of at least 1", o.final_div_factor);
  check(o.warmup_epochs >= 0 && o.warmup_epochs <= 1e6, "warmup_epochs", "a number of at least 0",
        o.warmup_epochs);
  check(o.warmup_start > 0 && o.warmup_start <= 1, "warmup_start", "a number above 0, up to 1",
        o.warmup_start);
  if (o.name == "one_cycle" && o.warmup_epochs > 0)
    throw Error("schedule: one_cycle has its own warm-up (pct_start), so warmup_epochs must be 0");
}

double learning_rate(const ScheduleOptions& o, double lr, std::int64_t step,
                     std::int64_t steps_per_epoch, std::int64_t epochs) {
  const std::int64_t total = steps_per_epoch * epochs;
  if (o.name == "one_cycle") return one_cycle(o, lr, std::min(step, total - 1), total);
  const auto warmup = static_cast<std::int64_t>(
      std::llround(o.warmup_epochs * static_cast<double>(steps_per_epoch)));
  if (step < warmup) {
    const double part = static_cast<double>(step) / static_cast<double>(warmup);
    return lr * (o.warmup_start + (1 - o.warmup_start) * part);
  }
  const std::int64_t now = step - warmup;
  if (o.name == "step") {
    return lr * std::pow(o.gamma, static_cast<double>(now / (steps_per_epoch * o.step_size)));
  }
  if (o.name == "cosine") {
    const std::int64_t length = std::max<std::int64_t>(total - warmup, 1);
    return annealed(lr, o.eta_min,
                    static_cast<double>(std::min(now, length)) / static_cast<double>(length));
  }
  return lr;
}

bool depends_on_epochs(const ScheduleOptions& options) {
  return options.name == "cosine" || options.name == "one_cycle";
}

}  // namespace pinhole
