// Accuracy, confusion matrix, precision and recall.
#pragma once

#include <cstdint>
#include <vector>

namespace pinhole {

class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int classes)
      : classes_(classes),
        counts_(static_cast<std::size_t>(classes) * static_cast<std::size_t>(classes)) {}
  void add(int label, int predicted) { ++counts_[index(label, predicted)]; }
  int classes() const { return classes_; }
  std::int64_t at(int label, int predicted) const { return counts_[index(label, predicted)]; }
  std::int64_t total() const;
  /// 0 when empty.
  double accuracy() const;
  /// Of what was called `c`, the part that is `c`; NaN when nothing was.
  double precision(int c) const;
  /// Of what is `c`, the part that was called `c`; NaN when there is none.
  double recall(int c) const;

 private:
  std::size_t index(int label, int predicted) const {
    return static_cast<std::size_t>(label) * static_cast<std::size_t>(classes_) +
           static_cast<std::size_t>(predicted);
  }
  int classes_;
  std::vector<std::int64_t> counts_;
};

}  // namespace pinhole
