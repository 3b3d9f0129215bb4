#include <fmt/format.h>

#include <algorithm>

#include "engine/base/assert.h"
#include "engine/model/secrets.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

/// How one ended instance counts for a child along one edge.
std::uint32_t& count_for(UpstreamCounts& counts, const Dependency& edge, TaskState state, bool allowed) {
  const bool success = state == TaskState::kSuccess || (state == TaskState::kFailed && allowed);
  const bool skipped = state == TaskState::kSkipped;
  if (!edge.plain) {
    const bool met = success ? edge.on_succeeded : skipped ? edge.on_skipped : edge.on_failed;
    return met ? counts.success : counts.skipped;
  }
  if (success) return counts.success;
  if (skipped) return counts.skipped;
  return state == TaskState::kUpstreamFailed ? counts.upstream_failed : counts.failed;
}

std::string run_name(const RunRow& row) { return "run " + row.id.text(); }

std::vector<std::string> secret_params(const Dag& dag) {
  std::vector<std::string> names;
  for (const ParamSpec& spec : dag.params) {
    if (spec.secret) names.push_back(spec.name);
  }
  return names;
}

/// What the store keeps of the parameters: secret ones as null.
std::string recorded_params(const Dag& dag, ValueMap params) {
  for (const ParamSpec& spec : dag.params) {
    if (!spec.secret) continue;
    for (auto& [name, value] : params) {
      if (name == spec.name) value = Value();
    }
  }
  return to_json(params);
}

}  // namespace

// ---- Runs begin ----

void EngineState::on(const RunRequested& event) {
  if (const auto known = by_request.find(event.request_id); !event.request_id.empty() && known != by_request.end()) {
    const LiveRun* run = find_run(known->second.run);
    const RunState state = run == nullptr ? known->second.state : run->row.state;
    return reply(event.ticket, Value(ValueMap{{"run", known->second.run.text()}, {"state", name_of(state)}}));
  }
  if (runs.size() >= config.runs_max) {
    return reply(event.ticket, fail(ErrorCode::kUnavailable,
                                    fmt::format("{} runs are queued or running; no more are taken", runs.size())));
  }
  auto instances = Instances::expand(event.dag, event.params);
  if (!instances) return reply(event.ticket, fail(std::move(instances.error())));

  auto owned = std::make_unique<LiveRun>();
  LiveRun& run = *owned;
  run.dag = event.dag;
  run.params = Value(event.params);
  RunRow& row = run.row;
  row.seq = RunSeq{++last_run.value};
  row.id = event.id;
  row.dag = event.dag->name;
  row.dag_version = event.dag->version;
  row.params_json = recorded_params(*event.dag, event.params);
  row.trigger = event.trigger;
  row.requested_by = event.requested_by;
  row.request_id = event.request_id;
  row.logical_time = event.logical_time.is_set() ? event.logical_time : now.wall;
  row.interval_end = event.interval_end.is_set() ? event.interval_end : row.logical_time;
  row.interval_start = event.interval_start.is_set() ? event.interval_start : row.interval_end;
  row.instances = instances->size();
  row.created_at = now.wall;
  runs[row.seq] = std::move(owned);
  run_ids[row.id] = row.seq;
  if (!row.request_id.empty()) by_request[row.request_id] = {row.id};

  out.persist.dag_versions.push_back({row.dag_version, row.dag, event.dag->source, now.wall});
  audit({row.requested_by, event.source}, "run.submit", run_name(row),
        to_json(ValueMap{{"dag", row.dag}, {"version", row.dag_version}}));
  if (running_by_dag[row.dag] < event.dag->max_runs) {
    row.state = RunState::kRunning;
    row.started_at = now.wall;
    out.persist.runs.push_back(row);
    begin(run);
  } else {
    out.persist.runs.push_back(row);
    queue_up(run);
  }
  reply(event.ticket, Value(ValueMap{{"run", row.id.text()}, {"state", name_of(row.state)}}));
}

std::shared_ptr<const Graph> EngineState::graph_of(const DagPtr& dag) {
  std::weak_ptr<const Graph>& known = graphs[dag.get()];
  if (auto graph = known.lock()) return graph;
  // The entry goes with the graph, so that the table holds live versions only.
  auto graph = std::make_shared<const Graph>(*dag);
  known = graph;
  return graph;
}

