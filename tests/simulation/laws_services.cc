// The law over services: a task starts when those that it depends on are ready, and one ends well when all that depend
// on it have ended. That none outlives them for ever is for the law that runs end.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/laws.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {

/// What is ready from this commit on.
void Laws::note_ready(const Persist& persist) {
  for (const ValueRow& row : persist.values) {
    if (row.value.name != kServiceAddress) continue;
    const RunView& run = runs_.at(row.key.run);
    if (!task_of(run, row.key).is_service()) continue;
    if (!ready_services_.insert(row.attempt).second) broken(Law::kServices, name(row.key) + " is ready twice");
    world_.saw(Sight::kServiceReady);
  }
}

/// Before the change counts.
void Laws::check_services(const RunView& run, const TaskRow& old, const TaskRow& row) {
  const Dag& dag = *run.story->dag;
  if (dag.services.empty()) return;
  const std::uint32_t task = run.story->instances->task_of(row.key.index);
  const bool begins = row.state == TaskState::kQueued && row.attempt != old.attempt;
  for (const Dependency& edge : dag.tasks[task].depends_on) {
    if (!begins || !dag.consumes(task, edge.task)) continue;
    const auto service = rows_.find({run.row.seq, run.story->instances->first(edge.task)});
    const bool up = service != rows_.end() && service->second.state == TaskState::kRunning &&
                    ready_services_.contains(service->second.attempt);
    // A person says that it went well, or nobody minds that it did not.
    const bool without =
        service != rows_.end() && (service->second.state == TaskState::kSuccess || service->second.allowed);
    if (!up && !without) broken(Law::kServices, name(row.key) + " starts, and its service is not ready");
  }
  if (!dag.tasks[task].is_service() || !is_final(row.state) || is_final(old.state)) return;
  const bool needed = is_needed(run, task);
  if (row.state == TaskState::kFailed && needed) world_.saw(Sight::kServiceFailed);
  if (row.state != TaskState::kSuccess || !row.attempt) return;
  world_.saw(Sight::kServiceStopped);
  if (needed) broken(Law::kServices, name(row.key) + " is stopped, and a task that depends on it has not ended");
}

bool Laws::is_needed(const RunView& run, std::uint32_t service) const {
  const Dag& dag = *run.story->dag;
  const auto end = rows_.lower_bound({RunSeq{run.row.seq.value + 1}, 0});
  return std::any_of(rows_.lower_bound({run.row.seq, 0}), end, [&](const auto& entry) {
    if (is_final(entry.second.state)) return false;
    const std::uint32_t task = run.story->instances->task_of(entry.first.index);
    const auto& edges = dag.tasks[task].depends_on;
    return std::any_of(edges.begin(), edges.end(),
                       [&](const Dependency& edge) { return edge.task == service && dag.consumes(task, service); });
  });
}

}  // namespace chappe::simulation
