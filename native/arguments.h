// Checks of option values whose message says what came and what was expected; for programs that use CLI11.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace pinhole {

/// Finite and from `least` to below `end`; "above" instead of "from" when `open`.
CLI::Validator number_from(double least, double end, bool open = false);
/// Digits only, no sign, within [least, largest].
CLI::Validator whole_number(unsigned long long least, unsigned long long largest);
/// A name that make_backend takes, with an instruction set after a colon or without: "simd:avx2".
CLI::Validator backend_name();
/// One of `names`.
CLI::Validator one_of(const std::vector<std::string>& names);

}  // namespace pinhole
