// A progress line on a terminal: bar, images per second, time left. Where the stream is no terminal nothing is drawn.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace pinhole {

/// Seconds since it was made.
class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

struct Progress {
  std::string_view label;  // "epoch 2/10"
  std::size_t done = 0;  // images
  std::size_t total = 0;  // images
  double images_per_second = 0;  // 0: not known yet
  double seconds_left = -1;  // below 0: not known yet
  std::string_view detail = {};  // "loss 0.3121"; may be empty
};

/// One line that fits `columns`: the bar gives way first, then the end of the line.
std::string progress_line(const Progress& progress, int columns);

/// "0:07", "12:30", "1:02:03".
std::string duration_text(double seconds);

/// Keeps one such line up to date on standard error.
class ProgressLine {
 public:
  /// Draws only where standard error is a terminal, and only when `wanted`.
  explicit ProgressLine(bool wanted = true);
  /// The line does not outlive its owner: an error message starts on a clean line.
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// Draws at most ten times a second, and always when all is done.
  void update(const Progress& progress);
  /// Takes the line away; call it before anything else is printed.
  void clear();

 private:
  bool terminal_;
  bool drawn_ = false;
  double last_ = -1;
  Stopwatch clock_;
};

}  // namespace pinhole
