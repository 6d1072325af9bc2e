// The JSON library under our name; keys keep their order, so that a spec reads back as it was written.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "json_fwd.h"

namespace pinhole {

/// Throws Error: "`what` is not JSON: ...".
Json parse_json(std::string_view json, std::string_view what);

/// One object, read key by key; in the end no key may be left over.
class JsonReader {
 public:
  /// `where` starts every message; `known` are keys that somebody else reads. Throws Error unless `object` is one.
  JsonReader(const Json& object, std::string where, std::vector<std::string> known = {});

  /// Null when it is not there.
  const Json* find(std::string_view key);
  /// Throws Error when the object has a key that nobody asked for.
  void check_all_used() const;
  [[noreturn]] void fail(std::string_view key, std::string_view expected, const Json& got) const;

 private:
  const Json& object_;
  std::string where_;
  std::vector<std::string> used_;
};

}  // namespace pinhole
