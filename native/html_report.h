// What came of a training as one HTML file: no scripts, nothing from the network, so that it can be kept and passed on.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "report.h"

namespace pinhole {

struct ReportedMistake {
  std::string label, predicted, name;
  double probability = 0;  // of `predicted`
  std::string png;  // the picture as the model saw it
  std::string heat_png;  // over it what spoke for `predicted`; may be empty
};

struct HtmlReport {
  std::string title;
  std::vector<std::string> command;  // program and arguments
  std::vector<std::pair<std::string, std::string>> facts;  // "images to train on", "1200"
  std::vector<std::string> classes;
  std::vector<EpochResult> history;
  std::optional<EvaluationResult> validation;
  std::vector<ReportedMistake> mistakes;
};

std::string html_report(const HtmlReport& report);

/// As a shell takes it: words with other than letters, digits and ./-_=:,+ are quoted.
std::string shell_command(const std::vector<std::string>& words);

}  // namespace pinhole
