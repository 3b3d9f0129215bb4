#include "scheduler/app/loop_metrics.h"

namespace chappe {
namespace {

double seconds_between(WallTime from, WallTime to) { return static_cast<double>((to - from).count()) / 1e6; }

bool is_leased(TaskState state) { return state == TaskState::kQueued || state == TaskState::kRunning; }

}  // namespace

LoopMetrics::LoopMetrics(metrics::Registry& registry)
    : registry_(registry),
      events_(registry.counter("chappe_events_total", "Events that the engine took in.")),
      step_seconds_(registry.seconds("chappe_step_seconds", "How long the engine takes to decide about a batch.")),
      commits_(registry.counter("chappe_commits_total", "Transactions of the metadata store.")),
      commit_seconds_(registry.seconds("chappe_commit_seconds", "How long a transaction takes until it is durable.")),
      assigned_(registry.counter("chappe_attempts_assigned_total", "Attempts that were handed to workers.")),
      dispatch_seconds_(
          registry.seconds("chappe_dispatch_seconds", "From a task being ready to its first attempt being assigned.")),
      late_(registry.counter("chappe_tasks_late_total", "Tasks that waited beyond their late_after.")) {
  for (int reason = 0; reason <= static_cast<int>(Reason::kUpstream); ++reason) {
    const auto which = static_cast<Reason>(reason);
    const std::string name = which == Reason::kNone ? "success" : std::string(name_of(which));
    attempts_.emplace(
        which, registry.counter("chappe_attempts_ended_total", "Attempts, by why they ended.", {{"reason", name}}));
  }
  for (std::size_t state = 0; state < kTaskStates; ++state) {
    const auto which = static_cast<TaskState>(state);
    if (!is_final(which)) continue;
    tasks_.emplace(which, registry.counter("chappe_tasks_ended_total", "Task instances, by how they ended.",
                                           {{"state", std::string(name_of(which))}}));
  }
}

void LoopMetrics::stepped(std::size_t events, double seconds) {
  events_.add(static_cast<double>(events));
  step_seconds_.observe(seconds);
}

void LoopMetrics::committed(const Persist& changes, double seconds) {
  commits_.add();
  commit_seconds_.observe(seconds);
  for (const TaskChange& change : changes.tasks) count(change);
  for (const RunChange& change : changes.run_changes) count(change);
  for (const AuditRow& row : changes.audit) {
    if (row.verb == "task.late") late_.add();
  }
}

void LoopMetrics::count(const TaskChange& change) {
  const TaskRow& row = change.row;
  if (row.state == TaskState::kQueued && row.attempt != change.expect_attempt) {
    assigned_.add();
    if (row.attempt_no == 1) dispatch_seconds_.observe(seconds_between(row.ready_at, row.queued_at));
  }
  if (is_leased(change.expect_state) && !is_leased(row.state)) attempts_.at(row.end.reason).add();
  if (is_final(row.state) && !is_final(change.expect_state)) tasks_.at(row.state).add();
}

void LoopMetrics::count(const RunChange& change) {
  if (!is_final(change.row.state) || is_final(change.expect_state)) return;
  const std::string dag = label_of(change.row.dag);
  registry_
      .counter("chappe_runs_ended_total", "Runs, by DAG and how they ended.",
               {{"dag", dag}, {"state", std::string(name_of(change.row.state))}})
      .add();
  if (change.row.state != RunState::kSuccess) return;
  registry_
      .gauge("chappe_dag_last_success_timestamp_seconds", "When the newest successful run of a DAG ended.",
             {{"dag", dag}})
      .set(static_cast<double>(change.row.ended_at.us) / 1e6);
}

std::string LoopMetrics::label_of(const std::string& dag) {
  if (dags_.contains(dag) || dags_.size() < kDagsMax) return *dags_.insert(dag).first;
  return "(other)";
}

}  // namespace chappe
