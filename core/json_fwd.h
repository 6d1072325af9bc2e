// The JSON library under our name, declared only: headers include this, because the library is dear to compile.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace pinhole {

using Json = nlohmann::ordered_json;

}  // namespace pinhole
