// What workers say of their attempts, and what follows from how those end.
#include <fmt/format.h>

#include <algorithm>

#include "engine/base/assert.h"
#include "engine/base/mutant.h"
#include "engine/run/datasets.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

/// Whether the policy retries this kind of end at all.
bool covers(const RetryPolicy& retry, const AttemptEnd& end) {
  if (!retry.on.empty() && std::find(retry.on.begin(), retry.on.end(), end.reason) == retry.on.end()) return false;
  if (end.reason == Reason::kExitCode && !retry.exit_codes.empty()) {
    return std::ranges::find(retry.exit_codes, end.exit_code) != retry.exit_codes.end();
  }
  return true;
}

}  // namespace

// ---- What workers report ----

LeasedAttempt* EngineState::leased_by(ConnectionId connection, const HeldAttempt& what) {
  WorkerState* worker = worker_on(connection);
  if (worker == nullptr) {
    send_to(connection).hello_please = true;
    return nullptr;
  }
  hear(*worker);
  const auto found = worker->leased.find(what.attempt);
  if (CHAPPE_MUTANT(kTrustsForeignReports) && found == worker->leased.end()) {
    for (auto& [seq, other] : workers) {
      if (const auto theirs = other.leased.find(what.attempt); theirs != other.leased.end()) return &theirs->second;
    }
  }
  return found == worker->leased.end() ? nullptr : &found->second;
}

/// The attempt is the one whose outputs count: they must not be dropped, whoever says what.
bool EngineState::has_won(const HeldAttempt& what) {
  const LiveRun* run = find_run(what.key.run);
  if (run == nullptr || !run->started() || what.key.index >= run->states.size()) return false;
  const InstanceState& instance = run->states[what.key.index];
  return instance.attempt == what.attempt && !CHAPPE_MUTANT(kForgetsWhoWon) &&
         (instance.state == TaskState::kCommitting || instance.state == TaskState::kSuccess);
}

/// Somebody has the lease of just this attempt.
bool EngineState::is_held(const HeldAttempt& what) {
  const LiveRun* run = find_run(what.key.run);
  if (run == nullptr || !run->started() || what.key.index >= run->states.size()) return false;
  const InstanceState& instance = run->states[what.key.index];
  return instance.attempt == what.attempt && holds_attempt(instance.state);
}

/// Its outputs are nobody's for sure. What won before a person ran the task again is still a version of its assets; and
/// of what a newer scheduler made, this one knows nothing.
bool EngineState::has_lost(const LiveRun& run, const HeldAttempt& what) {
  const bool earlier = what.attempt <= run.before_generation && !CHAPPE_MUTANT(kForgetsFormerWinners);
  const bool newer = what.attempt > newest_attempt() && !CHAPPE_MUTANT(kDropsWhatANewerSchedulerMade);
  return !earlier && !newer && !has_won(what);
}

void EngineState::on(const AttemptStarted& event) {
  LeasedAttempt* leased = leased_by(event.connection, event.what);
  if (leased == nullptr) {
    if (worker_on(event.connection) != nullptr) {
      send_to(event.connection).cancel.push_back({.what = event.what, .forget = true});
    }
    return;
  }
  LiveRun& run = *find_run(leased->key.run);
  const std::uint32_t index = leased->key.index;
  if (run.states[index].state == TaskState::kQueued) {
    leased->started_at = event.at;
    TaskRow row = row_of(run, index);
    row.state = TaskState::kRunning;
    row.queued_at = leased->queued_at;
    row.end.started_at = event.at;
    store_row(run, index, std::move(row));
  }
  const bool is_up = run.states[index].state == TaskState::kRunning;
  if (is_up && event.port != 0 && run.task(run.instances->task_of(index)).is_service()) {
    services.take_in(run, index, event);
  }
}

void EngineState::on(const AttemptReturned& event) {
  LeasedAttempt* leased = leased_by(event.connection, event.what);
  if (leased == nullptr) return;
  const std::uint32_t index = leased->key.index;
  LiveRun& run = *find_run(leased->key.run);
  if (run.states[index].state == TaskState::kQueued) take_back(run, index);
}

/// It never started: there is nothing of it to record.
void EngineState::take_back(LiveRun& run, std::uint32_t index) {
  (void)release(run, index);
  TaskRow row = row_of(run, index);
  row.attempt = {};
  --row.attempt_no;
  if (run.is_stopped(run.instances->task_of(index)) && !CHAPPE_MUTANT(kReturnedGoesOnInStoppedRun)) {
    row.state = TaskState::kCancelled;
    row.end = {.reason = Reason::kCancelled, .ended_at = now.wall, .message = run.row.message};
    settle(run, index, std::move(row));
    return judge_due(run);  // What tears it down runs all the same.
  }
  if (!is_allowed_still(run, index)) return wait_again(run, index, std::move(row));
  row.state = TaskState::kScheduled;
  store_row(run, index, std::move(row));
  deadlines.watch(run, index);
  if (!CHAPPE_MUTANT(kForgetsReturned)) enqueue(run, run.instances->task_of(index), {index, index + 1});
  services.look_at_returned(run, index);
  judge_due(run);
}

