// One pool of threads for everything, shared with XNNPACK. Rule: cut work by shape, never by the number of
// threads, so that the bits of a result do not depend on how many threads ran.
#pragma once

#include <cstddef>
#include <memory>

struct pthreadpool;

namespace pinhole {

class ThreadPool {
 public:
  /// `threads` counts the caller too; 0 means one per core. One thread starts no worker.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }
  /// For XNNPACK; null when there is one thread.
  pthreadpool* handle() const { return pool_; }

  /// Calls `body(i)` for every i in [0, count), in any order, and waits. `body` must not throw.
  template <class Body>
  void parallel_for(std::size_t count, const Body& body) {
    run(
        count, [](void* context, std::size_t i) { (*static_cast<const Body*>(context))(i); },
        const_cast<void*>(static_cast<const void*>(&body)));
  }

  /// As above, and says which thread runs it, in [0, threads()): for scratch memory of its own.
  template <class Body>
  void parallel_for_thread(std::size_t count, const Body& body) {
    run_thread(
        count,
        [](void* context, std::size_t thread, std::size_t i) {
          (*static_cast<const Body*>(context))(thread, i);
        },
        const_cast<void*>(static_cast<const void*>(&body)));
  }

  /// As parallel_for over ranges: `body(begin, end)` for consecutive ranges of at most `grain` items.
  template <class Body>
  void parallel_ranges(std::size_t count, std::size_t grain, const Body& body) {
    const std::size_t ranges = (count + grain - 1) / grain;
    parallel_for(ranges, [&](std::size_t i) {
      const std::size_t begin = i * grain;
      body(begin, begin + grain < count ? begin + grain : count);
    });
  }

 private:
  void run(std::size_t count, void (*body)(void*, std::size_t), void* context);
  void run_thread(std::size_t count, void (*body)(void*, std::size_t, std::size_t), void* context);

  int threads_ = 1;
  pthreadpool* pool_ = nullptr;
};

}  // namespace pinhole