/// Fills in what a running run needs. Errors: kInvalidInput: its fan-outs do not expand; never for a run that was
/// accepted.
Result<void> EngineState::prepare(LiveRun& run) {
  auto instances = Instances::expand(run.dag, *run.params.as_map());
  if (!instances) return fail(std::move(instances.error()));
  run.instances = std::move(*instances);
  run.graph = graph_of(run.dag);
  run.context = std::make_shared<const RunContext>(
      RunContext{run.row.seq, run.row.id, run.row.dag, run.row.dag_version, to_json(run.params), run.row.logical_time,
                 run.row.interval_start, run.row.interval_end, run.row.generation, secret_params(*run.dag)});
  run.tasks.assign(run.dag->tasks.size(), {});
  run.states.assign(run.instances->size(), {});
  run.counts = {};
  run.counts[static_cast<std::size_t>(TaskState::kNone)] = run.instances->size();
  return {};
}

/// The run has a place among those of its DAG, and its time runs.
void EngineState::enter(LiveRun& run) {
  ++running_by_dag[run.row.dag];
  if (run.dag->timeout) add_run_timer(run, *run.dag->timeout - since(run.row.started_at));
}

void EngineState::add_run_timer(const LiveRun& run, Duration left) {
  add_timer(std::max(left, Duration(0)), Timer::Kind::kRunTimeout,
            static_cast<std::uint64_t>(InstanceKey{run.row.seq, 0}.row()), run.row.generation);
}

/// Judges the tasks of a run whose row has just become kRunning.
void EngineState::begin(LiveRun& run) {
  const auto prepared = run.started() ? Result<void>() : prepare(run);
  CHAPPE_ASSERT(prepared.has_value());  // It was expanded when it was requested.
  enter(run);
  recount(run);
  judge_due(run);
}

void EngineState::start_next(const std::string& dag) {
  const auto queue = queued_by_dag.find(dag);
  if (queue == queued_by_dag.end()) return;
  while (!queue->second.empty()) {
    LiveRun& run = *runs.at(queue->second.front());
    if (running_by_dag[dag] >= run.dag->max_runs) return;
    queue->second.pop_front();
    change_run(run, [&](RunRow& row) {
      row.state = RunState::kRunning;
      row.started_at = now.wall;
    });
    begin(run);
  }
  queued_by_dag.erase(queue);
}

// ---- Tasks are judged ----

/// Counts all ends anew; every task that has not spoken is up for judgement.
void EngineState::recount(LiveRun& run) {
  run.to_judge.clear();
  run.failed = false;
  for (std::uint32_t task = 0; task < run.tasks.size(); ++task) {
    run.tasks[task].upstream = {};
    for (const Dependency& edge : run.task(task).depends_on) {
      run.tasks[task].upstream.total += run.instances->count(edge.task);
    }
    run.to_judge.push_back(task);
  }
  for (std::uint32_t index = 0; index < run.states.size(); ++index) {
    if (is_final(run.states[index].state)) tell_children(run, index);
  }
}

void EngineState::tell_children(LiveRun& run, std::uint32_t index) {
  const InstanceState& ended = run.states[index];
  if (ended.state == TaskState::kFailed && !ended.allowed) run.failed = true;
  // A worker may say "cancelled" though nobody cancelled the run; what was asked for is then not done.
  if (ended.state == TaskState::kUpstreamFailed || ended.state == TaskState::kCancelled) run.failed = true;
  for (const ChildEdge& edge : run.graph->children(run.instances->task_of(index))) {
    TaskProgress& child = run.tasks[edge.child];
    const Dependency& dependency = run.task(edge.child).depends_on[edge.dependency];
    ++count_for(child.upstream, dependency, ended.state, ended.allowed);
    if (!child.judged) run.to_judge.push_back(edge.child);
  }
}

void EngineState::judge_due(LiveRun& run) {
  // Judging a task may end instances, which puts more tasks at the end of the list: a loop, because a chain of skips
  // may be a million tasks long.
  for (std::size_t i = 0; i < run.to_judge.size(); ++i) judge_task(run, run.to_judge[i]);
  run.to_judge.clear();
}

