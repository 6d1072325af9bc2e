#include "thread_pool.h"

#include <pthreadpool.h>

#include <thread>

#include "error.h"

namespace pinhole {

ThreadPool::ThreadPool(int threads) {
#if defined(__EMSCRIPTEN__) && !defined(__EMSCRIPTEN_PTHREADS__)
  threads = 1;
#endif
  if (threads < 0) throw Error(text("threads must be 0 (one per core) or more, got ", threads));
  if (threads == 0) threads = static_cast<int>(std::thread::hardware_concurrency());
  threads_ = threads < 1 ? 1 : threads;
  if (threads_ > 1) {
    pool_ = pthreadpool_create(static_cast<std::size_t>(threads_));
    if (pool_ == nullptr) throw Error(text("cannot start ", threads_, " threads"));
  }
}

ThreadPool::~ThreadPool() {
  if (pool_ != nullptr) pthreadpool_destroy(pool_);
}

void ThreadPool::run(std::size_t count, void (*body)(void*, std::size_t), void* context) {
  if (pool_ == nullptr || count < 2) {
    for (std::size_t i = 0; i < count; ++i) body(context, i);
    return;
  }
  pthreadpool_parallelize_1d(pool_, body, context, count, 0);
}

void ThreadPool::run_thread(std::size_t count, void (*body)(void*, std::size_t, std::size_t),
                            void* context) {
  if (pool_ == nullptr || count < 2) {
    for (std::size_t i = 0; i < count; ++i) body(context, 0, i);
    return;
  }
  pthreadpool_parallelize_1d_with_thread(pool_, body, context, count, 0);
}

}  // namespace pinhole
