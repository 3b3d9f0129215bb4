/// \file
/// The people and programs that ask for things over the API. Whoever gets no answer asks again, in the same words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/run/events.h"
#include "tests/simulation/stories.h"

namespace chappe::simulation {

class World;

struct Request {
  enum class Kind : std::uint8_t {
    kSubmit,
    kCancel,
    kRetry,
    kMark,
    kMoveAlias,
    kAnswer,
    kBackfill,
    kChangeBackfill,
    kDeploy,
    kCallWebhook,
  } kind = Kind::kSubmit;
  std::uint32_t story = 0;         ///< Or the listener that is deployed, or called.
  std::vector<std::string> tasks;  ///< Of a retry; the one whose question is answered.
  RunId run;                       ///< Of an answer; of a mark or a retry, where it is no story's own.
  std::string answer;              ///< Or the delivery's id.
  RetryRequested::Reach reach;     ///< Of a retry.
  TaskState mark = TaskState::kSuccess;
  std::uint32_t spec = 0;                            ///< Which of the backfills.
  BackfillState backfill = BackfillState::kRunning;  ///< What it is asked to be.
  bool answered = false;
  bool granted = false;
  std::uint32_t asked = 0;  ///< How often.
};

class People {
 public:
  explicit People(World& world) : world_(world) {}

  /// Plans all that will be asked for while faults go on.
  void plan();
  void cancel_some_run();
  void retry_some_run();
  void change_backfill(BackfillState state);
  void move_some_alias();
  void cancel(std::uint32_t story);
  /// Something of the run failed: somebody may run it again at once.
  void see_failure(std::uint32_t story);
  /// The run's artifacts will go: somebody may run it again in the moment when they do.
  void see_retention(const RunRow& run);
  /// A task of the run asks something: somebody answers after a while, and another one now and then.
  void see_question(std::uint32_t story, const RunId& run, const std::string& task);

  /// An instance waits on its past: somebody sees to that, if it has ended as it should not.
  void see_stuck(InstanceKey key);

  void answered(std::uint32_t request, const RunId& run);
  void refused(std::uint32_t request);

  const std::vector<Request>& requests() const { return requests_; }
  bool all_answered() const;
  /// The run of a story, once somebody was told of it.
  std::optional<RunId> run_of(std::uint32_t story) const { return runs_[story]; }
  /// A cancel or a retry of the run was asked for: it need not end as foretold.
  bool meddled_with(std::uint32_t story) const { return meddled_[story]; }

 private:
  void plan_past();
  void plan_calls();
  Event backfill_event(const Request& request) const;
  void ask(Request request);
  void ask_again(Request request);
  void send(std::uint32_t number);
  Event event_of(const Request& request);
  RunId run_meant(const Request& request) const;
  std::optional<std::uint32_t> some_story() const;
  RetryRequested::Reach some_reach() const;

  World& world_;
  std::vector<Request> requests_;
  std::vector<std::optional<RunId>> runs_;  ///< By story.
  std::vector<bool> meddled_;
  std::uint32_t ids_ = 0;
  std::uint32_t hasty_ = 0;  ///< Retries at the first failure.
  std::uint32_t late_ = 0;   ///< Retries when artifacts go.
};

}  // namespace chappe::simulation
