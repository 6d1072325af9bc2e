// The one place that knows PyTorch's layouts and the file format.
#include "model_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "crc32.h"
#include "error.h"
#include "state_dict_diff.h"

namespace pinhole {

namespace {

constexpr std::string_view kFormat = "pinhole/1";
constexpr std::string_view kChecksumKey = "\"checksum\":\"";
constexpr std::size_t kChecksumDigits = 8;
constexpr std::uint64_t kLargestHeader = 100'000'000;  // the format's own limit

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

std::string hex8(std::uint32_t value) {
  std::string out(kChecksumDigits, '0');
  for (std::size_t i = 0; i < kChecksumDigits; ++i)
    out[i] = "0123456789abcdef"[(value >> (28 - 4 * i)) & 0xfU];
  return out;
}

/// Where the checksum's digits stand in a Pinhole file; npos when there is none.
std::size_t find_checksum(std::string_view file) {
  const std::size_t key = file.find(kChecksumKey);
  return key == std::string_view::npos || key + kChecksumKey.size() + kChecksumDigits > file.size()
             ? std::string_view::npos
             : key + kChecksumKey.size();
}

/// Of the whole file, its own digits taken as zeros.
std::string checksum_of(std::span<const std::uint8_t> file, std::size_t digits) {
  constexpr std::array<std::uint8_t, kChecksumDigits> kZeros{'0', '0', '0', '0',
                                                             '0', '0', '0', '0'};
  const std::uint32_t before = crc32(crc32(0, file.first(digits)), kZeros);
  return hex8(crc32(before, file.subspan(digits + kChecksumDigits)));
}

float half_to_float(std::uint16_t half) {
  const int exponent = (half >> 10U) & 0x1f;
  const int fraction = half & 0x3ff;
  float value = 0;
  if (exponent == 0) {
    value = std::ldexp(static_cast<float>(fraction), -24);
  } else if (exponent == 31) {
    value = fraction != 0 ? std::numeric_limits<float>::quiet_NaN()
                          : std::numeric_limits<float>::infinity();
  } else {
    value = std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  }
  return (half & 0x8000U) != 0 ? -value : value;
}

float bfloat16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16U);
}

struct Entry {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;
};

Entry read_entry(const std::string& name, const Json& json, std::uint64_t data_size,
                 std::string_view what) {
  const auto fail = [&](std::string_view message) {
    throw Error(text(what, " is damaged: tensor \"", name, "\" ", message));
  };
  if (!json.is_object() || !json.contains("dtype") || !json["dtype"].is_string() ||
      !json.contains("shape") || !json["shape"].is_array() || !json.contains("data_offsets") ||
      !json["data_offsets"].is_array() || json["data_offsets"].size() != 2) {
    fail("has no dtype, shape or data_offsets");
  }
  Entry entry{.name = name, .dtype = json["dtype"], .shape = {}, .begin = 0, .end = 0};
  const std::uint64_t width = entry.dtype == "I64"                            ? 8
                              : entry.dtype == "F32"                          ? 4
                              : entry.dtype == "F16" || entry.dtype == "BF16" ? 2
                                                                              : 0;
  for (const Json& offset : json["data_offsets"]) {
    if (!offset.is_number_unsigned()) fail("has impossible data_offsets");
  }
  entry.begin = json["data_offsets"][0].get<std::uint64_t>();
  entry.end = json["data_offsets"][1].get<std::uint64_t>();
  if (entry.begin > entry.end || entry.end > data_size)
    fail("lies outside the file: it is truncated or damaged");
  std::uint64_t values = 1;
  for (const Json& size : json["shape"]) {
    if (!size.is_number_unsigned() || size.get<std::uint64_t>() > data_size)
      fail("has an impossible shape");
    entry.shape.push_back(size.get<std::int64_t>());
    values *= size.get<std::uint64_t>();
    if (values > data_size)
      fail("has a shape larger than the file");  // also keeps the product from overflowing
  }
  if (width != 0 && entry.end - entry.begin != values * width)
    fail("has data_offsets that do not fit its shape");
  return entry;
}

