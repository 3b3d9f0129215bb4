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

/// They are ready, or it makes do without: a person says that one went well, or nobody minds that it did not.
bool Laws::has_services(const RunView& run, std::uint32_t task) const {
  const Dag& dag = *run.story->dag;
  const auto& edges = dag.tasks[task].depends_on;
  return std::all_of(edges.begin(), edges.end(), [&](const Dependency& edge) {
    if (!dag.consumes(task, edge.task)) return true;
    const auto service = rows_.find({run.row.seq, run.story->instances->first(edge.task)});
    if (service == rows_.end()) return false;
    const TaskRow& row = service->second;
    const bool up = row.state == TaskState::kRunning && ready_services_.contains(row.attempt);
    return up || row.state == TaskState::kSuccess || (row.state == TaskState::kFailed && row.allowed);
  });
}

/// Before the change counts.
void Laws::check_services(const RunView& run, const TaskRow& old, const TaskRow& row) {
  const Dag& dag = *run.story->dag;
  if (dag.services.empty()) return;
  const std::uint32_t task = run.story->instances->task_of(row.key.index);
  const bool starts_run = dag.tasks[task].kind == TaskKind::kDag && row.state == TaskState::kWaiting && row.attempt;
  const bool begins = (row.state == TaskState::kQueued || starts_run) && row.attempt != old.attempt;
  if (begins && !has_services(run, task)) {
    broken(Law::kServices, name(row.key) + " starts, and its service is not ready");
  }
  if (!dag.tasks[task].is_service() || !is_final(row.state) || is_final(old.state) || !row.attempt) return;
  const bool needed = is_needed(run, task);
  if (row.state == TaskState::kFailed && needed) world_.saw(Sight::kServiceFailed);
  const bool cut_off = run.row.stop != Stop::kNone || run.generation_rose;
  if (row.state != TaskState::kSuccess && !needed && !cut_off) {
    broken(Law::kServices, fmt::format("{} is {}, and nobody needs it any more", name(row.key), name_of(row.state)));
  }
  if (row.state != TaskState::kSuccess) return;
  world_.saw(Sight::kServiceStopped);
  if (needed) broken(Law::kServices, name(row.key) + " is stopped, and a task that depends on it has not ended");
}

/// An attempt in a pod is told when the pod is there: later than it got its number.
void Laws::check_services_told(const Assignment& what) {
  const auto run = runs_.find(what.key.run);
  if (run == runs_.end() || has_services(run->second, run->second.story->instances->task_of(what.key.index))) return;
  broken(Law::kServices, name(what.key) + " is told to start, and its service is not ready");
}

/// Some instance of a task that depends on it has not ended. In a stopped run some never have a row.
bool Laws::is_needed(const RunView& run, std::uint32_t service) const {
  const Dag& dag = *run.story->dag;
  const Instances& instances = *run.story->instances;
  for (std::uint32_t i = 0; i < instances.size(); ++i) {
    const std::uint32_t task = instances.task_of(i);
    const auto& edges = dag.tasks[task].depends_on;
    const bool consumes = std::any_of(edges.begin(), edges.end(), [&](const Dependency& edge) {
      return edge.task == service && dag.consumes(task, service);
    });
    if (!consumes || instances.is_retired(i)) continue;
    const auto row = rows_.find({run.row.seq, i});
    const bool unmoved = row == rows_.end() || row->second.state == TaskState::kNone;
    if (unmoved ? run.row.stop == Stop::kNone : !is_final(row->second.state)) return true;
  }
  return false;
}

}  // namespace chappe::simulation
