// What every command-line program here has in common: arguments, exit codes, one line on standard error when something
// is wrong, and stopping on a signal.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace pinhole {

constexpr int kExitOk = 0;
constexpr int kExitError = 1;
constexpr int kExitUsage = 2;

/// Runs `body` and returns its exit code. What it throws becomes "name: message" on standard error and kExitError;
/// so does standard output that cannot be written.
int run_program(std::string_view name, const std::function<int()>& body);

/// Empty when the arguments are good; else the exit code, with --help printed or the mistake named in one line.
std::optional<int> parse_arguments(CLI::App& app, int argc, char** argv);

/// One line on standard error: "name: message".
void print_error(std::string_view name, std::string_view message);

/// While it lives, SIGINT, SIGTERM and SIGHUP only leave a note, so that the work in hand can be saved. A second
/// signal ends the program at once. A signal that was ignored when the program started (nohup) stays ignored. SIGPIPE and
/// SIGXFSZ are ignored, so that they are write errors: a reader of our output that goes away (`| tee` gets the same Ctrl-C)
/// must not cost the work, and a file that may not grow leaves nothing half-written.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// The signal that came, 0 when none did.
  int received() const;
};

/// Where `name` is: a path to a spec, or the name of one in the models folder ("multiclass_cnn"). That folder is searched
/// for in the working directory, beside the program and in the folders above it.
/// Throws Error naming the models there are.
std::filesystem::path find_model_spec(const std::string& name);
/// The file of pretrained weights `name` that the spec at `spec` starts from: beside it, or in models/. Throws Error when there is none.
std::filesystem::path find_pretrained(const std::string& name, const std::filesystem::path& spec);

/// `path` beside the program or in a folder above it: a script of the project's. Throws Error when it is in none.
std::filesystem::path script_above_program(const std::filesystem::path& path);
/// Where the recipe `name` is: a path, or the name of one in the models folder ("fashion_small" for fashion_small.recipe.json).
std::filesystem::path find_recipe(const std::string& name);

/// Throws Error unless a file can be written at `path`, before hours are spent on what it is to hold. `bytes`: about how large.
void check_can_write(const std::filesystem::path& path, std::size_t bytes);

}  // namespace pinhole
