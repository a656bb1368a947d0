//===- OrderedJobs.h - Work in parallel, results in order -----------------===//
//
// Threads take jobs by ascending index; the caller consumes the results in the same order. A thread
// that is too far ahead of the consumer waits, which bounds the memory of finished results.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_WEIGHTS_ORDEREDJOBS_H
#define LLMIR_LIB_WEIGHTS_ORDEREDJOBS_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace llmir::compiler {

template <typename Result> class OrderedJobs {
public:
  using Produce = llvm::function_ref<Result(size_t)>;
  using Consume = llvm::function_ref<llvm::Error(size_t, Result &)>;

  OrderedJobs(size_t count, unsigned threadCount, Produce produce, Consume consume)
      : count(count), produce(produce), consume(consume), slots(2 * size_t(threadCount)) {}

  llvm::Error run() {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < slots.size() / 2; ++i)
      threads.emplace_back([this] { work(); });
    llvm::Error error = llvm::Error::success();
    for (size_t i = 0; i < count && !error; ++i)
      error = consume(i, *await(i));
    stop();
    for (std::thread &thread : threads)
      thread.join();
    return error;
  }

private:
  /// The result of job `i`; it leaves its slot with the next call.
  Result *await(size_t i) {
    std::unique_lock<std::mutex> lock(mutex);
    if (i > 0)
      slots[(i - 1) % slots.size()].reset();
    consumed = i;
    changed.notify_all();
    changed.wait(lock, [&] { return slots[i % slots.size()].has_value(); });
    return &*slots[i % slots.size()];
  }

  void work() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex);
      const size_t job = next++;
      changed.wait(lock, [&] { return stopped || job < consumed + slots.size(); });
      if (stopped || job >= count)
        return;
      lock.unlock();
      Result result = produce(job);
      lock.lock();
      slots[job % slots.size()] = std::move(result);
      changed.notify_all();
    }
  }

  void stop() {
    std::lock_guard<std::mutex> lock(mutex);
    stopped = true;
    changed.notify_all();
  }

  const size_t count;
  Produce produce;
  Consume consume;
  std::vector<std::optional<Result>> slots; ///< result of job i in slot i % size
  std::mutex mutex;
  std::condition_variable changed;
  size_t next = 0;     ///< job that the next free thread takes
  size_t consumed = 0; ///< job that the consumer waits for or works on
  bool stopped = false;
};

} // namespace llmir::compiler

#endif // LLMIR_LIB_WEIGHTS_ORDEREDJOBS_H
