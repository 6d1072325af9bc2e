// Arguments, exit codes, signals and the places files are found in and written to.
#include "program.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iostream>
#include <new>
#include <set>
#include <vector>

#include "error.h"
#include "report.h"

namespace pinhole {

namespace fs = std::filesystem;

int run_program(std::string_view name, const std::function<int()>& body) {
  try {
    const int code = body();
    std::cout.flush();
    if (!std::cout)
      throw Error("standard output cannot be written (disk full, or its reader went away)");
    return code;
  } catch (const std::bad_alloc&) {
    print_error(name, "out of memory");
  } catch (const std::exception& error) {
    print_error(name, error.what());
  }
  return kExitError;
}

std::optional<int> parse_arguments(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
      app.exit(error, std::cout, std::cerr);
      return kExitOk;
    }
    print_error(app.get_name(), text(error.what(), " (", app.get_name(), " --help explains)"));
    return kExitUsage;
  }
}

void print_error(std::string_view name, std::string_view message) {
  std::cout.flush();
  std::cerr << name << ": " << printable(message) << std::endl;
}

namespace {

// One press of Ctrl-C may arrive twice: from the terminal and again from a parent that passes it on, as npm does.
constexpr double kSamePressSeconds = 0.5;
constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP};
constexpr std::array kIgnored{SIGPIPE, SIGXFSZ};

volatile sig_atomic_t stop_signal = 0;
timespec stop_time{};
std::array<struct sigaction, kSignals.size()> old_actions;
std::array<struct sigaction, kIgnored.size()> old_ignored_actions;

// Calls only what POSIX allows in a signal handler.
void note_signal(int signal_number) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (stop_signal == 0) {
    stop_time = now;
    stop_signal = signal_number;
    return;
  }
  const double elapsed = static_cast<double>(now.tv_sec - stop_time.tv_sec) +
                         static_cast<double>(now.tv_nsec - stop_time.tv_nsec) * 1e-9;
  if (elapsed < kSamePressSeconds) return;
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

}  // namespace

StopSignals::StopSignals() {
  stop_signal = 0;
  struct sigaction action{};
  action.sa_handler = note_signal;
  sigemptyset(&action.sa_mask);
  for (const int number : kSignals) sigaddset(&action.sa_mask, number);
  action.sa_flags = SA_RESTART;
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], nullptr, &old_actions[i]);
    if (old_actions[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &action, nullptr);
  }
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  for (std::size_t i = 0; i < kIgnored.size(); ++i)
    sigaction(kIgnored[i], &ignore, &old_ignored_actions[i]);
}

StopSignals::~StopSignals() {
  for (std::size_t i = 0; i < kSignals.size(); ++i)
    sigaction(kSignals[i], &old_actions[i], nullptr);
  for (std::size_t i = 0; i < kIgnored.size(); ++i)
    sigaction(kIgnored[i], &old_ignored_actions[i], nullptr);
}

int StopSignals::received() const { return stop_signal; }

namespace {

/// The program's own folder and those above it.
std::vector<fs::path> program_folders() {
  std::vector<fs::path> folders;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  for (fs::path folder = program.parent_path(); !error && !folder.empty();
       folder = folder.parent_path()) {
    folders.push_back(folder);
    if (folder == folder.root_path()) break;
  }
  return folders;
}

std::vector<fs::path> models_folders() {
  std::vector<fs::path> folders{"models"};
  for (const fs::path& folder : program_folders()) folders.push_back(folder / "models");
  return folders;
}

std::vector<std::string> model_names() {
  std::set<std::string> names;
  for (const fs::path& folder : models_folders()) {
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error)) {
      const std::string name = entry->path().stem().string();
      if (entry->path().extension() == ".json" && !name.ends_with(".recipe")) names.insert(name);
    }
    if (!names.empty()) break;
  }
  return {names.begin(), names.end()};
}

}  // namespace

fs::path find_model_spec(const std::string& name) {
  std::error_code error;
  if (fs::is_regular_file(name, error)) return name;
  if (fs::is_directory(name, error))
    throw Error(text("the model ", name, " is a folder; expected a model spec (.json)"));
  if (name.find('/') == std::string::npos) {
    const std::string file = name.ends_with(".json") ? name : name + ".json";
    for (const fs::path& folder : models_folders()) {
      if (fs::is_regular_file(folder / file, error)) return folder / file;
    }
  }
  const std::vector<std::string> names = model_names();
  throw Error(text("there is no model spec ", name,
                   names.empty()
                       ? std::string("; give the path of a .json file")
                       : "; give the path of a .json file or one of: " + listed(names, 50)));
}

fs::path find_pretrained(const std::string& name, const fs::path& spec) {
  std::vector<fs::path> folders = models_folders();
  folders.insert(folders.begin(), spec.parent_path());
  std::error_code error;
  for (const fs::path& folder : folders) {
    const fs::path file = folder / (name + ".safetensors");
    if (fs::is_regular_file(file, error)) return file;
  }
  throw Error(text("the model ", spec.string(), " starts from the weights ", name,
                   ".safetensors, which are not beside it; `npm run build` makes them"));
}

fs::path script_above_program(const fs::path& path) {
  for (const fs::path& folder : program_folders()) {
    std::error_code error;
    if (fs::exists(folder / path, error)) return folder / path;
  }
  throw Error(text(path.string(), " is needed, but in no folder above this program"));
}

fs::path find_recipe(const std::string& name) {
  std::error_code error;
  if (fs::is_regular_file(name, error)) return name;
  if (name.find('/') == std::string::npos) {
    for (const fs::path& folder : models_folders()) {
      const fs::path file = folder / (name + ".recipe.json");
      if (fs::is_regular_file(file, error)) return file;
    }
  }
  throw Error(text("there is no recipe ", name, "; give the path of a .json file"));
}

void check_can_write(const fs::path& path, std::size_t bytes) {
  std::error_code error;
  if (fs::is_directory(path, error))
    throw Error(text("cannot write ", path.string(), ": it is a folder"));
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, error)) {
    throw Error(
        text("cannot write ", path.string(), ": the folder ", folder.string(), " does not exist"));
  }
  if (fs::exists(path, error) && access(path.c_str(), W_OK) != 0) {
    throw Error(text("cannot write ", path.string(), ": ", std::strerror(errno)));
  }
  if (fs::exists(path, error) && !fs::is_regular_file(path, error)) return;  // a device or a pipe
  // A trial says more than permission bits do: read-only mounts, quotas, network file systems.
  std::string trial = (folder / ".pinhole-XXXXXX").string();
  const int descriptor = mkstemp(trial.data());
  if (descriptor < 0) throw Error(text("cannot write ", path.string(), ": ", std::strerror(errno)));
  close(descriptor);
  unlink(trial.c_str());

  const fs::space_info space = fs::space(folder, error);
  // File systems that do not know report 0 or -1 for everything.
  if (!error && space.capacity > 0 && space.available < bytes) {
    throw Error(text("cannot write ", path.string(), ": the model takes about ",
                     bytes / 1'000'000 + 1, " MB and the disk has ", space.available / 1'000'000,
                     " MB left"));
  }
}

}  // namespace pinhole
