// Shows other programs what Pinhole makes of images; check_pillow.py and ../torture run it. Not part of any build: `cmake --build DIR --target image_tool`.
//   image_tool decode PATH                            "WIDTH HEIGHT", a line of its own, and the RGBA pixels
//   image_tool pixels HEIGHT WIDTH CHANNELS PATH...   a byte for each path, 1 or 0 (not readable, reason on standard error), 1 followed by the pixels
//   image_tool folder ROOT                            the classes, an empty line, "label path" of each sample
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string_view>

#include "decode.h"
#include "error.h"
#include "image_folder.h"

namespace {

using namespace pinhole;

void print_pixels(int height, int width, int channels, std::span<char*> paths) {
  for (const char* path : paths) {
    try {
      const std::vector<std::uint8_t> pixels = to_input(decode_file(path), height, width, channels);
      std::cout.put(1).write(reinterpret_cast<const char*>(pixels.data()),
                             static_cast<std::streamsize>(pixels.size()));
    } catch (const Error& error) {
      std::cerr << error.what() << '\n';
      std::cout.put(0);
    }
  }
}

void print_image(const char* path) {
  const Image image = decode_file(path);
  std::cout << image.width << ' ' << image.height << '\n';
  std::cout.write(reinterpret_cast<const char*>(image.rgba.data()),
                  static_cast<std::streamsize>(image.rgba.size()));
}

void print_folder(const char* root) {
  const ImageFolder folder = scan_image_folder(root);
  for (const std::string& name : folder.classes) std::cout << name << '\n';
  std::cout << '\n';
  for (const auto& [path, label] : folder.samples)
    std::cout << label << ' ' << path.native() << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  try {
    if (command == "pixels" && argc > 4) {
      print_pixels(std::atoi(argv[2]), std::atoi(argv[3]), std::atoi(argv[4]),
                   std::span(argv + 5, argv + argc));
    } else if (command == "decode" && argc == 3) {
      print_image(argv[2]);
    } else if (command == "folder" && argc == 3) {
      print_folder(argv[2]);
    } else {
      std::cerr
          << "usage: image_tool pixels HEIGHT WIDTH CHANNELS PATH... | decode PATH | folder ROOT\n";
      return 2;
    }
  } catch (const Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