std::uint64_t header_size(std::span<const std::uint8_t> bytes, std::string_view what) {
  std::uint64_t size = 0;
  if (bytes.empty()) throw Error(text(what, " is empty, expected a safetensors file"));
  if (bytes.size() < sizeof size)
    throw Error(text(what, " is not a safetensors file: it has only ", bytes.size(), " bytes"));
  std::memcpy(&size, bytes.data(), sizeof size);
  if (size > kLargestHeader || size < 2 || (bytes.size() > 8 && bytes[8] != '{')) {
    throw Error(text(what, " is not a safetensors file"));
  }
  if (size > bytes.size() - sizeof size) {
    throw Error(text(what, " is truncated: its header needs ", size, " bytes, ",
                     bytes.size() - sizeof size, " are there"));
  }
  return size;
}

std::vector<std::int64_t> torch_shape(const Parameter& p) {
  const Shape& s = p.value.shape();
  switch (p.layout) {
    case Layout::kVector:
      return {s.c};
    case Layout::kConvWeight:
      return {s.n, s.c, s.h, s.w};
    case Layout::kLinearWeight:
      return {s.n, static_cast<std::int64_t>(s.item())};
    case Layout::kCount:
      return {};
  }
  return {};
}

/// Calls pair(index here, index in PyTorch's order) for every value: [n, h, w, c] here, [n, c, h, w] there.
template <class Pair>
void for_each_value(const Shape& s, const Pair& pair) {
  constexpr std::size_t kTile =
      64;  // of pixels: what one channel of it takes is a few whole cache lines
  const std::size_t pixels = static_cast<std::size_t>(s.h) * static_cast<std::size_t>(s.w),
                    channels = static_cast<std::size_t>(s.c);
  for (std::size_t n = 0; n < static_cast<std::size_t>(s.n); ++n) {
    const std::size_t image = n * channels * pixels;
    for (std::size_t begin = 0; begin < pixels; begin += kTile) {
      const std::size_t end = std::min(pixels, begin + kTile);
      for (std::size_t channel = 0; channel < channels; ++channel) {
        for (std::size_t pixel = begin; pixel < end; ++pixel)
          pair(image + pixel * channels + channel, image + channel * pixels + pixel);
      }
    }
  }
}

Json parse_metadata(const Safetensors& file, const std::string& key, std::string_view what) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end())
    throw Error(text(what, " has no \"", key, "\" in its metadata"));
  return parse_json(found->second, text(what, ": \"", key, '"'));
}

}  // namespace

Safetensors read_safetensors(std::span<const std::uint8_t> bytes, std::string_view what) {
  const std::uint64_t size = header_size(bytes, what);
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + 8, size);
  const std::span<const std::uint8_t> data = bytes.subspan(8 + size);
  Json json;
  try {
    json = Json::parse(header);
  } catch (const Json::exception&) {
    throw Error(text(what, " is damaged: its header is not JSON"));
  }
  if (!json.is_object()) throw Error(text(what, " is damaged: its header is not an object"));

  Safetensors file;
  std::vector<Entry> entries;
  for (const auto& [name, value] : json.items()) {
    if (name != "__metadata__") {
      entries.push_back(read_entry(name, value, data.size(), what));
      continue;
    }
    if (!value.is_object()) throw Error(text(what, " is damaged: its metadata is not an object"));
    for (const auto& [key, entry] : value.items()) {
      if (!entry.is_string())
        throw Error(text(what, " is damaged: metadata \"", key, "\" is not a string"));
      file.metadata[key] = entry.get<std::string>();
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.begin < b.begin || (a.begin == b.begin && a.end < b.end);
  });
  std::uint64_t expected = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != expected)
      throw Error(
          text(what, " is damaged: tensor \"", entry.name, "\" overlaps another or leaves a gap"));
    expected = entry.end;
  }
  if (expected != data.size()) {
    throw Error(text(what, " is damaged: its tensors need ", expected, " bytes, ", data.size(),
                     " are there"));
  }
  for (Entry& entry : entries) {
    StoredTensor tensor{.shape = std::move(entry.shape), .values = {}};
    const std::uint8_t* from = data.data() + entry.begin;
    const std::size_t length = entry.end - entry.begin;
    if (entry.dtype == "F32") {
      tensor.values.resize(length / 4);
      if (length != 0) std::memcpy(tensor.values.data(), from, length);
    } else if (entry.dtype == "F16" || entry.dtype == "BF16") {
      const auto convert = entry.dtype == "F16" ? half_to_float : bfloat16_to_float;
      tensor.values.resize(length / 2);
      for (std::size_t i = 0; i < tensor.values.size(); ++i) {
        std::uint16_t bits = 0;
        std::memcpy(&bits, from + 2 * i, sizeof bits);
        tensor.values[i] = convert(bits);
      }
    } else if (entry.dtype == "I64") {
      tensor.integer = true;
      tensor.values.resize(length / 8);
      for (std::size_t i = 0; i < tensor.values.size(); ++i) {
        std::int64_t count = 0;
        std::memcpy(&count, from + 8 * i, sizeof count);
        tensor.values[i] = static_cast<float>(count);
      }
    } else {
      throw Error(text(what, ": tensor \"", entry.name, "\" has dtype ", entry.dtype,
                       ", expected F32, F16, BF16 or I64"));
    }
    if (!file.tensors.emplace(entry.name, std::move(tensor)).second) {
      throw Error(text(what, " is damaged: tensor \"", entry.name, "\" is there twice"));
    }
  }
  return file;
}

