// A model as Python: the nn.Module that a PyTorch user would write, what prepares a picture, and the loading of the weights.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "layer.h"

namespace pinhole {

class Model;
struct ModelInfo;

/// What layers say of themselves while the module is written.
class TorchSource {
 public:
  struct Entry {
    std::string name;  ///< of the sub-module; empty for a Flatten that the spec does not have
    std::string expression;  ///< "nn.ReLU()"
  };

  /// A layer that takes [n, c] in PyTorch. A Flatten comes before it where there is none.
  void needs_flat();
  /// A layer that takes [n, c, h, w]. Throws Error after a Flatten.
  void needs_image(const Layer& layer) const;
  void flattened() { flat_ = true; }
  bool flat() const { return flat_; }
  void set_flat(bool flat) { flat_ = flat; }

  /// Layer after layer, named by the last part of their names.
  std::vector<Entry> chain(std::span<const std::unique_ptr<Layer>> layers);
  /// The same as one expression, nn.Sequential with these names.
  std::string sequential(std::span<const std::unique_ptr<Layer>> layers);

  /// A class that a layer's expression uses: its whole text, given once.
  void helper(const std::string& name, std::string_view code) { helpers_.emplace(name, code); }
  const std::map<std::string, std::string>& helpers() const { return helpers_; }

 private:
  bool flat_ = false;
  bool flatten_first_ = false;
  std::size_t indent_ = 8;  // of the statement that is being written
  std::map<std::string, std::string> helpers_;
};

/// As Python writes them: "3" or "(3, 5)", "0.5", "\"text\"".
std::string python(int vertical, int horizontal);
std::string python(double number);
std::string python(const std::vector<double>& numbers);
std::string python_string(std::string_view text);

/// A Python file that runs by itself: the module, transform(), load() and predict(). It reads the model's safetensors file, named
/// `weights`, from its own folder, and needs torch, numpy and Pillow.
/// Throws Error when a layer has no form in PyTorch.
std::string export_torch(const Model& model, const ModelInfo& info, std::string_view weights);

}  // namespace pinhole
