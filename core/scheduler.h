// The learning rate of every step, by the formulas of torch.optim.lr_scheduler, in closed form: it depends on the number of the
// step alone, so that a resumed training needs no memory of it.
#pragma once

#include <cstdint>
#include <string>

namespace pinhole {

struct ScheduleOptions {
  std::string name = "constant";  // "constant", "step", "cosine", "one_cycle"
  int step_size = 1;  // step (StepLR): after so many epochs,
  double gamma = 0.1;  //   times this
  double eta_min =
      0;  // cosine (CosineAnnealingLR over all that follows the warm-up): the rate it ends with
  double pct_start = 0.3;  // one_cycle (OneCycleLR, cosine annealing): the part that rises,
  double div_factor = 25;  //   from lr / div_factor,
  double final_div_factor = 1e4;  //   and the end: the start divided by this
  double warmup_epochs = 0;  // before "constant", "step" and "cosine" (LinearLR): so long,
  double warmup_start = 1.0 / 3;  //   from lr times this
};

/// Throws Error for an unknown name or a value out of range.
void check_schedule(const ScheduleOptions& options);

/// The rate of step `step` (from 0) of a training of `steps_per_epoch` * `epochs` steps, `lr` being the rate at full height.
/// After the end it stays as it is there.
double learning_rate(const ScheduleOptions& options, double lr, std::int64_t step,
                     std::int64_t steps_per_epoch, std::int64_t epochs);

/// Whether the rate of a step depends on how many epochs there will be.
bool depends_on_epochs(const ScheduleOptions& options);

}  // namespace pinhole