void EngineState::on(const AttemptFinished& event) {
  const LeasedAttempt* known = leased_by(event.connection, event.what);
  const WorkerState* worker = worker_on(event.connection);
  if (worker == nullptr) return;  // It says hello first, and then all of this again.
  if (!CHAPPE_MUTANT(kNeverAcknowledges)) send_to(event.connection).acknowledged.push_back(event.what.attempt);
  if (known == nullptr) {
    // Ended already, by this very report or without it; or it is another worker's, whose objects are not this one's to
    // give up. Of a run that is over nobody knows here who won.
    const LiveRun* run = find_run(event.what.key.run);
    const bool unwanted = run != nullptr && has_lost(*run, event.what) && !is_held(event.what);
    if (event.outputs && unwanted) drop_outputs(*run, event.what, *event.outputs);
    return;
  }
  AttemptEnd end = event.end;
  if (end.reason == Reason::kLostWorker) end.message += why_pod_goes(*worker);  // Who told it to leave.
  const std::uint32_t index = known->key.index;
  LiveRun& run = *find_run(known->key.run);
  const LeasedAttempt leased = release(run, index);
  const bool service = run.task(run.instances->task_of(index)).is_service();
  const double seconds = static_cast<double>((event.end.ended_at - event.end.started_at).count()) / 1e6;
  if (event.end.started_at.is_set() && !service) {
    run.attempt_seconds = run.attempt_seconds < 0 ? seconds : 0.8 * run.attempt_seconds + 0.2 * seconds;
  }
  if (event.outputs) record_reads(run, index, *event.outputs, out.persist);
  if (std::string why = why_refused(run, index, event); !why.empty()) {
    end.reason = Reason::kInvalidOutput;
    end.message = std::move(why);
  }
  if (service && end.reason == Reason::kNone && !services.ends_well(run, index)) {
    end.reason = Reason::kExitCode;
    end.message = "exit code 0, and some that depend on this service had not ended";
  }
  if (end.reason != Reason::kNone && !CHAPPE_MUTANT(kFailureIsSuccess)) {
    end_attempt(run, index, std::move(end), leased.queued_at);
    if (event.outputs) drop_outputs(run, event.what, *event.outputs);
    if (CHAPPE_MUTANT(kFailureTellsNobody)) return;
    return judge_due(run);
  }
  TaskRow row = row_of(run, index);
  row.queued_at = leased.queued_at;
  row.end = event.end;
  const AttemptOutputs* outputs = service ? nullptr : event.outputs.get();  // Its address stays.
  if (!loops_on(run, index, row, outputs)) end_success(run, index, std::move(row), outputs);
  judge_due(run);
}

// ---- Ends ----

/// A failure: rest and try again, or fail for good.
void EngineState::end_attempt(LiveRun& run, std::uint32_t index, AttemptEnd end, WallTime queued_at) {
  const bool stopped = run.is_stopped(run.instances->task_of(index));
  if (services.ends_well(run, index)) {
    TaskRow row = row_of(run, index);
    row.queued_at = queued_at;
    row.end = {.started_at = end.started_at, .ended_at = end.ended_at, .usage = end.usage, .image = end.image};
    row.end.message = "stopped: all that depend on it have ended";
    row.state = TaskState::kSuccess;
    return settle(run, index, std::move(row));
  }
  if (run.task(run.instances->task_of(index)).is_service()) run.forget_outputs(index);  // Nobody is at its address.
  deadlines.tell(run, index, end);
  TaskRow row = row_of(run, index);
  row.queued_at = queued_at;
  row.end = std::move(end);
  if (row.end.reason == Reason::kCancelled || (stopped && is_infrastructure(row.end.reason))) {
    row.state = TaskState::kCancelled;
    return settle(run, index, std::move(row));
  }
  if (!stopped && retry_later(run, index, row)) return store_row(run, index, std::move(row));
  row.state = TaskState::kFailed;
  row.allowed = is_tolerated(run, index, row.end);
  const bool gate = run.task(run.instances->task_of(index)).kind == TaskKind::kData;
  if (gate && row.end.reason == Reason::kCheckFailed) {
    notify(run, Notice::kGate, index, fmt::format("{}: {}", run.instances->name_of(index), row.end.message));
  }
  settle(run, index, std::move(row));
}

bool EngineState::retry_later(LiveRun& run, std::uint32_t index, TaskRow& row) {
  const Task& task = run.task(run.instances->task_of(index));
  if (deadlines.has_passed(run, index) && !CHAPPE_MUTANT(kRetriesPassTheirDeadline)) return false;
  Duration rest{};
  if (is_infrastructure(row.end.reason) && !CHAPPE_MUTANT(kLossIsChargedToUser)) {
    if (++row.infra_tries > task.infra_retry.limit && !CHAPPE_MUTANT(kInfraBudgetIsEndless)) return false;
    rest = backoff_after(row.infra_tries, task.infra_retry.backoff, chance(row.attempt.value));
  } else {
    if (row.end.reason == Reason::kQueueTimeout || !covers(task.retry, row.end)) return false;
    if (++row.user_tries > task.retry.limit + (CHAPPE_MUTANT(kOneRetryTooMany) ? 1 : 0)) return false;
    rest = backoff_after(row.user_tries, task.retry.backoff, chance(row.attempt.value));
    const Duration elapsed = now.wall - row.ready_at + rest;
    if (task.retry.max_elapsed && row.ready_at.is_set() && elapsed > *task.retry.max_elapsed) return false;
  }
  row.state = TaskState::kUpForRetry;
  row.retry_at = now.wall + rest;
  if (CHAPPE_MUTANT(kRestsNotAtAll)) rest = {};
  if (CHAPPE_MUTANT(kRestsForEver)) return true;
  add_timer(rest, Timer::Kind::kRetry, static_cast<std::uint64_t>(row.key.row()), row.attempt_no);
  return true;
}

}  // namespace chappe
