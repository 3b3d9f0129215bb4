// Tasks that start a run of another DAG. The engine asks for the newest version of that DAG; whoever has the store
// reads it and answers. The run begins in the transaction that says that its task waits for it, so it begins once.
#include <fmt/format.h>

#include <algorithm>

#include "engine/base/assert.h"
#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"
#include "engine/run/published.h"

namespace chappe {
namespace {

std::string about(const RunRow& row) { return fmt::format("run {} of {}", row.id.text(), row.dag); }

Result<ValueMap> params_of(const LiveRun& run, std::uint32_t index, const SubDagSpec& spec, const Dag& dag) {
  auto given = evaluate(spec.params, RunScope(run, index));
  if (!given) return fail(std::move(given.error()));
  return resolve_params(dag.params, Value(std::move(*given)));
}

/// Errors: kNotFound: the run that has ended left no such value.
Result<Value> value_of(const LiveRun& run, const SubDagSpec::Output& output) {
  if (output.task.empty()) {
    if (const Value* value = published_value(run.row, output.value)) return *value;
    return fail(ErrorCode::kNotFound, fmt::format("{}: {}", about(run.row), why_not_published(run, output.value)));
  }
  const std::vector<std::string> path = {"tasks", output.task, "outputs", output.value};
  if (const auto found = RunScope(run, std::nullopt).resolve(path)) {
    return *found->find(output.task)->find("outputs")->find(output.value);
  }
  return fail(ErrorCode::kNotFound, fmt::format("{} left no {}.{}", about(run.row), output.task, output.value));
}

/// The same object, as an output of another instance.
ArtifactRow handed_up(ArtifactRow object, InstanceKey key, AttemptId attempt, std::string name) {
  if (!object.made_by_attempt) {
    object.made_by = object.key;
    object.made_by_attempt = object.attempt;
  }
  object.key = key;
  object.attempt = attempt;
  object.object.name = std::move(name);
  object.object.upload.clear();
  return object;
}

/// The object that the value is in; null: it is in none, or in those of many items.
const ArtifactRow* object_of_value(const LiveRun& run, const SubDagSpec::Output& output) {
  const auto task = run.dag->find(output.task);
  if (output.task.empty() || !task || run.instances->mapped(*task)) return nullptr;
  return output_artifact(run, run.instances->first(*task), value_object_name(output.value));
}

}  // namespace

/// As soon as fewer than `max_parallel` items wait for their runs, and the services that it depends on are ready.
void EngineState::begin_dag(LiveRun& run, std::uint32_t index) {
  const std::uint32_t task = run.instances->task_of(index);
  deadlines.watch(run, index);
  if (run.is_full(task)) {
    run.set_state(index, TaskState::kScheduled);
    add_queue_timer(run, index, since(run.ready_at(index)));
    run.parked_by_task[task].push_back({index, index + 1});
  } else if (!CHAPPE_MUTANT(kRunsBeginBeforeServices) && services.holds_back(run, index)) {
    if (is_final(run.states[index].state)) return;
    run.set_state(index, TaskState::kScheduled);
    add_queue_timer(run, index, Duration(0));
  } else {
    decide_dag(run, index);
  }
}

/// One of its items waits for no run any more.
void EngineState::begin_next_dag(LiveRun& run, std::uint32_t task) {
  if (!run.task(task).subdag) return;
  while (!run.is_full(task)) {
    const auto parked = run.parked_by_task.find(task);
    if (parked == run.parked_by_task.end()) return;
    if (parked->second.empty()) return (void)run.parked_by_task.erase(parked);
    const std::uint32_t index = parked->second.front().next;
    parked->second.pop_front();
    if (run.states[index].state != TaskState::kScheduled) continue;
    if (CHAPPE_MUTANT(kRunsBeginBeforeServices) || !services.holds_back(run, index)) decide_dag(run, index);
  }
}

/// It waits from here on, and holds no slot.
void EngineState::decide_dag(LiveRun& run, std::uint32_t index) {
  TaskRow row = row_of(run, index);
  row.attempt = new_attempt();
  ++row.attempt_no;
  row.worker = {};
  row.queued_at = now.wall;
  row.end = {.started_at = now.wall};
  row.state = TaskState::kWaiting;
  want_dag(run, index, row.attempt);
  store_row(run, index, std::move(row));
}

void EngineState::want_dag(const LiveRun& run, std::uint32_t index, AttemptId attempt) {
  out.wanted.push_back({{run.row.seq, index}, attempt, run.task(run.instances->task_of(index)).subdag->dag});
}

void EngineState::on(const DagBrought& event) {
  LiveRun* run = find_run(event.key.run);
  if (run == nullptr || !run->started() || event.key.index >= run->states.size()) return;
  const InstanceState& instance = run->states[event.key.index];
  const bool waits = instance.state == TaskState::kWaiting && instance.attempt == event.attempt;
  const bool is_started = run->started_runs.contains(event.key.index);
  if (!waits || (is_started && !CHAPPE_MUTANT(kTasksStartTwoRuns))) return;
  auto begun = begin_subrun(*run, event);
  if (!begun) {
    AttemptEnd end{.reason = Reason::kLaunchFailed, .started_at = now.wall, .ended_at = now.wall};
    end.message = begun.error().message;
    end_attempt(*run, event.key.index, std::move(end), now.wall);
    begin_next_dag(*run, run->instances->task_of(event.key.index));  // It may rest, and others go on meanwhile.
  }
  judge_due(*run);
}

Result<void> EngineState::begin_subrun(LiveRun& run, const DagBrought& event) {
  const Task& task = run.task(run.instances->task_of(event.key.index));
  if (!event.dag) return fail(event.dag.error());
  if (run.row.depth >= kRunDepthMax) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("runs that start runs may be {} deep, and this one is; does '{}' start itself?",
                            kRunDepthMax, task.subdag->dag));
  }
  auto params = params_of(run, event.key.index, *task.subdag, **event.dag);
  if (!params) return fail(std::move(params.error()).in("dag " + task.subdag->dag));
  RunRequested wanted{.id = event.run, .dag = *event.dag, .params = std::move(*params), .trigger = "dag"};
  wanted.requested_by = fmt::format("run {} {}", run.row.id.text(), run.instances->name_of(event.key.index));
  wanted.request_id = "attempt " + to_text(event.attempt);
  wanted.logical_time = run.row.logical_time;
  wanted.interval_start = run.row.interval_start;
  wanted.interval_end = run.row.interval_end;
  wanted.no_cache = run.row.no_cache;
  if (task.subdag->wait) run.started_runs[event.key.index] = {last_run.value + 1};  // For its place among its like.
  auto begun = create_run(wanted, {event.key, event.attempt}, run.row.depth + 1);
  if (!begun) {
    run.started_runs.erase(event.key.index);
    return fail(std::move(begun.error()));
  }
  TaskRow row = row_of(run, event.key.index);
  row.queued_at = now.wall;
  row.end = {.started_at = now.wall};
  const std::string name = fmt::format("run {} of {}", event.run.text(), wanted.dag->name);
  if (task.subdag->wait) {
    CHAPPE_ASSERT(run.started_runs.at(event.key.index) == *begun);
    row.end.message = "waits for " + name;
    store_row(run, event.key.index, std::move(row));
    return {};
  }
  row.end.ended_at = now.wall;
  row.end.message = "started " + name;
  row.state = TaskState::kSuccess;
  settle(run, event.key.index, std::move(row));
  return {};
}