/// Names one of those that decided it, for people: "train[pairs] is failed (trigger_rule all_success)".
std::string EngineState::why_not(const LiveRun& run, std::uint32_t task, Verdict verdict) const {
  const TriggerRule rule = run.task(task).trigger_rule;
  const auto decided = [&](const InstanceState& ended) {
    const bool failed =
        (ended.state == TaskState::kFailed && !ended.allowed) || ended.state == TaskState::kUpstreamFailed;
    if (verdict == Verdict::kUpstreamFailed) return failed;
    const bool skipped = ended.state == TaskState::kSkipped;
    if (rule == TriggerRule::kAllSuccess || rule == TriggerRule::kNoneSkipped) return skipped;
    if (rule == TriggerRule::kAllFailed) return is_final(ended.state) && !failed;
    return rule == TriggerRule::kAllSkipped && is_final(ended.state) && !skipped;
  };
  for (const Dependency& edge : run.task(task).depends_on) {
    const std::uint32_t first = run.instances->first(edge.task);
    for (std::uint32_t i = first; i < first + run.instances->count(edge.task); ++i) {
      if (!decided(run.states[i])) continue;
      return fmt::format("{} is {} (trigger_rule {})", run.instances->name_of(i), name_of(run.states[i].state),
                         name_of(rule));
    }
  }
  const UpstreamCounts& up = run.tasks[task].upstream;
  return fmt::format("trigger_rule {}: {} of {} upstream succeeded, {} failed, {} skipped", name_of(rule), up.success,
                     up.total, up.failed + up.upstream_failed, up.skipped);
}

void EngineState::judge_task(LiveRun& run, std::uint32_t task) {
  TaskProgress& progress = run.tasks[task];
  if (progress.judged || run.row.stop != Stop::kNone) return;
  const TriggerRule rule = run.task(task).trigger_rule;
  const Verdict verdict = judge(rule, progress.upstream);
  if (verdict == Verdict::kWait) return;
  progress.judged = true;
  if (!progress.ready_at.is_set()) progress.ready_at = now.wall;  // After a restart it is judged again.
  if (verdict == Verdict::kRun) return make_ready(run, task);
  const TaskState state = verdict == Verdict::kSkip ? TaskState::kSkipped : TaskState::kUpstreamFailed;
  const std::string message = why_not(run, task, verdict);
  const std::uint32_t first = run.instances->first(task);
  for (std::uint32_t i = first; i < first + run.instances->count(task); ++i) {
    if (run.states[i].state == TaskState::kNone) settle_without_attempt(run, i, state, Reason::kUpstream, message);
  }
}

/// False where a person runs again what it depends on, while it was under way itself.
bool EngineState::is_allowed_still(const LiveRun& run, std::uint32_t index) const {
  const std::uint32_t task = run.instances->task_of(index);
  return judge(run.task(task).trigger_rule, run.tasks[task].upstream) == Verdict::kRun;
}

/// Its next attempt, whose row this becomes, waits for the upstream tasks as the first one did.
void EngineState::wait_again(LiveRun& run, std::uint32_t index, TaskRow row) {
  row.attempt = {};
  row.state = TaskState::kNone;
  store_row(run, index, std::move(row));
  const std::uint32_t task = run.instances->task_of(index);
  run.tasks[task].judged = false;
  run.to_judge.push_back(task);
  judge_due(run);
}

void EngineState::make_ready(LiveRun& run, std::uint32_t position) {
  const Task& task = run.task(position);
  const std::uint32_t first = run.instances->first(position);
  ReadyRange range{first, first};
  const auto flush = [&](std::uint32_t next) {
    if (range.next < range.end) enqueue(run, position, range);
    range = {next, next};
  };
  for (std::uint32_t i = first; i < first + run.instances->count(position); ++i) {
    const bool waits = run.states[i].state == TaskState::kNone && (task.when.empty() || decide_when(run, i));
    const bool empty = task.foreach && !run.instances->mapped(position);
    if (waits && empty) decide_empty(run, i);
    if (waits && !empty && task.kind == TaskKind::kCheck) decide_check(run, i);
    if (waits && !empty && task.kind == TaskKind::kPromote) decide_promote(run, i);
    if (run.states[i].state != TaskState::kNone || run.row.stop != Stop::kNone) {
      flush(i + 1);
      continue;
    }
    run.set_state(i, TaskState::kScheduled);
    range.end = i + 1;
    add_queue_timer(run, i, since(run.tasks[position].ready_at));
  }
  flush(0);
}

/// True: go on. False: the instance is settled.
bool EngineState::decide_when(LiveRun& run, std::uint32_t index) {
  const expr::Expression& when = run.task(run.instances->task_of(index)).when;
  const auto answer = when.evaluate_condition(RunScope(run, index));
  if (answer && *answer) return true;
  if (answer) {
    settle_without_attempt(run, index, TaskState::kSkipped, Reason::kNone, "when is false: " + when.text());
  } else {
    const Error told = without_secrets(*run.dag, run.params, when.references(), answer.error());
    settle_without_attempt(run, index, TaskState::kFailed, Reason::kLaunchFailed, "when: " + told.message);
  }
  return false;
}

