#include "torch_source.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "error.h"
#include "json.h"
#include "model.h"
#include "model_file.h"

namespace pinhole {

namespace {

// Words that Python or the module's own code uses.
constexpr std::array<std::string_view, 37> kKeywords{
    "False",   "None",     "True",     "and",    "as",   "assert", "async",  "await",
    "break",   "class",    "continue", "def",    "del",  "elif",   "else",   "except",
    "finally", "for",      "from",     "global", "if",   "import", "in",     "is",
    "lambda",  "nonlocal", "not",      "or",     "pass", "raise",  "return", "self",
    "try",     "while",    "with",     "x",      "yield"};
// What nn.Module has itself (PyTorch 2).
constexpr std::array<std::string_view, 54> kModuleAttributes{"T_destination",
                                                             "add_module",
                                                             "apply",
                                                             "bfloat16",
                                                             "buffers",
                                                             "call_super_init",
                                                             "children",
                                                             "compile",
                                                             "cpu",
                                                             "cuda",
                                                             "double",
                                                             "dump_patches",
                                                             "eval",
                                                             "extra_repr",
                                                             "float",
                                                             "forward",
                                                             "get_buffer",
                                                             "get_extra_state",
                                                             "get_parameter",
                                                             "get_submodule",
                                                             "half",
                                                             "ipu",
                                                             "load_state_dict",
                                                             "modules",
                                                             "mtia",
                                                             "named_buffers",
                                                             "named_children",
                                                             "named_modules",
                                                             "named_parameters",
                                                             "parameters",
                                                             "register_backward_hook",
                                                             "register_buffer",
                                                             "register_forward_hook",
                                                             "register_forward_pre_hook",
                                                             "register_full_backward_hook",
                                                             "register_full_backward_pre_hook",
                                                             "register_load_state_dict_post_hook",
                                                             "register_load_state_dict_pre_hook",
                                                             "register_module",
                                                             "register_parameter",
                                                             "register_state_dict_post_hook",
                                                             "register_state_dict_pre_hook",
                                                             "requires_grad_",
                                                             "set_extra_state",
                                                             "set_submodule",
                                                             "share_memory",
                                                             "state_dict",
                                                             "to",
                                                             "to_empty",
                                                             "train",
                                                             "training",
                                                             "type",
                                                             "xpu",
                                                             "zero_grad"};
// What the file calls something else.
constexpr std::array<std::string_view, 13> kOwnNames{
    "CLASSES", "Image", "ImageOps", "Path",    "WEIGHTS", "json", "load",
    "main",    "nn",    "np",       "predict", "sys",     "torch"};

bool is_name(std::string_view text) {
  const auto fits = [](char letter) {
    const auto byte = static_cast<unsigned char>(letter);
    return letter == '_' || (byte < 0x80 && std::isalnum(byte) != 0);
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), fits) &&
         (text[0] < '0' || text[0] > '9');
}

template <class Names>
bool contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Whether `self.NAME = nn.ReLU()` works.
bool is_attribute(std::string_view name) {
  return is_name(name) && name[0] != '_' && !contains(kKeywords, name) &&
         !contains(kModuleAttributes, name);
}

/// The model's name as a Python class.
std::string class_name(const std::string& name, const std::map<std::string, std::string>& helpers) {
  std::string out;
  for (const char letter : name) out += is_name(std::string{'_', letter}) ? letter : '_';
  if (!is_name(out) || contains(kKeywords, out) || contains(kOwnNames, out) ||
      helpers.contains(out) || out == "transform" || out == "probabilities" || out == "load_file")
    out = "Net_" + out;
  return out;
}

std::string module_class(const std::string& name, const std::vector<TorchSource::Entry>& entries) {
  std::string init, forward;
  for (const TorchSource::Entry& entry : entries) {
    if (entry.name.empty()) {
      forward += "        x = torch.flatten(x, 1)\n";
      continue;
    }
    const std::string where = is_attribute(entry.name)
                                  ? "self." + entry.name
                                  : text("self._modules[", python_string(entry.name), ']');
    init += text("        ", where, " = ", entry.expression, '\n');
    forward += text("        x = ", where, "(x)\n");
  }
  return text("class ", name, "(nn.Module):\n    def __init__(self):\n        super().__init__()\n",
              init, "\n    def forward(self, x):\n", forward, "        return x\n");
}

/// `y`, what the module gives, as one probability a class.
std::string probabilities_code(const Model& model) {
  const std::string& last = model.chain().back()->type;
  if (model.loss() == LossKind::kCrossEntropy)
    return last == "Softmax" ? "    return y\n" : "    return torch.softmax(y, dim=1)\n";
  return text(last == "Sigmoid" ? "" : "    y = torch.sigmoid(y)\n",
              "    return torch.cat([1 - y, y], dim=1)\n");
}

/// `text` with every @KEY@ as `values` have it.
std::string filled(std::string_view text, const std::map<std::string_view, std::string>& values) {
  std::string out;
  while (!text.empty()) {
    const auto value = std::find_if(values.begin(), values.end(), [&](const auto& entry) {
      return text.starts_with(entry.first);
    });
    const bool found = value != values.end();
    out += found ? std::string_view(value->second) : text.substr(0, 1);
    text.remove_prefix(found ? value->first.size() : 1);
  }
  return out;
}

/// Without what would end a Python docstring.
std::string docstring_text(std::string text) {
  std::erase_if(text, [](char letter) {
    return letter == '"' || letter == '\\' || static_cast<unsigned char>(letter) < 0x20;
  });
  return text;
}

// @NAME@ stands for what depends on the model.
constexpr std::string_view kFile =
    R"PY("""@TITLE@: an image classifier made with Pinhole, in PyTorch.

Needs torch, numpy and Pillow, and the weights (WEIGHTS) beside this file.

