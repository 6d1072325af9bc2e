// The JSON library under our name; keys keep their order, so that a spec reads back as it was written.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "json_fwd.h"

namespace pinhole {

/// Throws Error: "`what` is not JSON: ...".
Json parse_json(std::string_view json, std::string_view what);

}  // namespace pinhole