/// A run is over, in this very transaction: the task that waits for it is too.
void EngineState::tell_parent(const LiveRun& child) {
  LiveRun* run = find_run(child.row.parent.key.run);
  if (run == nullptr || !run->started()) return;
  const std::uint32_t index = child.row.parent.key.index;
  const auto waiting = run->started_runs.find(index);
  if (waiting == run->started_runs.end() || waiting->second != child.row.seq) return;
  run->started_runs.erase(waiting);
  const InstanceState& instance = run->states[index];
  CHAPPE_ASSERT(instance.state == TaskState::kWaiting && instance.attempt == child.row.parent.attempt);
  AttemptEnd end{.started_at = child.row.created_at, .ended_at = now.wall};
  end.message = fmt::format("{}: {}{}{}", about(child.row), name_of(child.row.state),
                            child.row.message.empty() ? "" : ", ", child.row.message);
  if (child.row.state == RunState::kSuccess || CHAPPE_MUTANT(kTasksIgnoreHowTheirRunEnds)) {
    take_outputs(*run, index, child, end);
  } else {
    end.reason = child.row.state == RunState::kCancelled ? Reason::kCancelled : Reason::kUpstream;
  }
  if (end.reason != Reason::kNone) {
    end_attempt(*run, index, std::move(end), child.row.created_at);
    begin_next_dag(*run, run->instances->task_of(index));
  } else {
    TaskRow row = row_of(*run, index);
    row.queued_at = child.row.created_at;
    row.end = std::move(end);
    row.state = TaskState::kSuccess;
    settle(*run, index, std::move(row));
  }
  judge_due(*run);
}

