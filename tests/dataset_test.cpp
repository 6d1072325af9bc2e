#include "dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

#include "error.h"

namespace pinhole {
namespace {

using Bytes = std::vector<std::uint8_t>;

/// `counts[c]` images of class c in turn, pixel value = index.
ImageDataset small_dataset(const std::vector<int>& counts) {
  std::vector<std::string> classes;
  for (std::size_t c = 0; c < counts.size(); ++c) classes.push_back("class " + std::to_string(c));
  ImageDataset dataset(1, 2, 3, classes);
  for (int round = 0; round < *std::max_element(counts.begin(), counts.end()); ++round) {
    for (std::size_t c = 0; c < counts.size(); ++c) {
      if (round < counts[c])
        dataset.add(Bytes(6, static_cast<std::uint8_t>(dataset.size())), static_cast<int>(c),
                    "image " + std::to_string(dataset.size()));
    }
  }
  return dataset;
}

TEST(ImageDataset, a_batch_is_to_tensors_floats_in_the_order_of_the_indices) {
  ImageDataset dataset(16, 16, 1, {"a", "b"});
  Bytes ramp(256);
  std::iota(ramp.begin(), ramp.end(), std::uint8_t{0});
  dataset.add(ramp, 1);
  dataset.add(Bytes(256, 255), 0);
  Tensor x;
  std::vector<int> labels;
  const std::uint32_t indices[] = {1, 0, 1};
  ThreadPool pool(2);
  dataset.batch(indices, x, labels, pool);
  EXPECT_EQ(x.shape(), (Shape{3, 16, 16, 1}));
  EXPECT_EQ(labels, (std::vector<int>{0, 1, 0}));
  for (int i = 0; i < 256; ++i) {
    EXPECT_EQ(x.data()[i], real{1});
    EXPECT_EQ(x.data()[256 + i], static_cast<real>(i) / real{255})
        << "torch.tensor(i) / 255, exactly";
  }
}

TEST(ImageDataset, images_and_labels_that_do_not_fit_are_refused) {
  ImageDataset dataset(2, 2, 3, {"a"});
  EXPECT_THROW(dataset.add(Bytes(11), 0), Error);
  EXPECT_THROW(dataset.add(Bytes(12), 1), Error);
  EXPECT_THROW(dataset.add(Bytes(12), -1), Error);
  EXPECT_EQ(dataset.size(), 0U);
  EXPECT_THROW(ImageDataset(0, 2, 3, {"a"}), Error);
  EXPECT_THROW(ImageDataset(2, 2, 3, {}), Error);
  const std::uint32_t beyond[] = {0};
  EXPECT_THROW(dataset.subset(beyond), Error);
}

TEST(ImageDataset, a_subset_has_the_images_at_the_indices_and_shares_their_pixels) {
  const ImageDataset dataset = small_dataset({3, 2});
  const std::uint32_t indices[] = {4, 0, 4};
  const ImageDataset part = dataset.subset(indices);
  ASSERT_EQ(part.size(), 3U);
  EXPECT_EQ(part.classes(), dataset.classes());
  EXPECT_EQ(part.name(0), "image 4");
  EXPECT_EQ(part.label(1), dataset.label(0));
  EXPECT_EQ(part.pixels(2).data(), dataset.pixels(4).data());
  EXPECT_EQ(part.pixels(1)[5], 0);
}

TEST(ImageDataset, classes_are_counted_empty_ones_too) {
  EXPECT_EQ(small_dataset({3, 0, 2}).class_counts(), (std::vector<std::size_t>{3, 0, 2}));
}

std::vector<std::size_t> split_counts(const ImageDataset& dataset, double fraction) {
  return dataset.subset(stratified_split(dataset, fraction, 1).val).class_counts();
}

TEST(StratifiedSplit, takes_its_part_of_every_class_and_leaves_one_to_train_on) {
  EXPECT_EQ(split_counts(small_dataset({10, 5, 1, 2, 3}), 0.2),
            (std::vector<std::size_t>{2, 1, 0, 0, 1}));
  EXPECT_EQ(split_counts(small_dataset({10, 5, 1, 2, 3}), 0.99),
            (std::vector<std::size_t>{9, 4, 0, 1, 2}));
  EXPECT_EQ(split_counts(small_dataset({10, 0, 4}), 0.0), (std::vector<std::size_t>{0, 0, 0}));
}

TEST(StratifiedSplit, uses_every_image_once_in_ascending_order) {
  const ImageDataset dataset = small_dataset({40, 7, 19});
  const Split split = stratified_split(dataset, 0.3, 5);
  EXPECT_TRUE(std::is_sorted(split.train.begin(), split.train.end()));
  EXPECT_TRUE(std::is_sorted(split.val.begin(), split.val.end()));
  std::set<std::uint32_t> all(split.train.begin(), split.train.end());
  all.insert(split.val.begin(), split.val.end());
  EXPECT_EQ(all.size(), dataset.size());
  EXPECT_EQ(split.train.size() + split.val.size(), dataset.size());
}

TEST(StratifiedSplit, is_decided_by_the_seed) {
  const ImageDataset dataset = small_dataset({40, 30});
  EXPECT_EQ(stratified_split(dataset, 0.2, 7).val, stratified_split(dataset, 0.2, 7).val);
  EXPECT_NE(stratified_split(dataset, 0.2, 7).val, stratified_split(dataset, 0.2, 8).val);
  // The same on every platform: these numbers were written down once.
  EXPECT_EQ(stratified_split(small_dataset({6, 6}), 0.5, 0).val,
            (std::vector<std::uint32_t>{1, 2, 3, 4, 9, 10}));
}

TEST(StratifiedSplit, refuses_fractions_outside_zero_to_one) {
  const ImageDataset dataset = small_dataset({2});
  for (const double fraction : {-0.1, 1.0, 2.0, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THROW(stratified_split(dataset, fraction, 0), Error) << fraction;
  }
}

}  // namespace
}  // namespace pinhole
