// Tables and JSON of training and evaluation.
#include "report.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>

#include "error.h"

namespace pinhole {

namespace {

constexpr std::size_t kWidestMatrix =
    120;  // columns; above it the classes are headed by their number

[[gnu::format(printf, 1, 2)]] std::string formatted(const char* format, ...) {
  char buffer[160];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

/// Columns a name takes, one for each code point.
std::size_t width(std::string_view name) {
  return static_cast<std::size_t>(std::count_if(name.begin(), name.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string padded(std::string_view name, std::size_t columns) {
  std::string out(name);
  const std::size_t used = width(name);
  if (used < columns) out.append(columns - used, ' ');
  return out;
}

std::string right(std::string_view name, std::size_t columns) {
  const std::size_t used = width(name);
  return (used < columns ? std::string(columns - used, ' ') : std::string()) + std::string(name);
}

std::string percent(double part) {
  return std::isnan(part) ? "-" : formatted("%.2f %%", part * 100);
}

std::string optional_number(const char* format, const std::optional<double>& value) {
  if (!value) return "-";
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, *value);
  return buffer;
}

/// NaN has no JSON: null.
Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
Json number_or_null(const std::optional<double>& value) {
  return value ? number_or_null(*value) : Json(nullptr);
}

std::string confusion_text(const ConfusionMatrix& confusion, const std::vector<std::string>& names,
                           std::size_t name_columns) {
  const int classes = confusion.classes();
  std::size_t digits = 1;
  for (int label = 0; label < classes; ++label) {
    for (int predicted = 0; predicted < classes; ++predicted) {
      digits = std::max(digits, std::to_string(confusion.at(label, predicted)).size());
    }
  }
  std::size_t with_names = name_columns;
  for (const std::string& name : names) with_names += 2 + std::max(width(name), digits);
  const bool named = with_names <= kWidestMatrix;

  std::vector<std::string> heads;
  heads.reserve(names.size());
  for (std::size_t c = 0; c < names.size(); ++c)
    heads.push_back(named ? names[c] : '#' + std::to_string(c));
  const auto label_text = [&](std::size_t c) {
    return named ? names[c] : '#' + std::to_string(c) + ' ' + names[c];
  };
  std::size_t label_columns = 0;
  for (std::size_t c = 0; c < names.size(); ++c)
    label_columns = std::max(label_columns, width(label_text(c)));

  std::string out = "Confusion matrix (rows: true class, columns: predicted class)\n" +
                    std::string(label_columns, ' ');
  for (const std::string& head : heads) out += "  " + right(head, digits);
  out += '\n';
  for (int label = 0; label < classes; ++label) {
    out += padded(label_text(static_cast<std::size_t>(label)), label_columns);
    for (int predicted = 0; predicted < classes; ++predicted) {
      out += "  " + right(std::to_string(confusion.at(label, predicted)),
                          std::max(digits, width(heads[static_cast<std::size_t>(predicted)])));
    }
    out += '\n';
  }
  return out;
}

}  // namespace

std::string epoch_table_header() {
  return "epoch  train loss  train accuracy    val loss  val accuracy  images/s      time";
}

std::string epoch_table_row(const EpochRecord& record) {
  const std::optional<double> val_percent =
      record.val_accuracy ? std::optional(*record.val_accuracy * 100) : std::nullopt;
  const bool timed = record.seconds > 0;
  const std::optional<double> speed =
      timed ? std::optional(record.images_per_second) : std::nullopt;
  const std::optional<double> seconds = timed ? std::optional(record.seconds) : std::nullopt;
  return formatted("%5d  %10.4f  %12.2f %%  %10s  %12s  %8s  %8s", record.epoch, record.train_loss,
                   record.train_accuracy * 100, optional_number("%.4f", record.val_loss).c_str(),
                   optional_number("%.2f %%", val_percent).c_str(),
                   optional_number("%.0f", speed).c_str(),
                   optional_number("%.1f s", seconds).c_str());
}

std::string first_answer_row(const EvaluationResult& result) {
  return formatted("%-33s  %10.4f  %10.2f %%", "nearest class mean", result.loss,
                   result.confusion.accuracy() * 100);
}

Json step_json(const StepResult& step, double images_per_second) {
  return Json{{"step", step.step},
              {"epoch", step.epoch},
              {"loss", number_or_null(step.loss)},
              {"lr", step.lr},
              {"images_per_second", number_or_null(images_per_second)}};
}

Json epoch_result_json(const EpochResult& result) {
  return Json{{"epoch", result.epoch},
              {"train_loss", number_or_null(result.train_loss)},
              {"train_accuracy", number_or_null(result.train_accuracy)},
              {"val_loss", number_or_null(result.val_loss)},
              {"val_accuracy", number_or_null(result.val_accuracy)}};
}

Json epoch_json(const EpochRecord& record) {
  Json json = epoch_result_json(record);
  json["seconds"] = record.seconds;
  return json;
}

std::string evaluation_text(const EvaluationResult& result,
                            const std::vector<std::string>& classes) {
  const ConfusionMatrix& confusion = result.confusion;
  std::vector<std::string> names;
  names.reserve(classes.size());
  std::size_t columns = 5;
  for (const std::string& name : classes) {
    names.push_back(printable(name));
    columns = std::max(columns, width(names.back()));
  }

  std::string out = "accuracy " + percent(confusion.accuracy()) + ", loss " +
                    formatted("%.4f", result.loss) + ", " +
                    counted(static_cast<std::size_t>(confusion.total()), "image") + "\n\n";
  out += confusion_text(confusion, names, columns) + '\n';
  out += padded("class", columns) + "   precision      recall    images\n";
  for (int c = 0; c < confusion.classes(); ++c) {
    std::int64_t images = 0;
    for (int predicted = 0; predicted < confusion.classes(); ++predicted)
      images += confusion.at(c, predicted);
    out += padded(names[static_cast<std::size_t>(c)], columns) +
           formatted("  %10s  %10s  %8lld\n", percent(confusion.precision(c)).c_str(),
                     percent(confusion.recall(c)).c_str(), static_cast<long long>(images));
  }
  return out;
}

Json evaluation_json(const EvaluationResult& result, const std::vector<std::string>& classes) {
  const ConfusionMatrix& confusion = result.confusion;
  Json matrix = Json::array();
  Json precision = Json::object();
  Json recall = Json::object();
  for (int label = 0; label < confusion.classes(); ++label) {
    Json row = Json::array();
    for (int predicted = 0; predicted < confusion.classes(); ++predicted)
      row.push_back(confusion.at(label, predicted));
    matrix.push_back(std::move(row));
    const std::string& name = classes[static_cast<std::size_t>(label)];
    precision[name] = number_or_null(confusion.precision(label));
    recall[name] = number_or_null(confusion.recall(label));
  }
  return Json{{"images", confusion.total()},      {"loss", number_or_null(result.loss)},
              {"accuracy", confusion.accuracy()}, {"classes", classes},
              {"confusion", std::move(matrix)},   {"precision", std::move(precision)},
              {"recall", std::move(recall)}};
}

std::string counted(std::size_t count, std::string_view noun) {
  return text(count, ' ', noun, count == 1 ? "" : "s");
}

std::string printable(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) c = '?';
  }
  return out;
}

std::string listed(const std::vector<std::string>& names, std::size_t limit) {
  std::string out;
  for (std::size_t i = 0; i < std::min(names.size(), limit); ++i)
    out += (i > 0 ? ", " : "") + printable(names[i]);
  if (names.size() > limit) out += text(" and ", names.size() - limit, " more");
  return out;
}

std::string json_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace pinhole
