// The law over deadlines: of runs, and of tasks.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/laws.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {
namespace {

constexpr Duration kDeadlineGrain = std::chrono::milliseconds(1);
constexpr Duration kDrift = std::chrono::milliseconds(200);  ///< Timers go by a clock that drifts.

std::optional<WallTime> due(const Dag& dag, const RunRow& row) {
  if (!dag.deadline || row.generation > 1) return std::nullopt;
  const WallTime from = dag.deadline->from == Deadline::From::kQueued    ? row.created_at
                        : dag.deadline->from == Deadline::From::kStarted ? row.started_at
                                                                         : row.logical_time;
  return from.is_set() ? std::optional(from + dag.deadline->after) : std::nullopt;
}

}  // namespace

/// Before the change counts.
void Laws::check_deadline(const RunView& run, const RunRow& row) {
  const Dag& dag = *run.story->dag;
  const RunRow& old = run.row;
  if (!dag.deadline) return;
  const bool told = row.late_at.is_set() && row.late_at != old.late_at;
  if (old.late_at.is_set() && row.late_at != old.late_at) broken(Law::kDeadlines, "a run is told twice to be late");
  if (told && is_final(old.state)) broken(Law::kDeadlines, "a run is late that is over");
  if (world_.plan.knows(Fault::kWallJump)) return;
  const auto at = due(dag, row);
  if (told) world_.saw(Sight::kRunLate);
  if (told && at && row.late_at + kDeadlineGrain < *at) broken(Law::kDeadlines, "a run is late before its deadline");
  const bool ends = is_final(row.state) && row.stop == Stop::kNone && dag.handlers == 0 && row.generation == 1;
  if (ends && at && row.ended_at >= *at + kDrift && !row.late_at.is_set()) {
    broken(Law::kDeadlines, "a run ends behind its deadline, and nobody was told");
  }
}

void Laws::check_deadline(const RunView& run, const TaskRow& old, const TaskRow& row) {
  const auto& deadline = task_of(run, row.key).deadline;
  if (!deadline || !row.ready_at.is_set() || world_.plan.knows(Fault::kWallJump)) return;
  const bool missed = row.state == TaskState::kFailed && row.end.message.starts_with("its deadline");
  if (missed) world_.saw(Sight::kTaskLate);
  if (missed && row.end.reason != Reason::kTimeout) broken(Law::kDeadlines, name(row.key) + " is late for no reason");
  if (missed && !row.attempt && row.end.ended_at - row.ready_at + kDeadlineGrain < *deadline) {
    broken(Law::kDeadlines, name(row.key) + " is late before its deadline");
  }
  const bool begins = row.state == TaskState::kQueued && row.attempt != old.attempt;
  if (begins && row.queued_at - row.ready_at >= *deadline + kDrift) {
    broken(Law::kDeadlines, fmt::format("{} begins an attempt {} after it was ready, and its deadline is {}",
                                        name(row.key), to_text(row.queued_at - row.ready_at), to_text(*deadline)));
  }
  const bool rests = row.state == TaskState::kUpForRetry && !is_infrastructure(row.end.reason);
  if (rests && row.end.ended_at - row.ready_at >= *deadline + kDrift) {
    broken(Law::kDeadlines, name(row.key) + " is to be tried again behind its deadline");
  }
}

}  // namespace chappe::simulation
