#include <cmath>
#include <cstring>

#include "check_layer.h"
#include "json.h"

namespace pinhole {

TEST(BatchNorm2d, covers_shapes_and_options) {
  check_layer(R"({"type": "BatchNorm2d"})", {3, 4, 5, 7});
  check_layer(R"({"type": "BatchNorm2d"})", {2, 1, 1, 3});
  check_layer(R"({"type": "BatchNorm2d", "affine": false, "eps": 0.01})", {2, 3, 3, 4});
  check_layer(R"({"type": "BatchNorm2d"})", {2, 17, 13, 5});  // several partial sums
  check_layer(R"({"type": "BatchNorm2d", "requires_grad": false})", {2, 3, 3, 4});
}

namespace {
struct Built {
  std::shared_ptr<Backend> backend = make_backend("reference", 1);
  std::unique_ptr<Layer> layer;
  RunContext context{*backend};

  Built(const std::string& spec, const Shape& shape)
      : layer(make_layer(
            parse_json(spec, "spec"),
            {.input = shape.with_n(1), .flattened = shape.with_n(1), .classes = 0, .prefix = "bn"},
            "[bn]")) {
    layer->prepare(shape, Pass::kTrain);
  }
};
}  // namespace

TEST(BatchNorm2d, keeps_its_digits_where_the_mean_is_large) {
  const Shape shape{4, 16, 16, 2};
  Built built(R"({"type": "BatchNorm2d", "eps": 0})", shape);
  Tensor x(shape), y(shape);
  fill_distinct(x, 5);
  for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] = x.data()[i] + 1000;
  built.context.pass = Pass::kTrain;
  built.layer->forward(built.context, x, y);
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < y.size(); i += 2) {
    sum += static_cast<double>(y.data()[i]);
    squares += static_cast<double>(y.data()[i]) * static_cast<double>(y.data()[i]);
  }
  const double count = static_cast<double>(y.size()) / 2;
  EXPECT_NEAR(sum / count, 0, 1e-3);
  EXPECT_NEAR(squares / count, 1, 2e-3);
}

TEST(BatchNorm2d, follows_the_batches_in_training_and_uses_what_it_learnt_in_prediction) {
  const Shape shape{1, 1, 4, 1};
  Built built(R"({"type": "BatchNorm2d", "momentum": 0.5, "eps": 0})", shape);
  Tensor x(shape), y(shape);
  const real values[] = {1, 3, 5, 7};  // mean 4, unbiased variance 20 / 3
  std::copy_n(values, 4, x.data());
  built.context.pass = Pass::kTrain;
  built.layer->forward(built.context, x, y);
  const auto buffers = built.layer->buffers();
  ASSERT_EQ(buffers.size(), 3U);
  EXPECT_EQ(buffers[0]->name, "bn.running_mean");
  EXPECT_NEAR(buffers[0]->value.data()[0], 2, 1e-6);
  EXPECT_NEAR(buffers[1]->value.data()[0], 0.5 + 10.0 / 3, 1e-6);
  EXPECT_EQ(buffers[2]->value.data()[0], 1);
  built.context.pass = Pass::kPredict;
  built.layer->forward(built.context, x, y);
  for (int i = 0; i < 4; ++i)
    EXPECT_NEAR(y.data()[i], (values[i] - 2) / std::sqrt(0.5 + 10.0 / 3), 1e-5);
  EXPECT_EQ(buffers[2]->value.data()[0], 1) << "prediction counts no batch";
}

TEST(BatchNorm2d, changes_nothing_when_frozen) {
  const Shape shape{2, 2, 2, 3};
  Built built(R"({"type": "BatchNorm2d", "requires_grad": false})", shape);
  Tensor x(shape), y(shape);
  fill_distinct(x, 1);
  built.context.pass = Pass::kTrain;
  built.layer->forward(built.context, x, y);
  EXPECT_EQ(built.layer->buffers()[2]->value.data()[0], 0);
  for (const Parameter* p : built.layer->parameters()) EXPECT_FALSE(p->requires_grad);
}

TEST(BatchNorm2d, takes_the_relu_after_it_into_its_own_passes) {
  const Shape shape{2, 17, 13, 5};
  for (const char* spec :
       {R"({"type": "BatchNorm2d"})", R"({"type": "BatchNorm2d", "requires_grad": false})"}) {
    for (const Pass pass : {Pass::kTrain, Pass::kPredict, Pass::kExplain}) {
      Built apart(spec, shape), fused(spec, shape);
      std::vector<std::unique_ptr<Layer>> relu;
      relu.push_back(Built(R"({"type": "ReLU"})", shape).layer);
      const Fusion fusion = fused.layer->fuse(relu);
      ASSERT_NE(fusion.layer, nullptr);
      EXPECT_EQ(fusion.count, 2U);
      Tensor x(shape), y(shape), want(shape), dy(shape), dx(shape), want_dx(shape);
      fill_distinct(x, 5);
      fill_distinct(dy, 6);
      apart.context.pass = fused.context.pass = pass;
      apart.layer->forward(apart.context, x, want);
      relu[0]->forward(apart.context, want, want);
      fusion.layer->forward(fused.context, x, y);
      EXPECT_EQ(0, std::memcmp(y.data(), want.data(), y.size() * sizeof(real)));
      if (pass == Pass::kPredict) continue;
      Tensor masked(shape);
      relu[0]->backward(apart.context, want, want, dy, &masked);
      apart.layer->backward(apart.context, x, want, masked, &want_dx);
      fusion.layer->backward(fused.context, x, y, dy, &dx);
      EXPECT_EQ(0, std::memcmp(dx.data(), want_dx.data(), dx.size() * sizeof(real)));
      const auto got = fused.layer->parameters(), wanted = apart.layer->parameters();
      for (std::size_t p = 0; p < got.size(); ++p)
        EXPECT_EQ(0, std::memcmp(got[p]->grad.data(), wanted[p]->grad.data(),
                                 got[p]->grad.size() * sizeof(real)));
    }
  }
}

TEST(BatchNorm2d, refuses_a_training_batch_of_one_value) {
  const Shape shape{1, 1, 1, 3};
  Built built(R"({"type": "BatchNorm2d"})", shape);
  Tensor x(shape), y(shape);
  x.fill(1);
  built.context.pass = Pass::kTrain;
  try {
    built.layer->forward(built.context, x, y);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("needs more than one value a channel in training"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace pinhole
