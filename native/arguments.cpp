// Checks of option values.
#include "arguments.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "backend.h"
#include "error.h"
#include "report.h"

namespace pinhole {

namespace {

std::string short_text(double number) {
  std::ostringstream out;
  out << number;
  return out.str();
}

}  // namespace

CLI::Validator number_from(double least, double end, bool open) {
  std::string expected =
      "expected a number " + std::string(open ? "above " : "from ") + short_text(least);
  if (std::isfinite(end)) expected += " to below " + short_text(end);
  return {[=](std::string& value) {
            char* rest = nullptr;
            const double number = std::strtod(value.c_str(), &rest);
            const bool good = !value.empty() && *rest == '\0' && std::isfinite(number) &&
                              number < end && (open ? number > least : number >= least);
            return good ? std::string() : "got " + value + ", " + expected;
          },
          ""};
}

CLI::Validator whole_number(unsigned long long least, unsigned long long largest) {
  return {[=](std::string& value) {
            unsigned long long number = 0;
            const auto [rest, code] =
                std::from_chars(value.data(), value.data() + value.size(), number);
            const bool good = code == std::errc() && rest == value.data() + value.size() &&
                              number >= least && number <= largest;
            return good ? std::string()
                        : text("got ", value, ", expected a whole number from ", least, " to ",
                               largest);
          },
          ""};
}

CLI::Validator backend_name() {
  std::vector<std::string> names = backend_names();
  names.insert(names.begin(), "auto");
  return {[check = one_of(names)](std::string& value) {
            std::string name = value.substr(0, value.find(':'));
            return check(name).empty() ? std::string() : check(value);
          },
          ""};
}

CLI::Validator one_of(const std::vector<std::string>& names) {
  return {[=](std::string& value) {
            const bool good = std::find(names.begin(), names.end(), value) != names.end();
            return good ? std::string() : text("got ", value, ", expected one of ", listed(names));
          },
          ""};
}

}  // namespace pinhole
