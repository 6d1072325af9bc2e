#include "json.h"

#include <algorithm>
#include <utility>

#include "error.h"

namespace pinhole {

Json parse_json(std::string_view json, std::string_view what) {
  // Copying, writing and destroying a value recurse, so nesting is limited before there is a value.
  constexpr int kDeepest = 100;
  const auto check_depth = [&](int depth, Json::parse_event_t /*event*/, const Json& /*parsed*/) {
    if (depth > kDeepest) throw Error(text(what, " has brackets more than ", kDeepest, " deep"));
    return true;
  };
  try {
    return Json::parse(json, check_depth);
  } catch (const Json::exception& problem) {
    // The library prefixes "[json.exception...] " to a sentence of its own.
    std::string_view message = problem.what();
    if (const auto end = message.find("] "); end != std::string_view::npos)
      message.remove_prefix(end + 2);
    throw Error(text(what, " is not JSON: ", message));
  }
}

JsonReader::JsonReader(const Json& object, std::string where, std::vector<std::string> known)
    : object_(object), where_(std::move(where)), used_(std::move(known)) {
  if (!object_.is_object()) throw Error(text(where_, " expected an object, got ", object_.dump()));
}

const Json* JsonReader::find(std::string_view key) {
  used_.emplace_back(key);
  const auto found = object_.find(key);
  return found == object_.end() ? nullptr : &*found;
}

void JsonReader::check_all_used() const {
  for (const auto& item : object_.items()) {
    if (std::find(used_.begin(), used_.end(), item.key()) == used_.end())
      throw Error(text(where_, " has a key \"", item.key(), "\" that nothing knows"));
  }
}

void JsonReader::fail(std::string_view key, std::string_view expected, const Json& got) const {
  throw Error(text(where_, ": \"", key, "\" expected ", expected, ", got ", got.dump()));
}

}  // namespace pinhole
