#include "html_report.h"

#include <gtest/gtest.h>

namespace pinhole {
namespace {

HtmlReport sample() {
  HtmlReport report;
  report.title = "Net <b>";
  report.command = {"native_train", "--data", "my photos", "--out", "a'b.safetensors"};
  report.facts = {{"data", "photos & more"}};
  report.classes = {"cats", "<dogs>"};
  for (int epoch = 1; epoch <= 3; ++epoch) {
    report.history.push_back({.epoch = epoch,
                              .train_loss = 1.0 / epoch,
                              .train_accuracy = 0.5,
                              .val_loss = 2.0 / epoch,
                              .val_accuracy = 0.25 * epoch});
  }
  EvaluationResult result{.loss = 0.5, .confusion = ConfusionMatrix(2)};
  for (int i = 0; i < 3; ++i) result.confusion.add(0, 0);
  result.confusion.add(1, 0);
  report.validation = result;
  report.mistakes = {{.label = "<dogs>",
                      .predicted = "cats",
                      .name = "d/\"1\".jpg",
                      .probability = 0.9,
                      .png = "Man",
                      .heat_png = "Ma"}};
  return report;
}

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << "lacks " << (part)

TEST(HtmlReport, holds_command_curves_matrix_classes_and_mistakes) {
  const std::string html = html_report(sample());
  EXPECT_HAS(html, "native_train --data 'my photos' --out 'a'\\''b.safetensors'");
  EXPECT_EQ(count(html, "<polyline"), 4U);
  EXPECT_HAS(html, ">75.00&#8239;%</strong> of 4 validation images");
  EXPECT_HAS(html,
             "<th scope=\"row\">&lt;dogs&gt;</th><td>&ndash;</td><td>0.00&#8239;%</td><td>1</td>");
  EXPECT_HAS(html, "is &lt;dogs&gt;, called cats with 90.00&#8239;%");
  EXPECT_HAS(html, "data:image/png;base64,TWFu\"");
  EXPECT_HAS(html, "alt=\"what spoke for cats\" src=\"data:image/png;base64,TWE=\"");
}

TEST(HtmlReport, needs_nothing_from_elsewhere_and_lets_no_name_become_markup) {
  const std::string html = html_report(sample());
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("http"), std::string::npos);
  EXPECT_EQ(html.find("<dogs>"), std::string::npos);
  EXPECT_EQ(html.find("Net <b>"), std::string::npos);
}

TEST(HtmlReport, values_that_are_not_there_are_dashes) {
  HtmlReport report = sample();
  report.validation.reset();
  report.mistakes.clear();
  for (EpochResult& epoch : report.history) epoch.val_loss = epoch.val_accuracy = std::nullopt;
  const std::string html = html_report(report);
  EXPECT_EQ(count(html, "<polyline"), 2U);
  EXPECT_EQ(html.find("Confusion"), std::string::npos);
  EXPECT_HAS(html, "<td>&ndash;</td>");
  report.history.resize(1);  // a point is no line
  EXPECT_EQ(count(html_report(report), "<circle"), 2U);
  report.history.clear();
  EXPECT_EQ(count(html_report(report), "<polyline"), 0U);
}

TEST(HtmlReport, base64_is_padded) {
  HtmlReport report = sample();
  report.mistakes[0].png = "M";
  EXPECT_HAS(html_report(report), "base64,TQ==\"");
  report.mistakes[0].png = "Ma";
  EXPECT_HAS(html_report(report), "base64,TWE=\"");
}

}  // namespace
}  // namespace pinhole
