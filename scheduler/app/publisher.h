/// \file
/// Carries out what the engine wants done in the object store: completing the uploads of attempts that won, dropping
/// those of attempts that did not.
///
/// Completing rolls forward: while the store is out of reach it is tried again for ever, with a growing rest, and an
/// upload that is gone is staged again from the object that it was made of. Only an answer that no repetition can
/// change is reported as PublishFailed: an immutable asset holds other bytes, the object itself is gone.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <stop_token>
#include <thread>
#include <variant>
#include <vector>

#include "engine/ports/object_store.h"
#include "engine/run/events.h"

namespace chappe {

class Publisher {
 public:
  using Report = std::function<void(Event)>;  ///< Called on a thread of the publisher.

  Publisher(ObjectStore& store, Report report, std::size_t threads = 2);
  ~Publisher();  ///< Waits for requests under way, not for those that rest: the engine asks for them again at a start.

  void publish(PublishAssets work);
  void drop(DropOutputs work);

 private:
  using Clock = std::chrono::steady_clock;
  struct Errand {
    std::variant<PublishAssets, DropOutputs> work;
    std::size_t done = 0;   ///< Uploads completed.
    bool restaged = false;  ///< The one after those was gone, and is staged again.
    std::vector<AssetPublished> published;
    std::uint32_t failures = 0;
  };
  void add(Errand errand, Clock::duration after);
  void serve(const std::stop_token& stop);
  void carry_out(Errand errand);
  void carry_out_publish(Errand errand);
  /// Completes the object's upload. What the engine commits it never aborts: an upload that is gone was swept by the
  /// bucket's rules, or a newer version took its place after it was completed. Either way it is staged again from the
  /// immutable object, once.
  Result<ObjectInfo> show(OutputObject& object, AttemptId attempt, bool& restaged);
  void give_up(std::span<const PublishAssets::Upload> uploads);
  void carry_out_drop(const DropOutputs& work);

  ObjectStore& store_;
  Report report_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::multimap<Clock::time_point, Errand> due_;
  std::vector<std::jthread> threads_;
};

}  // namespace chappe
