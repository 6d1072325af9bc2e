// The order was compared with torchvision.datasets.ImageFolder itself: tests/golden/check_pillow.py --folder DIR.
#include "image_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "error.h"
#include "image.h"
#include "image_files.h"
#include "temporary_folder.h"

namespace pinhole {
namespace {

namespace fs = std::filesystem;

std::string scan_refusal(const fs::path& root) {
  try {
    scan_image_folder(root);
    return "no error";
  } catch (const Error& error) {
    return error.what();
  }
}

/// "label name" of every sample, names relative to `root`.
std::vector<std::string> samples_of(const ImageFolder& folder, const fs::path& root) {
  std::vector<std::string> out;
  for (const auto& [path, label] : folder.samples)
    out.push_back(std::to_string(label) + ' ' + path.lexically_relative(root).string());
  return out;
}

TEST(ScanImageFolder, classes_are_the_sorted_names_of_the_sub_folders) {
  const TemporaryFolder root;
  for (const char* name : {"b", "a10", "a9", "Z", "\xc3\xa9t\xc3\xa9", "a b", ".hidden", "a"})
    root.write(std::string(name) + "/1.jpg", "");
  root.write("file.jpg", "not below a class");
  const ImageFolder folder = scan_image_folder(root.path());
  EXPECT_EQ(folder.classes, (std::vector<std::string>{".hidden", "Z", "a", "a b", "a10", "a9", "b",
                                                      "\xc3\xa9t\xc3\xa9"}));
  EXPECT_EQ(folder.class_to_idx.at("a"), 2);
  EXPECT_EQ(folder.class_to_idx.size(), 8U);
  EXPECT_EQ(folder.samples.size(), 8U);
}

TEST(ScanImageFolder, files_count_by_extension_in_any_case) {
  const TemporaryFolder root;
  for (const char* name : {"a.jpg", "b.JPEG", "c.PnG", "d.ppm", "e.bmp", "f.pgm", "g.tif", "h.tiff",
                           "i.webp", ".jpg", "j.gif", "k.jpg.txt", "l", "jpg", "m.jpgx", "n.tga"}) {
    root.write(std::string("c/") + name, "");
  }
  fs::create_symlink("nowhere", root / "c/broken.jpg");
  const ImageFolder folder = scan_image_folder(root.path());
  EXPECT_EQ(samples_of(folder, root.path()),
            (std::vector<std::string>{"0 c/.jpg", "0 c/a.jpg", "0 c/b.JPEG", "0 c/broken.jpg",
                                      "0 c/c.PnG", "0 c/d.ppm", "0 c/e.bmp", "0 c/f.pgm",
                                      "0 c/g.tif", "0 c/h.tiff", "0 c/i.webp"}));
}

TEST(ScanImageFolder, sub_folders_follow_in_the_order_of_their_whole_paths) {
  const TemporaryFolder root;
  for (const char* name :
       {"c/z.jpg", "c/a/2.jpg", "c/a/b/1.jpg", "c/a-b/1.jpg", "c/B/1.jpg", "c/a.jpg/1.png"})
    root.write(name, "");
  // '-' and '.' sort before '/': "c/a-b" and "c/a.jpg" come before "c/a/b".
  EXPECT_EQ(samples_of(scan_image_folder(root.path()), root.path()),
            (std::vector<std::string>{"0 c/z.jpg", "0 c/B/1.jpg", "0 c/a/2.jpg", "0 c/a-b/1.jpg",
                                      "0 c/a.jpg/1.png", "0 c/a/b/1.jpg"}));
}

TEST(ScanImageFolder, links_are_followed_and_loops_end) {
  const TemporaryFolder root, elsewhere;
  elsewhere.write("photos/1.jpg", "");
  root.write("a/1.jpg", "");
  fs::create_directory_symlink(elsewhere / "photos", root / "linked");
  fs::create_directory_symlink(elsewhere / "photos", root / "a/more");
  fs::create_directory_symlink("..", root / "a/up");
  fs::create_directory_symlink(".", root / "a/self");
  const std::vector<std::string> samples = samples_of(scan_image_folder(root.path()), root.path());
  EXPECT_NE(std::find(samples.begin(), samples.end(), "1 linked/1.jpg"), samples.end());
  EXPECT_NE(std::find(samples.begin(), samples.end(), "0 a/more/1.jpg"), samples.end());
  EXPECT_LT(samples.size(), 10U);
}

TEST(ScanImageFolder, says_what_is_wrong_with_a_folder) {
  const TemporaryFolder root;
  const std::string here = root.path().string();
  EXPECT_EQ(scan_refusal(root / "missing"), here + "/missing: no such folder");
  root.write("file.jpg", "");
  EXPECT_EQ(scan_refusal(root / "file.jpg"), here + "/file.jpg: is not a folder");
  EXPECT_EQ(
      scan_refusal(root.path()),
      here + ": couldn't find any class folder, expected one sub-folder of images for each class");
  root.write("cats/1.jpg", "");
  fs::create_directory(root / "dogs");
  const std::string extensions =
      "; supported extensions are .jpg, .jpeg, .png, .ppm, .bmp, .pgm, .tif, .tiff, .webp";
  EXPECT_EQ(scan_refusal(root.path()), here + ": found no image for the class dogs" + extensions);
  root.write("birds/notes.txt", "");
  EXPECT_EQ(scan_refusal(root.path()),
            here + ": found no image for the classes birds and dogs" + extensions);
}

// --- Loading ---------------------------------------------------------------------------------------------------------

std::string sample_text(const std::string& name) {
  const std::vector<std::uint8_t> bytes = read_sample(name);
  return {bytes.begin(), bytes.end()};
}

/// Two classes of `count` different images each, with unreadable files among them.
void fill(const TemporaryFolder& root, int count) {
  const char* const images[] = {"jpeg_420.jpg",    "png_rgba.png",    "bmp_rgb.bmp",
                                "webp_lossy.webp", "jpeg_turned.jpg", "pnm_rgb.ppm",
                                "jpeg_grey.jpg"};
  for (int i = 0; i < count; ++i) {
    const std::string image = images[i % 7];
    const std::string name = std::to_string(100 + i) + image.substr(image.find('.'));
    root.write("a/" + name, sample_text(image));
    root.write("b/" + name, sample_text(images[(i + 3) % 7]));
  }
  root.write("a/100x.jpg", "a letter");
  root.write("b/empty.png", "");
  root.write("b/cut.jpg", sample_text("jpeg_420.jpg").substr(0, 900));
}

TEST(LoadImageFolder, gives_the_same_for_any_number_of_threads) {
  const TemporaryFolder root;
  fill(root, 30);
  const ImageFolder folder = scan_image_folder(root.path());
  LoadReport report;
  ThreadPool one(1);
  const ImageDataset expected = load_image_folder(folder, {20, 24, 3}, one, report);
  ASSERT_EQ(expected.size(), 60U);
  EXPECT_EQ(expected.class_counts(), (std::vector<std::size_t>{30, 30}));
  for (std::size_t i = 0, sample = 0; i < expected.size(); ++i, ++sample) {
    const auto unreadable = [&] {
      return std::any_of(report.skipped.begin(), report.skipped.end(),
                         [&](const auto& s) { return s.first == folder.samples[sample].first; });
    };
    while (unreadable()) ++sample;
    EXPECT_EQ(expected.name(i), folder.samples[sample].first.string());
    EXPECT_EQ(expected.label(i), folder.samples[sample].second);
  }
  for (const int threads : {2, 5}) {
    ThreadPool pool(threads);
    LoadReport same;
    const ImageDataset dataset = load_image_folder(folder, {20, 24, 3}, pool, same);
    EXPECT_EQ(same.skipped, report.skipped);
    ASSERT_EQ(dataset.size(), expected.size());
    for (std::size_t i = 0; i < dataset.size(); ++i) {
      EXPECT_EQ(dataset.name(i), expected.name(i));
      EXPECT_TRUE(std::ranges::equal(dataset.pixels(i), expected.pixels(i)));
    }
  }
}

TEST(LoadImageFolder, unreadable_files_are_skipped_and_named_with_a_reason) {
  const TemporaryFolder root;
  fill(root, 2);
  ASSERT_EQ(mkfifo((root / "a/pipe.jpg").c_str(), 0600), 0);
  LoadReport report;
  ThreadPool pool(2);
  const ImageDataset dataset =
      load_image_folder(scan_image_folder(root.path()), {8, 8, 1}, pool, report);
  EXPECT_EQ(dataset.size(), 4U);
  using Skipped = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(report.skipped,
            (Skipped{{(root / "a/100x.jpg").string(), "not an image: a text file"},
                     {(root / "a/pipe.jpg").string(), "is not a regular file"},
                     {(root / "b/cut.jpg").string(),
                      "truncated JPEG: the file ends before its end-of-image marker"},
                     {(root / "b/empty.png").string(), "empty file"}}));
}

TEST(LoadImageFolder, a_class_without_a_readable_image_is_an_error_that_names_it) {
  const TemporaryFolder root;
  fill(root, 1);
  root.write("violet/text.jpg", "a letter");
  LoadReport report;
  ThreadPool pool(1);
  try {
    load_image_folder(scan_image_folder(root.path()), {8, 8, 3}, pool, report);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), "no image of the class violet can be read (" +
                                (root / "violet/text.jpg").string() +
                                ": not an image: a text file)");
  }
}

TEST(LoadImageFolder, progress_reaches_the_total_and_can_cancel) {
  const TemporaryFolder root;
  fill(root, 30);
  const ImageFolder folder = scan_image_folder(root.path());
  LoadReport report;
  ThreadPool pool(1);
  std::size_t last = 0;
  load_image_folder(folder, {8, 8, 3}, pool, report, [&](std::size_t done, std::size_t total) {
    EXPECT_GT(done, last);
    EXPECT_EQ(total, folder.samples.size());
    last = done;
    return true;
  });
  EXPECT_EQ(last, folder.samples.size());
  std::size_t calls = 0;
  const ImageDataset part = load_image_folder(
      folder, {8, 8, 3}, pool, report, [&](std::size_t, std::size_t) { return ++calls < 2; });
  EXPECT_EQ(calls, 2U);
  EXPECT_LT(part.size(), folder.samples.size());
}

}  // namespace
}  // namespace pinhole