void EngineState::decide_empty(LiveRun& run, std::uint32_t index) {
  const ForEach& foreach = *run.task(run.instances->task_of(index)).foreach;
  switch (foreach.on_empty) {
    case ForEach::OnEmpty::kSkip:
      return settle_without_attempt(run, index, TaskState::kSkipped, Reason::kNone, "foreach has no items");
    case ForEach::OnEmpty::kSucceed:
      return settle_without_attempt(run, index, TaskState::kSuccess, Reason::kNone, "foreach has no items");
    case ForEach::OnEmpty::kFail:
      return settle_without_attempt(run, index, TaskState::kFailed, Reason::kLaunchFailed, "foreach has no items");
  }
}

void EngineState::decide_check(LiveRun& run, std::uint32_t index) {
  const Task& task = run.task(run.instances->task_of(index));
  AttemptEnd end{.started_at = now.wall, .ended_at = now.wall};
  std::string passed;
  for (const CheckCondition& condition : task.checks) {
    const auto answer = condition.expression.evaluate_condition(RunScope(run, index));
    if (answer && *answer) {
      passed += fmt::format("{}{}", passed.empty() ? "" : "; ", condition.expression.text());
      continue;
    }
    end.reason = Reason::kCheckFailed;
    const std::string what =
        !answer ? without_secrets(*run.dag, run.params, condition.expression.references(), answer.error()).message
                : condition.message;
    const std::string values = told_values(run, index, condition.expression);
    end.message = fmt::format("{}is false: {}{}{}{}", condition.name.empty() ? "" : condition.name + " ",
                              condition.expression.text(), values.empty() ? "" : " (" + values + ")",
                              what.empty() ? "" : ": ", what);
    break;
  }
  if (end.reason == Reason::kNone) end.message = std::move(passed);
  TaskRow row = row_of(run, index);
  row.attempt = new_attempt();
  ++row.attempt_no;
  row.queued_at = now.wall;
  row.end = std::move(end);
  row.state = row.end.reason == Reason::kNone ? TaskState::kSuccess : TaskState::kFailed;
  row.allowed = row.state == TaskState::kFailed && task.allow_failure.always;
  settle(run, index, std::move(row));
}

void EngineState::decide_promote(LiveRun& run, std::uint32_t index) {
  const Task& task = run.task(run.instances->task_of(index));
  TaskRow row = row_of(run, index);
  row.attempt = new_attempt();
  ++row.attempt_no;
  row.queued_at = now.wall;
  row.end = {.started_at = now.wall, .ended_at = now.wall};
  auto moved = promote(run, *task.promote, row.attempt, index);
  if (moved) {
    row.end.message = fmt::format("{}@{} is version {} now (it was {})", moved->model, moved->alias,
                                  moved->version.value, moved->previous.value);
    row.state = TaskState::kSuccess;
    out.persist.aliases.push_back(std::move(*moved));
  } else {
    row.end.reason = Reason::kLaunchFailed;
    row.end.message = moved.error().message;
    row.state = TaskState::kFailed;
    row.allowed = task.allow_failure.always;
  }
  settle(run, index, std::move(row));
}

Result<AliasRow> EngineState::promote(LiveRun& run, const PromoteSpec& spec, AttemptId attempt, std::uint32_t index) {
  auto chosen = select_instances(run, spec.from_task, spec.select);
  if (!chosen) return fail(std::move(chosen.error()));
  const std::string source = fmt::format("{}.{}", run.task(spec.from_task).id, spec.from_artifact);
  if (chosen->size() != 1) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{} comes from {} instances; say which with select", source, chosen->size()));
  }
  const ArtifactRow* artifact = output_artifact(run, chosen->front(), spec.from_artifact);
  if (artifact == nullptr || !artifact->asset) {
    return fail(ErrorCode::kNotFound, fmt::format("{} left no asset version to promote", source));
  }
  const std::string name = fmt::format("{}@{}", spec.model, spec.alias);
  const auto before = aliases.find(name);
  AliasRow row{.model = spec.model, .alias = spec.alias, .version = artifact->asset};
  if (before != aliases.end()) row.previous = before->second.id;
  row.by_task = {run.row.seq, index};
  row.by_attempt = attempt;
  row.by = run_name(run.row);
  row.at = now.wall;
  aliases[name] = version_of(*artifact);
  return row;
}

// ---- Instances and runs end ----

void EngineState::settle(LiveRun& run, std::uint32_t index, TaskRow row) {
  CHAPPE_ASSERT(is_final(row.state));
  const bool failed = row.state == TaskState::kFailed && !row.allowed;
  store_row(run, index, std::move(row));
  tell_children(run, index);
  if (failed && run.dag->fail_fast != FailFast::kOff && run.row.stop == Stop::kNone) {
    stop(run, Stop::kFailFast, fmt::format("{} failed, and fail_fast is on", run.instances->name_of(index)));
  }
  if (run.unsettled() == 0) touched.push_back(run.row.seq);
}

