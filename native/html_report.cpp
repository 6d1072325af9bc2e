#include "html_report.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <string_view>

#include "error.h"

namespace pinhole {

namespace {

constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --ink: #1d2330; --soft: #667085; --paper: #fff; --line: #d5d9e2; --train: #3465d9; --val: #d2691e; --hit: 52, 101, 217; --miss: 210, 60, 50; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaf0; --soft: #9aa3b5; --paper: #14171f; --line: #343b4a; --train: #7ea2ff; --val: #ffab66; --hit: 126, 162, 255; --miss: 255, 120, 110; } }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
pre { padding: .8rem 1rem; border: 1px solid var(--line); border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere; }
table { border-collapse: collapse; } td, th { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
th { color: var(--soft); font-weight: 500; } th[scope=row], td.text { text-align: left; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; } .charts, .mistakes { display: flex; flex-wrap: wrap; gap: 1.5rem; }
figure { margin: 0; } figcaption { color: var(--soft); font-size: .85rem; max-width: 24rem; overflow-wrap: anywhere; }
.mistakes img { width: 12rem; height: 12rem; object-fit: contain; image-rendering: auto; border: 1px solid var(--line); border-radius: 6px; }
svg text { fill: var(--soft); font-size: 12px; } svg .axis { stroke: var(--line); } svg polyline, svg circle { vector-effect: non-scaling-stroke; }
.train { stroke: var(--train); fill: var(--train); } .val { stroke: var(--val); fill: var(--val); } polyline { fill: none !important; stroke-width: 2; } svg text.train, svg text.val { stroke: none; }
)";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char letter : printable(text)) {
    switch (letter) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += letter;
    }
  }
  return out;
}

std::string number(const char* format, double value) {
  if (!std::isfinite(value)) return "&ndash;";
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

std::string percent(double part) {
  return std::isfinite(part) ? number("%.2f&#8239;%%", 100 * part) : "&ndash;";
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8U | (i + k < bytes.size() ? static_cast<std::uint8_t>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k)
      out += i + k <= bytes.size() ? kLetters[group >> (18 - 6 * k) & 63U] : '=';
  }
  return out;
}

struct Curve {
  std::string name;  // also its class in the style sheet
  std::vector<std::optional<double>> values;  // one an epoch
};

/// An SVG of curves over epochs. The vertical axis goes from `low` to `high`, or to the largest value when that is above.
std::string chart(const std::string& title, const std::vector<Curve>& curves, double high) {
  constexpr double kLeft = 46, kTop = 26, kWidth = 340, kHeight = 190;
  std::size_t epochs = 0;
  for (const Curve& curve : curves) {
    epochs = std::max(epochs, curve.values.size());
    for (const auto& value : curve.values) {
      if (value && std::isfinite(*value)) high = std::max(high, *value);
    }
  }
  if (high <= 0) high = 1;
  const auto x = [&](std::size_t epoch) {
    return kLeft + (epochs < 2
                        ? kWidth / 2
                        : kWidth * static_cast<double>(epoch) / static_cast<double>(epochs - 1));
  };
  const auto y = [&](double value) { return kTop + kHeight * (1 - value / high); };
  std::string out =
      text(R"(<figure><svg role="img" width="420" height="260" viewBox="0 0 420 260"><title>)",
           title, "</title>");
  for (const double part : {0.0, 0.5, 1.0}) {
    const std::string at = number("%.1f", y(part * high));
    out += text(R"(<line class="axis" x1="46" x2="386" y1=")", at, R"(" y2=")", at,
                R"("/><text x="40" y=")", at, R"(" text-anchor="end" dominant-baseline="middle">)",
                number("%.3g", part * high), "</text>");
  }
  out += text(R"(<text x="46" y="236">epoch 1</text><text x="386" y="236" text-anchor="end">)",
              epochs, "</text>");
  double legend = kLeft;
  for (const Curve& curve : curves) {
    std::string points;
    for (std::size_t epoch = 0; epoch < curve.values.size(); ++epoch) {
      const auto& value = curve.values[epoch];
      if (value && std::isfinite(*value))
        points += text(number("%.1f", x(epoch)), ',', number("%.1f", y(*value)), ' ');
    }
    if (points.empty()) continue;
    if (epochs == 1) {
      const std::size_t comma = points.find(',');
      out += text(R"(<circle r="4" class=")", curve.name, R"(" cx=")", points.substr(0, comma),
                  R"(" cy=")", points.substr(comma + 1, points.size() - comma - 2), R"("/>)");
    } else {
      out += text(R"(<polyline class=")", curve.name, R"(" points=")", points, R"("/>)");
    }
    out += text(R"(<text class=")", curve.name, R"(" x=")", number("%.0f", legend), R"(" y="14">)",
                title, ", ", curve.name == "val" ? "validation" : "training", "</text>");
    legend += 170;
  }
  return out + "</svg></figure>\n";
}

std::string charts(const std::vector<EpochResult>& history) {
  Curve train_loss{"train", {}}, val_loss{"val", {}}, train_accuracy{"train", {}},
      val_accuracy{"val", {}};
  for (const EpochResult& epoch : history) {
    train_loss.values.emplace_back(epoch.train_loss);
    val_loss.values.push_back(epoch.val_loss);
    train_accuracy.values.emplace_back(epoch.train_accuracy);
    val_accuracy.values.push_back(epoch.val_accuracy);
  }
  return "<div class=\"charts\">\n" + chart("loss", {train_loss, val_loss}, 0) +
         chart("accuracy", {train_accuracy, val_accuracy}, 1) + "</div>\n";
}

