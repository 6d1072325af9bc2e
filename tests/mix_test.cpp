// mixup and cutmix: the mixing of images against PyTorch (golden/make_recipe_goldens.py; the losses of mixed labels are in
// recipe_test.cpp), what is drawn, and what the trainer makes of it.
#include "mix.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <numeric>

#include "json.h"
#include "model_file.h"
#include "recipe.h"
#include "trainer.h"

namespace pinhole {
namespace {

Tensor tensor(const StoredTensor& stored) {
  const auto size = [&](std::size_t i) { return static_cast<int>(stored.shape[i]); };
  Tensor out(Shape{size(0), size(1), size(2), size(3)});
  std::copy(stored.values.begin(), stored.values.end(), out.data());
  return out;
}

TEST(MixGolden, ImagesAreMixedAsTorchvisionsReferenceDoes) {
  std::ifstream stream(PINHOLE_SOURCE_DIR "/tests/golden/recipes.safetensors", std::ios::binary);
  const std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(stream), {}};
  const Safetensors file = read_safetensors(bytes, "recipes.safetensors");
  ThreadPool pool(2);
  const Json cases = parse_json(file.metadata.at("mixes"), "mixes");
  ASSERT_GE(cases.size(), 5U);
  for (const Json& test : cases) {
    SCOPED_TRACE(test.dump());
    const std::string key = test["key"].get<std::string>();
    Tensor x = tensor(file.tensors.at(key + "/batch")), copy;
    const double share = test["share"];
    double kept = share;
    if (test["box"].is_null()) {
      mix::mixup(x, copy, static_cast<float>(share), pool);
    } else {
      kept = mix::cutmix(x, copy, share, test["box"][0], test["box"][1], pool);
    }
    EXPECT_DOUBLE_EQ(kept, test["kept"].get<double>());
    const std::vector<float>& want = file.tensors.at(key + "/mixed").values;
    ASSERT_EQ(want.size(), x.size());
    for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(x.data()[i], want[i], 1e-7) << i;
  }
}

TEST(Mix, LabelsFollowTheImages) {
  std::vector<int> before;
  labels_before({4, 5, 6}, before);
  EXPECT_EQ(before, (std::vector<int>{6, 4, 5}));
  labels_before({7}, before);
  EXPECT_EQ(before, (std::vector<int>{7}));
}

// Beta(a, a) has mean 1/2 and variance 1 / (4 (2 a + 1)).
TEST(Mix, SharesHaveTheMomentsOfTheBetaDistribution) {
  for (const double alpha : {0.001, 0.2, 1.0, 4.0}) {
    Rng rng(3, static_cast<std::uint64_t>(alpha * 1000));
    constexpr int kDraws = 20'000;
    double sum = 0, squares = 0;
    for (int i = 0; i < kDraws; ++i) {
      const double share = mix::draw_beta(alpha, rng);
      ASSERT_GE(share, 0);
      ASSERT_LE(share, 1);
      sum += share;
      squares += (share - 0.5) * (share - 0.5);
    }
    EXPECT_NEAR(sum / kDraws, 0.5, 0.015) << alpha;
    const double variance = 1 / (4 * (2 * alpha + 1));
    EXPECT_NEAR(squares / kDraws, variance, 0.04 * variance) << alpha;
  }
}

TEST(Mix, FollowsFromSeedAndStepAloneForAnyNumberOfThreads) {
  const MixOptions both{.mixup_alpha = 0.4, .cutmix_alpha = 1};
  Tensor first(Shape{5, 6, 4, 3});
  const Rng rng(9);
  for (std::size_t i = 0; i < first.size(); ++i)
    first.data()[i] = static_cast<real>(rng.uniform_at(i));
  const auto mixed = [&](std::uint64_t seed, std::uint64_t step, int threads) {
    Tensor x(first.shape()), copy;
    std::copy_n(first.data(), first.size(), x.data());
    ThreadPool pool(threads);
    std::vector<real> out{static_cast<real>(mix_batch(both, seed, step, x, copy, pool))};
    out.insert(out.end(), x.data(), x.data() + x.size());
    return out;
  };
  const std::vector<real> original(first.data(), first.data() + first.size());
  int changed = 0, others = 0;
  for (std::uint64_t step = 1; step <= 20; ++step) {
    const std::vector<real> one = mixed(1, step, 1);
    EXPECT_EQ(one, mixed(1, step, 3));
    others += one != mixed(2, step, 1) ? 1 : 0;
    others += one != mixed(1, step + 1, 1) ? 1 : 0;
    changed += !std::equal(original.begin(), original.end(), one.begin() + 1) ? 1 : 0;
  }
  // A box may be empty, but seldom.
  EXPECT_GE(changed, 15);
  EXPECT_GE(others, 30);
}

TEST(Mix, TrainerMixesImagesAndLabelsTogether) {
  const char* spec = R"({"format": "pinhole/1", "name": "L", "input": [2, 2, 1], "layers": [
    {"type": "Flatten"}, {"type": "Linear", "name": "fc", "out_features": "classes"}]})";
  ImageDataset data(2, 2, 1, {"a", "b", "c"});
  for (int i = 0; i < 6; ++i) {
    const auto value = static_cast<std::uint8_t>(40 * i);
    data.add(std::vector<std::uint8_t>(4, value), i % 3);
  }
  const TrainerOptions options = recipe_from_json(
      parse_json(R"({"batch_size": 6, "shuffle": false, "seed": 4, "mixup_alpha": 1})", "r"), "r");
  Model model(parse_json(spec, "spec"), 3, make_backend("auto", 2));
  model.init(1);
  Tensor x, copy, dlogits;
  std::vector<int> labels, before;
  std::vector<std::uint32_t> all(6);
  std::iota(all.begin(), all.end(), 0U);
  data.batch(all, x, labels, model.backend().pool());
  const double share = mix_batch(options.mix, 4, 1, x, copy, model.backend().pool());
  ASSERT_GT(std::abs(share - 0.5), 0.01);
  labels_before(labels, before);
  const double want = loss(model.loss(), model.forward(x, Pass::kTrain), labels, dlogits, {},
                           {.labels = before, .share = share});
  Trainer trainer(model, data, options);
  EXPECT_DOUBLE_EQ(trainer.step().loss, want);
}

}  // namespace
}  // namespace pinhole
