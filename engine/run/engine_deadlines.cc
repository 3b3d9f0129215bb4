#include "engine/run/engine_deadlines.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

constexpr auto kDeadlineLook = std::chrono::minutes(10);  ///< The wall clock may be set forward meanwhile.

std::string told_deadline(const Deadline& deadline) {
  constexpr std::string_view kFrom[] = {"it was asked for", "it started", "its logical time"};
  return fmt::format("its deadline, {} after {}, has passed", to_text(deadline.after),
                     kFrom[static_cast<std::size_t>(deadline.from)]);
}

/// It ends by itself, or is being ended.
bool goes_on(const LiveRun& run) {
  const bool may_stop = run.row.stop == Stop::kNone || run.row.stop == Stop::kFailFast;
  return !is_final(run.row.state) && may_stop && !run.handling;
}

}  // namespace

// ---- Of a run ----

/// For a time that had passed before anybody asked for the run there is no deadline, but for one of the schedule: that
/// is late. A person who runs a task again when it has passed does not make the run late.
std::optional<WallTime> EngineDeadlines::due(const LiveRun& run) {
  const auto& deadline = run.dag->deadline;
  const RunRow& row = run.row;
  if (!deadline) return std::nullopt;
  const WallTime from = deadline->from == Deadline::From::kQueued    ? row.created_at
                        : deadline->from == Deadline::From::kStarted ? row.started_at
                                                                     : row.logical_time;
  if (!from.is_set()) return std::nullopt;
  const WallTime at = from + deadline->after;
  if (at <= row.created_at && row.trigger != "schedule") return std::nullopt;
  const bool again = row.generation > 1 && (!row.started_at.is_set() || at <= row.started_at);
  return again ? std::nullopt : std::optional(at);
}

void EngineDeadlines::watch(const LiveRun& run) {
  const auto at = due(run);
  if (!at || (run.row.late_at.is_set() && !CHAPPE_MUTANT(kLateIsToldTwice))) return;
  const Duration left = std::clamp<Duration>(*at - state_.now.wall, Duration(0), kDeadlineLook);
  state_.add_timer(left, Timer::Kind::kRunDeadline, static_cast<std::uint64_t>(InstanceKey{run.row.seq, 0}.row()), 0);
}

void EngineDeadlines::on_timer(LiveRun& run) {
  const auto at = due(run);
  const bool known = run.row.late_at.is_set() && !CHAPPE_MUTANT(kLateIsToldTwice);
  if (!at || known || !goes_on(run) || CHAPPE_MUTANT(kRunsAreNeverLate)) return;
  if (*at > state_.now.wall) return watch(run);
  const std::string message = told_deadline(*run.dag->deadline);
  state_.change_run(run, [&](RunRow& row) { row.late_at = state_.now.wall; });
  state_.audit({"scheduler", ""}, "run.late", "run " + run.row.id.text(),
               to_json(ValueMap{{"dag", run.row.dag}, {"owner", run.dag->owner}, {"deadline", to_iso8601(*at)}}));
  state_.notify(run, Notice::kLate, {}, fmt::format("is late: {}", message));
  if (run.dag->deadline->cancels) return state_.cancel_run(run, message);
  if (run.row.state == RunState::kRunning) state_.tell_watchers(run, HookEvent::kLate);
}

void EngineDeadlines::tell_watchers(LiveRun& run) {
  if (run.row.late_at.is_set() && run.row.generation == 1) state_.tell_watchers(run, HookEvent::kLate);
}

// ---- Of a task ----

bool EngineDeadlines::has_passed(const LiveRun& run, std::uint32_t index) const {
  const auto& deadline = run.task(run.instances->task_of(index)).deadline;
  const WallTime ready_at = run.ready_at(index);
  return deadline && ready_at.is_set() && state_.since(ready_at) >= *deadline;
}

void EngineDeadlines::watch(const LiveRun& run, std::uint32_t index) {
  const auto& deadline = run.task(run.instances->task_of(index)).deadline;
  const WallTime ready_at = run.ready_at(index);
  if (!deadline || !ready_at.is_set()) return;
  state_.add_timer(std::max(*deadline - state_.since(ready_at), Duration(0)), Timer::Kind::kDeadline,
                   static_cast<std::uint64_t>(InstanceKey{run.row.seq, index}.row()),
                   static_cast<std::uint64_t>(ready_at.us));
}

