#include "file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <set>

#include "error.h"
#include "temporary_folder.h"

namespace pinhole {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

std::string refusal(const std::function<void()>& action) {
  try {
    action();
    return "no error";
  } catch (const Error& error) {
    return error.what();
  }
}

Bytes bytes_of(std::string_view characters) { return {characters.begin(), characters.end()}; }

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    names.insert(entry.path().filename());
  return names;
}

TEST(ReadFile, gives_the_bytes_of_a_file_of_any_size) {
  const TemporaryFolder folder;
  for (const std::size_t size : {0, 1, 4095, 4096, 1'000'003}) {
    std::string contents(size, '\0');
    for (std::size_t i = 0; i < size; ++i) contents[i] = static_cast<char>(i * 31 + i / 256);
    folder.write("file", contents);
    EXPECT_EQ(read_file(folder / "file"), bytes_of(contents)) << size;
  }
  EXPECT_FALSE(read_file("/proc/self/stat").empty()) << "a file whose size is said to be 0";
}

TEST(ReadFile, says_what_is_wrong_with_a_path) {
  const TemporaryFolder folder;
  const auto problem = [&](const std::string& name) {
    return refusal([&] { read_file(folder / name); });
  };
  EXPECT_EQ(problem("missing"),
            (folder / "missing").string() + ": cannot open: No such file or directory");
  fs::create_directory(folder / "folder");
  EXPECT_EQ(problem("folder"), (folder / "folder").string() + ": is a folder, expected a file");
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(problem("pipe"), (folder / "pipe").string() + ": is not a regular file")
      << "and does not wait for a writer";
}

TEST(WriteFileAtomic, makes_replaces_and_empties_files) {
  const TemporaryFolder folder;
  for (const char* contents : {"first", "a second, longer one", ""}) {
    write_file_atomic(folder / "file", bytes_of(contents));
    EXPECT_EQ(folder.read("file"), contents);
  }
  EXPECT_EQ(names_in(folder.path()), (std::set<std::string>{"file"}));
}

TEST(WriteFileAtomic, takes_a_name_without_a_folder) {
  const TemporaryFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  write_file_atomic("file", bytes_of("here"));
  fs::current_path(before);
  EXPECT_EQ(folder.read("file"), "here");
}

TEST(WriteFileAtomic, keeps_the_permissions_of_an_existing_file_and_obeys_the_umask_for_a_new_one) {
  const TemporaryFolder folder;
  const auto mode = [&](const std::string& name) {
    return fs::status(folder / name).permissions();
  };
  folder.write("file", "old");
  fs::permissions(folder / "file", fs::perms(0640));
  write_file_atomic(folder / "file", bytes_of("new"));
  EXPECT_EQ(mode("file"), fs::perms(0640));
  const mode_t mask = umask(022);
  write_file_atomic(folder / "fresh", bytes_of("new"));
  umask(mask);
  EXPECT_EQ(mode("fresh"), fs::perms(0644));
}

TEST(WriteFileAtomic, writes_where_a_link_leads_and_leaves_the_link) {
  const TemporaryFolder folder;
  folder.write("real/file", "old");
  fs::create_symlink("real/file", folder / "link");
  fs::create_symlink("real/fresh", folder / "dangling");
  write_file_atomic(folder / "link", bytes_of("new"));
  write_file_atomic(folder / "dangling", bytes_of("made"));
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(folder.read("real/file"), "new");
  EXPECT_EQ(folder.read("real/fresh"), "made");
  fs::create_symlink("round", folder / "round");
  EXPECT_NE(refusal([&] { write_file_atomic(folder / "round", bytes_of("x")); }), "no error");
}

TEST(WriteFileAtomic, never_replaces_a_device) {
  EXPECT_EQ(refusal([] { write_file_atomic("/dev/full", bytes_of("x")); }),
            "/dev/full: cannot write: No space left on device");
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
  write_file_atomic("/dev/null", bytes_of("x"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(WriteFileAtomic, says_what_is_wrong_with_a_path) {
  const TemporaryFolder folder;
  const auto problem = [&](const std::string& name) {
    return refusal([&] { write_file_atomic(folder / name, bytes_of("x")); });
  };
  EXPECT_EQ(problem("no/such/file"),
            (folder / "no/such/file").string() + ": cannot write: No such file or directory");
  fs::create_directory(folder / "folder");
  EXPECT_EQ(problem("folder"),
            (folder / "folder").string() + ": is a folder, expected a file name");
  EXPECT_NE(problem(std::string(300, 'x')), "no error");
  EXPECT_EQ(names_in(folder.path()), (std::set<std::string>{"folder"}));
}

/// Runs `body` in a child process, which may limit or mount what it likes; its result, or -1 when it died.
int in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(WriteFileAtomic, a_file_above_the_size_limit_leaves_the_old_one_and_nothing_else) {
  const TemporaryFolder folder;
  folder.write("file", "old");
  const int result = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{10'000, 10'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    return refusal([&] {
             write_file_atomic(folder / "file", Bytes(100'000));
           }).ends_with("cannot write: File too large")
               ? 0
               : 1;
  });
  EXPECT_EQ(result, 0);
  EXPECT_EQ(folder.read("file"), "old");
  EXPECT_EQ(names_in(folder.path()), (std::set<std::string>{"file"}));
}

TEST(WriteFileAtomic, a_full_disk_leaves_the_old_file_and_nothing_else) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "disk");
  // A file system of 64 KiB of our own, in a child because a mount namespace cannot be left again.
  const int result = in_child([&] {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", (folder / "disk").c_str(), "tmpfs", 0, "size=64k") != 0) {
      return 2;
    }
    folder.write("disk/file", "old");
    const std::string problem =
        refusal([&] { write_file_atomic(folder / "disk/file", Bytes(1'000'000)); });
    const bool good = problem.ends_with("disk/file: cannot write: No space left on device") &&
                      folder.read("disk/file") == "old" &&
                      names_in(folder / "disk") == std::set<std::string>{"file"};
    return good ? 0 : 1;
  });
  if (result == 2) GTEST_SKIP() << "mounting a small disk needs root";
  EXPECT_EQ(result, 0);
}

}  // namespace
}  // namespace pinhole
