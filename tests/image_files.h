// The small images in tests/golden/images, and what Pillow makes of them (make_image_goldens.py).
#pragma once

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace pinhole {

inline std::filesystem::path sample_folder() {
  return std::filesystem::path(PINHOLE_SOURCE_DIR) / "tests/golden/images";
}

inline std::vector<std::uint8_t> read_sample(const std::string& name) {
  std::ifstream file(sample_folder() / name, std::ios::binary);
  if (!file) throw std::runtime_error("cannot open the sample " + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct ImageGolden {
  std::string image;  // "jpeg_420.jpg"
  std::string raw;    // "jpeg_420.48x64x3.raw"
  int height = 0, width = 0, channels = 0;

  std::vector<std::uint8_t> pixels() const { return read_sample(raw); }
  std::string test_name() const {
    std::string name = raw.substr(0, raw.size() - 4);
    std::replace_if(
        name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
    return name;
  }
};

/// All goldens whose image file name is wanted, sorted.
inline std::vector<ImageGolden> image_goldens(
    const std::function<bool(const std::string&)>& wanted) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(sample_folder()))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  std::vector<ImageGolden> goldens;
  for (const std::string& raw : names) {
    if (!raw.ends_with(".raw")) continue;
    const std::size_t dot = raw.find('.');
    ImageGolden golden{.image = {}, .raw = raw};
    std::sscanf(raw.c_str() + dot, ".%dx%dx%d.raw", &golden.height, &golden.width,
                &golden.channels);
    for (const std::string& name : names) {
      if (name.starts_with(raw.substr(0, dot + 1)) && !name.ends_with(".raw")) golden.image = name;
    }
    if (wanted(golden.image)) goldens.push_back(golden);
  }
  return goldens;
}

inline int largest_difference(const std::vector<std::uint8_t>& a,
                              const std::vector<std::uint8_t>& b) {
  int largest = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

}  // namespace pinhole
