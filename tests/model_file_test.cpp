// Saving and loading: PyTorch's names and layouts, checked with numbers whose place can be read off them, and damaged or lying
// files. Rule: whatever the bytes are, loading either succeeds or throws pinhole::Error with a sentence; it never crashes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <set>

#include "backend.h"
#include "error.h"
#include "json.h"
#include "model.h"
#include "model_file.h"

namespace pinhole {
namespace {

const char* const kSpec = R"({
  "format": "pinhole/1", "name": "Small", "input": [6, 5, 2],
  "layers": [ {"type": "Conv2d", "name": "conv1", "out_channels": 3, "kernel_size": [3, 2], "padding": 1},
              {"type": "ReLU"}, {"type": "MaxPool2d", "kernel_size": 2, "stride": 2}, {"type": "Flatten"},
              {"type": "Linear", "name": "fc", "out_features": "classes"}, {"type": "Softmax"} ] })";

using Bytes = std::vector<std::uint8_t>;

Model small_model(std::shared_ptr<Backend> backend, std::uint64_t seed = 7) {
  Model model(parse_json(kSpec, "spec"), 3, std::move(backend));
  model.init(seed);
  return model;
}

Model small_model() { return small_model(make_backend("reference", 1)); }

ModelInfo small_info() {
  return {.classes = {"tools", "fishes", "monuments"},
          .training = {{"epochs", 3}, {"losses", {1.5, 0.25}}, {"data", "a \"folder\""}}};
}

Bytes small_file() {
  Model model = small_model();
  return save_model(model, small_info());
}

Tensor numbered(const Shape& shape) {
  Tensor x(shape);
  for (std::size_t i = 0; i < x.size(); ++i)
    x.data()[i] = std::sin(static_cast<real>(i) * real(0.7));
  return x;
}

std::vector<real> values(const Tensor& tensor) {
  return {tensor.data(), tensor.data() + tensor.size()};
}

/// A safetensors file with this header and data, and a length that may lie.
Bytes file_of(const std::string& header, const Bytes& data, std::uint64_t length) {
  Bytes bytes(8 + header.size() + data.size());
  std::memcpy(bytes.data(), &length, 8);
  std::copy(header.begin(), header.end(), bytes.begin() + 8);
  std::copy(data.begin(), data.end(), bytes.end() - static_cast<std::ptrdiff_t>(data.size()));
  return bytes;
}
Bytes file_of(const std::string& header, const Bytes& data) {
  return file_of(header, data, header.size());
}

/// The message of the Error that `action` throws; a failure when it throws none.
template <class Action>
std::string message_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "expected an Error";
  return {};
}

std::string reading(const Bytes& bytes) {
  return message_of([&] { read_safetensors(bytes, "the file"); });
}
std::string loading(const Bytes& bytes) {
  return message_of([&] { load_model(bytes, make_backend("reference", 1), "the file"); });
}

#define EXPECT_SAYS(message, part) EXPECT_PRED2(says, message, part)
bool says(const std::string& message, const std::string& part) {
  return message.find(part) != std::string::npos;
}

TEST(ModelFile, SavedAndLoadedModelGivesIdenticalLogits) {
  for (const std::string& name : backend_names()) {
    SCOPED_TRACE(name);
    const auto backend = make_backend(name, 1);
    Model model = small_model(backend);
    const Tensor x = numbered({4, 6, 5, 2});
    const std::vector<real> want = values(model.forward(x));
    LoadedModel loaded = load_model(save_model(model, small_info()), backend, "the file");
    EXPECT_EQ(values(loaded.model.forward(x)), want);
    EXPECT_EQ(values(loaded.model.predict(x)), values(model.predict(x)));
  }
}

TEST(ModelFile, SavingWhatWasLoadedGivesTheSameBytes) {
  const Bytes first = small_file();
  LoadedModel loaded = load_model(first, make_backend("reference", 1), "the file");
  EXPECT_EQ(save_model(loaded.model, loaded.info), first);
}

