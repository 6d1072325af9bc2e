// Scans and loads labelled images, and says on standard error what could not be read.
#include "labelled_data.h"

#include <algorithm>
#include <iostream>

#include "error.h"
#include "idx.h"
#include "json.h"
#include "progress.h"
#include "report.h"

namespace pinhole {

namespace {

bool is_utf8(const std::string& name) {
  try {
    return !Json(name).dump().empty();
  } catch (const Json::exception&) {
    return false;
  }
}

void report_unreadable(const LoadReport& report, std::string_view program) {
  if (report.skipped.empty()) return;
  const std::size_t count = report.skipped.size();
  std::cerr << program << ": skipped " << counted(count, "file") << " that cannot be read:\n";
  for (const auto& [path, reason] : report.skipped)
    std::cerr << "  " << printable(path) << ": " << printable(reason) << '\n';
  std::cerr.flush();
}

}  // namespace

LabelledFolder scan_labelled_folder(const std::filesystem::path& path) {
  LabelledFolder folder;
  folder.path = path;
  folder.idx = is_idx_folder(path);
  if (folder.idx) {
    folder.classes = idx_classes(path);
  } else {
    folder.images = scan_image_folder(path);
    folder.classes = folder.images.classes;
  }
  for (const std::string& name : folder.classes) {
    if (!is_utf8(name))
      throw Error(
          text(path.string(), ": the name of the class folder ", name, " is not UTF-8; rename it"));
  }
  return folder;
}

LoadedData load_labelled_folder(const LabelledFolder& folder, IdxPart part,
                                const Preparation& preparation, ThreadPool& pool,
                                std::string_view program, const DecodeLimits& limits,
                                const std::optional<ImageCache>& cache) {
  if (folder.idx) return {.images = load_idx(folder.path, part == IdxPart::kTrain, preparation)};
  ProgressLine line;
  const Stopwatch clock;
  LoadReport report;
  const auto show = [&](std::size_t done, std::size_t total) {
    const double speed = static_cast<double>(done) / std::max(clock.seconds(), 1e-9);
    line.update({.label = "reading images",
                 .done = done,
                 .total = total,
                 .images_per_second = speed,
                 .seconds_left = static_cast<double>(total - done) / speed});
    return true;
  };
  if (cache) {
    CachedImages cached = load_cached_image_folder(folder.images, folder.path, preparation, pool,
                                                   report, *cache, show, limits);
    line.clear();
    if (!cached.problem.empty())
      std::cerr << program << ": made " << printable(cached.file)
                << " anew: " << printable(cached.problem) << std::endl;
    report_unreadable(report, program);
    return {.images = std::move(cached.images), .unreadable = report.skipped.size()};
  }
  ImageDataset images = load_image_folder(folder.images, preparation, pool, report, show, limits);
  line.clear();
  report_unreadable(report, program);
  return {.images = std::move(images), .unreadable = report.skipped.size()};
}

void match_classes(LabelledFolder& folder, const std::vector<std::string>& classes,
                   std::string_view where) {
  std::vector<std::string> here = folder.classes, there = classes;
  std::sort(here.begin(), here.end());
  std::sort(there.begin(), there.end());
  if (here != there || (folder.idx && folder.classes != classes)) {
    throw Error(text(folder.path.string(), " has the classes ", listed(folder.classes),
                     "; expected those of ", where, ": ", listed(classes)));
  }
  for (auto& [path, label] : folder.images.samples) {
    const std::string& name = folder.classes[static_cast<std::size_t>(label)];
    label = static_cast<int>(std::find(classes.begin(), classes.end(), name) - classes.begin());
  }
  folder.classes = folder.images.classes = classes;
  for (std::size_t c = 0; c < classes.size(); ++c)
    folder.images.class_to_idx[classes[c]] = static_cast<int>(c);
}

}  // namespace pinhole
