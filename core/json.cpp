#include "json.h"

#include "error.h"

namespace pinhole {

Json parse_json(std::string_view json, std::string_view what) {
  try {
    return Json::parse(json);
  } catch (const Json::exception& problem) {
    // The library prefixes "[json.exception...] " to a sentence of its own.
    std::string_view message = problem.what();
    if (const auto end = message.find("] "); end != std::string_view::npos) message.remove_prefix(end + 2);
    throw Error(text(what, " is not JSON: ", message));
  }
}

}  // namespace pinhole
