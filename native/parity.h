// The proof after an export: pictures through the exported file, run by somebody else's program, and through Pinhole.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "json.h"
#include "model_file.h"

namespace pinhole {

struct Parity {
  static constexpr double kTolerance = 1e-4;

  std::string file, format, runtime;  // "onnxruntime-node 1.30.0"
  std::size_t pictures = 0, unreadable = 0;
  double largest_difference = 0;  // of a probability
  std::string worst_picture;
  std::size_t same_label = 0;

  bool passed() const { return pictures > 0 && largest_difference <= kTolerance; }
};

/// Runs up to `most` pictures of `folder` through `exported` ("onnx", "onnx-classifier", "torch" or "html") and through `model`.
/// Throws Error when there are no pictures, or what runs the file is not installed or fails.
Parity check_parity(LoadedModel& model, const std::filesystem::path& exported,
                    const std::string& format, const std::filesystem::path& folder,
                    std::size_t most);

/// Puts the result into parity.json beside `exported`, under its file name; what other files have there stays.
void write_parity(const std::filesystem::path& exported, const Parity& parity);

Json parity_json(const Parity& parity);
/// One line for people.
std::string parity_text(const Parity& parity);

}  // namespace pinhole