TEST(ModelFile, SpecClassesAndTrainingRecordComeBackAsTheyWere) {
  Model model = small_model();
  ModelInfo info = small_info();
  info.classes = {"Füße \"quoted\"", "日本 \\ back", "\"checksum\":\"00000000"};
  LoadedModel loaded =
      load_model(save_model(model, info), make_backend("reference", 1), "the file");
  EXPECT_EQ(loaded.info.classes, info.classes);
  EXPECT_EQ(loaded.info.training.dump(), info.training.dump());
  // The text, not the value: keys keep the order in which they were written.
  EXPECT_EQ(loaded.model.spec().dump(), parse_json(kSpec, "spec").dump());
  EXPECT_EQ(loaded.model.name(), "Small");
}

TEST(ModelFile, MetadataSaysHowToPrepareAnImage) {
  const Safetensors file = read_safetensors(small_file(), "the file");
  EXPECT_EQ(file.metadata.at("format"), "pinhole/1");
  const Json preprocessing = parse_json(file.metadata.at("preprocessing"), "preprocessing");
  EXPECT_EQ(preprocessing["resize"], Json({6, 5}));
}

TEST(ModelFile, TensorsHaveTheNamesAndShapesOfPyTorchsStateDict) {
  const Safetensors file = read_safetensors(small_file(), "the file");
  std::map<std::string, std::vector<std::int64_t>> shapes;
  for (const auto& [name, tensor] : file.tensors) shapes[name] = tensor.shape;
  const std::map<std::string, std::vector<std::int64_t>> want{{"conv1.weight", {3, 2, 3, 2}},
                                                              {"conv1.bias", {3}},
                                                              {"fc.weight", {3, 3 * 3 * 3}},
                                                              {"fc.bias", {3}}};
  EXPECT_EQ(shapes, want);
}

TEST(ModelFile, DataIsAlignedToEightBytes) {
  const Bytes bytes = small_file();
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  EXPECT_EQ(header % 8, 0U);
}

TEST(ModelFile, UnnamedLayersAreNumberedAsNnSequentialDoes) {
  const Json spec =
      parse_json(R"({"format": "pinhole/1", "input": [1, 1, 2], "layers": [{"type": "Flatten"},
    {"type": "Linear", "out_features": 4}, {"type": "ReLU"}, {"type": "Linear", "out_features": 2}]})",
                 "spec");
  Model model(spec, 0, make_backend("reference", 1));
  std::set<std::string> names;
  for (const Parameter* parameter : model.parameters()) names.insert(parameter->name);
  EXPECT_EQ(names, (std::set<std::string>{"1.weight", "1.bias", "3.weight", "3.bias"}));
}

TEST(ModelFile, ConvolutionWeightsAreStoredOutInHeightWidth) {
  const Json spec =
      parse_json(R"({"format": "pinhole/1", "name": "conv", "input": [2, 3, 2], "layers": [
    {"type": "Conv2d", "name": "conv", "out_channels": 2, "kernel_size": [2, 3], "bias": false}, {"type": "Flatten"}]})",
                 "spec");
  // The number at [o, i, kh, kw] spells its place.
  Safetensors file;
  StoredTensor& weight = file.tensors["conv.weight"];
  weight.shape = {2, 2, 2, 3};
  for (int o = 0; o < 2; ++o) {
    for (int i = 0; i < 2; ++i) {
      for (int kh = 0; kh < 2; ++kh) {
        for (int kw = 0; kw < 3; ++kw)
          weight.values.push_back(static_cast<float>(1000 * o + 100 * i + 10 * kh + kw));
      }
    }
  }
  for (const std::string& name : backend_names()) {
    SCOPED_TRACE(name);
    Model model(spec, 0, make_backend(name, 1));
    load_state_dict(model, file, "numbers");
    Tensor x({1, 2, 3, 2});
    for (int h = 0; h < 2; ++h) {
      for (int w = 0; w < 3; ++w) {
        for (int c = 0; c < 2; ++c) {
          x.fill(0);
          x.data()[(h * 3 + w) * 2 + c] = 1;
          const Tensor& y = model.forward(x);
          EXPECT_EQ(y.data()[0], 100 * c + 10 * h + w);
          EXPECT_EQ(y.data()[1], 1000 + 100 * c + 10 * h + w);
        }
      }
    }
    EXPECT_EQ(read_safetensors(save_model(model, {.classes = {"a", "b"}}), "file")
                  .tensors.at("conv.weight")
                  .values,
              weight.values);
  }
}