void EngineState::settle_without_attempt(LiveRun& run, std::uint32_t index, TaskState state, Reason reason,
                                         std::string message) {
  TaskRow row = row_of(run, index);
  row.attempt = {};
  row.worker = {};
  row.queued_at = {};
  row.state = state;
  row.end = {.reason = reason, .ended_at = now.wall, .message = std::move(message)};
  const Task& task = run.task(run.instances->task_of(index));
  row.allowed = state == TaskState::kFailed && task.allow_failure.always;
  settle(run, index, std::move(row));
}

/// Nothing new starts; what waits is cancelled. Instances without a row stay without one: the run's row says it all.
void EngineState::stop(LiveRun& run, Stop why, const std::string& message) {
  change_run(run, [&](RunRow& row) {
    row.stop = why;
    row.message = message;
  });
  for (std::uint32_t i = 0; i < run.states.size(); ++i) {
    const InstanceState& instance = run.states[i];
    if (is_final(instance.state) || holds_attempt(instance.state)) continue;
    if (!instance.has_row) {
      run.set_state(i, TaskState::kCancelled);
      continue;
    }
    TaskRow row = row_of(run, i);
    row.attempt = {};
    row.state = TaskState::kCancelled;
    row.end = {.reason = Reason::kCancelled, .ended_at = now.wall, .message = message};
    store_row(run, i, std::move(row));
  }
  run.parked.clear();
  run.parked_by_task.clear();
  if (cancels_attempts(run)) cancel_attempts(run);
  touched.push_back(run.row.seq);
}

/// Requires: the run is being stopped.
bool EngineState::cancels_attempts(const LiveRun& run) const {
  return run.row.stop != Stop::kFailFast || run.dag->fail_fast == FailFast::kCancel;
}

void EngineState::cancel_attempts(LiveRun& run) {
  for (std::uint32_t i = 0; i < run.states.size(); ++i) {
    const InstanceState& instance = run.states[i];
    if (instance.state != TaskState::kQueued && instance.state != TaskState::kRunning) continue;
    const auto worker = workers.find(instance.worker);
    CHAPPE_ASSERT(worker != workers.end());
    LeasedAttempt& leased = worker->second.leased.at(instance.attempt);
    if (std::exchange(leased.cancel_sent, true) || !worker->second.connection) continue;  // Told when it is back.
    send_to(worker->second.connection).cancel.push_back({.what = {{run.row.seq, i}, instance.attempt}});
  }
}

void EngineState::finish_if_over(LiveRun& run) {
  if (run.row.state != RunState::kRunning || run.unsettled() > 0) return;
  const std::string dag = run.row.dag;
  const RunSeq seq = run.row.seq;
  change_run(run, [&](RunRow& row) {
    const bool failed = run.failed || row.stop == Stop::kFailFast || row.stop == Stop::kTimeout;
    row.state = row.stop == Stop::kCancel ? RunState::kCancelled : failed ? RunState::kFailed : RunState::kSuccess;
    row.ended_at = now.wall;
  });
  --running_by_dag[dag];
  forget_run(seq);
  start_next(dag);
}

void EngineState::change_run(LiveRun& run, const std::function<void(RunRow&)>& change) {
  const RunState before = run.row.state;
  change(run.row);
  out.persist.run_changes.push_back({run.row, before});
}

/// Who asked looks into the store first; this is for requests that crossed on their way.
void EngineState::remember_request(const RunRow& row) {
  constexpr std::size_t kOldRequestsMax = 10'000;
  if (row.request_id.empty()) return;
  by_request[row.request_id].state = row.state;
  old_requests.push_back(row.request_id);
  if (old_requests.size() <= kOldRequestsMax) return;
  const auto oldest = by_request.find(old_requests.front());
  if (oldest != by_request.end() && !run_ids.contains(oldest->second.run)) by_request.erase(oldest);
  old_requests.pop_front();
}

void EngineState::forget_run(RunSeq seq) {
  const auto found = runs.find(seq);
  const RunRow& row = found->second->row;
  run_ids.erase(row.id);
  remember_request(row);
  const DagPtr dag = found->second->dag;
  runs.erase(found);
  if (const auto graph = graphs.find(dag.get()); graph != graphs.end() && graph->second.expired()) graphs.erase(graph);
}

}  // namespace chappe
