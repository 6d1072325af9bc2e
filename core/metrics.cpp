#include "metrics.h"

#include <limits>
#include <numeric>

namespace pinhole {

namespace {
double ratio(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? std::numeric_limits<double>::quiet_NaN()
                    : static_cast<double>(part) / static_cast<double>(whole);
}
}  // namespace

std::int64_t ConfusionMatrix::total() const {
  return std::accumulate(counts_.begin(), counts_.end(), std::int64_t{0});
}

double ConfusionMatrix::accuracy() const {
  std::int64_t right = 0;
  for (int c = 0; c < classes_; ++c) right += at(c, c);
  return total() == 0 ? 0 : ratio(right, total());
}

double ConfusionMatrix::precision(int c) const {
  std::int64_t called = 0;
  for (int label = 0; label < classes_; ++label) called += at(label, c);
  return ratio(at(c, c), called);
}

double ConfusionMatrix::recall(int c) const {
  std::int64_t are = 0;
  for (int predicted = 0; predicted < classes_; ++predicted) are += at(c, predicted);
  return ratio(at(c, c), are);
}

}  // namespace pinhole