TEST(ModelFile, LinearColumnsAreInPyTorchsFlattenOrder) {
  const Json spec =
      parse_json(R"({"format": "pinhole/1", "name": "linear", "input": [2, 3, 4], "layers": [
    {"type": "Flatten"}, {"type": "Linear", "name": "fc", "out_features": 2}]})",
                 "spec");
  Safetensors file;
  StoredTensor& weight = file.tensors["fc.weight"];
  weight.shape = {2, 24};
  for (int out = 0; out < 2; ++out) {
    for (int column = 0; column < 24; ++column)
      weight.values.push_back(static_cast<float>(1000 * out + column));
  }
  file.tensors["fc.bias"] = {.shape = {2}, .values = {0.25F, 0.5F}};
  for (const std::string& name : backend_names()) {
    SCOPED_TRACE(name);
    Model model(spec, 0, make_backend(name, 1));
    load_state_dict(model, file, "numbers");
    Tensor x({1, 2, 3, 4});
    for (int h = 0; h < 2; ++h) {
      for (int w = 0; w < 3; ++w) {
        for (int c = 0; c < 4; ++c) {
          x.fill(0);
          x.data()[(h * 3 + w) * 4 + c] = 1;
          const Tensor& y = model.forward(x);
          const int column = (c * 2 + h) * 3 + w;  // C, H, W
          EXPECT_EQ(y.data()[0], static_cast<real>(column) + real(0.25));
          EXPECT_EQ(y.data()[1], static_cast<real>(1000 + column) + real(0.5));
        }
      }
    }
    const Safetensors saved = read_safetensors(save_model(model, {.classes = {"a", "b"}}), "file");
    EXPECT_EQ(saved.tensors.at("fc.weight").values, weight.values);
    EXPECT_EQ(saved.tensors.at("fc.bias").values, file.tensors["fc.bias"].values);
  }
}

TEST(ModelFile, LoadedWeightsReplaceThoseABackendHasPacked) {
  for (const std::string& name : backend_names()) {
    SCOPED_TRACE(name);
    const auto backend = make_backend(name, 1);
    Model model = small_model(backend, 1), other = small_model(backend, 2);
    const Tensor x = numbered({2, 6, 5, 2});
    const std::vector<real> before = values(model.forward(x));
    const std::vector<real> want = values(other.forward(x));
    ASSERT_NE(before, want);
    load_state_dict(model, read_safetensors(save_model(other, small_info()), "file"), "file");
    EXPECT_EQ(values(model.forward(x)), want);
  }
}

TEST(ModelFile, WrittenTensorsReadBackWithTheirMetadata) {
  Safetensors file;
  file.metadata = {{"note", "line\nbreak \"quote\""}, {"empty", ""}};
  file.tensors["b"] = {
      .shape = {2, 1, 3},
      .values = {1, -2.5F, 3e-38F, 1e-45F, -0.0F, std::numeric_limits<float>::infinity()}};
  file.tensors["a"] = {.shape = {}, .values = {42}};
  file.tensors["none"] = {.shape = {0, 4}, .values = {}};
  const Safetensors back = read_safetensors(write_safetensors(file), "file");
  EXPECT_EQ(back.metadata, file.metadata);
  ASSERT_EQ(back.tensors.size(), 3U);
  for (const auto& [name, tensor] : file.tensors) {
    EXPECT_EQ(back.tensors.at(name).shape, tensor.shape);
    EXPECT_EQ(back.tensors.at(name).values, tensor.values);
  }
}

