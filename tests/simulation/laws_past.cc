// The law over tasks that depend on their past.
#include <algorithm>

#include "tests/simulation/laws.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {

bool Laws::has_tasks_on_past(const Dag& dag) {
  return std::ranges::any_of(dag.tasks, [](const Task& task) { return task.depends_on_past; });
}

/// The run of its DAG for the newest logical time before its own; null: there is none.
const Laws::RunView* Laws::newest_before(const RunRow& row) const {
  const RunView* newest = nullptr;
  for (const auto& [seq, run] : runs_) {
    if (run.row.dag != row.dag || run.row.logical_time >= row.logical_time) continue;
    if (newest == nullptr || newest->row.logical_time <= run.row.logical_time) newest = &run;
  }
  return newest;
}

bool Laws::has_ended_well(const RunView& run, const std::string& task) const {
  const Instances& instances = *run.story->instances;
  const auto position = run.story->dag->find(task);
  if (!position) return true;
  const auto well = [&](std::uint32_t index) {
    const auto row = rows_.find({run.row.seq, index});
    if (row == rows_.end()) return false;
    const TaskState state = row->second.state;
    const bool allowed = state == TaskState::kFailed && row->second.allowed;
    return state == TaskState::kSuccess || state == TaskState::kSkipped || allowed;
  };
  const std::uint32_t first = instances.first(*position);
  for (std::uint32_t i = first; i < first + instances.count(*position); ++i) {
    if (!well(i)) return false;
  }
  return well(instances.own(*position));
}

/// What was decided when the task was ready stands: a past that was made or run again since then says nothing. One that
/// waits for services is ready when they are, and its past was asked for before that, at some time since its run began.
void Laws::check_past(const RunView& run, const TaskRow& old, const TaskRow& row) {
  const Task& task = task_of(run, row.key);
  const bool begins = row.attempt && row.attempt != old.attempt && old.attempt_no == 0;
  if (!task.depends_on_past || !begins || world_.plan.knows(Fault::kWallJump)) return;
  const RunView* on = newest_before(run.row);
  const Dag& dag = *run.story->dag;
  const std::uint32_t position = run.story->instances->task_of(row.key.index);
  const bool waits_for_services =
      std::ranges::any_of(task.depends_on, [&](const Dependency& edge) { return dag.consumes(position, edge.task); });
  const WallTime asked = waits_for_services ? run.row.started_at : row.ready_at;
  if (on == nullptr || on->row.created_at >= asked || on->row.generation > 1) return;
  world_.saw(Sight::kPastAllowed);
  if (!has_ended_well(*on, task.id)) broken(Law::kPast, name(row.key) + " begins, and its past has not ended well");
}

Laws::Stuck Laws::stuck(InstanceKey key) const {
  const RunView& run = runs_.at(key.run);
  const auto row = rows_.find(key);
  Stuck out;
  out.waits = !is_final(run.row.state) && row != rows_.end() && row->second.state == TaskState::kWaiting;
  const RunView* on = out.waits ? newest_before(run.row) : nullptr;
  if (on == nullptr || !is_final(on->row.state)) return out;
  out.on = on->row.id;
  out.task = task_of(run, key).id;
  out.cancelled = on->row.stop == Stop::kCancel || on->row.stop == Stop::kCutShort;
  out.story = on->story->number;
  return out;
}

}  // namespace chappe::simulation
