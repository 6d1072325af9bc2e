#include "child_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "error.h"

extern char** environ;

namespace pinhole {

namespace {

void close_pipe(int& descriptor) {
  if (descriptor >= 0) ::close(descriptor);
  descriptor = -1;
}

int wait_for(int& process) {
  int status = 0;
  pid_t ended;
  do ended = ::waitpid(process, &status, 0);
  while (ended < 0 && errno == EINTR);
  process = -1;
  return status;
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& arguments) : name_(arguments.at(0)) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments)
    argv.push_back(const_cast<char*>(argument.c_str()));  // posix_spawn does not write to them
  argv.push_back(nullptr);
  int to[2], from[2];
  if (::pipe2(to, O_CLOEXEC) != 0)
    throw Error(text("cannot start ", name_, ": ", std::strerror(errno)));
  if (::pipe2(from, O_CLOEXEC) != 0) {
    const int problem = errno;
    ::close(to[0]);
    ::close(to[1]);
    throw Error(text("cannot start ", name_, ": ", std::strerror(problem)));
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
  pid_t process = -1;
  const int problem = ::posix_spawnp(&process, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(to[0]);
  ::close(from[1]);
  input_ = to[1];
  output_ = from[0];
  if (problem != 0) {
    close_pipe(input_);
    close_pipe(output_);
    throw Error(text("cannot start ", name_, ": ", std::strerror(problem)));
  }
  process_ = process;
  ::signal(SIGPIPE, SIG_IGN);  // a program that ends early is a write error here
}

ChildProcess::~ChildProcess() {
  close_pipe(input_);
  close_pipe(output_);
  if (process_ > 0) {
    ::kill(process_, SIGTERM);
    wait_for(process_);
  }
}

void ChildProcess::write(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(input_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      finish();  // its own status says more
      throw Error(text(name_, " stopped reading"));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

std::string ChildProcess::finish() {
  close_pipe(input_);
  std::string out;
  char buffer[1 << 16];
  while (true) {
    const ssize_t count = ::read(output_, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    out.append(buffer, static_cast<std::size_t>(count));
  }
  close_pipe(output_);
  const int status = wait_for(process_);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) throw Error(text("cannot start ", name_));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw Error(text(name_, WIFEXITED(status) ? " failed with status " : " was ended by signal ",
                     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
                     " (its message is above)"));
  }
  return out;
}

}  // namespace pinhole
