// How to train, as data: what a recipe file (models/NAME.recipe.json), the command line and the page say, with one set of
// names, defaults and checks.
#pragma once

#include <string_view>

#include "json_fwd.h"
#include "trainer.h"

namespace pinhole {

/// Keys that are not there keep what `defaults` says. Throws Error that names the key, what came and what was expected;
/// `what` starts it (a file name).
TrainerOptions recipe_from_json(const Json& json, std::string_view what,
                                const TrainerOptions& defaults = {});

/// Every key; recipe_from_json reads it back.
Json recipe_json(const TrainerOptions& options);

/// How a training of `then` differs from one of `now`, in words; empty when one can go on as the other. More or fewer epochs
/// are no difference where nothing but the end depends on their number.
std::string recipe_difference(const TrainerOptions& then, const TrainerOptions& now);

}  // namespace pinhole
