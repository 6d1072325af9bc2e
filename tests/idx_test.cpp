#include "idx.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "error.h"
#include "temporary_folder.h"

namespace pinhole {
namespace {

std::string big_endian(std::uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}

std::string images_file(std::uint32_t count, std::uint32_t height, std::uint32_t width) {
  std::string out = big_endian(0x803) + big_endian(count) + big_endian(height) + big_endian(width);
  for (std::uint32_t i = 0; i < count * height * width; ++i) out += static_cast<char>(i);
  return out;
}

std::string labels_file(std::string_view labels) {
  return big_endian(0x801) + big_endian(static_cast<std::uint32_t>(labels.size())) +
         std::string(labels);
}

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(bytes.size() + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

void write_part(const TemporaryFolder& folder, const std::string& part, std::string_view labels) {
  folder.write(part + "-images-idx3-ubyte",
               images_file(static_cast<std::uint32_t>(labels.size()), 3, 2));
  folder.write(part + "-labels-idx1-ubyte", labels_file(labels));
}

std::string refusal(const TemporaryFolder& folder, bool train = true) {
  try {
    load_idx(folder.path(), train, {3, 2, 1});
    return "no error";
  } catch (const Error& error) {
    std::string message = error.what();
    const std::string path = folder.path().string();
    return message.starts_with(path) ? message.substr(path.size()) : message;
  }
}

constexpr std::string_view kLabels("\1\0\4\1", 4);

TEST(Idx, images_and_labels_are_read_plain_and_gzipped) {
  for (const bool zipped : {false, true}) {
    const TemporaryFolder folder;
    EXPECT_FALSE(is_idx_folder(folder.path()));
    const std::string images = images_file(4, 3, 2), labels = labels_file(kLabels);
    folder.write(zipped ? "train-images-idx3-ubyte.gz" : "train-images-idx3-ubyte",
                 zipped ? gzip(images) : images);
    folder.write(zipped ? "train-labels-idx1-ubyte.gz" : "train-labels-idx1-ubyte",
                 zipped ? gzip(labels) : labels);
    EXPECT_TRUE(is_idx_folder(folder.path()));
    const ImageDataset dataset = load_idx(folder.path(), true, {3, 2, 1});
    ASSERT_EQ(dataset.size(), 4U);
    EXPECT_EQ(dataset.classes(), (std::vector<std::string>{"0", "1", "2", "3", "4"}));
    EXPECT_EQ(dataset.label(0), 1);
    EXPECT_EQ(dataset.label(2), 4);
    for (std::size_t i = 0; i < 4; ++i) {
      for (std::size_t pixel = 0; pixel < 6; ++pixel)
        EXPECT_EQ(dataset.pixels(i)[pixel], 6 * i + pixel);
    }
  }
}

TEST(Idx, images_are_brought_to_the_models_size_and_channels) {
  const TemporaryFolder folder;
  write_part(folder, "train", kLabels);
  const ImageDataset dataset = load_idx(folder.path(), true, {6, 4, 3});
  EXPECT_EQ(dataset.image_bytes(), 72U);
  EXPECT_EQ(dataset.pixels(0)[0], dataset.pixels(0)[2]);
  try {
    load_idx(folder.path(), true, {4, 4, 3, true});
    ADD_FAILURE() << "3x2 images have no middle square here";
  } catch (const Error& error) {
    EXPECT_TRUE(std::string(error.what())
                    .ends_with("images of 3x2; for a model with \"crop\" expected square ones"))
        << error.what();
  }
}

TEST(Idx, the_test_part_has_the_classes_of_the_training_part) {
  const TemporaryFolder folder;
  write_part(folder, "t10k", std::string_view("\0\1", 2));
  EXPECT_TRUE(is_idx_folder(folder.path()));
  EXPECT_EQ(load_idx(folder.path(), false, {3, 2, 1}).classes().size(), 2U);
  write_part(folder, "train", kLabels);
  EXPECT_EQ(load_idx(folder.path(), false, {3, 2, 1}).classes().size(), 5U);
  write_part(folder, "t10k", std::string_view("\0\x07", 2));
  EXPECT_EQ(refusal(folder, false),
            "/t10k-labels-idx1-ubyte: has the label 7, the training part's largest is 4");
}

TEST(Idx, says_what_is_wrong_with_a_file) {
  const TemporaryFolder folder;
  EXPECT_EQ(refusal(folder), ": there is no train-labels-idx1-ubyte or train-labels-idx1-ubyte.gz");
  folder.write("train-labels-idx1-ubyte", labels_file(kLabels));
  EXPECT_EQ(refusal(folder), ": there is no train-images-idx3-ubyte or train-images-idx3-ubyte.gz");

  const std::string whole = images_file(4, 3, 2);
  const auto with_images = [&](const std::string& bytes) {
    folder.write("train-images-idx3-ubyte", bytes);
    return refusal(folder);
  };
  const std::string file = "/train-images-idx3-ubyte: ";
  EXPECT_EQ(with_images(""), file + "not an IDX file: it ends inside its header");
  EXPECT_EQ(with_images(whole.substr(0, 15)), file + "not an IDX file: it ends inside its header");
  EXPECT_EQ(with_images(labels_file(kLabels)),
            file + "not an IDX file of images: it begins with the number 2049, expected 2051");
  EXPECT_EQ(with_images(whole.substr(0, 30)),
            file + "truncated: its header announces 4 images of 3x2 (24 bytes), it holds 14 bytes");
  EXPECT_EQ(with_images(whole + "x"),
            file + "holds more than the 4 images of 3x2 that its header announces");
  EXPECT_EQ(with_images(big_endian(0x803) + std::string(12, '\xff')),
            file + "a header that makes no sense: 4294967295 images of 4294967295x4294967295");
  EXPECT_EQ(with_images(big_endian(0x803) + big_endian(2'000'000'000) + big_endian(16'000) +
                        big_endian(16'000) + "x"),
            file +
                "truncated: its header announces 2000000000 images of 16000x16000 "
                "(512000000000000000 bytes), it holds 1 bytes");
  EXPECT_EQ(with_images(images_file(3, 3, 2)),
            "/train-labels-idx1-ubyte: holds 4 labels for the 3 images of " +
                (folder / "train-images-idx3-ubyte").string());
  folder.write("train-labels-idx1-ubyte", labels_file(""));
  EXPECT_EQ(refusal(folder), "/train-labels-idx1-ubyte: holds no labels");
}

TEST(Idx, images_that_cannot_fit_into_memory_are_refused_before_they_are_made) {
  const TemporaryFolder folder;
  write_part(folder, "train", kLabels);
  try {
    load_idx(folder.path(), true, {1'000'000, 1'000'000, 3});
    ADD_FAILURE() << "made 12 TB of images";
  } catch (const Error& error) {
    EXPECT_NE(
        std::string(error.what()).find("4 images of 1000000x1000000x3 need 12000.0 GB of memory"),
        std::string::npos)
        << error.what();
  }
}

TEST(Idx, a_cut_gzip_is_refused_at_every_length) {
  const TemporaryFolder folder;
  folder.write("train-labels-idx1-ubyte", labels_file(kLabels));
  const std::string whole = gzip(images_file(4, 3, 2));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    folder.write("train-images-idx3-ubyte.gz", whole.substr(0, length));
    EXPECT_NE(refusal(folder), "no error") << length << " of " << whole.size();
  }
  std::string damaged = whole;
  damaged[whole.size() - 6] ^= 1;  // its checksum
  folder.write("train-images-idx3-ubyte.gz", damaged);
  EXPECT_NE(refusal(folder), "no error");
}

}  // namespace
}  // namespace pinhole
