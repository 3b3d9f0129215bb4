#include "worker/artifacts/transfers.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "engine/base/assert.h"

namespace chappe::artifacts {

struct Transfers::State {
  const int event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  std::mutex mutex;
  std::condition_variable_any work_came;
  std::deque<Transfer> waiting;
  std::vector<Completion> done;
  std::size_t idle = 0;     ///< Threads that wait for work.
  std::size_t pending = 0;  ///< The loop's thread only.
  std::size_t threads_max = 0;
  std::vector<std::jthread> threads;

  void run(const std::stop_token& stop) {
    while (std::optional<Transfer> transfer = next(stop)) {
      Completion completion = (*transfer)();
      const std::lock_guard lock(mutex);
      done.push_back(std::move(completion));
      const std::uint64_t one = 1;
      (void)!::write(event, &one, sizeof one);  // Fails only at 2^64 - 1.
    }
  }

  /// Begins one where it may; false: there is none at all.
  bool has_thread_for_one_more() {
    if (threads.size() == threads_max) return true;
    try {
      threads.emplace_back([this](const std::stop_token& stop) { run(stop); });
    } catch (const std::system_error&) {
      return !threads.empty();
    }
    return true;
  }

  std::optional<Transfer> next(const std::stop_token& stop) {
    std::unique_lock lock(mutex);
    ++idle;
    const bool came = work_came.wait(lock, stop, [this] { return !waiting.empty(); });
    --idle;
    if (!came || stop.stop_requested()) return std::nullopt;
    Transfer transfer = std::move(waiting.front());
    waiting.pop_front();
    return transfer;
  }
};

Transfers::Transfers(std::size_t threads) : state_(std::make_unique<State>()) {
  CHAPPE_ASSERT(state_->event >= 0 && threads > 0);
  state_->threads_max = threads;
}

Transfers::~Transfers() {
  for (std::jthread& thread : state_->threads) thread.request_stop();
  state_->threads.clear();
  ::close(state_->event);
}

bool Transfers::submit(Transfer transfer) {
  if (state_->pending == kTransfersMax) return false;
  const std::lock_guard lock(state_->mutex);
  if (state_->waiting.size() >= state_->idle && !state_->has_thread_for_one_more()) return false;
  ++state_->pending;
  state_->waiting.push_back(std::move(transfer));
  state_->work_came.notify_one();
  return true;
}

int Transfers::fd() const { return state_->event; }

void Transfers::hand_back() {
  std::uint64_t count = 0;
  (void)!::read(state_->event, &count, sizeof count);  // Nothing there: done is looked at all the same.
  std::vector<Completion> done;
  {
    const std::lock_guard lock(state_->mutex);
    done.swap(state_->done);
  }
  state_->pending -= done.size();
  for (const Completion& completion : done) completion();
}

std::size_t Transfers::pending() const { return state_->pending; }

}  // namespace chappe::artifacts
