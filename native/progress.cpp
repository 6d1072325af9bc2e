// Draws the progress line. Only ASCII, "\r" and one escape sequence (erase to the end of the line), so that any terminal can show it.
#include "progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace pinhole {

namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr int kWidestBar = 30;
constexpr int kNarrowestBar = 5;

int terminal_columns() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::string formatted(const char* format, double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = static_cast<long long>(std::clamp(std::round(seconds), 0.0, 1e12));
  char buffer[64];
  if (whole >= 3600) {
    std::snprintf(buffer, sizeof buffer, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60,
                  whole % 60);
  } else {
    std::snprintf(buffer, sizeof buffer, "%lld:%02lld", whole / 60, whole % 60);
  }
  return buffer;
}

std::string progress_line(const Progress& progress, int columns) {
  const double part =
      progress.total == 0
          ? 1.0
          : std::min(1.0, static_cast<double>(progress.done) / static_cast<double>(progress.total));
  std::string tail = formatted(" %3.0f %%", std::floor(part * 100));
  if (progress.images_per_second > 0) {
    tail += formatted(progress.images_per_second < 10 ? "  %.1f images/s" : "  %.0f images/s",
                      progress.images_per_second);
  }
  if (progress.seconds_left >= 0) tail += "  " + duration_text(progress.seconds_left) + " left";
  if (!progress.detail.empty()) tail += "  " + std::string(progress.detail);

  std::string line(progress.label);
  line += ' ';
  const int bar = std::min(kWidestBar, columns - static_cast<int>(line.size() + tail.size()) - 2);
  if (bar >= kNarrowestBar) {
    const auto filled = static_cast<std::size_t>(part * bar);
    line += '[' + std::string(filled, '#') +
            std::string(static_cast<std::size_t>(bar) - filled, '.') + ']';
  }
  line += tail;
  line.resize(std::min(line.size(), static_cast<std::size_t>(std::max(columns, 0))));
  return line;
}

ProgressLine::ProgressLine(bool wanted) : terminal_(wanted && isatty(STDERR_FILENO) != 0) {}

void ProgressLine::update(const Progress& progress) {
  if (!terminal_) return;
  const double now = clock_.seconds();
  if (last_ >= 0 && now - last_ < kRedrawSeconds && progress.done < progress.total) return;
  last_ = now;
  drawn_ = true;
  // One column stays free: a full last column makes some terminals wrap.
  std::fprintf(stderr, "\r%s\033[K", progress_line(progress, terminal_columns() - 1).c_str());
  std::fflush(stderr);
}

void ProgressLine::clear() {
  if (!drawn_) return;
  drawn_ = false;
  last_ = -1;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
}

}  // namespace pinhole
