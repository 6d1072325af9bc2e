#include <cmath>

#include "check_layer.h"
#include "json.h"

namespace pinhole {

TEST(Dropout, drops_and_scales_in_forward_and_backward_alike) {
  check_layer(R"({"type": "Dropout", "p": 0.3})", {2, 3, 4, 5});
  check_layer(R"({"type": "Dropout"})", {3, 1, 1, 17});
  check_layer(R"({"type": "Dropout", "p": 0})", {2, 1, 1, 5});
  check_layer(R"({"type": "Dropout", "p": 1})", {2, 1, 1, 5});
}

TEST(Dropout, drops_the_part_that_p_says_and_another_part_at_the_next_step) {
  const auto backend = make_backend("reference", 1);
  const Shape shape{1, 1, 1, 100000};
  const auto layer =
      make_layer(parse_json(R"({"type": "Dropout", "p": 0.25})", "spec"),
                 {.input = shape, .flattened = shape, .classes = 0, .prefix = "drop"}, "[drop]");
  Tensor x(shape), first(shape), second(shape), off(shape);
  x.fill(1);
  RunContext context{*backend};
  context.pass = Pass::kTrain;
  context.step = 1;
  layer->forward(context, x, first);
  context.step = 2;
  layer->forward(context, x, second);
  context.pass = Pass::kPredict;
  layer->forward(context, x, off);
  int dropped = 0, different = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    dropped += first.data()[i] == 0;
    different += first.data()[i] != second.data()[i];
    if (first.data()[i] != 0) {
      ASSERT_NEAR(first.data()[i], 1 / 0.75, 1e-6);
    }
    ASSERT_EQ(off.data()[i], 1);
  }
  EXPECT_NEAR(dropped, 25000, 700);       // five standard deviations
  EXPECT_NEAR(different, 37500, 800);     // 2 * 0.25 * 0.75
}

TEST(Dropout, refuses_a_probability_out_of_range) {
  expect_layer_error(R"({"type": "Dropout", "p": 1.5})", {1, 1, 1, 4},
                     "p expected a number from 0.0 to 1.0, got 1.5");
}

}  // namespace pinhole