TEST(ModelFile, HalfPrecisionTensorsAreRead) {
  // 1, -2, 65504 (the largest), 2^-24 (the smallest), -0, infinity, NaN, 0.333251953125
  const Bytes half{0x00, 0x3c, 0x00, 0xc0, 0xff, 0x7b, 0x01, 0x00,
                   0x00, 0x80, 0x00, 0x7c, 0x01, 0x7e, 0x55, 0x35};
  const auto f16 =
      read_safetensors(file_of(R"({"x":{"dtype":"F16","shape":[8],"data_offsets":[0,16]}})", half),
                       "file")
          .tensors.at("x")
          .values;
  ASSERT_EQ(f16.size(), 8U);
  EXPECT_EQ(f16[0], 1.0F);
  EXPECT_EQ(f16[1], -2.0F);
  EXPECT_EQ(f16[2], 65504.0F);
  EXPECT_EQ(f16[3], 0x1p-24F);
  EXPECT_TRUE(f16[4] == 0 && std::signbit(f16[4]));
  EXPECT_EQ(f16[5], std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(f16[6]));
  EXPECT_EQ(f16[7], 0.333251953125F);
  // 1, -3.140625, 2^-133 (subnormal as float is)
  const Bytes brain{0x80, 0x3f, 0x49, 0xc0, 0x01, 0x00};
  const auto bf16 =
      read_safetensors(file_of(R"({"x":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]}})", brain),
                       "file")
          .tensors.at("x")
          .values;
  EXPECT_EQ(bf16, (std::vector<float>{1.0F, -3.140625F, 0x1p-133F}));
}

TEST(ModelFile, FileTruncatedAtAnyLengthIsAnErrorThatNamesTheFile) {
  const Bytes whole = small_file();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    SCOPED_TRACE(length);
    // A copy of exactly this length, so that a sanitizer sees any read past its end.
    EXPECT_SAYS(loading(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length))),
                "the file");
  }
}

TEST(ModelFile, BytesAfterTheEndAreAnError) {
  Bytes bytes = small_file();
  bytes.push_back(0);
  EXPECT_SAYS(loading(bytes), "the file");
}

TEST(ModelFile, AnyFlippedBitIsFound) {
  Bytes bytes = small_file();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      bytes[i] ^= static_cast<std::uint8_t>(1 << bit);
      SCOPED_TRACE(testing::Message() << "byte " << i << ", bit " << bit);
      EXPECT_SAYS(loading(bytes), "the file");
      bytes[i] ^= static_cast<std::uint8_t>(1 << bit);
    }
  }
  EXPECT_NO_THROW(load_model(bytes, make_backend("reference", 1), "the file"));
}

TEST(ModelFile, HeaderLengthThatLiesIsAnError) {
  const std::string header = R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  const Bytes data(4);
  EXPECT_NO_THROW(read_safetensors(file_of(header, data), "the file"));
  const std::uint64_t size = header.size();
  for (const std::uint64_t lie :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{2}, size - 1, size + 1, size + 4,
        size + 5, std::uint64_t{1} << 32, std::uint64_t{1} << 63, ~std::uint64_t{0},
        ~std::uint64_t{0} - 7}) {
    SCOPED_TRACE(lie);
    EXPECT_SAYS(reading(file_of(header, data, lie)), "the file");
  }
}

