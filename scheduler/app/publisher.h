/// \file
/// Carries out what the engine wants done in the object store: completing the uploads of attempts that won, dropping
/// those of attempts that did not, removing objects that nobody refers to any more, and what pruned runs left.
///
/// Completing rolls forward: while the store is out of reach it is tried again for ever, with a growing rest, and an
/// upload that is gone is staged again from the object that it was made of. Only an answer that no repetition can
/// change is reported as PublishFailed: an immutable asset holds other bytes, the object itself is gone.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "engine/ports/object_store.h"
#include "engine/run/events.h"
#include "scheduler/app/errand.h"

namespace chappe {

class Publisher {
 public:
  using Report = std::function<void(Event)>;  ///< Called on a thread of the publisher.

  static constexpr std::size_t kThreads = 2;  ///< Errands at a time.

  Publisher(ObjectStore& store, Report report);
  ~Publisher();  ///< Waits for requests under way, not for those that rest: the engine asks for them again at a start.

  void publish(PublishAssets work);
  void drop(DropOutputs work);
  void remove(RemoveObjects work);
  /// One run at a time: whoever publishes waits for no long line of them.
  void remove_run(RemoveRunObjects work);

 private:
  using Clock = std::chrono::steady_clock;
  void add(Errand errand, Clock::duration after);
  void serve(const std::stop_token& stop);
  void carry_out_one(Errand errand);
  void remove_next_run();

  ObjectStore& store_;
  Report report_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::multimap<Clock::time_point, Errand> due_;
  std::deque<RemoveRunObjects> runs_;  ///< The first one is under way.
  std::vector<std::jthread> threads_;  ///< From the first errand on: a start does not wait for them.
};

}  // namespace chappe