std::vector<std::uint8_t> write_safetensors(const Safetensors& file) {
  Json header = Json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  const auto bytes_of = [](const StoredTensor& tensor) {
    return tensor.values.size() * (tensor.integer ? sizeof(std::int64_t) : sizeof(float));
  };
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : file.tensors) {
    const std::uint64_t end = offset + bytes_of(tensor);
    header[name] = {{"dtype", tensor.integer ? "I64" : "F32"},
                    {"shape", tensor.shape},
                    {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string json = header.dump();
  json.resize((json.size() + 7) / 8 * 8, ' ');
  const std::uint64_t size = json.size();
  std::vector<std::uint8_t> bytes(8 + size + offset);
  std::memcpy(bytes.data(), &size, 8);
  std::memcpy(bytes.data() + 8, json.data(), size);
  std::uint8_t* data = bytes.data() + 8 + size;
  for (const auto& [name, tensor] : file.tensors) {
    const std::size_t length = bytes_of(tensor);
    if (tensor.integer) {
      for (std::size_t i = 0; i < tensor.values.size(); ++i) {
        const auto count = static_cast<std::int64_t>(tensor.values[i]);
        std::memcpy(data + 8 * i, &count, sizeof count);
      }
    } else if (length != 0) {
      std::memcpy(data, tensor.values.data(), length);
    }
    data += length;
  }
  return bytes;
}

std::vector<std::uint8_t> write_checked(Safetensors file, std::string_view format) {
  file.metadata["format"] = format;
  file.metadata["checksum"] = std::string(kChecksumDigits, '0');
  std::vector<std::uint8_t> bytes = write_safetensors(file);
  const std::size_t digits =
      find_checksum({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  const std::string checksum = checksum_of(bytes, digits);
  std::memcpy(bytes.data() + digits, checksum.data(), kChecksumDigits);
  return bytes;
}

Safetensors read_checked(std::span<const std::uint8_t> bytes, std::string_view what,
                         std::string_view format, std::string_view kind) {
  const std::size_t header = 8 + header_size(bytes, what);
  Safetensors file = read_safetensors(bytes, what);
  const auto found = file.metadata.find("format");
  if (found == file.metadata.end() || found->second != format) {
    throw Error(text(what, " is not a ", kind, ": its metadata says format ",
                     found == file.metadata.end() ? "nothing" : text('"', found->second, '"'),
                     ", expected \"", format, '"',
                     found == file.metadata.end()
                         ? " (a plain state_dict can start a training, as initial weights)"
                         : ""));
  }
  const std::size_t digits = find_checksum({reinterpret_cast<const char*>(bytes.data()), header});
  const auto checksum = file.metadata.find("checksum");
  if (digits == std::string_view::npos || checksum == file.metadata.end() ||
      checksum_of(bytes, digits) != checksum->second) {
    throw Error(text(what, " is damaged: its contents do not match its checksum"));
  }
  return file;
}

StoredTensor to_torch(const Parameter& parameter, const Tensor& values) {
  StoredTensor stored{.shape = torch_shape(parameter),
                      .values = std::vector<float>(values.size()),
                      .integer = parameter.layout == Layout::kCount};
  for_each_value(values.shape(), [&](std::size_t here, std::size_t there) {
    stored.values[there] = static_cast<float>(values.data()[here]);
  });
  return stored;
}

void from_torch(const StoredTensor& stored, const Parameter& parameter, Tensor& values,
                std::string_view name) {
  if (stored.shape != torch_shape(parameter)) {
    throw Error(text(name, " is ", shape_text(stored.shape), ", expected ",
                     shape_text(torch_shape(parameter))));
  }
  values.resize(parameter.value.shape());
  for_each_value(values.shape(), [&](std::size_t here, std::size_t there) {
    values.data()[here] = static_cast<real>(stored.values[there]);
  });
}

std::map<std::string, std::string> model_metadata(const Model& model, const ModelInfo& info) {
  const Shape input = model.input_shape();
  std::map<std::string, std::string> metadata;
  metadata["format"] = kFormat;
  metadata["spec"] = model.spec().dump();
  try {
    metadata["classes"] = Json(info.classes).dump();
  } catch (const Json::exception&) {
    throw Error(text("a class name is not UTF-8 text: ",
                     Json(info.classes).dump(-1, ' ', false, Json::error_handler_t::replace)));
  }
  metadata["preprocessing"] = Json{{"resize", {input.h, input.w}},
                                   {"interpolation", "bilinear"},
                                   {"antialias", true},
                                   {"mode", input.c == 1 ? "L" : "RGB"},
                                   {"scale", "1/255"}}
                                  .dump();
  // A path in the record may be no UTF-8; that must not cost a trained model.
  metadata["training"] = info.training.dump(-1, ' ', false, Json::error_handler_t::replace);
  return metadata;
}

std::vector<std::uint8_t> save_model(Model& model, const ModelInfo& info) {
  Safetensors file;
  file.metadata = model_metadata(model, info);
  for (const Parameter* parameter : model.state())
    file.tensors[parameter->name] = to_torch(*parameter, parameter->value);
  return write_checked(std::move(file), kFormat);
}

LoadedModel load_model(std::span<const std::uint8_t> bytes, std::shared_ptr<Backend> backend,
                       std::string_view what) {
  const Safetensors file = read_checked(bytes, what, kFormat, "Pinhole model");
  const Json classes = parse_metadata(file, "classes", what);
  ModelInfo info;
  if (!classes.is_array() || classes.empty())
    throw Error(text(what, ": \"classes\" expected a list of names, got ", classes.dump()));
  for (const Json& name : classes) {
    if (!name.is_string())
      throw Error(text(what, ": \"classes\" expected a list of names, got ", classes.dump()));
    info.classes.push_back(name.get<std::string>());
  }
  info.training = parse_metadata(file, "training", what);
  const Json spec = parse_metadata(file, "spec", what);
  try {
    // A small file whose spec asks for many weights gets no memory for them.
    std::size_t weights = std::size_t{1} << 20;
    for (const auto& [name, tensor] : file.tensors) weights += tensor.values.size();
    Model model(spec, static_cast<int>(info.classes.size()), std::move(backend), weights);
    if (model.classes() != static_cast<int>(info.classes.size())) {
      throw Error(
          text("it tells ", model.classes(), " classes apart and names ", info.classes.size()));
    }
    load_state_dict(model, file, what);
    return {std::move(model), std::move(info)};
  } catch (const Error& problem) {
    const std::string_view message = problem.what();
    if (message.starts_with(what)) throw;
    throw Error(text(what, ": ", message));
  }
}

namespace {

void copy_state(Model& model, const Safetensors& file, std::string_view what, bool all) {
  const std::vector<Parameter*> parameters = model.state();
  TensorShapes expected, got;
  std::vector<std::string> order;
  for (const Parameter* p : parameters) {
    expected[p->name] = torch_shape(*p);
    if (all || file.tensors.contains(p->name)) order.push_back(p->name);
  }
  for (const auto& [name, tensor] : file.tensors) got[name] = tensor.shape;
  if (const std::string diff = state_dict_diff(expected, order, got); !diff.empty())
    throw Error(text(what, " does not fit ", model.name(), ": ", diff));
  for (const std::string& name : order) {
    const std::vector<float>& values = file.tensors.at(name).values;
    if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); }))
      throw Error(text(what, ": ", name, " holds NaN or infinity"));
  }
  for (Parameter* p : parameters) {
    const auto found = file.tensors.find(p->name);
    if (found == file.tensors.end()) continue;
    from_torch(found->second, *p, p->value, p->name);
    p->changed();
  }
}

}  // namespace

void load_state_dict(Model& model, const Safetensors& file, std::string_view what) {
  copy_state(model, file, what, true);
}

void load_pretrained(Model& model, const Safetensors& file, std::string_view what) {
  copy_state(model, file, what, false);
}

}  // namespace pinhole
