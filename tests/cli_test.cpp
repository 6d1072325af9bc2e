// The two programs from outside: they are started as a person would start them, on small data made here.
// Rule: every run has a time limit, and a program that ends by a signal fails the test unless the test sent it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "json.h"
#include "model_file.h"
#include "rng.h"

namespace pinhole {
namespace {

namespace fs = std::filesystem;

constexpr double kTimeLimit = 240;  // seconds, generous: sanitizer builds on a busy machine

std::string program(const std::string& name) {
  return std::string(PINHOLE_BINARY_DIR) + "/native/" + name;
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_text(const fs::path& path, const std::string& content) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file << content;
  ASSERT_TRUE(file.flush()) << path;
}

struct Result {
  int exit_code = -1;  // -1: ended by a signal
  int signal = 0;
  std::string out, err;
};

/// A started program; its output goes to files, so that no pipe can fill up.
class Process {
 public:
  struct Setup {
    fs::path folder = {};  // where it runs
    rlim_t file_limit = RLIM_INFINITY;  // bytes it may write to one file
    bool err_to_terminal = false;
    std::string out_to = {};  // instead of a file of ours
  };

  Process(std::vector<std::string> command, const fs::path& scratch, const Setup& setup)
      : out_(setup.out_to.empty() ? scratch / "stdout" : fs::path(setup.out_to)),
        err_(scratch / "stderr"),
        own_out_(setup.out_to.empty()) {
    std::vector<char*> arguments;
    for (std::string& argument : command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    int terminal_end = -1;
    if (setup.err_to_terminal) {
      winsize size{.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
      EXPECT_EQ(openpty(&terminal_, &terminal_end, nullptr, nullptr, &size), 0);
    }
    pid_ = fork();
    if (pid_ == 0) {
      if (!setup.folder.empty() && chdir(setup.folder.c_str()) != 0) _exit(126);
      dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
      dup2(open(out_.c_str(), O_WRONLY | (own_out_ ? O_CREAT | O_TRUNC : 0), 0600), STDOUT_FILENO);
      dup2(
          terminal_end >= 0 ? terminal_end : open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600),
          STDERR_FILENO);
      const rlimit limit{setup.file_limit, setup.file_limit};
      setrlimit(RLIMIT_FSIZE, &limit);
      execv(arguments[0], arguments.data());
      _exit(127);
    }
    if (terminal_end >= 0) close(terminal_end);
  }
  ~Process() {
    if (!ended_) {
      ::kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    if (terminal_ >= 0) close(terminal_);
  }

  void send(int signal) const { ::kill(pid_, signal); }
  std::string out() const { return own_out_ ? read_text(out_) : ""; }

  /// Waits until `content` was printed; false when the program ended or time ran out before.
  bool printed(const std::string& content) {
    return wait_for([&] { return out().find(content) != std::string::npos || poll(); }) &&
           out().find(content) != std::string::npos;
  }

  Result wait() {
    const bool in_time = wait_for([&] { return poll(); });
    EXPECT_TRUE(in_time) << "the program hangs";
    Result result;
    if (in_time) {
      if (WIFEXITED(status_)) result.exit_code = WEXITSTATUS(status_);
      if (WIFSIGNALED(status_)) result.signal = WTERMSIG(status_);
      EXPECT_NE(result.exit_code, 127) << "the program could not be started";
    }
    result.out = out();
    result.err = terminal_ >= 0 ? terminal_text_ : read_text(err_);
    return result;
  }

 private:
  template <class Condition>
  static bool wait_for(const Condition& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(kTimeLimit);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  bool poll() {
    if (!ended_ && waitpid(pid_, &status_, WNOHANG) == pid_) ended_ = true;
    if (terminal_ >= 0) {
      fcntl(terminal_, F_SETFL, O_NONBLOCK);
      char buffer[4096];
      for (ssize_t count; (count = read(terminal_, buffer, sizeof buffer)) > 0;)
        terminal_text_.append(buffer, static_cast<std::size_t>(count));
    }
    return ended_;
  }

  fs::path out_, err_;
  bool own_out_;
  pid_t pid_ = 0;
  bool ended_ = false;
  int status_ = 0;
  int terminal_ = -1;
  std::string terminal_text_;
};

class CommandLine : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "pinhole-cli-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    ASSERT_TRUE(fs::exists(program("native_train")))
        << "build native_train first: " << program("native_train");
    ASSERT_TRUE(fs::exists(program("native_classify"))) << "build native_classify first";
    fs::create_directories(folder_ / "scratch");
    write_text(folder_ / "small.json", kSmallModel);
    write_text(folder_ / "one_output.json", kOneOutputModel);
  }
  void TearDown() override { fs::remove_all(folder_); }

  static constexpr const char* kSmallModel =
      R"({"format": "pinhole/1", "name": "Small", "input": [8, 8, 3], "layers": [
    {"type": "Conv2d", "name": "conv1", "out_channels": 4, "kernel_size": 3, "padding": 1}, {"type": "ReLU"},
    {"type": "MaxPool2d", "kernel_size": 2, "stride": 2}, {"type": "Flatten"},
    {"type": "Linear", "name": "fc", "out_features": "classes"}, {"type": "Softmax"}]})";
  static constexpr const char* kOneOutputModel =
      R"({"format": "pinhole/1", "name": "OneOutput", "input": [8, 8, 3], "layers": [
    {"type": "Flatten"}, {"type": "Linear", "name": "fc1", "out_features": 1}, {"type": "Sigmoid"}]})";

  fs::path path(const std::string& name) const { return folder_ / name; }
  std::string file(const std::string& name) const { return read_text(path(name)); }

  /// Expects `is_good` with a file system of 64 KiB in the folder "disk": in a child, because a mount namespace cannot be left again.
  template <class IsGood>
  void on_a_small_disk(const IsGood& is_good) {
    const pid_t child = fork();
    if (child == 0) {
      fs::create_directory(path("disk"));
      const bool mounted = unshare(CLONE_NEWNS) == 0 &&
                           mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                           mount("tmpfs", path("disk").c_str(), "tmpfs", 0, "size=64k") == 0;
      _exit(!mounted ? 2 : is_good() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
      GTEST_SKIP() << "mounting a small disk needs root";
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }

  Process start(const std::string& name, std::vector<std::string> arguments,
                Process::Setup setup = {}) {
    arguments.insert(arguments.begin(), program(name));
    if (setup.folder.empty()) setup.folder = folder_;
    return Process(std::move(arguments), folder_ / "scratch", setup);
  }
  Result train(std::vector<std::string> arguments, const Process::Setup& setup = {}) {
    return start("native_train", std::move(arguments), setup).wait();
  }
  Result classify(std::vector<std::string> arguments, const Process::Setup& setup = {}) {
    return start("native_classify", std::move(arguments), setup).wait();
  }
  Result export_model(std::vector<std::string> arguments) {
    return start("native_export", std::move(arguments)).wait();
  }

  /// Noisy images of one colour, as PPM.
  void make_image(const std::string& name, int red, int green, int blue, std::uint64_t seed) {
    Rng rng(seed);
    std::string ppm = "P6 12 10 255\n";
    for (int pixel = 0; pixel < 120; ++pixel) {
      for (const int level : {red, green, blue})
        ppm += static_cast<char>(std::clamp(level + static_cast<int>(rng.below(61)) - 30, 0, 255));
    }
    write_text(path(name), ppm);
  }
  void make_class(const std::string& folder, int red, int green, int blue, int images) {
    for (int i = 0; i < images; ++i) {
      make_image(folder + "/" + std::to_string(i) + ".ppm", red, green, blue,
                 static_cast<std::uint64_t>(i + 1000 * red + green));
    }
  }
  void make_colours(const std::string& folder, int images = 10) {
    make_class(folder + "/blue", 40, 40, 200, images);
    make_class(folder + "/green", 40, 200, 40, images);
    make_class(folder + "/red", 200, 40, 40, images);
  }
  /// colours/ and a model trained on it, model.safetensors.
  void train_on_colours() {
    make_colours("colours");
    const Result result =
        train({"--data", "colours", "--model", "small.json", "--out", "model.safetensors",
               "--epochs", "8", "--batch-size", "4", "--lr", "0.01"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }

  fs::path folder_;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> keys_of(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& item : object.items()) keys.push_back(item.key());
  return keys;
}

Json metadata_of(const std::string& safetensors) {
  std::uint64_t size = 0;
  for (int i = 7; i >= 0; --i)
    size = size << 8 | static_cast<unsigned char>(safetensors[static_cast<std::size_t>(i)]);
  return Json::parse(safetensors.substr(8, size)).at("__metadata__");
}

/// Exit code 1, one line on standard error that starts with the program's name and holds `expected`.
void expect_one_sentence(const Result& result, const std::string& name,
                         const std::vector<std::string>& expected, int exit_code = 1) {
  EXPECT_EQ(result.exit_code, exit_code) << "signal " << result.signal << "\n" << result.err;
  const std::vector<std::string> lines = lines_of(result.err);
  ASSERT_EQ(lines.size(), 1U) << result.err;
  EXPECT_EQ(lines[0].rfind(name + ": ", 0), 0U) << lines[0];
  for (const std::string& part : expected)
    EXPECT_NE(lines[0].find(part), std::string::npos) << lines[0] << "\nlacks: " << part;
}

#define EXPECT_CONTAINS(text, part)                                                          \
  EXPECT_NE((text).find(part), std::string::npos) << "looked for \"" << (part) << "\" in:\n" \
                                                  << (text)

// ---- native_train: what it does

TEST_F(CommandLine, training_prints_epochs_and_metrics_and_saves_a_model) {
  make_colours("colours");
  const Result result =
      train({"--data", "colours", "--model", "small.json", "--out", "model.safetensors", "--epochs",
             "4", "--batch-size", "4", "--lr", "0.01"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "") << "standard error is no terminal: nothing to draw";
  EXPECT_CONTAINS(result.out, "24 images to train on, 6 to validate; 3 classes: blue, green, red");
  int rows = 0;
  for (const std::string& line : lines_of(result.out))
    rows += line.find(" images/s") == std::string::npos && line.rfind("    ", 0) == 0 &&
            line.ends_with(" s");
  EXPECT_EQ(rows, 4) << result.out;
  EXPECT_CONTAINS(result.out, "Validation: accuracy ");
  EXPECT_CONTAINS(result.out, "Confusion matrix");
  EXPECT_CONTAINS(result.out, "precision");

  const Json metadata = metadata_of(file("model.safetensors"));
  EXPECT_EQ(Json::parse(metadata.at("classes").get<std::string>()), Json({"blue", "green", "red"}));
  const Json training = Json::parse(metadata.at("training").get<std::string>());
  EXPECT_EQ(training.at("data").at("train_images"), 24);
  EXPECT_EQ(training.at("data").at("val_images"), 6);
  EXPECT_EQ(training.at("options").at("batch_size"), 4);
  EXPECT_EQ(training.at("history").size(), 4U);
  EXPECT_EQ(training.at("validation").at("images"), 6);
  EXPECT_EQ(training.dump().find("seconds"), std::string::npos);
  EXPECT_EQ(training.dump().find(folder_.string()), std::string::npos)
      << "a path of the owner's machine is in the file";
}

TEST_F(CommandLine, what_was_trained_on_is_recognised) {
  train_on_colours();
  const Result result = classify({"--model", "model.safetensors", "--eval", "colours", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json json = Json::parse(result.out);
  EXPECT_EQ(json.at("images"), 30);
  EXPECT_GE(json.at("accuracy").get<double>(), 0.95);
}

TEST_F(CommandLine, the_file_is_the_same_for_any_number_of_threads) {
  make_colours("colours");
  for (const char* threads : {"1", "2", "3"}) {
    const Result result =
        train({"--data", "colours", "--model", "small.json", "--out", std::string("t") + threads,
               "--epochs", "3", "--batch-size", "7", "--threads", threads});
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  EXPECT_EQ(file("t1"), file("t2"));
  EXPECT_EQ(file("t1"), file("t3"));
}

TEST_F(CommandLine, the_seed_decides_the_file_and_no_shuffle_changes_it) {
  make_colours("colours");
  const auto run = [&](const std::string& out, const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"--data", "colours",  "--model", "small.json",   "--out",
                                       out,      "--epochs", "2",       "--batch-size", "4"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Result result = train(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return file(out);
  };
  const std::string first = run("a", {"--seed", "5"});
  EXPECT_EQ(first, run("b", {"--seed", "5"}));
  EXPECT_NE(first, run("c", {"--seed", "6"}));
  EXPECT_NE(first, run("d", {"--seed", "5", "--no-shuffle"}));
}

TEST_F(CommandLine, the_log_has_a_line_for_every_step_and_every_epoch) {
  make_colours("colours");
  const Result result = train({"--data", "colours", "--model", "small.json", "--out", "m",
                               "--epochs", "2", "--batch-size", "10", "--log", "log.jsonl"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::vector<Json> steps, epochs;
  for (const std::string& line : lines_of(file("log.jsonl"))) {
    const Json json = Json::parse(line);
    (json.contains("step") ? steps : epochs).push_back(json);
  }
  ASSERT_EQ(steps.size(), 6U);  // 24 images in batches of 10, twice
  ASSERT_EQ(epochs.size(), 2U);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    EXPECT_EQ(keys_of(steps[i]),
              (std::vector<std::string>{"step", "epoch", "loss", "lr", "images_per_second"}));
    EXPECT_EQ(steps[i].at("step"), i + 1);
    EXPECT_EQ(steps[i].at("epoch"), i / 3 + 1);
    EXPECT_GT(steps[i].at("loss").get<double>(), 0);
    EXPECT_GT(steps[i].at("images_per_second").get<double>(), 0);
  }
  for (const Json& epoch : epochs) {
    EXPECT_EQ(keys_of(epoch), (std::vector<std::string>{"epoch", "train_loss", "train_accuracy",
                                                        "val_loss", "val_accuracy", "seconds"}));
  }
  const double weighted =
      (10 * steps[0].at("loss").get<double>() + 10 * steps[1].at("loss").get<double>() +
       4 * steps[2].at("loss").get<double>()) /
      24;
  EXPECT_NEAR(epochs[0].at("train_loss").get<double>(), weighted, 1e-9);
}

TEST_F(CommandLine, without_validation_images_the_log_says_null_and_the_text_says_so) {
  make_colours("colours");
  const Result result = train({"--data", "colours", "--model", "small.json", "--out", "m",
                               "--epochs", "1", "--val-split", "0", "--log", "log.jsonl"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_CONTAINS(result.out, "30 images to train on, 0 to validate");
  EXPECT_CONTAINS(result.out, "no images to validate on");
  const Json epoch = Json::parse(lines_of(file("log.jsonl")).back());
  EXPECT_TRUE(epoch.at("val_loss").is_null());
  EXPECT_TRUE(epoch.at("val_accuracy").is_null());
}

TEST_F(CommandLine, two_classes_and_one_output_train_with_binary_cross_entropy) {
  make_class("two/cats", 200, 40, 40, 10);
  make_class("two/dogs", 40, 40, 200, 10);
  const Result result = train({"--data", "two", "--model", "one_output.json", "--out", "m",
                               "--epochs", "20", "--batch-size", "4", "--lr", "0.01"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_CONTAINS(result.out, "binary cross entropy");
  EXPECT_CONTAINS(result.out, "accuracy 100.00 %");
  const Json labels = Json::parse(classify({"--model", "m", "--json", "two"}).out);
  ASSERT_EQ(labels.size(), 20U);
  EXPECT_EQ(labels[0].at("label"), "cats");
  EXPECT_EQ(labels[19].at("label"), "dogs");
  for (const Json& one : labels) {
    EXPECT_NEAR(one.at("probabilities").at("cats").get<double>() +
                    one.at("probabilities").at("dogs").get<double>(),
                1, 1e-6);
  }
}

TEST_F(CommandLine, training_goes_on_from_a_file_given_with_init) {
  train_on_colours();
  const std::vector<std::string> base{
      "--data", "colours", "--model", "small.json", "--out", "on.safetensors", "--epochs",
      "1",      "--lr",    "1e-9",    "--seed",     "3",     "--log",          "log.jsonl"};
  std::vector<std::string> with_init = base;
  with_init.insert(with_init.end(), {"--init", "model.safetensors"});
  ASSERT_EQ(train(with_init).exit_code, 0);
  EXPECT_GE(Json::parse(lines_of(file("log.jsonl")).back()).at("train_accuracy").get<double>(),
            0.95);
  ASSERT_EQ(train(base).exit_code, 0);
  EXPECT_LT(Json::parse(lines_of(file("log.jsonl")).back()).at("train_accuracy").get<double>(), 0.8)
      << "so the lines above say something";
}

TEST_F(CommandLine, a_folder_of_its_own_validates) {
  make_colours("colours", 6);
  make_colours("more", 2);
  const Result result = train({"--data", "colours", "--val", "more", "--model", "small.json",
                               "--out", "m", "--epochs", "1"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_CONTAINS(result.out, "18 images to train on, 6 to validate");
}

TEST_F(CommandLine, idx_files_train_and_their_t10k_part_validates) {
  const auto big_endian = [](std::uint32_t value) {
    return std::string{static_cast<char>(value >> 24), static_cast<char>(value >> 16),
                       static_cast<char>(value >> 8), static_cast<char>(value)};
  };
  const auto write_part = [&](const std::string& part, int images) {
    Rng rng(3);
    std::string pixels = big_endian(0x803) + big_endian(static_cast<std::uint32_t>(images)) +
                         big_endian(28) + big_endian(28);
    std::string labels = big_endian(0x801) + big_endian(static_cast<std::uint32_t>(images));
    for (int i = 0; i < images; ++i) {
      labels += static_cast<char>(i % 3);
      for (int pixel = 0; pixel < 784; ++pixel)
        pixels += static_cast<char>(i % 3 * 80 + static_cast<int>(rng.below(60)));
    }
    write_text(path("digits/" + part + "-images-idx3-ubyte"), pixels);
    write_text(path("digits/" + part + "-labels-idx1-ubyte"), labels);
  };
  write_part("train", 60);
  write_part("t10k", 12);
  // Without --model: fashion_cnn, which is found beside the program's folders although we run elsewhere.
  Result result = train({"--data", "digits", "--out", "m", "--epochs", "6", "--batch-size", "10"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_CONTAINS(result.out, "60 images to train on, 12 to validate; 3 classes");
  EXPECT_CONTAINS(result.out, "FashionCNN");
  EXPECT_CONTAINS(result.out, "accuracy 100.00 %");
  result = train({"--data", "digits", "--out", "m", "--epochs", "1", "--val-split", "0.5"});
  EXPECT_CONTAINS(result.out, "30 images to train on, 30 to validate");
  fs::remove(path("digits/t10k-images-idx3-ubyte"));
  fs::remove(path("digits/t10k-labels-idx1-ubyte"));
  result = train({"--data", "digits", "--out", "m", "--epochs", "1"});
  EXPECT_CONTAINS(result.out, "48 images to train on, 12 to validate");
  EXPECT_EQ(classify({"--model", "m", "--eval", "digits"}).exit_code, 0);
}

TEST_F(CommandLine, models_are_found_by_name) {
  make_class("two/cats", 200, 40, 40, 3);
  make_class("two/dogs", 40, 40, 200, 3);
  // Photos without --model start from the pretrained trunk, or are told how it is made.
  const Result pretrained = train({"--data", "two", "--out", "m", "--epochs", "1"});
  if (fs::exists(fs::path(PINHOLE_SOURCE_DIR) / "models/mobilenet_v2_trunk.safetensors")) {
    EXPECT_CONTAINS(pretrained.out, "TransferCNN, input 224x224x3");
  } else {
    expect_one_sentence(pretrained, "native_train",
                        {"mobilenet_v2_trunk.safetensors", "`npm run build` makes them"});
  }
  EXPECT_CONTAINS(
      train({"--data", "two", "--out", "m", "--epochs", "1", "--model", "multiclass_cnn"}).out,
      "MultiClassCNN, input 224x224x3");
  EXPECT_CONTAINS(
      train({"--data", "two", "--out", "m", "--epochs", "1", "--model", "binary_cnn"}).out,
      "BinaryCNN, input 224x224x3");
  expect_one_sentence(train({"--data", "two", "--out", "m", "--model", "no_such"}), "native_train",
                      {"no_such", "binary_cnn", "fashion_cnn", "multiclass_cnn"});
}

TEST_F(CommandLine, a_terminal_sees_progress_with_speed_and_time_left) {
  make_colours("colours");
  const Result result =
      train({"--data", "colours", "--model", "small.json", "--out", "m", "--epochs", "40"},
            {.err_to_terminal = true});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_CONTAINS(result.err, "\r");
  EXPECT_CONTAINS(result.err, "images/s");
  EXPECT_CONTAINS(result.err, " left");
  EXPECT_CONTAINS(result.err, "epoch 1/40");
  EXPECT_TRUE(result.err.ends_with("\r\033[K")) << "the line is taken away at the end";
}

// ---- native_train: stopping

TEST_F(CommandLine, ctrl_c_stops_after_the_step_and_saves) {
  make_colours("colours");
  for (const int signal : {SIGINT, SIGTERM}) {
    fs::remove(path("m"));
    Process process = start("native_train", {"--data", "colours", "--model", "small.json", "--out",
                                             "m", "--epochs", "1000000"});
    ASSERT_TRUE(process.printed("\n    1 ")) << process.out();
    process.send(signal);
    process.send(signal);  // at once: the same press again, as npm passes it on
    const Result result = process.wait();
    EXPECT_EQ(result.exit_code, 128 + signal) << result.err;
    EXPECT_CONTAINS(result.out, "stopped after step ");
    const Json training = Json::parse(metadata_of(file("m")).at("training").get<std::string>());
    EXPECT_GE(training.at("stopped").at("step").get<int>(), 1);
    EXPECT_EQ(classify({"--model", "m", "colours"}).exit_code, 0);
  }
}

TEST_F(CommandLine, a_second_ctrl_c_quits_at_once_without_saving) {
  make_colours("colours");
  // Plain loops over 128 channels: one step takes many seconds.
  write_text(path("slow.json"),
             R"({"format": "pinhole/1", "name": "Slow", "input": [96, 96, 3], "layers": [
    {"type": "Conv2d", "name": "a", "out_channels": 128, "kernel_size": 3, "padding": 1},
    {"type": "Conv2d", "name": "b", "out_channels": 128, "kernel_size": 3, "padding": 1},
    {"type": "AdaptiveAvgPool2d", "output_size": 1}, {"type": "Flatten"}, {"type": "Linear", "name": "fc", "out_features": "classes"}]})");
  write_text(path("m"), "what was there before");
  Process process =
      start("native_train", {"--data", "colours", "--model", "slow.json", "--out", "m", "--epochs",
                             "1000", "--backend", "reference", "--threads", "1"});
  ASSERT_TRUE(process.printed("train loss")) << process.out();
  process.send(SIGINT);
  std::this_thread::sleep_for(std::chrono::milliseconds(900));
  process.send(SIGINT);
  const Result result = process.wait();
  EXPECT_EQ(result.signal, SIGINT) << result.exit_code << result.out;
  EXPECT_EQ(file("m"), "what was there before");
}

// ---- native_train: recipes

TEST_F(CommandLine, a_recipe_beside_the_spec_is_taken_and_options_come_before_it) {
  make_colours("colours");
  const auto recipe_of = [&](std::vector<std::string> more) {
    std::vector<std::string> all{"--data", "colours", "--model", "small.json", "--out", "m"};
    all.insert(all.end(), more.begin(), more.end());
    const Result result = train(all);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Json::parse(metadata_of(file("m")).at("training").get<std::string>()).at("recipe");
  };
  EXPECT_EQ(recipe_of({"--epochs", "1"}).at("optimizer").at("name"), "adam");
  write_text(path("small.recipe.json"),
             R"({"epochs": 2, "batch_size": 5, "optimizer": {"name": "sgd", "lr": 0.02},
                 "schedule": {"type": "cosine"}, "label_smoothing": 0.1, "ema_decay": 0.9,
                 "augment": [{"type": "RandomHorizontalFlip"}, {"type": "ColorJitter", "hue": 0.05}]})");
  const Json taken = recipe_of({});
  EXPECT_EQ(taken.at("epochs"), 2);
  EXPECT_EQ(taken.at("optimizer").at("lr"), 0.02);
  EXPECT_EQ(taken.at("augment").size(), 2U);
  const Json changed = recipe_of(
      {"--epochs", "1", "--lr", "0.05", "--schedule", "step", "--patience", "2", "--balanced"});
  EXPECT_EQ(changed.at("epochs"), 1);
  EXPECT_EQ(changed.at("batch_size"), 5);
  EXPECT_EQ(changed.at("optimizer").at("name"), "sgd");
  EXPECT_EQ(changed.at("optimizer").at("lr"), 0.05);
  EXPECT_EQ(changed.at("schedule").at("type"), "step");
  EXPECT_EQ(changed.at("class_weights"), "balanced");
  EXPECT_EQ(changed.at("keep"), "best");
  EXPECT_EQ(recipe_of({"--epochs", "1", "--recipe", "none"}).at("batch_size"), 32);
  write_text(path("other.json"), R"({"epochs": 1, "batch_size": 3})");
  EXPECT_EQ(recipe_of({"--recipe", "other.json"}).at("batch_size"), 3);

  write_text(path("other.json"),
             R"({"epochs": 1, "augment": [{"type": "RandomCrop", "padding": -1}]})");
  const std::vector<std::string> wrong{"--data", "colours", "--model",  "small.json",
                                       "--out",  "m",       "--recipe", "other.json"};
  expect_one_sentence(train(wrong), "native_train", {"other.json", "RandomCrop", "padding", "-1"});
  std::vector<std::string> missing = wrong;
  missing.back() = "no_such";
  expect_one_sentence(train(missing), "native_train", {"there is no recipe no_such"});
}

TEST_F(CommandLine, a_preview_shows_what_augmentation_does_and_trains_nothing) {
  make_colours("colours");
  write_text(path("look.json"), R"({"epochs": 2, "augment": [{"type": "RandomErasing", "p": 1}]})");
  const std::vector<std::string> base{"--data",     "colours",   "--model",
                                      "small.json", "--preview", "looks.png"};
  std::vector<std::string> with_recipe = base;
  with_recipe.insert(with_recipe.end(), {"--recipe", "look.json"});
  const Result result = train(with_recipe);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_CONTAINS(result.out, "looks.png");
  EXPECT_CONTAINS(result.out, "epochs 1 to 2");
  EXPECT_EQ(file("looks.png").substr(1, 3), "PNG");
  expect_one_sentence(train(base), "native_train", {"nothing to preview", "augment"});
  with_recipe[5] = "no/such/folder/looks.png";
  expect_one_sentence(train(with_recipe), "native_train", {"no/such/folder"});
}

// ---- native_train: going on after a stop

std::vector<std::string> without_time(const std::string& log) {
  std::vector<std::string> lines;
  for (const std::string& line : lines_of(log)) {
    Json json = Json::parse(line);
    json.erase("seconds");
    json.erase("images_per_second");
    lines.push_back(json.dump());
  }
  return lines;
}

TEST_F(CommandLine, a_training_killed_again_and_again_ends_with_the_very_bytes) {
  make_colours("colours");
  const auto arguments = [](const std::string& name, const std::string& threads) {
    return std::vector<std::string>{"--data",
                                    "colours",
                                    "--model",
                                    "small.json",
                                    "--out",
                                    name + ".safetensors",
                                    "--epochs",
                                    "60",
                                    "--threads",
                                    threads,
                                    "--batch-size",
                                    "1",
                                    "--log",
                                    name + ".jsonl",
                                    "--checkpoint",
                                    name + ".state",
                                    "--checkpoint-steps",
                                    "37",
                                    "--resume"};
  };
  ASSERT_EQ(train(arguments("whole", "1")).exit_code, 0);
  int kills = 0;
  Result last;
  for (int attempt = 0; attempt < 100; ++attempt) {
    Process process = start("native_train", arguments("killed", attempt % 2 == 0 ? "2" : "1"));
    // From before the data is read to well into the training; later ones get further.
    std::this_thread::sleep_for(std::chrono::milliseconds(5 + 9 * attempt));
    process.send(SIGKILL);
    last = process.wait();
    if (last.signal != SIGKILL) break;
    ++kills;
  }
  EXPECT_EQ(last.exit_code, 0) << last.err;
  EXPECT_GE(kills, 3);
  EXPECT_EQ(file("killed.safetensors"), file("whole.safetensors"));
  EXPECT_EQ(file("killed.state/state.safetensors"), file("whole.state/state.safetensors"));
  EXPECT_EQ(without_time(file("killed.jsonl")), without_time(file("whole.jsonl")));
  for (const fs::directory_entry& entry : fs::directory_iterator(path("killed.state")))
    EXPECT_EQ(entry.path().filename(), "state.safetensors");
  // Once more: nothing is left to do but to save.
  fs::remove(path("killed.safetensors"));
  const Result again = train(arguments("killed", "1"));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_CONTAINS(again.out, "going on after epoch 60, step 1440");
  EXPECT_EQ(file("killed.safetensors"), file("whole.safetensors"));
}

TEST_F(CommandLine, a_training_stopped_by_a_signal_goes_on_and_may_get_more_epochs) {
  make_colours("colours");
  const auto arguments = [](const std::string& name, const std::string& epochs) {
    return std::vector<std::string>{
        "--data", "colours",      "--model", "small.json",   "--out",         name,      "--epochs",
        epochs,   "--batch-size", "2",       "--checkpoint", name + ".state", "--resume"};
  };
  Process process = start("native_train", arguments("stopped", "1000000"));
  ASSERT_TRUE(process.printed("\n    2 ")) << process.out();
  process.send(SIGTERM);
  const Result result = process.wait();
  EXPECT_EQ(result.exit_code, 128 + SIGTERM) << result.err;
  EXPECT_CONTAINS(result.out, "--resume goes on from there");
  const Json training = Json::parse(metadata_of(file("stopped")).at("training").get<std::string>());
  const std::string epochs = std::to_string(training.at("stopped").at("epoch").get<int>() + 1);
  const Result resumed = train(arguments("stopped", epochs));
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(train(arguments("whole", epochs)).exit_code, 0);
  EXPECT_EQ(file("stopped"), file("whole"));
}

TEST_F(CommandLine, going_on_with_other_kernels_says_that_the_last_digits_will_differ) {
  make_colours("colours");
  const auto arguments = [](const char* backend, const char* epochs) {
    return std::vector<std::string>{
        "--data", "colours",   "--model", "small.json",   "--out", "m",       "--epochs",
        epochs,   "--backend", backend,   "--checkpoint", "state", "--resume"};
  };
  ASSERT_EQ(train(arguments("reference", "1")).exit_code, 0);
  const Result same = train(arguments("reference", "2"));
  EXPECT_EQ(same.exit_code, 0) << same.err;
  EXPECT_EQ(same.out.find("note: "), std::string::npos) << same.out;
  const Result other = train(arguments("simd", "3"));
  EXPECT_EQ(other.exit_code, 0) << other.err;
  EXPECT_CONTAINS(other.out, "going on after epoch 2");
  EXPECT_CONTAINS(other.out, "was made with reference, native, compiler ");
  EXPECT_CONTAINS(other.out, "will differ in its last digits");
}

TEST_F(CommandLine, images_above_a_limit_of_ones_own_are_refused) {
  make_colours("colours");
  ASSERT_EQ(train({"--data", "colours", "--model", "small.json", "--epochs", "1", "--out", "m"})
                .exit_code,
            0);
  const Result refused = classify({"--model", "m", "--max-pixels", "100", "colours/red/0.ppm"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_CONTAINS(refused.err, "pixels, at most 100 are allowed");
  const Result trained = train({"--data", "colours", "--model", "small.json", "--epochs", "1",
                                "--out", "m", "--max-pixels", "100"});
  EXPECT_EQ(trained.exit_code, 1);
  EXPECT_CONTAINS(trained.err, "pixels, at most 100 are allowed");
}

TEST_F(CommandLine, a_state_that_does_not_fit_is_one_sentence) {
  make_colours("colours");
  const auto arguments = [](std::vector<std::string> more) {
    std::vector<std::string> all{"--data", "colours",  "--model", "small.json",   "--out",
                                 "m",      "--epochs", "1",       "--checkpoint", "state"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  ASSERT_EQ(train(arguments({})).exit_code, 0);
  expect_one_sentence(train(arguments({})), "native_train", {"state.safetensors", "--resume"});
  expect_one_sentence(train(arguments({"--resume", "--lr", "0.5"})), "native_train",
                      {"state.safetensors", "optimizer.lr 0.001, here 0.5"});
  make_image("colours/red/more.ppm", 200, 40, 40, 5);
  expect_one_sentence(train(arguments({"--resume"})), "native_train",
                      {"24 images to train on", "25"});
  fs::remove(path("colours/red/more.ppm"));
  make_image("colours/red/0.ppm", 200, 40, 40, 77);
  expect_one_sentence(train(arguments({"--resume"})), "native_train", {"other images"});
  make_image("colours/red/0.ppm", 200, 40, 40, 1000 * 200 + 40);  // as it was
  std::string wider = kSmallModel;
  write_text(path("small.json"), wider.replace(wider.find(": 4"), 3, ": 5"));
  expect_one_sentence(train(arguments({"--resume"})), "native_train", {"another model than Small"});
  write_text(path("small.json"), kSmallModel);
  const std::string state = file("state/state.safetensors");
  write_text(path("state/state.safetensors"), state.substr(0, state.size() / 2));
  expect_one_sentence(train(arguments({"--resume"})), "native_train",
                      {"state.safetensors", "damaged"});
  expect_one_sentence(train({"--data", "colours", "--out", "m", "--resume"}), "native_train",
                      {"--resume", "--checkpoint"}, 2);
}

TEST_F(CommandLine, a_state_that_cannot_be_written_stops_the_training_but_saves_the_model) {
  make_colours("colours");
  // The limit holds the model, but not the state with the optimizer's moments.
  const Result result = train({"--data", "colours", "--model", "small.json", "--out", "m",
                               "--epochs", "3", "--checkpoint", "state"},
                              {.file_limit = 6000});
  expect_one_sentence(result, "native_train", {"state.safetensors", "the model was saved"});
  EXPECT_EQ(classify({"--model", "m", "colours"}).exit_code, 0);
}

// ---- native_train: what cannot work is said in one sentence

TEST_F(CommandLine, a_full_disk_leaves_the_old_file_and_says_so) {
  make_colours("colours");
  write_text(path("m"), "what was there before");
  expect_one_sentence(
      train({"--data", "colours", "--model", "small.json", "--out", "/dev/full", "--epochs", "1"}),
      "native_train", {"/dev/full", "No space"});
  // The system refuses to write beyond the limit, as it does on a full disk; the check before training cannot foresee it.
  const Result result =
      train({"--data", "colours", "--model", "small.json", "--out", "m", "--epochs", "1"},
            {.file_limit = 1000});
  expect_one_sentence(result, "native_train", {"m"});
  EXPECT_EQ(file("m"), "what was there before");
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_))
    names.insert(entry.path().filename());
  EXPECT_EQ(names,
            (std::set<std::string>{"colours", "m", "one_output.json", "scratch", "small.json"}))
      << "something half-written was left behind";
}

TEST_F(CommandLine, a_disk_too_small_for_the_model_is_found_before_training) {
  make_colours("colours");
  on_a_small_disk([&] {
    write_text(path("disk/m"), "what was there before");
    const Result early = train(
        {"--data", "colours", "--model", "multiclass_cnn", "--out", "disk/m", "--epochs", "1"});
    // Nearly full: what is left does not hold even the small model.
    write_text(path("disk/filler"), std::string(60 * 1024, 'x'));
    const Result late =
        train({"--data", "colours", "--model", "small.json", "--out", "disk/m", "--epochs", "1"});
    const bool good = early.exit_code == 1 && early.out.empty() &&
                      lines_of(early.err).size() == 1 && late.exit_code == 1 &&
                      lines_of(late.err).size() == 1 && file("disk/m") == "what was there before";
    if (!good) std::cerr << early.err << late.exit_code << late.err << late.out;
    return good;
  });
}

TEST_F(CommandLine, a_training_from_a_cache_saves_the_bytes_of_one_without) {
  make_colours("colours");
  write_text(path("colours/red/broken.jpg"), "not an image");
  const auto trained = [&](const std::string& name, std::vector<std::string> more) {
    std::vector<std::string> arguments{"--data", "colours",  "--model", "small.json",   "--out",
                                       name,     "--epochs", "3",       "--batch-size", "4"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Result result = train(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_CONTAINS(result.err, "skipped 1 file that cannot be read");
    return file(name);
  };
  const std::string plain = trained("plain", {"--threads", "2"});
  EXPECT_EQ(trained("first", {"--cache-mb", "1", "--cache-dir", "cache", "--threads", "1"}), plain);
  EXPECT_EQ(trained("second", {"--cache-mb", "1", "--cache-dir", "cache", "--threads", "2",
                               "--checkpoint", "state"}),
            plain);
  expect_one_sentence(train({"--data", "colours", "--model", "small.json", "--out", "m",
                             "--cache-mb", "1", "--cache-dir", "small.json"}),
                      "native_train", {"small.json: cannot make this folder"});
}

TEST_F(CommandLine, a_disk_too_small_for_the_decoded_images_gets_a_sentence) {
  make_colours("colours");
  on_a_small_disk([&] {
    const Result result = train({"--data", "colours", "--model", "multiclass_cnn", "--out", "m",
                                 "--cache-mb", "1", "--cache-dir", "disk"});
    const bool good = result.exit_code == 1 && lines_of(result.err).size() == 1 &&
                      result.err.find("disk: the decoded images take") != std::string::npos &&
                      fs::is_empty(path("disk"));
    if (!good) std::cerr << result.exit_code << result.err << result.out;
    return good;
  });
}

TEST_F(CommandLine, an_output_that_cannot_be_written_is_found_before_training) {
  make_colours("colours");
  fs::create_directory(path("folder"));
  for (const auto& [out, expected] : std::map<std::string, std::string>{
           {"no/such/folder/m", "does not exist"}, {"folder", "is a folder"}}) {
    const Result result = train({"--data", "colours", "--model", "small.json", "--out", out});
    expect_one_sentence(result, "native_train", {out, expected});
    EXPECT_EQ(result.out, "") << "nothing was trained";
  }
  expect_one_sentence(
      train({"--data", "colours", "--model", "small.json", "--out", "m", "--log", "no/such/log"}),
      "native_train", {"no/such/log"});
}

TEST_F(CommandLine, a_log_that_fills_the_disk_stops_the_training_but_saves_the_model) {
  make_colours("colours");
  const Result result = train({"--data", "colours", "--model", "small.json", "--out", "m",
                               "--epochs", "5", "--log", "/dev/full"});
  expect_one_sentence(result, "native_train", {"/dev/full", "the model was saved"});
  EXPECT_EQ(classify({"--model", "m", "colours"}).exit_code, 0);
}

TEST_F(CommandLine, unreadable_images_are_skipped_counted_and_named) {
  make_colours("colours", 5);
  const std::string jpeg =
      read_text(fs::path(PINHOLE_SOURCE_DIR) / "web/public/samples/photos/tools/hammer1.jpg");
  ASSERT_GT(jpeg.size(), 1000U);
  write_text(path("colours/red/text.jpg"), "this is a letter, not a photo");
  write_text(path("colours/red/truncated.jpg"), jpeg.substr(0, jpeg.size() / 3));
  write_text(path("colours/red/empty.png"), "");
  write_text(path("colours/red/whole.jpg"), jpeg);
  const Result result =
      train({"--data", "colours", "--model", "small.json", "--out", "m", "--epochs", "1"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_CONTAINS(result.err, "3 ");
  for (const char* name : {"text.jpg", "truncated.jpg", "empty.png"})
    EXPECT_CONTAINS(result.err, name);
  EXPECT_EQ(result.err.find("whole.jpg"), std::string::npos);
  EXPECT_EQ(Json::parse(metadata_of(file("m")).at("training").get<std::string>())
                .at("data")
                .at("unreadable"),
            3);
}

TEST_F(CommandLine, a_class_without_a_readable_image_is_an_error) {
  make_colours("colours", 5);
  write_text(path("colours/violet/text.jpg"), "this is a letter, not a photo");
  const Result result = train({"--data", "colours", "--model", "small.json", "--out", "m"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_CONTAINS(result.err, "violet");
  EXPECT_FALSE(fs::exists(path("m")));
}

TEST_F(CommandLine, data_that_cannot_be_used_is_named) {
  fs::create_directory(path("nothing"));
  make_class("single/red", 200, 40, 40, 2);
  make_colours("hole", 3);
  fs::create_directory(path("hole/violet"));
  make_image("file.ppm", 1, 2, 3, 1);
  const auto fails = [&](const std::string& data, const std::vector<std::string>& expected) {
    expect_one_sentence(train({"--data", data, "--model", "small.json", "--out", "m"}),
                        "native_train", expected);
  };
  fails("no_such_folder", {"no_such_folder"});
  fails("file.ppm", {"file.ppm"});
  fails("nothing", {"nothing"});
  fails("single", {"single", "red", "two"});
  fails("hole", {"violet"});
}

TEST_F(CommandLine, a_class_name_that_is_not_utf8_is_an_error) {
  make_colours("colours", 2);
  make_class("colours/caf\xe9", 20, 20, 20, 2);
  expect_one_sentence(train({"--data", "colours", "--model", "small.json", "--out", "m"}),
                      "native_train", {"UTF-8"});
}

TEST_F(CommandLine, specs_that_cannot_be_built_are_named) {
  make_colours("colours", 3);
  const auto fails = [&](const std::string& spec, const std::vector<std::string>& expected) {
    write_text(path("bad.json"), spec);
    expect_one_sentence(train({"--data", "colours", "--model", "bad.json", "--out", "m"}),
                        "native_train", expected);
  };
  fails("{ this is no JSON", {"bad.json", "JSON"});
  fails(
      R"({"format": "pinhole/1", "name": "X", "input": [8, 8, 3], "layers": [{"type": "Convolution"}]})",
      {"Convolution", "Conv2d"});
  fails(
      R"({"format": "pinhole/1", "name": "X", "input": [3, 3, 3], "layers": [{"type": "MaxPool2d", "kernel_size": 5}, {"type": "Flatten"}, {"type": "Linear", "name": "fc", "out_features": "classes"}]})",
      {"MaxPool2d", "5", "3x3"});
  fails(
      R"({"format": "pinhole/1", "name": "X", "input": [8, 8, 3], "layers": [{"type": "Flatten"}, {"type": "Linear", "name": "fc", "out_features": "classes", "colour": 1}]})",
      {"Linear", "colour"});
  fails(
      R"({"format": "pinhole/1", "name": "Seven", "input": [8, 8, 3], "layers": [{"type": "Flatten"}, {"type": "Linear", "name": "fc", "out_features": 7}, {"type": "Softmax"}]})",
      {"Seven", "7 classes", "colours has 3"});
  expect_one_sentence(train({"--data", "colours", "--model", "one_output.json", "--out", "m"}),
                      "native_train", {"OneOutput", "2 classes", "colours has 3"});
  expect_one_sentence(train({"--data", "colours", "--model", "no_such.json", "--out", "m"}),
                      "native_train", {"no_such.json"});
}

TEST_F(CommandLine, a_validation_folder_with_other_classes_is_an_error) {
  make_colours("colours", 3);
  make_class("more/red", 200, 40, 40, 2);
  make_class("more/violet", 200, 40, 200, 2);
  expect_one_sentence(
      train({"--data", "colours", "--val", "more", "--model", "small.json", "--out", "m"}),
      "native_train", {"more", "violet"});
}

TEST_F(CommandLine, init_from_another_model_is_an_error) {
  train_on_colours();
  make_class("two/cats", 200, 40, 40, 3);
  make_class("two/dogs", 40, 40, 200, 3);
  expect_one_sentence(train({"--data", "two", "--model", "small.json", "--init",
                             "model.safetensors", "--out", "m"}),
                      "native_train", {"model.safetensors", "fc.weight"});
  expect_one_sentence(
      train({"--data", "two", "--model", "small.json", "--init", "no_such", "--out", "m"}),
      "native_train", {"no_such"});
}

TEST_F(CommandLine, a_training_that_diverges_says_so_and_saves_nothing) {
  make_colours("colours", 3);
  expect_one_sentence(train({"--data", "colours", "--model", "small.json", "--optimizer", "sgd",
                             "--lr", "1e30", "--out", "m", "--epochs", "50"}),
                      "native_train", {"loss", "1"});
  EXPECT_FALSE(fs::exists(path("m")));
}

TEST_F(CommandLine, wrong_usage_exits_with_2_and_help_teaches) {
  make_colours("colours", 2);
  const std::vector<std::string> base{"--data", "colours", "--out", "m"};
  const std::vector<std::vector<std::string>> mistakes{{"--epochs", "0"},
                                                       {"--epochs", "many"},
                                                       {"--batch-size", "-1"},
                                                       {"--optimizer", "lion"},
                                                       {"--lr", "0"},
                                                       {"--lr", "nan"},
                                                       {"--momentum", "1"},
                                                       {"--weight-decay", "-1"},
                                                       {"--val-split", "1"},
                                                       {"--val-split", "0.1", "--val", "colours"},
                                                       {"--backend", "gpu"},
                                                       {"--threads", "-2"},
                                                       {"--seed", "-1"},
                                                       {"--no-such-option"},
                                                       {"stray"}};
  for (const std::vector<std::string>& mistake : mistakes) {
    std::vector<std::string> arguments = base;
    arguments.insert(arguments.end(), mistake.begin(), mistake.end());
    SCOPED_TRACE(mistake[0] + " " + (mistake.size() > 1 ? mistake[1] : ""));
    expect_one_sentence(train(arguments), "native_train", {}, 2);
  }
  expect_one_sentence(train({"--data", "colours"}), "native_train", {"--out"}, 2);
  expect_one_sentence(classify({"--model", "m"}), "native_classify", {"PATH"}, 2);
  expect_one_sentence(classify({"--model", "m", "--json", "--eval", "colours", "colours"}),
                      "native_classify", {"--json"}, 2);
  expect_one_sentence(classify({"colours"}), "native_classify", {"--model"}, 2);
  expect_one_sentence(export_model({"--model", "m"}), "native_export", {"--format"}, 2);
  expect_one_sentence(export_model({"--model", "m", "--format", "tflite"}), "native_export",
                      {"tflite", "onnx-classifier"}, 2);
  for (const char* name : {"native_train", "native_classify", "native_export"}) {
    const Result help = start(name, {"--help"}).wait();
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_CONTAINS(help.out, "Examples:");
    EXPECT_CONTAINS(help.out, "Exit code:");
    EXPECT_EQ(help.err, "");
    EXPECT_EQ(start(name, {"--version"}).wait().exit_code, 0);
  }
}

// ---- native_classify

TEST_F(CommandLine, classifying_prints_a_line_for_each_image) {
  train_on_colours();
  make_image("new/deep/b.PPM", 40, 40, 200, 77);
  make_image("new/a.ppm", 200, 40, 40, 78);
  write_text(path("new/notes.txt"), "no image by its name: left out");
  Result result = classify({"--model", "model.safetensors", "new", "new/a.ppm"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::vector<std::string> lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 3U) << result.out;
  EXPECT_EQ(lines[0].rfind("new/a.ppm: red ", 0), 0U) << lines[0];
  EXPECT_EQ(lines[1].rfind("new/deep/b.PPM: blue ", 0), 0U) << lines[1];
  EXPECT_EQ(lines[2], lines[0]);
  lines = lines_of(classify({"--model", "model.safetensors", "--top", "2", "new/a.ppm"}).out);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(std::count(lines[0].begin(), lines[0].end(), ','), 1) << lines[0];
  lines = lines_of(classify({"--model", "model.safetensors", "--top", "99", "new/a.ppm"}).out);
  EXPECT_EQ(std::count(lines.at(0).begin(), lines.at(0).end(), ','), 2) << lines.at(0);
}

TEST_F(CommandLine, json_holds_path_label_probability_and_all_probabilities) {
  train_on_colours();
  const Result result = classify({"--model", "model.safetensors", "--json", "colours"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json json = Json::parse(result.out);
  ASSERT_TRUE(json.is_array());
  ASSERT_EQ(json.size(), 30U);
  for (const Json& one : json) {
    EXPECT_EQ(keys_of(one),
              (std::vector<std::string>{"path", "label", "probability", "probabilities"}));
    EXPECT_EQ(keys_of(one.at("probabilities")), (std::vector<std::string>{"blue", "green", "red"}));
    double sum = 0, best = 0;
    for (const auto& item : one.at("probabilities").items()) {
      sum += item.value().get<double>();
      best = std::max(best, item.value().get<double>());
    }
    EXPECT_NEAR(sum, 1, 1e-5);
    EXPECT_EQ(one.at("probability").get<double>(), best);
    EXPECT_EQ(one.at("probabilities").at(one.at("label").get<std::string>()).get<double>(), best);
  }
  EXPECT_EQ(json[0].at("path"), "colours/blue/0.ppm");
  EXPECT_EQ(json[0].at("label"), "blue");
}

TEST_F(CommandLine, csv_is_a_table_with_a_column_for_each_class_and_no_formula) {
  train_on_colours();
  make_image("new/a.ppm", 200, 40, 40, 78);
  make_image("new/b, \"c\" \x1b[31m.ppm", 40, 40, 200, 79);
  fs::copy_file(path("new/a.ppm"), path("=1+1.ppm"));
  const Result result = classify({"--model", "model.safetensors", "--csv", "new", "=1+1.ppm"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::vector<std::string> lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 4U) << result.out;
  EXPECT_EQ(lines[0], "file,label,probability,sure,blue,green,red\r");
  EXPECT_EQ(lines[1].rfind("new/a.ppm,red,", 0), 0U) << lines[1];
  EXPECT_CONTAINS(lines[1], ",yes,");
  EXPECT_EQ(lines[2].rfind("\"new/b, \"\"c\"\" ", 0), 0U) << lines[2];
  EXPECT_EQ(lines[3].rfind("'=1+1.ppm,red,", 0), 0U) << lines[3];
  EXPECT_EQ(result.out.find('\x1b'), std::string::npos);
  const Json json =
      Json::parse(classify({"--model", "model.safetensors", "--json", "new/a.ppm"}).out).at(0);
  const std::string last = lines[1].substr(lines[1].rfind(',') + 1);
  EXPECT_NEAR(std::stod(last), json.at("probabilities").at("red").get<double>(), 1e-6);
  for (const char* other : {"--json", "--eval=colours"}) {
    const Result wrong = classify({"--model", "model.safetensors", "--csv", other, "new"});
    EXPECT_EQ(wrong.exit_code, 2) << other;
    EXPECT_CONTAINS(wrong.err, "--csv");
  }
}

TEST_F(CommandLine, a_table_says_what_is_below_the_threshold_of_the_training) {
  train_on_colours();
  const std::string model = file("model.safetensors");
  make_image("new/a.ppm", 200, 40, 40, 78);
  LoadedModel loaded =
      load_model({reinterpret_cast<const std::uint8_t*>(model.data()), model.size()},
                 make_backend("reference", 1), "model");
  loaded.info.training["calibration"] = {{"threshold", 1.5}};
  const std::vector<std::uint8_t> changed = save_model(loaded.model, loaded.info);
  write_text(path("strict.safetensors"), std::string(changed.begin(), changed.end()));
  EXPECT_CONTAINS(classify({"--model", "strict.safetensors", "--csv", "new"}).out, ",no,");
}

TEST_F(CommandLine, one_image_alone_gets_the_probabilities_it_gets_among_others) {
  train_on_colours();
  const Json all = Json::parse(classify({"--model", "model.safetensors", "--json", "colours"}).out);
  const Json alone =
      Json::parse(classify({"--model", "model.safetensors", "--json", "colours/green/3.ppm"}).out)
          .at(0);
  const auto same = std::find_if(all.begin(), all.end(), [](const Json& one) {
    return one.at("path") == "colours/green/3.ppm";
  });
  ASSERT_NE(same, all.end());
  for (const char* name : {"blue", "green", "red"}) {
    EXPECT_NEAR(alone.at("probabilities").at(name).get<double>(),
                same->at("probabilities").at(name).get<double>(), 1e-6);
  }
}

TEST_F(CommandLine, an_unreadable_image_is_named_and_the_others_are_classified) {
  train_on_colours();
  make_image("new/a.ppm", 200, 40, 40, 78);
  write_text(path("new/b.jpg"), "this is a letter, not a photo");
  make_image("new/c.ppm", 40, 200, 40, 79);
  fs::create_directory(path("void"));
  const Result result =
      classify({"--model", "model.safetensors", "--json", "new", "missing.jpg", "void"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(Json::parse(result.out).size(), 2U);
  for (const char* part : {"new/b.jpg", "missing.jpg", "void", "3 "})
    EXPECT_CONTAINS(result.err, part);
  EXPECT_EQ(lines_of(result.err).size(), 4U) << result.err;
}

TEST_F(CommandLine, any_file_name_gives_valid_json_and_no_control_character_on_the_terminal) {
  train_on_colours();
  make_image("new/caf\xe9.ppm", 200, 40, 40, 78);
  make_image("new/\"quoted\" \x1b[31m.ppm", 200, 40, 40, 78);
  const Result json = classify({"--model", "model.safetensors", "--json", "new"});
  EXPECT_EQ(json.exit_code, 0) << json.err;
  EXPECT_EQ(Json::parse(json.out).size(), 2U);
  EXPECT_EQ(classify({"--model", "model.safetensors", "new"}).out.find('\x1b'), std::string::npos);
}

TEST_F(CommandLine, a_link_that_makes_a_circle_does_not_trap_the_walk) {
  train_on_colours();
  make_image("new/a.ppm", 200, 40, 40, 78);
  fs::create_directory_symlink("..", path("new/again"));
  const Result result = classify({"--model", "model.safetensors", "new"});
  EXPECT_CONTAINS(result.out, "new/a.ppm: red");
}

TEST_F(CommandLine, evaluation_gives_accuracy_confusion_precision_and_recall) {
  train_on_colours();
  // Two reds among the blues: they will be called red.
  make_colours("test", 4);
  make_image("test/blue/x.ppm", 200, 40, 40, 78);
  make_image("test/blue/y.ppm", 200, 40, 40, 79);
  const Result text = classify({"--model", "model.safetensors", "--eval", "test"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_CONTAINS(text.out, "accuracy 85.71 %");
  const Json json =
      Json::parse(classify({"--model", "model.safetensors", "--eval", "test", "--json"}).out);
  EXPECT_EQ(json.at("confusion"), Json::parse("[[4, 0, 2], [0, 4, 0], [0, 0, 4]]"));
  EXPECT_NEAR(json.at("precision").at("red").get<double>(), 4.0 / 6, 1e-12);
  EXPECT_NEAR(json.at("recall").at("blue").get<double>(), 4.0 / 6, 1e-12);
  EXPECT_NEAR(json.at("accuracy").get<double>(), 12.0 / 14, 1e-12);
}

TEST_F(CommandLine, evaluation_on_other_classes_is_an_error) {
  train_on_colours();
  make_class("two/cats", 200, 40, 40, 3);
  make_class("two/dogs", 40, 40, 200, 3);
  expect_one_sentence(classify({"--model", "model.safetensors", "--eval", "two"}),
                      "native_classify", {"two", "cats", "model.safetensors"});
}

TEST_F(CommandLine, output_that_cannot_be_written_is_an_error) {
  train_on_colours();
  expect_one_sentence(
      classify({"--model", "model.safetensors", "--json", "colours"}, {.out_to = "/dev/full"}),
      "native_classify", {"standard output"});
}

TEST_F(CommandLine, damaged_model_files_are_refused_and_never_crash) {
  train_on_colours();
  const std::string good = file("model.safetensors");
  const auto run = [&](const std::string& bytes) {
    write_text(path("bad.safetensors"), bytes);
    return classify({"--model", "bad.safetensors", "colours/red/1.ppm"});
  };
  ASSERT_EQ(run(good).exit_code, 0);
  expect_one_sentence(classify({"--model", "no_such", "colours"}), "native_classify", {"no_such"});
  expect_one_sentence(run(""), "native_classify", {"bad.safetensors"});
  expect_one_sentence(run("this is a letter, not a model"), "native_classify", {"bad.safetensors"});
  for (std::size_t part = 0; part < 16; ++part) {
    SCOPED_TRACE(part);
    expect_one_sentence(run(good.substr(0, good.size() * part / 16)), "native_classify",
                        {"bad.safetensors"});
  }
  expect_one_sentence(run(good.substr(0, good.size() - 1)), "native_classify",
                      {"bad.safetensors", "truncated"});
  expect_one_sentence(run(good + '\0'), "native_classify", {"bad.safetensors"});

  std::uint64_t header = 0;
  for (int i = 7; i >= 0; --i)
    header = header << 8 | static_cast<unsigned char>(good[static_cast<std::size_t>(i)]);
  for (std::size_t part = 0; part < 8; ++part) {
    std::string flipped = good;
    flipped[8 + header + (good.size() - 9 - header) * part / 7] ^= 0x10;
    SCOPED_TRACE(part);
    expect_one_sentence(run(flipped), "native_classify", {"bad.safetensors"});
  }
  // In the header a flip may hit a letter nobody reads; it must not crash, and an error is one sentence.
  for (std::size_t at = 0; at < 8 + header; at += 1 + (8 + header) / 60) {
    std::string flipped = good;
    flipped[at] ^= static_cast<char>(1 << at % 7);
    const Result result = run(flipped);
    SCOPED_TRACE(at);
    if (result.exit_code != 0) expect_one_sentence(result, "native_classify", {"bad.safetensors"});
  }
}

TEST_F(CommandLine, a_training_is_told_to_spreadsheets_tensorboard_and_a_page) {
  make_colours("colours");
  const std::vector<std::string> arguments{
      "--data",   "colours",    "--model",       "small.json", "--out",    "m.safetensors",
      "--epochs", "3",          "--batch-size",  "8",          "--lr",     "0.0001",
      "--csv",    "epochs.csv", "--tensorboard", "runs/a",     "--report", "my report.html"};
  const Result result = train(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::vector<std::string> rows = lines_of(file("epochs.csv"));
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0],
            "epoch,train_loss,train_accuracy,val_loss,val_accuracy,seconds,images_per_second");
  for (std::size_t epoch = 1; epoch <= 3; ++epoch) {
    EXPECT_EQ(rows[epoch].rfind(std::to_string(epoch) + ",", 0), 0U) << rows[epoch];
    EXPECT_EQ(std::count(rows[epoch].begin(), rows[epoch].end(), ','), 6) << rows[epoch];
  }
  std::string events;
  for (const fs::directory_entry& entry : fs::directory_iterator(path("runs/a")))
    events += read_text(entry.path());
  for (const char* tag : {"step/loss", "loss/train", "loss/val", "accuracy/val", "confusion"})
    EXPECT_CONTAINS(events, tag);
  const std::string page = file("my report.html");
  EXPECT_CONTAINS(page, "--report 'my report.html'");
  EXPECT_CONTAINS(page, "Confusion matrix");
  EXPECT_CONTAINS(page, "what spoke for ");
  EXPECT_EQ(page.find("<script"), std::string::npos);
}

TEST_F(CommandLine, a_report_that_cannot_be_written_is_said_before_training) {
  make_colours("colours", 2);
  expect_one_sentence(train({"--data", "colours", "--model", "small.json", "--out", "m", "--report",
                             "no/where.html"}),
                      "native_train", {"no/where.html"});
  EXPECT_FALSE(fs::exists(path("m")));
}

// ---- native_export

TEST_F(CommandLine, export_writes_beside_the_model_what_was_asked_for) {
  train_on_colours();
  const Result onnx = export_model({"--model", "model.safetensors", "--format", "onnx"});
  EXPECT_EQ(onnx.exit_code, 0) << onnx.err;
  EXPECT_CONTAINS(onnx.out, "model.onnx");
  EXPECT_CONTAINS(file("model.onnx"), "conv1.weight");
  const Result torch =
      export_model({"--model", "model.safetensors", "--format", "torch", "--out", "net.py"});
  EXPECT_EQ(torch.exit_code, 0) << torch.err;
  EXPECT_CONTAINS(file("net.py"), "class Small(nn.Module)");
  EXPECT_CONTAINS(file("net.py"), "\"net.safetensors\"");
  EXPECT_EQ(file("net.safetensors"), file("model.safetensors"));
}

TEST_F(CommandLine, export_refuses_what_it_cannot_do_in_one_sentence) {
  train_on_colours();
  write_text(path("other.safetensors"), "another model's weights");
  expect_one_sentence(
      export_model({"--model", "model.safetensors", "--format", "torch", "--out", "other.py"}),
      "native_export", {"other.safetensors", "--out"});
  EXPECT_EQ(file("other.safetensors"), "another model's weights");
  EXPECT_FALSE(fs::exists(path("other.py")));
  expect_one_sentence(export_model({"--model", "other.safetensors", "--format", "onnx"}),
                      "native_export", {"other.safetensors"});
  expect_one_sentence(
      export_model({"--model", "model.safetensors", "--format", "onnx", "--out", "no/where.onnx"}),
      "native_export", {"no"});
}

/// A stand-in for Python: asked for its version it says "Stand-in 1", given pictures it answers `answer` for each.
void write_stand_in(const fs::path& path, const std::string& answer) {
  write_text(path,
             "#!/bin/sh\nif [ \"$1\" = -c ]; then printf 'Stand-in 1'; exit; fi\nshift\n"
             "for picture; do echo '{\"probabilities\": " +
                 answer + "}'; done\n");
  fs::permissions(path, fs::perms::owner_all);
}

TEST_F(CommandLine, verifying_fails_when_the_exported_file_answers_otherwise) {
  train_on_colours();
  make_class("one", 200, 40, 40, 3);
  write_text(path("one/broken.png"), "no picture");
  const Json answers =
      Json::parse(classify({"--model", "model.safetensors", "--json", "one/0.ppm"}).out);
  const auto verify = [&](const std::string& answer, const std::string& most) {
    write_stand_in(path("python"), answer);
    setenv("PYTHON", path("python").c_str(), 1);
    Result result = export_model({"--model", "model.safetensors", "--format", "torch", "--out",
                                  "net.py", "--verify", "one", "--pictures", most});
    unsetenv("PYTHON");
    return result;
  };
  // The right answer for the first picture alone.
  const Result same = verify(answers[0].at("probabilities").dump(), "1");
  EXPECT_EQ(same.exit_code, 0) << same.out << same.err;
  Json parity = Json::parse(file("parity.json")).at("net.py");
  EXPECT_EQ(parity.at("passed"), true);
  EXPECT_EQ(parity.at("label_agreement"), 1.0);
  EXPECT_EQ(parity.at("runtime"), "Stand-in 1");
  EXPECT_LT(parity.at("largest_difference").get<double>(), 1e-6);

  const Result other = verify(R"({"blue": 1, "green": 0, "red": 0})", "100");
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_CONTAINS(other.out, "DIFFERS");
  parity = Json::parse(file("parity.json")).at("net.py");
  EXPECT_EQ(parity.at("passed"), false);
  EXPECT_EQ(parity.at("pictures"), 3);
  EXPECT_EQ(parity.at("unreadable"), 1);
  EXPECT_EQ(parity.at("label_agreement"), 0.0);
  EXPECT_GT(parity.at("largest_difference").get<double>(), 0.1);

  // "NaN" is what Python's json prints; it is no JSON, and no answer.
  EXPECT_EQ(verify(R"({"blue": NaN, "green": 0, "red": 1})", "100").exit_code, 1);
  expect_one_sentence(verify(R"({"blue": 0, "green": 0})", "100"), "native_export", {"red"});
}

TEST_F(CommandLine, verifying_needs_pictures) {
  train_on_colours();
  fs::create_directory(path("void"));
  expect_one_sentence(
      export_model({"--model", "model.safetensors", "--format", "onnx", "--verify", "void"}),
      "native_export", {"void", "no pictures"});
}

}  // namespace
}  // namespace pinhole
