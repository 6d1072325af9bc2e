#include "parity.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>

#include "child_process.h"
#include "dataset.h"
#include "decode.h"
#include "error.h"
#include "file.h"
#include "image.h"
#include "image_folder.h"
#include "program.h"
#include "report.h"

namespace pinhole {

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> find_pictures(const fs::path& folder, std::size_t most) {
  std::vector<fs::path> all;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->is_regular_file() && has_image_extension(entry->path().native()))
      all.push_back(entry->path());
  }
  if (error) throw Error(text("cannot read the folder ", folder.string(), ": ", error.message()));
  if (all.empty()) throw Error(text(folder.string(), ": no pictures to verify with"));
  std::sort(all.begin(), all.end());
  if (all.size() <= most) return all;
  std::vector<fs::path> chosen;
  for (std::size_t i = 0; i < most; ++i) chosen.push_back(all[i * all.size() / most]);
  return chosen;
}

struct Answers {
  std::string runtime;
  std::vector<std::vector<double>> probabilities;  // of each picture, in label order
};

/// A picture as Pinhole read it: what an exported file is given, and Pinhole's own answer.
struct Picture {
  fs::path path;
  std::vector<double> expected;
};

/// What runs ONNX and HTML files: scripts/run_onnx.mjs or run_html.mjs, given pictures on its standard input, each as the length of
/// a header (uint32), the header {"type", "dims"} and the values.
class NodeRun {
 public:
  NodeRun(const fs::path& exported, bool html)
      : child_(
            {"node",
             script_above_program(html ? "scripts/run_html.mjs" : "scripts/run_onnx.mjs").string(),
             exported.string()}) {}

  template <class T>
  void add(std::string_view type, const std::vector<std::size_t>& dims,
           const std::vector<T>& values) {
    const std::string header = Json{{"type", type}, {"dims", dims}}.dump();
    const auto size = static_cast<std::uint32_t>(header.size());
    child_.write({reinterpret_cast<const std::uint8_t*>(&size), sizeof size});
    child_.write({reinterpret_cast<const std::uint8_t*>(header.data()), header.size()});
    child_.write({reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(T)});
  }

  Answers finish() {
    const Json json = parse_json(child_.finish(), "the answer of what runs the file");
    return {json.at("runtime"), json.at("probabilities").get<std::vector<std::vector<double>>>()};
  }

 private:
  ChildProcess child_;
};

/// uint8 [h, w, c] -> float [c, h, w] in [0, 1].
std::vector<float> to_nchw(const std::vector<std::uint8_t>& pixels, const Shape& input) {
  const auto area = static_cast<std::size_t>(input.h) * static_cast<std::size_t>(input.w);
  const auto channels = static_cast<std::size_t>(input.c);
  std::vector<float> out(pixels.size());
  for (std::size_t i = 0; i < area; ++i) {
    for (std::size_t c = 0; c < channels; ++c)
      out[c * area + i] = static_cast<float>(pixels[i * channels + c]) / 255.0F;
  }
  return out;
}

struct Torch {
  std::string python, version;
};

Torch find_torch() {
  constexpr const char* kVersion =
      "try:\n import torch, numpy, PIL\n print('PyTorch ' + torch.__version__, end='')\n"
      "except ImportError:\n pass";
  const char* chosen = std::getenv("PYTHON");
  for (const std::string& python : {std::string(chosen != nullptr ? chosen : ""),
                                    std::string("python3"), std::string("/usr/bin/python3")}) {
    if (python.empty()) continue;
    try {
      const std::string version = ChildProcess({python, "-c", kVersion}).finish();
      if (!version.empty()) return {python, version};
    } catch (const Error&) {  // NOLINT(bugprone-empty-catch): then it is another one
    }
  }
  throw Error(
      "cannot verify: no python3 has torch, numpy and Pillow (Debian: python3-torch python3-numpy "
      "python3-pil; PYTHON names another)");
}

Answers run_torch(const fs::path& exported, const std::vector<Picture>& pictures,
                  const std::vector<std::string>& classes) {
  const Torch torch = find_torch();
  std::vector<std::string> arguments{torch.python, fs::absolute(exported).string()};
  for (const Picture& picture : pictures) arguments.push_back(picture.path.string());
  const std::string out = ChildProcess(arguments).finish();
  Answers answers{torch.version, {}};
  for (std::size_t begin = 0; begin < out.size();) {
    const std::size_t end = std::min(out.find('\n', begin), out.size());
    const Json line = parse_json(out.substr(begin, end - begin), "the answer of PyTorch");
    std::vector<double> probabilities;
    for (const std::string& name : classes) {
      const Json& found = line.value("probabilities", Json::object());
      if (!found.contains(name) || !found.at(name).is_number())
        throw Error(text(torch.version, " gives no probability for the class ", name));
      probabilities.push_back(found.at(name).get<double>());
    }
    answers.probabilities.push_back(std::move(probabilities));
    begin = end + 1;
  }
  return answers;
}

