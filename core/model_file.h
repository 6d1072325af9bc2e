// safetensors bytes <-> model. Tensors are named and laid out as PyTorch's state_dict; everything else is in __metadata__.
// Format: https://github.com/huggingface/safetensors#format
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "json.h"
#include "model.h"

namespace pinhole {

/// One tensor of a safetensors file; values in C order of `shape`.
struct StoredTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
  bool integer = false;  // I64 in the file: a count
};

struct Safetensors {
  std::map<std::string, StoredTensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads F32, F16, BF16 and I64 tensors. Throws Error naming what is wrong: truncated, header not JSON, ranges that overlap or
/// leave the file, an unknown dtype. `what` starts the message (a file name).
Safetensors read_safetensors(std::span<const std::uint8_t> bytes, std::string_view what);
/// Tensors as F32 (counts as I64), in name order, data 8-byte aligned.
std::vector<std::uint8_t> write_safetensors(const Safetensors& file);

/// A file of ours: metadata "format" and a "checksum" of every byte, so that a flipped bit is found.
std::vector<std::uint8_t> write_checked(Safetensors file, std::string_view format);
/// Throws Error when the bytes are damaged, or of another format; `kind` says what was expected: "Pinhole model".
Safetensors read_checked(std::span<const std::uint8_t> bytes, std::string_view what,
                         std::string_view format, std::string_view kind);

/// `values`, which belong to `parameter` (its value, its gradient, a moment of it), as PyTorch lays them out; and back.
StoredTensor to_torch(const Parameter& parameter, const Tensor& values);
/// Throws Error unless the shape fits; `name` starts it.
void from_torch(const StoredTensor& stored, const Parameter& parameter, Tensor& values,
                std::string_view name);

/// What a trained model is besides its weights.
struct ModelInfo {
  std::vector<std::string> classes;  // in label order
  Json training = Json::object();  // free-form record: data, options, results
};

struct LoadedModel {
  Model model;
  ModelInfo info;
};

/// What a file says of a model besides its weights: format "pinhole/1", and spec, classes, preprocessing and training, each as JSON
/// text. Throws Error when a class name is not UTF-8.
std::map<std::string, std::string> model_metadata(const Model& model, const ModelInfo& info);

/// The metadata holds model_metadata and a checksum of the whole file, so that a flipped bit is found.
std::vector<std::uint8_t> save_model(Model& model, const ModelInfo& info);

/// Throws Error when the bytes are damaged, are not a Pinhole model, or spec and tensors do not agree.
LoadedModel load_model(std::span<const std::uint8_t> bytes, std::shared_ptr<Backend> backend,
                       std::string_view what);

/// Copies the tensors of a state_dict into `model` (`--init`). Throws Error listing missing, unexpected and misshapen tensors, or naming one
/// that holds NaN or infinity.
void load_state_dict(Model& model, const Safetensors& file, std::string_view what);
/// Copies pretrained weights into `model`, which may have more than the file: a new head keeps its initial weights. Throws Error
/// listing tensors that the model does not have, or has in another shape, or naming one that holds NaN or infinity.
void load_pretrained(Model& model, const Safetensors& file, std::string_view what);

}  // namespace pinhole
