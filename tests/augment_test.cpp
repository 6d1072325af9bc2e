// Augmentation: every building stone against Pillow (golden/make_augment_goldens.py), what chance does by its statistics, and
// that the same seed, epoch and index always give the same bytes.
#include "augment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>

#include "dataset.h"
#include "error.h"
#include "json.h"
#include "model_file.h"

namespace pinhole {
namespace {

using augment::Pixels;

Pixels to_pixels(const StoredTensor& stored) {
  Pixels image{.height = static_cast<int>(stored.shape.at(0)),
               .width = static_cast<int>(stored.shape.at(1)),
               .channels = static_cast<int>(stored.shape.at(2)),
               .bytes = {}};
  for (const float value : stored.values) image.bytes.push_back(static_cast<std::uint8_t>(value));
  return image;
}

void apply_case(const Json& test, Pixels& image) {
  const std::string name = test["name"];
  const auto whole = [&](const char* key) { return test.value(key, 0); };
  const auto fill = static_cast<std::uint8_t>(whole("fill"));
  if (name == "flip") {
    augment::flip_horizontally(image);
  } else if (name == "shift_padded") {
    const std::string mode = test["mode"];
    augment::shift_padded(image, whole("padding"),
                          mode == "edge"      ? augment::Padding::kEdge
                          : mode == "reflect" ? augment::Padding::kReflect
                                              : augment::Padding::kConstant,
                          fill, whole("top"), whole("left"));
  } else if (name == "resized_crop") {
    augment::resized_crop(image, whole("top"), whole("left"), whole("height"), whole("width"));
  } else if (name == "affine") {
    const auto pair = [&](const char* key, int i) {
      return test.contains(key) ? test[key][static_cast<std::size_t>(i)].get<double>() : 0.0;
    };
    augment::affine(image,
                    {.angle = test.value("angle", 0.0),
                     .translate_x = static_cast<int>(pair("translate", 0)),
                     .translate_y = static_cast<int>(pair("translate", 1)),
                     .scale = test.value("scale", 1.0),
                     .shear_x = pair("shear", 0),
                     .shear_y = pair("shear", 1)},
                    test.value("bilinear", false), fill);
  } else {
    const double factor = test["factor"];
    if (name == "brightness") augment::adjust_brightness(image, factor);
    if (name == "contrast") augment::adjust_contrast(image, factor);
    if (name == "saturation") augment::adjust_saturation(image, factor);
    if (name == "hue") augment::adjust_hue(image, factor);
  }
}

TEST(Augment, EveryChangeGivesPillowsPixels) {
  std::ifstream stream(PINHOLE_SOURCE_DIR "/tests/golden/augment.safetensors", std::ios::binary);
  const std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(stream), {}};
  const Safetensors golden = read_safetensors(bytes, "augment.safetensors");
  const Json cases = parse_json(golden.metadata.at("cases"), "cases");
  ASSERT_GE(cases.size(), 70U);
  for (const Json& test : cases) {
    SCOPED_TRACE(test.dump());
    Pixels image = to_pixels(golden.tensors.at(test["image"].get<std::string>()));
    apply_case(test, image);
    const Pixels want = to_pixels(golden.tensors.at(test["key"].get<std::string>()));
    int different = 0, largest = 0;
    for (std::size_t i = 0; i < want.bytes.size(); ++i) {
      const int difference = std::abs(image.bytes[i] - want.bytes[i]);
      different += difference != 0;
      largest = std::max(largest, difference);
    }
    // Pillow steps through an affine map in 16-bit fixed point (nearest) or sums in another order (bilinear): a position that
    // lies on the border between two pixels may fall to the other.
    if (test["name"] == "affine") {
      EXPECT_LE(different, static_cast<int>(want.bytes.size()) / 50) << "largest " << largest;
    } else {
      EXPECT_EQ(different, 0) << "largest " << largest;
    }
  }
}

TEST(Augment, OwnFunctionsAreTheCLibrarysToTheLastDigits) {
  for (double x = -7; x <= 7; x += 0.0137) {
    EXPECT_NEAR(augment::exact_sin(x), std::sin(x), 2e-15);
    EXPECT_NEAR(augment::exact_cos(x), std::cos(x), 2e-15);
    EXPECT_NEAR(augment::exact_exp(x), std::exp(x), 4e-15 * std::exp(x));
    const double positive = std::exp(x);
    EXPECT_NEAR(augment::exact_log(positive), std::log(positive),
                4e-15 * std::max(1.0, std::abs(x)));
  }
}

Augmentation pipeline(const char* json) { return {parse_json(json, "list"), "list"}; }

Pixels gradient(int height, int width, int channels) {
  Pixels image{.height = height, .width = width, .channels = channels, .bytes = {}};
  for (int i = 0; i < height * width * channels; ++i)
    image.bytes.push_back(static_cast<std::uint8_t>(i * 7 % 251));
  return image;
}

constexpr const char* kEverything = R"([
  {"type": "RandomResizedCrop", "scale": [0.5, 1]}, {"type": "RandomHorizontalFlip"}, {"type": "RandomCrop", "padding": 2},
  {"type": "RandomAffine", "degrees": 20, "translate": [0.1, 0.1], "scale": [0.9, 1.1], "shear": 5, "interpolation": "bilinear"},
  {"type": "ColorJitter", "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}, {"type": "RandomErasing"}])";

TEST(Augmentation, IsDecidedBySeedEpochAndIndexAlone) {
  const Augmentation everything = pipeline(kEverything);
  const Pixels original = gradient(16, 14, 3);
  const auto look = [&](std::uint64_t seed, int epoch, std::uint32_t index) {
    Pixels image = original;
    everything.apply(image, seed, epoch, index);
    EXPECT_EQ(image.bytes.size(), original.bytes.size());
    return std::string(image.bytes.begin(), image.bytes.end());
  };
  std::set<std::string> looks;
  for (const std::uint64_t seed : {0, 1}) {
    for (const int epoch : {1, 2, 3}) {
      for (const std::uint32_t index : {0U, 1U, 99999U}) {
        EXPECT_EQ(look(seed, epoch, index), look(seed, epoch, index));
        looks.insert(look(seed, epoch, index));
      }
    }
  }
  EXPECT_EQ(looks.size(), 18U) << "two of them look alike";
}

TEST(Augmentation, ParametersThatAllowNoChangeChangeNothing) {
  for (const int channels : {1, 3}) {
    const Pixels original = gradient(9, 12, channels);
    for (
        const char* json :
        {"[]", R"([{"type": "RandomHorizontalFlip", "p": 0}])",
         R"([{"type": "RandomCrop", "padding": 0}])",
         R"([{"type": "RandomResizedCrop", "scale": [1, 1], "ratio": [1.3333333333, 1.3333333334]}])",
         R"([{"type": "RandomAffine", "degrees": 0}])",
         R"([{"type": "RandomAffine", "degrees": 0, "interpolation": "bilinear"}])",
         R"([{"type": "ColorJitter"}])",
         R"([{"type": "ColorJitter", "brightness": [1, 1], "contrast": [1, 1], "saturation": [1, 1], "hue": [0, 0]}])",
         R"([{"type": "RandomErasing", "p": 0}])"}) {
      for (std::uint32_t index = 0; index < 20; ++index) {
        Pixels image = original;
        pipeline(json).apply(image, 1, 1, index);
        EXPECT_EQ(image.bytes, original.bytes) << json;
      }
    }
  }
}

TEST(Augmentation, ChanceHasTheRightStatistics) {
  constexpr int kImages = 4000;
  const Pixels original = gradient(10, 10, 1);
  Pixels flipped = original;
  augment::flip_horizontally(flipped);
  const auto count = [&](const char* json, const std::function<bool(const Pixels&)>& counts,
                         const Pixels& from) {
    const Augmentation augmentation = pipeline(json);
    int found = 0;
    for (std::uint32_t index = 0; index < kImages; ++index) {
      Pixels image = from;
      augmentation.apply(image, 3, 1, index);
      found += counts(image);
    }
    return static_cast<double>(found) / kImages;
  };
  // Four standard deviations of a share are at most 2 / sqrt(kImages) = 0.032.
  EXPECT_NEAR(count(
                  R"([{"type": "RandomHorizontalFlip", "p": 0.3}])",
                  [&](const Pixels& image) { return image.bytes == flipped.bytes; }, original),
              0.3, 0.032);
  EXPECT_NEAR(count(
                  R"([{"type": "RandomErasing", "p": 0.25, "value": 1}])",
                  [&](const Pixels& image) { return image.bytes != original.bytes; }, original),
              0.25, 0.032);
  EXPECT_NEAR(count(
                  R"([{"type": "RandomCrop", "padding": 2}])",
                  [&](const Pixels& image) { return image.bytes == original.bytes; }, original),
              1.0 / 25, 0.032);
  Pixels grey{.height = 1, .width = 1, .channels = 1, .bytes = {100}};
  // Brightness between 50 and 150, evenly.
  double sum = 0, least = 255, most = 0;
  const Augmentation brightness = pipeline(R"([{"type": "ColorJitter", "brightness": 0.5}])");
  for (std::uint32_t index = 0; index < kImages; ++index) {
    Pixels image = grey;
    brightness.apply(image, 3, 1, index);
    sum += image.bytes[0];
    least = std::min<double>(least, image.bytes[0]);
    most = std::max<double>(most, image.bytes[0]);
  }
  EXPECT_NEAR(sum / kImages, 99.5, 2);
  EXPECT_NEAR(least, 50, 1);
  EXPECT_NEAR(most, 149, 1);
}

TEST(Augmentation, TheErasedPartHasTheAreaThatWasAskedFor) {
  const Augmentation augmentation =
      pipeline(R"([{"type": "RandomErasing", "p": 1, "scale": [0.1, 0.3], "value": 1}])");
  for (std::uint32_t index = 0; index < 300; ++index) {
    Pixels image{
        .height = 40, .width = 40, .channels = 1, .bytes = std::vector<std::uint8_t>(1600)};
    augmentation.apply(image, 1, 1, index);
    const auto erased = std::count(image.bytes.begin(), image.bytes.end(), 255);
    if (erased == 0) continue;  // no attempt fitted
    EXPECT_GE(erased, 0.085 * 1600);
    EXPECT_LE(erased, 0.33 * 1600);
  }
}

TEST(Augmentation, ABatchIsTheSameForAnyNumberOfThreadsAndTheDataStaysAsItWas) {
  ImageDataset data(16, 14, 3, {"a"});
  for (int i = 0; i < 9; ++i) data.add(gradient(16, 14, 3).bytes, 0);
  const std::string before = data.fingerprint();
  const Augmentation everything = pipeline(kEverything);
  const ImageDataset::Change change{everything, 5, 2};
  const std::vector<std::uint32_t> indices{8, 0, 3, 1};
  std::vector<std::vector<real>> batches;
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    Tensor x;
    std::vector<int> labels;
    data.batch(indices, x, labels, pool, &change);
    batches.emplace_back(x.data(), x.data() + x.size());
  }
  EXPECT_EQ(batches[0], batches[1]);
  EXPECT_EQ(batches[0], batches[2]);
  const std::vector<std::uint8_t> first = data.changed_pixels(8, change);
  for (std::size_t i = 0; i < first.size(); ++i)
    ASSERT_EQ(batches[0][i], static_cast<real>(first[i]) / real{255});
  ImageDataset again(16, 14, 3, {"a"});
  for (int i = 0; i < 9; ++i) again.add(data.pixels(static_cast<std::size_t>(i)), 0);
  EXPECT_EQ(again.fingerprint(), before);
}

TEST(Augmentation, MistakesAreNamed) {
  const auto says = [](const char* json) -> std::string {
    try {
      const Augmentation made(parse_json(json, "list"), "r.json");
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing";
  };
  EXPECT_EQ(says(R"([{"type": "Mixup"}])"),
            "r.json: unknown transform \"Mixup\"; known are RandomHorizontalFlip, RandomCrop, "
            "RandomResizedCrop, "
            "RandomAffine, ColorJitter, RandomErasing");
  EXPECT_EQ(says(R"([{"type": "RandomErasing"}, {"type": "RandomHorizontalFlip", "p": 2}])"),
            "r.json [RandomHorizontalFlip #2]: \"p\" expected a number from 0.0 to 1.0, got 2");
  EXPECT_EQ(says(R"([{"type": "RandomCrop", "pad": 2}])"),
            "r.json [RandomCrop #1] has a key \"pad\" that nothing knows");
  EXPECT_EQ(
      says(R"([{"type": "RandomAffine", "degrees": [30, -30]}])"),
      "r.json [RandomAffine #1]: \"degrees\" expected the smaller number first, got [30,-30]");
  EXPECT_EQ(says(R"([{"type": "RandomAffine", "translate": 0.1}])"),
            "r.json [RandomAffine #1]: \"translate\" expected two numbers, got 0.1");
  EXPECT_EQ(says(R"(["RandomCrop"])"),
            "r.json: a transform expected an object with a \"type\", got \"RandomCrop\"");
  EXPECT_EQ(says(R"({"type": "RandomCrop"})"),
            "r.json expected a list of transforms, got {\"type\":\"RandomCrop\"}");
}

}  // namespace
}  // namespace pinhole
