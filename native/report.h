// What the programs say about a model, as text for people and as JSON for programs. Nothing here prints.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json.h"
#include "metrics.h"
#include "trainer.h"

namespace pinhole {

struct EpochRecord : EpochResult {
  // Of training, without validation; 0: an epoch of an earlier run, whose time is not known.
  double seconds = 0;
  double images_per_second = 0;
};

/// The table of epochs, line by line without line ends.
std::string epoch_table_header();
std::string epoch_table_row(const EpochRecord& record);
/// Before the first epoch: what the nearest class mean gives, under the same columns.
std::string first_answer_row(const EvaluationResult& result);

/// The lines of `--log`: {step, epoch, loss, lr, images_per_second} and
/// {epoch, train_loss, train_accuracy, val_loss, val_accuracy, seconds}; val_* are null without validation images.
Json step_json(const StepResult& step, double images_per_second);
Json epoch_json(const EpochRecord& record);
/// The row of the history that a saved file keeps: as epoch_json, without time.
Json epoch_result_json(const EpochResult& result);

/// Accuracy, confusion matrix (rows: the true class), precision and recall of each class.
std::string evaluation_text(const EvaluationResult& result,
                            const std::vector<std::string>& classes);
Json evaluation_json(const EvaluationResult& result, const std::vector<std::string>& classes);

/// "1 image", "2 images".
std::string counted(std::size_t count, std::string_view noun);
/// File and class names come from anywhere: control characters become '?', so that none reaches the terminal.
std::string printable(std::string_view name);
/// "a, b, c", at most `limit` of them and then how many more.
std::string listed(const std::vector<std::string>& names, std::size_t limit = 10);
/// JSON on one line. A byte that is not UTF-8 becomes U+FFFD: file names may hold any.
std::string json_line(const Json& json);

}  // namespace pinhole