TEST(ModelFile, TensorsThatOverlapLeaveGapsOrLeaveTheFileAreErrors) {
  const auto entry = [](const std::string& name, const std::string& shape,
                        const std::string& offsets) {
    return '"' + name + R"(":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets +
           '}';
  };
  const auto message = [](const std::string& entries, std::size_t bytes) {
    return reading(file_of('{' + entries + '}', Bytes(bytes)));
  };
  EXPECT_SAYS(message(entry("a", "[2]", "[0,8]") + ',' + entry("b", "[2]", "[4,12]"), 12),
              "\"b\"");  // overlap
  EXPECT_SAYS(message(entry("a", "[2]", "[0,8]") + ',' + entry("b", "[2]", "[0,8]"), 8),
              "overlaps");  // the same twice
  EXPECT_SAYS(message(entry("a", "[1]", "[0,4]") + ',' + entry("b", "[1]", "[8,12]"), 12),
              "\"b\"");  // gap
  EXPECT_SAYS(message(entry("a", "[1]", "[4,8]"), 8), "\"a\"");  // gap at the start
  EXPECT_SAYS(message(entry("a", "[1]", "[0,4]"), 8), "8");  // bytes that belong to none
  EXPECT_SAYS(message(entry("a", "[2]", "[0,8]"), 4), "truncated");  // beyond the end
  EXPECT_SAYS(message(entry("a", "[1]", "[4,0]"), 4), "\"a\"");  // backwards
  EXPECT_SAYS(message(entry("a", "[1]", "[0,18446744073709551615]"), 4), "\"a\"");
  EXPECT_SAYS(message(entry("a", "[1]", "[0,99999999999999999999999]"), 4), "\"a\"");
  EXPECT_SAYS(message(entry("a", "[1]", "[-4,0]"), 4), "\"a\"");
  EXPECT_SAYS(message(entry("a", "[1]", "[0.0,4.0]"), 4), "\"a\"");
  EXPECT_SAYS(message(entry("a", "[1]", "[0]"), 4), "\"a\"");
  EXPECT_SAYS(message(entry("a", "[1]", "\"0,4\""), 4), "\"a\"");
  EXPECT_SAYS(message(entry("a", "[2]", "[0,4]"), 4), "\"a\"");  // another size than its shape
  EXPECT_SAYS(message(entry("a", "[-1]", "[0,4]"), 4), "\"a\"");
  EXPECT_SAYS(message(entry("a", "[1.5]", "[0,4]"), 4), "\"a\"");
  EXPECT_SAYS(message(entry("a", "1", "[0,4]"), 4), "\"a\"");
  EXPECT_SAYS(message(entry("a", "[4294967296,4294967296]", "[0,0]"), 0), "\"a\"");  // 2^64 values
  EXPECT_SAYS(message(entry("a", "[4294967296,0,4294967296]", "[0,0]"), 0), "\"a\"");
}

