// How to train: what is accepted must be written and read the same.
#include <cstdlib>
#include <string_view>

#include "error.h"
#include "json.h"
#include "recipe.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pinhole;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const TrainerOptions options = recipe_from_json(parse_json(text, "the recipe"), "the recipe");
    const Json written = recipe_json(options);
    const TrainerOptions again =
        recipe_from_json(parse_json(written.dump(), "what was written"), "what was written");
    if (recipe_json(again) != written || !recipe_difference(options, again).empty()) std::abort();
  } catch (const Error&) {}
  return 0;
}
