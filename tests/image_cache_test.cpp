#include "image_cache.h"

#include <gtest/gtest.h>

#include <numeric>

#include "error.h"
#include "image_files.h"
#include "rng.h"
#include "temporary_folder.h"

namespace pinhole {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMegabyte = 1'000'000;

class ImageCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"jpeg_420.jpg", "png_rgb.png", "webp_lossy.webp", "bmp_palette.bmp"}) {
      for (const char* place : {"a/", "b/", "b/more/"}) copy(name, std::string(place) + name);
    }
    root_.write("images/a/broken.jpg", "not an image");
  }
  void copy(const std::string& sample, const std::string& name) const {
    const std::vector<std::uint8_t> bytes = read_sample(sample);
    root_.write("images/" + name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }

  struct Loaded {
    CachedImages cached;
    LoadReport report;
  };
  Loaded load(std::uint64_t memory = 100 * kMegabyte, int height = 20, bool center_crop = false) {
    LoadReport report;
    CachedImages cached = load_cached_image_folder(scan_image_folder(images()), images(),
                                                   {height, 24, 3, center_crop}, pool_, report,
                                                   {.folder = root_ / "cache", .memory = memory});
    return {std::move(cached), std::move(report)};
  }
  fs::path images() const { return root_ / "images"; }

  /// The same images, labels, names and skipped files as without a cache.
  void expect_right(const Loaded& loaded) {
    LoadReport report;
    const ImageDataset expected =
        load_image_folder(scan_image_folder(images()), {20, 24, 3}, pool_, report);
    const ImageDataset& images = loaded.cached.images;
    EXPECT_EQ(images.fingerprint(), expected.fingerprint());
    ASSERT_EQ(images.size(), expected.size());
    for (std::size_t i = 0; i < images.size(); ++i) EXPECT_EQ(images.name(i), expected.name(i));
    EXPECT_EQ(loaded.report.skipped, report.skipped);
  }

  const TemporaryFolder root_;
  ThreadPool pool_{3};
};

TEST_F(ImageCacheTest, gives_what_decoding_gives_and_decodes_once) {
  const Loaded first = load();
  EXPECT_TRUE(first.cached.decoded);
  EXPECT_EQ(first.cached.problem, "");
  EXPECT_EQ(first.report.skipped.size(), 1U);
  expect_right(first);
  const Loaded second = load();
  EXPECT_FALSE(second.cached.decoded);
  expect_right(second);
  EXPECT_TRUE(load(kMegabyte, 21).cached.decoded) << "another size has a file of its own";
  const Loaded cropped = load(kMegabyte, 20, true);
  EXPECT_TRUE(cropped.cached.decoded) << "so has another part of the pictures";
  EXPECT_NE(cropped.cached.images.fingerprint(), first.cached.images.fingerprint());
  EXPECT_FALSE(load().cached.decoded);
  int files = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(root_ / "cache")) {
    EXPECT_EQ(entry.path().extension(), ".images");
    ++files;
  }
  EXPECT_EQ(files, 3);
}

TEST_F(ImageCacheTest, is_made_anew_when_an_image_has_changed) {
  load();
  // The same size and time of writing, other pixels.
  const auto time = fs::last_write_time(images() / "a/bmp_palette.bmp");
  std::string bytes = root_.read("images/a/bmp_palette.bmp");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  root_.write("images/a/bmp_palette.bmp", bytes);
  fs::last_write_time(images() / "a/bmp_palette.bmp", time);
  Loaded loaded = load();
  EXPECT_TRUE(loaded.cached.decoded);
  EXPECT_NE(loaded.cached.problem.find("a/bmp_palette.bmp has changed"), std::string::npos)
      << loaded.cached.problem;
  expect_right(loaded);

  copy("png_rgb.png", "a/new.png");
  loaded = load();
  EXPECT_NE(loaded.cached.problem.find("had 13 files and has 14"), std::string::npos)
      << loaded.cached.problem;
  expect_right(loaded);

  fs::rename(images() / "a/new.png", images() / "a/newer.png");
  loaded = load();
  EXPECT_NE(loaded.cached.problem.find("has changed"), std::string::npos);
  expect_right(loaded);

  copy("png_rgb.png", "a/broken.jpg");  // now it can be read
  loaded = load();
  EXPECT_TRUE(loaded.report.skipped.empty());
  expect_right(loaded);
  EXPECT_FALSE(load().cached.decoded);
}

