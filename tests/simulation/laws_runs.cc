// The law over tasks that start runs: each attempt starts one, and ends as that does.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/laws.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {

/// Nobody asked for it but an attempt that waits, or in this very commit has done its work.
void Laws::check_started(const RunRow& row, const Persist& persist) {
  const AttemptId attempt = row.parent.attempt;
  if (!attempt || row.dag != kChild) return broken(Law::kRequests, "a run begins that no task started");
  const auto change = std::find_if(persist.tasks.rbegin(), persist.tasks.rend(),
                                   [&](const TaskChange& each) { return each.row.key == row.parent.key; });
  const auto stored = rows_.find(row.parent.key);
  if (change == persist.tasks.rend() && stored == rows_.end()) {
    return broken(Law::kRequests, "a run begins of a task that is unknown");
  }
  const TaskRow& parent = change != persist.tasks.rend() ? change->row : stored->second;
  // A run may be over in the commit that it begins in, and the attempt that waits for it with it.
  const bool was_at_it = stored != rows_.end() && stored->second.attempt == attempt && !is_final(stored->second.state);
  const bool is_over = std::any_of(persist.run_changes.begin(), persist.run_changes.end(), [&](const auto& each) {
    return each.row.seq == row.seq && is_final(each.row.state);
  });
  const bool ends_with_it = was_at_it && is_over;
  const bool at_it = parent.attempt == attempt && (!is_final(parent.state) || ends_with_it);
  const bool done = parent.attempt == attempt && parent.state == TaskState::kSuccess;
  const bool waits = task_of(runs_.at(row.parent.key.run), row.parent.key).subdag->wait;
  if (waits ? !at_it : !done) broken(Law::kRequests, name(row.parent.key) + " starts a run, and is not at it");
  if (!started_.emplace(attempt, row.seq).second) broken(Law::kRequests, name(row.parent.key) + " starts two runs");
  world_.saw(Sight::kRunStartedByTask);
}

/// The run that it waited for has, or could not be started.
bool Laws::fails_with_run(const RunView& run, const TaskRow& old, const TaskRow& row) const {
  const bool failed = row.state == TaskState::kUpForRetry || row.state == TaskState::kFailed;
  return task_of(run, row.key).kind == TaskKind::kDag && old.state == TaskState::kWaiting && failed;
}

/// In the commit in which the run ends, if the task waits for it.
void Laws::check_ends_with_run(const RunView& run, const TaskRow& old, const TaskRow& row) {
  const Task& task = task_of(run, row.key);
  if (task.kind != TaskKind::kDag || !row.attempt || row.state == old.state || row.attempt != old.attempt) return;
  const auto refuse = [&](std::string_view why) {
    broken(Law::kRunVerdict,
           fmt::format("{} is {}, and the run that it started {}", name(row.key), name_of(row.state), why));
  };
  const auto started = started_.find(row.attempt);
  if (row.state == TaskState::kSuccess && started == started_.end()) return refuse("does not exist");
  if (started == started_.end() || !task.subdag->wait || row.state == TaskState::kWaiting) return;
  const RunState end = runs_.at(started->second).row.state;
  if (!is_final(end)) return refuse("goes on");
  if ((row.state == TaskState::kSuccess) != (end == RunState::kSuccess)) refuse("did not end so");
}

}  // namespace chappe::simulation
