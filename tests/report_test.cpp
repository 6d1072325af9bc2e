// Progress lines, tables and reports: text only, so each is compared as text.
#include "report.h"

#include <gtest/gtest.h>

#include "arguments.h"
#include "json.h"
#include "progress.h"

namespace pinhole {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Progress, a_line_shows_bar_part_speed_time_left_and_detail) {
  EXPECT_EQ(
      progress_line({.label = "epoch 2/10",
                     .done = 30,
                     .total = 120,
                     .images_per_second = 250,
                     .seconds_left = 67,
                     .detail = "loss 0.3121"},
                    100),
      "epoch 2/10 [#######.......................]  25 %  250 images/s  1:07 left  loss 0.3121");
}

TEST(Progress, a_line_never_exceeds_the_terminal_and_the_bar_gives_way_first) {
  const Progress progress{.label = "epoch 2/10",
                          .done = 30,
                          .total = 120,
                          .images_per_second = 250,
                          .seconds_left = 67,
                          .detail = "loss 0.3121"};
  for (int columns = 0; columns < 120; ++columns)
    EXPECT_LE(progress_line(progress, columns).size(), static_cast<std::size_t>(columns))
        << columns;
  EXPECT_FALSE(contains(progress_line(progress, 60), "["));
  EXPECT_TRUE(contains(progress_line(progress, 60), "1:07 left"));
}

TEST(Progress, what_is_not_known_is_left_out_and_only_all_is_100_percent) {
  EXPECT_EQ(progress_line({.label = "reading", .done = 999, .total = 1000}, 30),
            "reading [#############.]  99 %");
  EXPECT_TRUE(
      contains(progress_line({.label = "reading", .done = 1000, .total = 1000}, 80), "100 %"));
  EXPECT_TRUE(contains(progress_line({.label = "reading", .done = 0, .total = 0}, 80), "100 %"));
}

TEST(Progress, durations_are_minutes_and_seconds_and_hours_when_there_are_some) {
  EXPECT_EQ(duration_text(0), "0:00");
  EXPECT_EQ(duration_text(7.4), "0:07");
  EXPECT_EQ(duration_text(59.6), "1:00");
  EXPECT_EQ(duration_text(750), "12:30");
  EXPECT_EQ(duration_text(3723), "1:02:03");
}

EvaluationResult result_of(const std::vector<std::vector<int>>& counts) {
  EvaluationResult result{.loss = 0.25,
                          .confusion = ConfusionMatrix(static_cast<int>(counts.size()))};
  for (std::size_t label = 0; label < counts.size(); ++label) {
    for (std::size_t predicted = 0; predicted < counts.size(); ++predicted) {
      for (int i = 0; i < counts[label][predicted]; ++i)
        result.confusion.add(static_cast<int>(label), static_cast<int>(predicted));
    }
  }
  return result;
}

TEST(Report, evaluation_lists_accuracy_confusion_precision_and_recall) {
  EXPECT_EQ(evaluation_text(result_of({{3, 1}, {0, 4}}), {"cats", "dogs"}),
            "accuracy 87.50 %, loss 0.2500, 8 images\n"
            "\n"
            "Confusion matrix (rows: true class, columns: predicted class)\n"
            "      cats  dogs\n"
            "cats     3     1\n"
            "dogs     0     4\n"
            "\n"
            "class   precision      recall    images\n"
            "cats     100.00 %     75.00 %         4\n"
            "dogs      80.00 %    100.00 %         4\n");
}

TEST(Report, a_class_never_predicted_has_no_precision_rather_than_a_wrong_one) {
  const EvaluationResult result = result_of({{0, 2}, {0, 4}});
  EXPECT_TRUE(contains(evaluation_text(result, {"cats", "dogs"}),
                       "cats            -      0.00 %         2"));
  EXPECT_TRUE(evaluation_json(result, {"cats", "dogs"}).at("precision").at("cats").is_null());
}

TEST(Report, columns_line_up_for_names_beyond_ascii) {
  const std::string text = evaluation_text(result_of({{3, 1}, {0, 4}}), {"Bären", "dogs"});
  EXPECT_TRUE(contains(text, "       Bären  dogs\nBären      3     1\ndogs       0     4\n"))
      << text;
}

TEST(Report, many_classes_are_headed_by_number) {
  std::vector<std::vector<int>> counts(30, std::vector<int>(30, 1));
  std::vector<std::string> names;
  for (int i = 0; i < 30; ++i) names.push_back("some long class name " + std::to_string(i));
  const std::string text = evaluation_text(result_of(counts), names);
  EXPECT_TRUE(contains(text, "  #0  #1  #2")) << text;
  EXPECT_TRUE(contains(text, "#29 some long class name 29")) << text;
}

TEST(Report, names_cannot_move_the_cursor) { EXPECT_EQ(printable("a\x1b[2J\nb\x7f"), "a?[2J?b?"); }

TEST(Report, long_lists_end_in_how_many_more) {
  EXPECT_EQ(listed({"a", "b"}), "a, b");
  EXPECT_EQ(listed({"a", "b", "c", "d"}, 2), "a, b and 2 more");
}

TEST(Report, rows_of_the_epoch_table_stand_under_their_headings) {
  EpochRecord record;
  record.epoch = 12;
  record.train_loss = 0.5;
  record.train_accuracy = 0.75;
  record.seconds = 2;
  record.images_per_second = 100;
  EXPECT_EQ(epoch_table_row(record).size(), epoch_table_header().size());
  EXPECT_TRUE(contains(epoch_table_row(record), "-"));
  record.val_loss = 0.25;
  record.val_accuracy = 1;
  EXPECT_EQ(epoch_table_row(record).size(), epoch_table_header().size());
}

TEST(Report, an_epoch_of_an_earlier_run_has_no_time) {
  EpochRecord record;
  record.epoch = 3;
  record.val_loss = 0.25;
  record.val_accuracy = 1;
  EXPECT_EQ(epoch_table_row(record).size(), epoch_table_header().size());
  EXPECT_TRUE(epoch_table_row(record).ends_with("100.00 %         -         -"))
      << epoch_table_row(record);
}

TEST(Arguments, checks_say_what_came_and_what_was_expected) {
  const auto check = [](const CLI::Validator& validator, std::string value) {
    return validator(value);
  };
  EXPECT_EQ(check(number_from(0, 1), "0"), "");
  EXPECT_EQ(check(number_from(0, 1), "1"), "got 1, expected a number from 0 to below 1");
  EXPECT_EQ(check(number_from(0, 1, true), "0"), "got 0, expected a number above 0 to below 1");
  for (const char* bad : {"nan", "inf", "", "1x", "0.1.2"})
    EXPECT_NE(check(number_from(0, 10), bad), "") << bad;
  EXPECT_EQ(check(whole_number(1, 10), "10"), "");
  for (const char* bad : {"0", "11", "-1", "+1", "1.5", " 1", "99999999999999999999"})
    EXPECT_NE(check(whole_number(1, 10), bad), "") << bad;
  EXPECT_EQ(check(one_of({"adam", "sgd"}), "lion"), "got lion, expected one of adam, sgd");
}

}  // namespace
}  // namespace pinhole