/// Timers are never taken back: this one may be of a time when the instance was ready before. If it is not, its time
/// is over, also where the wall clock was set back meanwhile.
void EngineDeadlines::on_timer(LiveRun& run, std::uint32_t index, std::uint64_t token) {
  const TaskState state = run.states[index].state;
  const bool over = is_final(state) || state == TaskState::kCommitting || run.instances->is_retired(index);
  if (over || CHAPPE_MUTANT(kTasksAreNeverLate)) return;
  const WallTime ready_at = run.ready_at(index);
  // Others of its task run again, and wait: what is under way has the time that it had.
  const bool was_ready = holds_attempt(state) && !CHAPPE_MUTANT(kOthersTakeDeadlinesAlong);
  if (run.waits_for_past(index) || (!ready_at.is_set() && !was_ready)) return;  // It is watched when it is ready.
  if (ready_at.is_set() && token != static_cast<std::uint64_t>(ready_at.us)) return watch(run, index);
  miss(run, index);
  state_.judge_due(run);
}

void EngineDeadlines::miss(LiveRun& run, std::uint32_t index) {
  const InstanceState& instance = run.states[index];
  if (run.waits_for_run(index)) {
    LiveRun* child = state_.find_run(run.started_runs.at(index));
    if (child == nullptr) return state_.give_up_left_alone(run, Reason::kTimeout, told(run, index), index);
    if (!child->handling) state_.cancel_run(*child, told(run, index));
    return;
  }
  if (!holds_attempt(instance.state)) {
    return state_.settle_without_attempt(run, index, TaskState::kFailed, Reason::kTimeout, told(run, index));
  }
  WorkerState& worker = state_.workers.at(instance.worker);
  if (worker.is_expected()) return state_.end_pod(worker, {.reason = Reason::kTimeout, .message = told(run, index)});
  LeasedAttempt& leased = worker.leased.at(instance.attempt);
  if (std::exchange(leased.cancel_sent, true) || !worker.connection) return;  // Told when it is back.
  state_.send_to(worker.connection)
      .cancel.push_back({.what = {leased.key, instance.attempt}, .reason = Reason::kTimeout});
}

void EngineDeadlines::tell(const LiveRun& run, std::uint32_t index, AttemptEnd& end) const {
  const bool by_deadline = end.reason == Reason::kCancelled || is_infrastructure(end.reason);
  const bool stopped = run.is_stopped(run.instances->task_of(index));  // Then that is why.
  if (end.reason != Reason::kTimeout && (!by_deadline || stopped)) return;
  if (!has_passed(run, index)) return;
  end.reason = Reason::kTimeout;
  end.message = told(run, index);
}

std::string EngineDeadlines::told(const LiveRun& run, std::uint32_t index) {
  const Duration deadline = *run.task(run.instances->task_of(index)).deadline;
  return fmt::format("its deadline, {} after it was ready, has passed", to_text(deadline));
}

// ---- Before an attempt starts ----

/// `passed`: how long the instance has been ready already; below 0 where the clock was set back.
void EngineState::add_queue_timer(const LiveRun& run, std::uint32_t index, Duration passed) {
  const auto& queue_timeout = run.task(run.instances->task_of(index)).queue_timeout;
  if (!queue_timeout) return;
  const InstanceState& instance = run.states[index];
  // An attempt that is assigned, but has not started, has been waiting since before it had its number.
  const std::uint32_t attempt_no = instance.attempt_no - (instance.state == TaskState::kQueued ? 1U : 0U);
  add_timer(std::max(*queue_timeout - std::max(passed, Duration(0)), Duration(0)), Timer::Kind::kQueueTimeout,
            static_cast<std::uint64_t>(InstanceKey{run.row.seq, index}.row()),
            std::uint64_t{run.row.generation} << 32 | attempt_no);
}

void EngineState::on_queue_timeout(LiveRun& run, std::uint32_t index, std::uint64_t token) {
  const InstanceState& instance = run.states[index];
  const Task& task = run.task(run.instances->task_of(index));
  const std::uint32_t attempt_no = static_cast<std::uint32_t>(token);
  if (token >> 32 != run.row.generation && !CHAPPE_MUTANT(kQueueTimeoutOfAnotherGeneration)) return;
  const std::string message = fmt::format("no attempt started within {}", to_text(*task.queue_timeout));
  if (instance.state == TaskState::kScheduled && instance.attempt_no == attempt_no) {
    settle_without_attempt(run, index, TaskState::kFailed, Reason::kQueueTimeout, message);
    return judge_due(run);
  }
  if (instance.state != TaskState::kQueued || instance.attempt_no != attempt_no + 1) return;
  WorkerState& worker = workers.at(instance.worker);
  if (worker.is_expected()) {
    end_pod(worker, {.reason = Reason::kQueueTimeout, .message = message});
    return judge_due(run);
  }
  LeasedAttempt& leased = worker.leased.at(instance.attempt);
  if (std::exchange(leased.cancel_sent, true) || !worker.connection) return;  // Told when it is back.
  send_to(worker.connection)
      .cancel.push_back({.what = {leased.key, instance.attempt}, .reason = Reason::kQueueTimeout});
}

}  // namespace chappe