TEST(ModelFile, HeadersThatAreNotASafetensorsHeaderAreErrors) {
  const Bytes none;
  EXPECT_SAYS(reading(Bytes{}), "empty");
  EXPECT_SAYS(reading(Bytes{1, 2, 3}), "the file");
  EXPECT_SAYS(reading(file_of("[1,2]", none)), "the file");
  EXPECT_SAYS(reading(file_of("\"text\"", none)), "the file");
  EXPECT_SAYS(reading(file_of("{\"x\":", none)), "JSON");
  EXPECT_SAYS(reading(file_of("{\"\xff\":1}", none)), "JSON");
  EXPECT_SAYS(reading(file_of(R"({"x":1})", none)), "\"x\"");
  EXPECT_SAYS(reading(file_of(R"({"x":{}})", none)), "\"x\"");
  EXPECT_SAYS(reading(file_of(R"({"x":{"dtype":4,"shape":[1],"data_offsets":[0,4]}})", Bytes(4))),
              "\"x\"");
  EXPECT_SAYS(
      reading(file_of(R"({"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", Bytes(8))),
      "F64");
  EXPECT_SAYS(reading(file_of(R"({"__metadata__":[]})", none)), "metadata");
  EXPECT_SAYS(reading(file_of(R"({"__metadata__":{"format":1}})", none)), "format");
  // A PNG and a JPEG under a wrong name.
  EXPECT_SAYS(reading(Bytes{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13}),
              "not a safetensors file");
  EXPECT_SAYS(reading(Bytes{0xff, 0xd8, 0xff, 0xe0, 0, 16, 'J', 'F', 'I', 'F', 0, 1}),
              "not a safetensors file");
}

TEST(ModelFile, NestingThatWouldOverflowTheStackIsAnError) {
  const std::size_t depth = 500'000;
  const std::string nested = std::string(depth, '[') + std::string(depth, ']');
  EXPECT_SAYS(reading(file_of("{\"x\":" + nested + "}", {})), "\"x\"");
  EXPECT_SAYS(message_of([&] { parse_json(R"({"input":)" + nested + "}", "the spec"); }),
              "the spec");
}

TEST(ModelFile, PlainStateDictIsNotAModelButCanBeLoadedIntoOne) {
  Model model = small_model(), other = small_model(make_backend("reference", 1), 8);
  Safetensors file = read_safetensors(save_model(model, small_info()), "file");
  file.metadata.clear();  // as PyTorch's safetensors package writes it
  const Bytes plain = write_safetensors(file);
  EXPECT_SAYS(loading(plain), "the file is not a Pinhole model");
  load_state_dict(other, read_safetensors(plain, "file"), "file");
  const Tensor x = numbered({1, 6, 5, 2});
  EXPECT_EQ(values(other.forward(x)), values(model.forward(x)));
  file.metadata["format"] = "pt";  // as Hugging Face's does
  EXPECT_SAYS(loading(write_safetensors(file)), "\"pt\"");
}

TEST(ModelFile, StateDictThatDoesNotFitListsWhatIsMissingUnexpectedAndMisshapen) {
  Model model = small_model();
  Safetensors file = read_safetensors(save_model(model, small_info()), "file");
  const std::vector<real> before = values(model.parameters()[0]->value);
  file.tensors["conv1.weight"].values.assign(file.tensors["conv1.weight"].values.size(), 9.0F);
  file.tensors.erase("conv1.bias");
  file.tensors["fc1.weight"] = {.shape = {1}, .values = {0}};
  file.tensors["fc.bias"] = {.shape = {4}, .values = {0, 0, 0, 0}};
  const std::string message =
      message_of([&] { load_state_dict(model, file, "weights.safetensors"); });
  EXPECT_SAYS(message, "weights.safetensors");
  EXPECT_SAYS(message, "missing: conv1.bias");
  EXPECT_SAYS(message, "unexpected: fc1.weight");
  EXPECT_SAYS(message, "fc.bias is [4], expected [3]");
  EXPECT_EQ(values(model.parameters()[0]->value), before)
      << "a refused state_dict must change nothing";
}

TEST(ModelFile, NaNAndInfinityAreRefusedWithTheTensorsName) {
  const Json spec =
      parse_json(R"({"format": "pinhole/1", "name": "linear", "input": [2, 3, 4], "layers": [
    {"type": "Flatten"}, {"type": "Linear", "name": "fc", "out_features": 2}]})",
                 "spec");
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    Safetensors file;
    file.tensors["fc.weight"] = {.shape = {2, 24}, .values = std::vector<float>(48, 0.5F)};
    file.tensors["fc.bias"] = {.shape = {2}, .values = {0.25F, bad}};
    Model model(spec, 2, make_backend("reference", 1));
    for (const auto load : {load_state_dict, load_pretrained}) {
      try {
        load(model, file, "weights");
        FAIL() << "expected an Error";
      } catch (const Error& error) {
        EXPECT_STREQ(error.what(), "weights: fc.bias holds NaN or infinity");
      }
      EXPECT_NE(model.parameters()[0]->value.data()[0], static_cast<real>(0.5));
    }
  }
}

TEST(ModelFile, TensorOfTheSameSizeButAnotherShapeIsRefused) {
  Model model = small_model();
  Safetensors file = read_safetensors(save_model(model, small_info()), "file");
  file.tensors["conv1.weight"].shape = {3, 3, 2, 2};  // O, H, W, I
  EXPECT_SAYS(message_of([&] { load_state_dict(model, file, "file"); }),
              "conv1.weight is [3, 3, 2, 2], expected [3, 2, 3, 2]");
}

