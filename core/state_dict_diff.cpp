#include "state_dict_diff.h"

#include <algorithm>
#include <string_view>

#include "error.h"

namespace pinhole {

namespace {

using Names = std::vector<std::string>;

constexpr std::size_t kMostListed = 8;

std::string listed(const Names& entries) {
  std::string out;
  for (std::size_t i = 0; i < std::min(entries.size(), kMostListed); ++i)
    out += (i == 0 ? "" : ", ") + entries[i];
  if (entries.size() > kMostListed) out += text(" and ", entries.size() - kMostListed, " more");
  return out;
}

/// What comes before every name of the file and, taken away, leaves names that the model has: "module.".
std::string common_prefix(const TensorShapes& model, const TensorShapes& file) {
  if (file.empty()) return "";
  const std::string& first = file.begin()->first;
  for (std::size_t dot = first.find('.'); dot != std::string::npos;
       dot = first.find('.', dot + 1)) {
    const std::string prefix = first.substr(0, dot + 1);
    const bool fits = std::all_of(file.begin(), file.end(), [&](const auto& entry) {
      return entry.first.starts_with(prefix) && model.contains(entry.first.substr(prefix.size()));
    });
    if (fits) return prefix;
  }
  return "";
}

/// "fc" of "fc.weight".
std::string_view layer_of(std::string_view name) { return name.substr(0, name.rfind('.')); }

std::string prefix_hint(const std::string& prefix) {
  if (prefix == "module.")
    return R"(all names start with "module.", as DataParallel makes them: save model.module.state_dict())";
  if (prefix == "_orig_mod.")
    return R"(all names start with "_orig_mod.", as torch.compile makes them: save the state_dict of the model that was compiled)";
  return text("all names start with \"", prefix, "\": save the state_dict of that part alone");
}

/// "fc.weight may be classifier.weight": each missing tensor with the only unexpected one of its shape.
Names renames(const TensorShapes& model, const Names& missing, const TensorShapes& file,
              const Names& unexpected) {
  Names out;
  for (const std::string& name : missing) {
    const auto same = [&](const std::string& other) { return file.at(other) == model.at(name); };
    if (std::count_if(unexpected.begin(), unexpected.end(), same) != 1) continue;
    const auto rivals =
        std::count_if(missing.begin(), missing.end(),
                      [&](const std::string& other) { return model.at(other) == model.at(name); });
    if (rivals != 1) continue;
    out.push_back(text(name, " may be what the file calls ",
                       *std::find_if(unexpected.begin(), unexpected.end(), same)));
  }
  return out;
}

/// Why the shapes of a tensor differ, where that can be told.
std::string shape_hint(const std::string& name, bool is_last, const std::vector<std::int64_t>& got,
                       const std::vector<std::int64_t>& expected) {
  if (got.size() != expected.size()) return "";
  std::vector<std::int64_t> a = got, b = expected;
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  if (a == b) {
    return text(name, " has its dimensions in another order than PyTorch's ",
                got.size() == 4 ? "[out, in, height, width]" : "[out, in]");
  }
  if (is_last && std::equal(got.begin() + 1, got.end(), expected.begin() + 1))
    return text("the file tells ", got[0], " classes apart, the model ", expected[0]);
  return "";
}

}  // namespace

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string out = "[";
  for (std::size_t i = 0; i < shape.size(); ++i)
    out += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return out + "]";
}

std::string state_dict_diff(const TensorShapes& model, const Names& order,
                            const TensorShapes& file) {
  Names missing, unexpected, misshapen, hints;
  for (const std::string& name : order) {
    const auto found = file.find(name);
    if (found == file.end()) {
      missing.push_back(name);
    } else if (found->second != model.at(name)) {
      misshapen.push_back(
          text(name, " is ", shape_text(found->second), ", expected ", shape_text(model.at(name))));
      const bool is_last = layer_of(name) == layer_of(order.back());
      std::string hint = shape_hint(name, is_last, found->second, model.at(name));
      if (!hint.empty() && (hints.empty() || hints.back() != hint))
        hints.push_back(std::move(hint));
    }
  }
  for (const auto& [name, shape] : file) {
    if (!model.contains(name)) unexpected.push_back(name);
  }
  if (const std::string prefix = missing.empty() ? "" : common_prefix(model, file);
      !prefix.empty()) {
    hints.assign(1, prefix_hint(prefix));
  } else {
    const Names found = renames(model, missing, file, unexpected);
    hints.insert(hints.end(), found.begin(), found.end());
  }
  std::string out;
  const auto report = [&](std::string_view title, const Names& entries) {
    if (!entries.empty()) out += text(out.empty() ? "" : "; ", title, listed(entries));
  };
  report("missing: ", missing);
  report("unexpected: ", unexpected);
  report("wrong shape: ", misshapen);
  if (!hints.empty()) out += text(" (", listed(hints), ')');
  return out;
}

}  // namespace pinhole
