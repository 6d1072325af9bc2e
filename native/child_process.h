// Another program, given bytes on its standard input and asked for its standard output.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace pinhole {

class ChildProcess {
 public:
  /// Starts `arguments[0]`, found on the PATH; standard error stays ours. Throws Error when it cannot be started.
  explicit ChildProcess(const std::vector<std::string>& arguments);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// Throws Error when it no longer reads. It must not answer before its input has ended, or both would wait for each other.
  void write(std::span<const std::uint8_t> bytes);
  /// Ends its input, reads its output to the end and waits for it. Throws Error when it ends with another status than 0.
  std::string finish();

 private:
  std::string name_;
  int process_ = -1, input_ = -1, output_ = -1;
};

}  // namespace pinhole