std::string epoch_table(const std::vector<EpochResult>& history) {
  std::string out =
      "<div class=\"scroll\"><table><tr><th>epoch</th><th>train loss</th><th>train accuracy</th>"
      "<th>val loss</th><th>val accuracy</th></tr>\n";
  for (const EpochResult& epoch : history) {
    out += text("<tr><td>", epoch.epoch, "</td><td>", number("%.4f", epoch.train_loss), "</td><td>",
                percent(epoch.train_accuracy), "</td><td>",
                epoch.val_loss ? number("%.4f", *epoch.val_loss) : "&ndash;", "</td><td>",
                epoch.val_accuracy ? percent(*epoch.val_accuracy) : "&ndash;", "</td></tr>\n");
  }
  return out + "</table></div>\n";
}

std::string confusion_table(const ConfusionMatrix& confusion,
                            const std::vector<std::string>& classes) {
  std::string out =
      "<div class=\"scroll\"><table><tr><th scope=\"row\">is &darr; called &rarr;</th>";
  for (const std::string& name : classes) out += text("<th>", escaped(name), "</th>");
  out += "</tr>\n";
  for (int label = 0; label < confusion.classes(); ++label) {
    std::int64_t row = 0;
    for (int c = 0; c < confusion.classes(); ++c) row += confusion.at(label, c);
    out +=
        text("<tr><th scope=\"row\">", escaped(classes[static_cast<std::size_t>(label)]), "</th>");
    for (int c = 0; c < confusion.classes(); ++c) {
      const double part =
          row > 0 ? static_cast<double>(confusion.at(label, c)) / static_cast<double>(row) : 0;
      out += text("<td style=\"background: rgba(var(--", c == label ? "hit" : "miss", "), ",
                  number("%.2f", 0.7 * part), ")\">", confusion.at(label, c), "</td>");
    }
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string class_table(const ConfusionMatrix& confusion, const std::vector<std::string>& classes) {
  std::string out =
      "<div class=\"scroll\"><table><tr><th "
      "scope=\"row\">class</th><th>precision</th><th>recall</th>"
      "<th>images</th></tr>\n";
  for (int c = 0; c < confusion.classes(); ++c) {
    std::int64_t images = 0;
    for (int other = 0; other < confusion.classes(); ++other) images += confusion.at(c, other);
    out += text("<tr><th scope=\"row\">", escaped(classes[static_cast<std::size_t>(c)]),
                "</th><td>", percent(confusion.precision(c)), "</td><td>",
                percent(confusion.recall(c)), "</td><td>", images, "</td></tr>\n");
  }
  return out + "</table></div>\n";
}

std::string mistake_figures(const std::vector<ReportedMistake>& mistakes) {
  std::string out = "<div class=\"mistakes\">\n";
  for (const ReportedMistake& mistake : mistakes) {
    const std::string what =
        text("is ", escaped(mistake.label), ", called ", escaped(mistake.predicted), " with ",
             percent(mistake.probability));
    const auto picture = [](const std::string& says, const std::string& png) {
      return text("<img alt=\"", says, "\" src=\"data:image/png;base64,", base64(png), "\">");
    };
    out += text("<figure>", picture(what, mistake.png),
                mistake.heat_png.empty()
                    ? ""
                    : picture("what spoke for " + escaped(mistake.predicted), mistake.heat_png),
                "<figcaption>", what, mistake.name.empty() ? "" : "<br>", escaped(mistake.name),
                "</figcaption></figure>\n");
  }
  return out + "</div>\n";
}

}  // namespace

std::string shell_command(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) {
    const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](char letter) {
      return std::isalnum(static_cast<unsigned char>(letter)) != 0 ||
             std::string_view("./-_=:,+").find(letter) != std::string_view::npos;
    });
    out += out.empty() ? "" : " ";
    if (plain) {
      out += word;
      continue;
    }
    out += '\'';
    for (const char letter : word)
      out += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
    out += '\'';
  }
  return out;
}

std::string html_report(const HtmlReport& report) {
  std::string out = text(
      "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
      escaped(report.title), "</title>\n<style>", kStyle, "</style>\n<h1>", escaped(report.title),
      "</h1>\n");
  if (report.validation) {
    const ConfusionMatrix& confusion = report.validation->confusion;
    out += text("<p><strong>", percent(confusion.accuracy()), "</strong> of ", confusion.total(),
                " validation images are labelled right (loss ",
                number("%.4f", report.validation->loss), ").</p>\n");
  }
  out += "<table>\n";
  for (const auto& [name, value] : report.facts)
    out += text("<tr><th scope=\"row\">", escaped(name), "</th><td class=\"text\">", escaped(value),
                "</td></tr>\n");
  out += text("</table>\n<h2>Command</h2>\n<pre>", escaped(shell_command(report.command)),
              "</pre>\n<h2>Curves</h2>\n", charts(report.history), epoch_table(report.history));
  if (report.validation) {
    out += "<h2>Confusion matrix</h2>\n" +
           confusion_table(report.validation->confusion, report.classes) + "<h2>Classes</h2>\n" +
           class_table(report.validation->confusion, report.classes);
  }
  if (!report.mistakes.empty()) {
    out +=
        "<h2>Worst mistakes</h2>\n<p>Validation images that the model is surest of and wrong "
        "about, as it saw them, with what spoke for its answer (Grad-CAM) in light colours over "
        "them.</p>\n" +
        mistake_figures(report.mistakes);
  }
  return out;
}

}  // namespace pinhole
