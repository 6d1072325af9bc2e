#include "state_dict_diff.h"

#include <gtest/gtest.h>

#include <functional>

namespace pinhole {
namespace {

const TensorShapes kModel{
    {"conv.weight", {16, 3, 3, 3}}, {"conv.bias", {16}}, {"fc.weight", {4, 64}}, {"fc.bias", {4}}};
const std::vector<std::string> kOrder{"conv.weight", "conv.bias", "fc.weight", "fc.bias"};

std::string diff(const TensorShapes& file) { return state_dict_diff(kModel, kOrder, file); }

TensorShapes renamed(const std::function<std::string(const std::string&)>& name) {
  TensorShapes out;
  for (const auto& [from, shape] : kModel) out[name(from)] = shape;
  return out;
}

#define EXPECT_SAYS(message, part)                   \
  EXPECT_NE((message).find(part), std::string::npos) \
      << "got: " << (message) << "\nwanted: " << (part)

TEST(StateDictDiff, same_tensors_are_no_difference) { EXPECT_EQ(diff(kModel), ""); }

TEST(StateDictDiff, prefix_of_a_wrapped_module_is_named_with_the_cure) {
  const auto with = [](const std::string& prefix) {
    return diff(renamed([&](const std::string& name) { return prefix + name; }));
  };
  EXPECT_SAYS(with("module."), "model.module.state_dict()");
  EXPECT_SAYS(with("_orig_mod."), "torch.compile");
  EXPECT_SAYS(with("net.backbone."), "all names start with \"net.backbone.\"");
  EXPECT_SAYS(with("module."), "missing: conv.weight, conv.bias, fc.weight, fc.bias; unexpected: ");
}

TEST(StateDictDiff, tensors_with_other_names_are_paired_by_their_shapes) {
  const std::string message = diff(renamed([](const std::string& name) {
    return name.starts_with("fc.") ? "classifier." + name.substr(3) : name;
  }));
  EXPECT_SAYS(message, "fc.weight may be what the file calls classifier.weight");
  EXPECT_SAYS(message, "fc.bias may be what the file calls classifier.bias");
}

TEST(StateDictDiff, two_candidates_of_a_shape_are_no_guess) {
  TensorShapes file = kModel;
  file.erase("fc.weight");
  file["a.weight"] = file["b.weight"] = {4, 64};
  EXPECT_EQ(diff(file).find("may be"), std::string::npos) << diff(file);
}

TEST(StateDictDiff, another_number_of_classes_is_recognised) {
  TensorShapes file = kModel;
  file["fc.weight"] = {1000, 64};
  file["fc.bias"] = {1000};
  EXPECT_EQ(
      diff(file),
      "wrong shape: fc.weight is [1000, 64], expected [4, 64], fc.bias is [1000], expected [4] "
      "(the file tells 1000 classes apart, the model 4)");
  file["fc.weight"] = {4, 65};
  file["fc.bias"] = {4};
  EXPECT_EQ(diff(file), "wrong shape: fc.weight is [4, 65], expected [4, 64]");
}

TEST(StateDictDiff, weights_of_another_framework_are_recognised_by_their_order) {
  TensorShapes file = kModel;
  file["conv.weight"] = {3, 3, 3, 16};
  EXPECT_SAYS(diff(file), "conv.weight has its dimensions in another order");
  file = kModel;
  file["fc.weight"] = {64, 4};
  EXPECT_SAYS(diff(file), "PyTorch's [out, in]");
}

TEST(StateDictDiff, long_lists_are_cut) {
  TensorShapes file = kModel;
  for (int i = 0; i < 100; ++i) file["extra" + std::to_string(i)] = {1};
  EXPECT_SAYS(diff(file), "and 92 more");
  EXPECT_LT(diff(file).size(), 200U);
}

TEST(StateDictDiff, empty_file_misses_everything) {
  EXPECT_EQ(diff({}), "missing: conv.weight, conv.bias, fc.weight, fc.bias");
}

}  // namespace
}  // namespace pinhole