std::size_t label_of(const std::vector<double>& probabilities) {
  return static_cast<std::size_t>(std::max_element(probabilities.begin(), probabilities.end()) -
                                  probabilities.begin());
}

void compare(const std::vector<Picture>& pictures, const Answers& answers, const fs::path& folder,
             Parity& parity) {
  parity.runtime = answers.runtime;
  if (answers.probabilities.size() != pictures.size()) {
    throw Error(text(parity.runtime, " answered for ", answers.probabilities.size(), " of ",
                     pictures.size(), " pictures"));
  }
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const std::vector<double>& got = answers.probabilities[i];
    const std::vector<double>& expected = pictures[i].expected;
    if (got.size() != expected.size()) {
      throw Error(text(parity.runtime, " gives ", got.size(), " probabilities, expected ",
                       expected.size()));
    }
    double most = 0;
    for (std::size_t c = 0; c < got.size(); ++c) {
      const double difference = std::abs(got[c] - expected[c]);
      most = std::isfinite(difference) ? std::max(most, difference)
                                       : std::numeric_limits<double>::infinity();
    }
    if (most > parity.largest_difference || i == 0) {
      parity.largest_difference = most;
      parity.worst_picture = pictures[i].path.lexically_relative(folder).generic_string();
    }
    parity.same_label += label_of(got) == label_of(expected) ? 1 : 0;
  }
  parity.pictures = pictures.size();
}

}  // namespace

Parity check_parity(LoadedModel& loaded, const fs::path& exported, const std::string& format,
                    const fs::path& folder, std::size_t most) {
  Model& model = loaded.model;
  const Shape input = model.input_shape();
  Parity parity;
  parity.file = exported.filename().string();
  parity.format = format;
  std::optional<NodeRun> node;
  std::vector<Picture> pictures;
  const std::vector<fs::path> paths = find_pictures(folder, most);
  if (format != "torch") node.emplace(exported, format == "html");
  const auto size = [](int value) { return static_cast<std::size_t>(value); };
  for (const fs::path& path : paths) {
    Image image;
    try {
      image = decode_file(path);
    } catch (const Error&) {
      ++parity.unreadable;
      continue;
    }
    const std::vector<std::uint8_t> pixels = to_input(image, model.preparation());
    ImageDataset data(input.h, input.w, input.c, loaded.info.classes);
    data.add(pixels, 0);
    Tensor x;
    std::vector<int> labels;
    const std::uint32_t first = 0;
    data.batch({&first, 1}, x, labels, model.backend().pool());
    const Tensor& probabilities = model.predict(x);
    pictures.push_back({path, std::vector<double>(probabilities.data(),
                                                  probabilities.data() + probabilities.size())});
    if (node && format == "onnx") {
      node->add("float32", {1, size(input.c), size(input.h), size(input.w)},
                to_nchw(pixels, input));
    } else if (node) {
      node->add("uint8", {1, size(image.height), size(image.width), 3},
                to_input(image, image.height, image.width, 3));
    }
  }
  if (pictures.empty()) throw Error(text(folder.string(), ": none of its pictures can be read"));
  compare(pictures, node ? node->finish() : run_torch(exported, pictures, loaded.info.classes),
          folder, parity);
  return parity;
}

Json parity_json(const Parity& parity) {
  Json difference = nullptr;  // JSON has no infinity
  if (std::isfinite(parity.largest_difference)) difference = parity.largest_difference;
  return Json{{"format", parity.format},
              {"runtime", parity.runtime},
              {"pictures", parity.pictures},
              {"unreadable", parity.unreadable},
              {"largest_difference", difference},
              {"worst_picture", parity.worst_picture},
              {"label_agreement",
               static_cast<double>(parity.same_label) / static_cast<double>(parity.pictures)},
              {"tolerance", Parity::kTolerance},
              {"passed", parity.passed()}};
}

void write_parity(const fs::path& exported, const Parity& parity) {
  const fs::path path = exported.parent_path() / "parity.json";
  Json all = Json::object();
  std::error_code error;
  if (fs::exists(path, error)) {
    const std::vector<std::uint8_t> bytes = read_file(path);
    all = parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string());
    if (!all.is_object())
      throw Error(text(path.string(), " is not a parity.json of Pinhole's: expected an object"));
  }
  all[parity.file] = parity_json(parity);
  const std::string out = all.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
  write_file_atomic(path, {reinterpret_cast<const std::uint8_t*>(out.data()), out.size()});
}

std::string parity_text(const Parity& parity) {
  char number[32];
  std::snprintf(number, sizeof number, "%.1e", parity.largest_difference);
  return text(parity.passed() ? "equal  " : "DIFFERS  ", parity.runtime, " and Pinhole on ",
              counted(parity.pictures, "picture"), ": largest difference of a probability ", number,
              " (allowed 1e-04), ", parity.same_label, " of ", parity.pictures, " labels agree");
}

}  // namespace pinhole