    python3 THIS_FILE.py picture.jpg ...     one line of JSON for each picture

    from THIS_FILE import load, predict
    predict("picture.jpg")                   [(class, probability), ...], the most probable first
    model = load()                           the nn.Module, in eval mode
"""

import functools
import json
import sys
@ORDERED_DICT@from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn

CLASSES = @CLASSES@
WEIGHTS = Path(__file__).with_name(@WEIGHTS@)


@HELPERS@@MODULE@

def transform(picture):
    """A path or a PIL image -> float [1, @CHANNELS@, @HEIGHT@, @WIDTH@] in [0, 1]: upright, transparency on white, antialiased bilinear."""
    image = picture if isinstance(picture, Image.Image) else Image.open(picture)
    image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")@GREY@@CROP@
    image = image.resize((@WIDTH@, @HEIGHT@), Image.BILINEAR)
    pixels = np.array(image, dtype=np.uint8).reshape(@HEIGHT@, @WIDTH@, @CHANNELS@)
    return torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0).float() / 255


def load_file(path):
    """The tensors of a safetensors file, as safetensors.torch.load_file gives them."""
    data = Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    types = {"F32": "<f4", "I64": "<i8"}
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data[start + begin : start + end], dtype=types[entry["dtype"]])
        tensors[name] = torch.from_numpy(values.reshape(entry["shape"]).copy())
    return tensors


@functools.lru_cache(maxsize=1)
def load(weights=WEIGHTS):
    model = @CLASS@()
    model.load_state_dict(load_file(weights), strict=True)
    return model.eval()


def probabilities(y):
    """What the module gives -> [n, classes]."""
@PROBABILITIES@

@torch.no_grad()
def predict(picture):
    """[(class, probability), ...], the most probable first, for a path or a PIL image."""
    p = probabilities(load()(transform(picture)))[0].tolist()
    return sorted(zip(CLASSES, p), key=lambda pair: -pair[1])


if __name__ == "__main__":
    for path in sys.argv[1:]:
        found = predict(path)
        print(json.dumps({"path": path, "label": found[0][0], "probabilities": dict(found)}))
)PY";

/// center_crop in Pillow's words.
constexpr std::string_view kCrop = R"PY(
    width = max(1, min(image.width, image.height * @WIDTH@ // @HEIGHT@))
    height = max(1, min(image.height, image.width * @HEIGHT@ // @WIDTH@))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    image = image.crop((left, top, left + width, top + height)))PY";

}  // namespace

std::string Layer::to_torch(TorchSource& /*source*/) const {
  throw Error(text('[', type, ' ', name, "] cannot be exported to PyTorch"));
}

void TorchSource::needs_flat() {
  flatten_first_ = !flat_;
  flat_ = true;
}

void TorchSource::needs_image(const Layer& layer) const {
  if (!flat_) return;
  throw Error(text('[', layer.type, ' ', layer.name,
                   "] cannot be exported: it comes after a Flatten or Linear, and PyTorch's ",
                   layer.type, " takes no flat input"));
}

std::vector<TorchSource::Entry> TorchSource::chain(std::span<const std::unique_ptr<Layer>> layers) {
  std::vector<Entry> entries;
  for (const auto& layer : layers) {
    flatten_first_ = false;
    std::string expression = layer->to_torch(*this);
    if (flatten_first_) entries.push_back({.name = "", .expression = "nn.Flatten()"});
    flatten_first_ = false;
    entries.push_back({.name = layer->name.substr(layer->name.rfind('.') + 1),
                       .expression = std::move(expression)});
  }
  return entries;
}

std::string TorchSource::sequential(std::span<const std::unique_ptr<Layer>> layers) {
  indent_ += 4;
  const std::string margin(indent_, ' ');
  std::string out = "nn.Sequential(OrderedDict([\n";
  for (const Entry& entry : chain(layers)) {
    const std::string name = entry.name.empty() ? "flatten" : entry.name;
    if (contains(kModuleAttributes, name)) {
      throw Error(text("the layer ", name,
                       " cannot be exported: inside a block PyTorch has no room ",
                       "for this name, which nn.Module uses itself"));
    }
    out += text(margin, '(', python_string(name), ", ", entry.expression, "),\n");
  }
  indent_ -= 4;
  return out + std::string(indent_, ' ') + "]))";
}

std::string python(int vertical, int horizontal) {
  return vertical == horizontal ? std::to_string(vertical)
                                : text('(', vertical, ", ", horizontal, ')');
}

std::string python(double number) { return Json(number).dump(); }

std::string python(const std::vector<double>& numbers) { return Json(numbers).dump(); }

std::string python_string(std::string_view text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string export_torch(const Model& model, const ModelInfo& info, std::string_view weights) {
  TorchSource source;
  std::vector<TorchSource::Entry> entries = source.chain(model.chain());
  if (!source.flat()) entries.push_back({.name = "", .expression = "nn.Flatten()"});
  const Preparation input = model.preparation();
  const std::string name = class_name(model.name(), source.helpers());
  std::string helpers;
  for (const auto& [helper, code] : source.helpers()) helpers += code + "\n\n";
  const std::string module = module_class(name, entries);
  const bool ordered = (helpers + module).find("OrderedDict") != std::string::npos;
  std::map<std::string_view, std::string> values{
      {"@CHANNELS@", std::to_string(input.channels)},
      {"@HEIGHT@", std::to_string(input.height)},
      {"@WIDTH@", std::to_string(input.width)},
      {"@CROP@", ""},
      {"@GREY@", input.channels == 1 ? ".convert(\"L\")" : ""},
      {"@PROBABILITIES@", probabilities_code(model)},
      {"@CLASS@", name},
      {"@HELPERS@", helpers},
      {"@MODULE@", module},
      {"@ORDERED_DICT@", ordered ? "from collections import OrderedDict\n" : ""},
      {"@WEIGHTS@", python_string(weights)},
      {"@CLASSES@", model_metadata(model, info).at("classes")},
      {"@TITLE@", docstring_text(model.name())}};
  if (input.center_crop) values.at("@CROP@") = filled(kCrop, values);
  return filled(kFile, values);
}

}  // namespace pinhole