TEST_F(ImageCacheTest, a_touched_image_with_the_same_contents_is_still_the_same) {
  load();
  copy("png_rgb.png", "a/png_rgb.png");
  const Loaded loaded = load();
  EXPECT_FALSE(loaded.cached.decoded);
  expect_right(loaded);
}

TEST_F(ImageCacheTest, truncated_damaged_and_foreign_files_are_noticed) {
  const std::string name = "cache/" + fs::path(load().cached.file).filename().string();
  const std::string whole = root_.read(name);
  const auto expect_anew = [&](const std::string& what, const std::string& bytes) {
    root_.write(name, bytes);
    const Loaded loaded = load();
    EXPECT_TRUE(loaded.cached.decoded) << what;
    EXPECT_NE(loaded.cached.problem, "") << what;
    expect_right(loaded);
    EXPECT_EQ(root_.read(name).size(), whole.size()) << what;
  };
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{40}, std::size_t{4096},
                                 whole.size() / 2, whole.size() - 1})
    expect_anew("cut to " + std::to_string(size), whole.substr(0, size));
  expect_anew("longer", whole + "x");
  expect_anew("foreign", std::string(10'000, 'x'));
  for (std::size_t at = 0; at < 64; at += 3) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x81);
    expect_anew("header byte " + std::to_string(at), damaged);
  }
  std::string damaged = whole;
  damaged[whole.size() - 100] = static_cast<char>(damaged[whole.size() - 100] ^ 1);
  expect_anew("index", damaged);
}

TEST_F(ImageCacheTest, errors_are_those_of_decoding_and_of_the_disk) {
  const auto refusal = [&](const fs::path& folder) -> std::string {
    LoadReport report;
    try {
      load_cached_image_folder(scan_image_folder(images()), images(), {20, 24, 3}, pool_, report,
                               {.folder = folder, .memory = kMegabyte});
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  };
  root_.write("file", "");
  EXPECT_NE(refusal(root_ / "file").find("file: cannot make this folder"), std::string::npos);
  root_.write("images/c/broken.png", "not an image");
  for (int time = 0; time < 2; ++time)  // decoded, and from the file
    EXPECT_NE(refusal(root_ / "cache").find("no image of the class c can be read"),
              std::string::npos);
}

/// Pages of files in this process's memory, in bytes.
std::uint64_t resident_file_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssFile:")) return 1024 * std::stoull(line.substr(8));
  }
  return 0;
}

TEST_F(ImageCacheTest, no_more_of_it_is_in_memory_than_was_asked_for) {
  if (resident_file_bytes() == 0) GTEST_SKIP() << "this system does not tell what is in memory";
  copy("jpeg_420.jpg", "a/0.jpg");
  for (int i = 1; i < 400; ++i)
    fs::create_hard_link(images() / "a/0.jpg", images() / ("a/" + std::to_string(i) + ".jpg"));
  const auto growth = [&](std::uint64_t memory) {
    LoadReport report;
    const CachedImages cached =
        load_cached_image_folder(scan_image_folder(images()), images(), {224, 224, 3}, pool_,
                                 report, {.folder = root_ / "cache", .memory = memory});
    const ImageDataset& images = cached.images;
    EXPECT_GT(images.size(), 400U);
    std::vector<std::uint32_t> order(images.size());
    std::iota(order.begin(), order.end(), 0U);
    Rng rng(3);
    shuffle(order, rng);
    const std::uint64_t before = resident_file_bytes();
    std::uint64_t most = 0;
    Tensor x;
    std::vector<int> labels;
    for (std::size_t i = 0; i + 8 <= order.size(); i += 8) {
      images.batch(std::span(order).subspan(i, 8), x, labels, pool_);
      most = std::max(most, resident_file_bytes());
    }
    return most - std::min(most, before);
  };
  const std::uint64_t all = growth(1000 * kMegabyte);
  const std::uint64_t bounded = growth(10 * kMegabyte);
  EXPECT_GT(all, 50 * kMegabyte) << "the measure measures nothing";
  EXPECT_LT(bounded, 14 * kMegabyte);
}

}  // namespace
}  // namespace pinhole
