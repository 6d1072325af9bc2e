// Errors that a person caused and can mend: one sentence that says what came, what was expected and where.
// Thrown at the border (spec, file, image, shape, flag); kernels assume checked input and only assert.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace pinhole {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Joins strings, characters and numbers: text("kernel ", 5, " does not fit ", 3).
template <class... Parts>
std::string text(const Parts&... parts) {
  std::string out;
  const auto append = [&out](const auto& part) {
    using Part = std::decay_t<decltype(part)>;
    if constexpr (std::is_same_v<Part, char>) {
      out += part;
    } else if constexpr (std::is_arithmetic_v<Part>) {
      out += std::to_string(part);
    } else {
      out += std::string_view(part);
    }
  };
  (append(parts), ...);
  return out;
}

}  // namespace pinhole