/// The small model's file with other metadata and a checksum that is right: what somebody may have made by hand.
Bytes forged(const std::function<void(Safetensors&)>& change) {
  Model model = small_model();
  Safetensors file = read_safetensors(save_model(model, small_info()), "file");
  change(file);
  file.metadata["checksum"] = "00000000";
  Bytes bytes = write_safetensors(file);
  std::string text(bytes.begin(), bytes.end());
  const std::size_t digits = text.find("\"checksum\":\"") + 12;
  std::uint32_t crc = ~0U;  // CRC-32, bit by bit
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
  }
  char hex[9];
  std::snprintf(hex, sizeof hex, "%08x", static_cast<unsigned>(~crc));
  std::copy(hex, hex + 8, bytes.begin() + static_cast<std::ptrdiff_t>(digits));
  return bytes;
}

TEST(ModelFile, MetadataThatContradictsTheTensorsIsAnError) {
  EXPECT_NO_THROW(
      load_model(forged([](Safetensors&) {}), make_backend("reference", 1), "the file"));
  const auto with = [](const std::string& key, const std::string& value) {
    return loading(forged([&](Safetensors& file) { file.metadata[key] = value; }));
  };
  EXPECT_SAYS(with("classes", R"(["a", "b"])"), "fc.weight is [3, 27], expected [2, 27]");
  EXPECT_SAYS(with("classes", "[]"), "classes");
  EXPECT_SAYS(with("classes", "[1, 2, 3]"), "classes");
  EXPECT_SAYS(with("classes", "{"), "classes");
  EXPECT_SAYS(with("training", "{"), "training");
  EXPECT_SAYS(with("spec", "{"), "spec");
  EXPECT_SAYS(with("spec", "[]"), "the file");
  EXPECT_SAYS(
      with("spec", R"({"format": "pinhole/1", "input": [6, 5, 2], "layers": [{"type": "Warp"}]})"),
      "Warp");
  EXPECT_SAYS(with("spec", R"({"format": "pinhole/2"})"), "pinhole/2");
  // A gigabyte of weights in a spec, in a file of a kilobyte.
  EXPECT_SAYS(
      with("spec", R"({"format": "pinhole/1", "name": "Small", "input": [6, 5, 2], "layers": [
              {"type": "Flatten"}, {"type": "Linear", "out_features": 4000000}, {"type": "Linear", "out_features": 3}]})"),
      "the file: [Linear #1] needs 240000000 weights, more than the");
  EXPECT_SAYS(loading(forged([](Safetensors& file) { file.metadata.erase("spec"); })), "spec");
  EXPECT_SAYS(loading(forged([](Safetensors& file) { file.metadata.erase("classes"); })),
              "classes");
  EXPECT_SAYS(loading(forged([](Safetensors& file) { file.tensors.erase("fc.bias"); })),
              "missing: fc.bias");
  EXPECT_SAYS(loading(forged([](Safetensors& file) {
                file.tensors["extra"] = {.shape = {1}, .values = {1}};
              })),
              "unexpected: extra");
}

TEST(ModelFile, FileWithoutItsChecksumIsAnError) {
  Model model = small_model();
  Safetensors file = read_safetensors(save_model(model, small_info()), "file");
  file.metadata.erase("checksum");
  EXPECT_SAYS(loading(write_safetensors(file)), "checksum");
  // The words, but not in the metadata.
  const std::string header =
      R"({"__metadata__":{"format":"pinhole/1"},"x":{"checksum":"00000000","dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  EXPECT_SAYS(loading(file_of(header, Bytes(4))), "checksum");
}

TEST(ModelFile, ClassNameThatIsNotUtf8IsAnErrorThatNamesIt) {
  Model model = small_model();
  const std::string message =
      message_of([&] { save_model(model, {.classes = {"tools", "caf\xe9", "fishes"}}); });
  EXPECT_SAYS(message, "UTF-8");
}

}  // namespace
}  // namespace pinhole
