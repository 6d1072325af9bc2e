// Looks for NaN and infinity, with which every training ends sooner or later and no answer is right.
#pragma once

#include "tensor.h"
#include "thread_pool.h"

namespace pinhole {

bool all_finite(ThreadPool& pool, const Tensor& values);

}  // namespace pinhole