/// What the waiting task asked for: values of its tasks, and what it publishes.
void EngineState::take_outputs(LiveRun& run, std::uint32_t index, const LiveRun& child, AttemptEnd& end) {
  const SubDagSpec& spec = *run.task(run.instances->task_of(index)).subdag;
  const InstanceKey key{run.row.seq, index};
  const AttemptId attempt = run.states[index].attempt;
  std::vector<NamedValue> values;
  std::vector<ArtifactRow> objects;
  for (const SubDagSpec::Output& output : spec.outputs) {
    auto value = value_of(child, output);
    if (!value) {
      end.reason = Reason::kInvalidOutput;
      end.message = std::move(value.error().message);
      return;
    }
    values.push_back({.name = output.name, .value = *value});
    const ArtifactRow* object = object_of_value(child, output);
    const std::size_t bytes = object == nullptr ? to_json(*value).size() : 0;
    if (bytes > kInlineValueMax) {  // Of a fan-out: what each item left may be in an object, but not all of it.
      end.reason = Reason::kInvalidOutput;
      end.message = fmt::format(
          "{}.{} of the items of {} has {} bytes, and {} KiB of a fan-out can be handed up: let a task of {} gather "
          "them in a value of its own",
          output.task, output.value, about(child.row), bytes, kInlineValueMax >> 10, child.row.dag);
      return;
    }
    if (object != nullptr) objects.push_back(handed_up(*object, key, attempt, value_object_name(output.name)));
  }
  for (const SubDagSpec::Artifact& output : spec.artifacts) {
    const auto object = published_artifact(child, output.published);
    if (!object) {
      end.reason = Reason::kInvalidOutput;
      end.message = fmt::format("{}: {}", about(child.row), object.error().message);
      return;
    }
    objects.push_back(handed_up(**object, key, attempt, output.name));
  }
  run.forget_outputs(index);
  std::vector<OutputObject> taken;
  for (const ArtifactRow& object : objects) taken.push_back(object.object);
  if (std::string why = why_too_large(run, taken); !why.empty()) {
    end.reason = Reason::kInvalidOutput;
    end.message = std::move(why);
    return;
  }
  for (ArtifactRow& object : objects) {
    out.persist.artifacts.push_back(object);
    run.keep(index, std::move(object));
  }
  InstanceOutputs& kept = run.outputs[index];
  for (NamedValue& value : values) {
    const std::string object = value_object_name(value.name);
    const bool in_object =
        std::ranges::any_of(kept.artifacts, [&](const auto& each) { return each.object.name == object; });
    if (!in_object) out.persist.values.push_back({key, attempt, value, now.wall});
    kept.values.push_back(std::move(value));
  }
}

/// Those that wait for them end when these have ended.
void EngineState::cancel_started_runs(LiveRun& run) {
  std::vector<RunSeq> children;
  for (const auto& [index, child] : run.started_runs) children.push_back(child);
  const std::string message = fmt::format("{} was stopped, which waits for it", about(run.row));
  for (const RunSeq seq : children) {
    if (LiveRun* child = find_run(seq)) cancel_run(*child, message);
  }
  give_up_left_alone(run, Reason::kCancelled, message);
}

/// Runs that are left alone have no end, and nobody can bring one about.
void EngineState::give_up_left_alone(LiveRun& run, Reason why, const std::string& message,
                                     std::optional<std::uint32_t> only) {
  std::vector<std::uint32_t> waiting;
  for (const auto& [index, child] : run.started_runs) {
    if (!runs.contains(child) && (!only || *only == index)) waiting.push_back(index);
  }
  for (const std::uint32_t index : waiting) {
    run.started_runs.erase(index);
    end_attempt(run, index, {.reason = why, .ended_at = now.wall, .message = message}, now.wall);
  }
}

/// A run that an ancestor of the same group waits for takes the place of that one: else both would wait for ever.
bool EngineState::has_place_of_ancestor(const LiveRun& run) {
  const std::string group = Places::group_of(run.row, *run.dag);
  const LiveRun* at = &run;
  for (std::uint32_t depth = 0; depth < kRunDepthMax && at->row.parent.attempt; ++depth) {
    const LiveRun* parent = find_run(at->row.parent.key.run);
    if (parent == nullptr || !parent->started_runs.contains(at->row.parent.key.index)) return false;
    if (Places::group_of(parent->row, *parent->dag) == group) return true;
    at = parent;
  }
  return false;
}

/// After a restart: who waits for whom, and which DAGs have not been brought.
void EngineState::link_runs(const std::vector<RunRow>& left_alone) {
  const auto link = [&](const RunRow& child) {
    if (!child.parent.attempt || is_final(child.state)) return;
    LiveRun* run = find_run(child.parent.key.run);
    const std::uint32_t index = child.parent.key.index;
    if (run == nullptr || !run->started() || index >= run->states.size()) return;
    const InstanceState& instance = run->states[index];
    const bool waits = instance.state == TaskState::kWaiting && instance.attempt == child.parent.attempt;
    if (waits) run->started_runs[index] = child.seq;
  };
  for (const auto& [seq, child] : runs) link(child->row);
  for (const RunRow& child : left_alone) {
    link(child);
    past.leave_alone(child.seq);
  }
  for (const auto& [seq, run] : runs) {
    for (std::uint32_t task = 0; run->started() && task < run->tasks.size(); ++task) {
      if (!run->task(task).subdag) continue;
      const std::uint32_t first = run->instances->first(task);
      for (std::uint32_t i = first; i < first + run->instances->count(task); ++i) {
        const InstanceState& instance = run->states[i];
        const bool unanswered = instance.state == TaskState::kWaiting && !run->started_runs.contains(i);
        if (unanswered) want_dag(*run, i, instance.attempt);
      }
    }
  }
}

}  // namespace chappe
