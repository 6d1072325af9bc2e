#include "json.h"

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

}  // namespace pinhole
