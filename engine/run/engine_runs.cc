#include <fmt/format.h>

#include <algorithm>

#include "engine/base/assert.h"
#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"
#include "engine/run/published.h"

namespace chappe {
namespace {

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
  const bool forgets = CHAPPE_MUTANT(kForgetsRequests);
  if (const auto known = by_request.find(event.request_id);
      !event.request_id.empty() && known != by_request.end() && !forgets) {
    const LiveRun* run = find_run(known->second.run);
    const RunState state = run == nullptr ? known->second.state : run->row.state;
    return reply(event.ticket, Value(ValueMap{{"run", known->second.run.text()}, {"state", name_of(state)}}));
  }
  const auto created = create_run(event, {}, 0);
  if (!created) return reply(event.ticket, fail(created.error()));
  const LiveRun* run = find_run(*created);
  reply(event.ticket, Value(ValueMap{{"run", event.id.text()}, {"state", name_of(run->row.state)}}));
}

/// Errors: kUnavailable: there are too many; kConflict: on_limit is skip; as plan_run().
Result<RunSeq> EngineState::create_run(const RunRequested& event, const ParentAttempt& parent, std::uint32_t depth) {
  if (runs.size() >= config.runs_max) {
    return fail(ErrorCode::kUnavailable, fmt::format("{} runs are queued or running; no more are taken", runs.size()));
  }
  auto planned = plan_run(event);
  if (!planned) return fail(std::move(planned.error()));
  if (event.dag->on_limit == OnLimit::kSkip && !has_place(*event.dag, *planned)) {
    return fail(ErrorCode::kConflict, told_full(*event.dag, *planned));
  }
  planned->parent = parent;
  planned->depth = depth;
  if (!event.rerun_of) {  // Its version is known, and does not become the newest by that.
    out.persist.dag_versions.push_back({event.dag->version, event.dag->name, event.dag->source, now.wall, ""});
  }
  const RunRow& row = add_run(event, *std::move(planned)).row;
  audit({row.requested_by, event.source}, "run.submit", run_name(row),
        to_json(ValueMap{{"dag", row.dag}, {"version", row.dag_version}}));
  return row.seq;
}

/// Requires: its DAG version is known to the store; `planned` is of plan_run().
LiveRun& EngineState::add_run(const RunRequested& event, RunRow planned) {
  auto owned = std::make_unique<LiveRun>();
  LiveRun& run = *owned;
  run.dag = event.dag;
  run.share = share_of(*run.dag);
  run.params = Value(event.params);
  run.events = event.events;
  run.row = std::move(planned);
  RunRow& row = run.row;
  row.seq = RunSeq{++last_run.value};
  row.params_json = recorded_params(*event.dag, event.params);
  runs[row.seq] = std::move(owned);
  run_ids[row.id] = row.seq;
  if (!row.request_id.empty()) by_request[row.request_id] = {row.id};
  enter_backfill(row);

  if (has_own_place(row) || has_place(*run.dag, row) || has_place_of_ancestor(run)) {
    row.state = RunState::kRunning;
    row.started_at = now.wall;
    out.persist.runs.push_back(row);
    begin(run);
  } else {
    out.persist.runs.push_back(row);
    queue_up(run);
    make_place(run);
  }
  past.note_run(row);
  if (row.state == RunState::kQueued) deadlines.watch(run);
  return run;
}

/// Numbered as they come, as whereabouts are.
DagShare EngineState::share_of(const Dag& dag) {
  const auto [place, fresh] = dag_ids.try_emplace(dag.name, static_cast<std::uint32_t>(dag_ids.size()));
  return {.id = place->second, .weight = dag.weight};
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

/// The run has a place among those of its group, and its time runs.
void EngineState::enter(LiveRun& run) {
  if (!has_own_place(run.row)) run_places.take(Places::group_of(run.row, *run.dag), run.row.seq);
  if (run.dag->timeout) add_run_timer(run, *run.dag->timeout - since(run.row.started_at));
  deadlines.watch(run);
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
  if (run.row.generation == 1) leave_out(run);
  read_values_again(run);
  recount(run);
  judge_due(run);
  services.look_at_all(run);
  judge_due(run);
  deadlines.tell_watchers(run);
  if (run.is_over()) touched.push_back(run.row.seq);  // A person ran its handlers again, and nothing else.
}

void EngineState::start_next(const std::string& group) {
  while (!run_places.line(group).empty()) {
    LiveRun& run = *find_run(*run_places.line(group).begin());
    if (run_places.taken(group).size() >= run.dag->max_runs) return;
    run_places.leave_line(group, run.row);
    start(run);
  }
}

/// A run that waited for its turn.
void EngineState::start(LiveRun& run) {
  change_run(run, [&](RunRow& row) {
    row.state = RunState::kRunning;
    row.started_at = now.wall;
  });
  begin(run);
}

// ---- Instances and runs end ----

void EngineState::settle(LiveRun& run, std::uint32_t index, TaskRow row) {
  CHAPPE_ASSERT(is_final(row.state));
  forget_wait(run, index);
  const bool failed = row.state == TaskState::kFailed && !row.allowed;
  store_row(run, index, std::move(row));
  run.items_ready_at.erase(index);
  tell_children(run, index);
  services.note_end(run, index);
  const bool fails_fast = run.dag->fail_fast != FailFast::kOff && !CHAPPE_MUTANT(kForgetsFailFast);
  if (failed && fails_fast && run.row.stop == Stop::kNone && !run.is_handler(index)) {
    stop(run, Stop::kFailFast, fmt::format("{} failed, and fail_fast is on", run.instances->name_of(index)));
  }
  if (!run.parked_by_task.empty()) begin_next_dag(run, run.instances->task_of(index));
  if (run.is_over()) touched.push_back(run.row.seq);
}

void EngineState::settle_without_attempt(LiveRun& run, std::uint32_t index, TaskState state, Reason reason,
                                         std::string message) {
  TaskRow row = row_of(run, index);
  row.attempt = {};
  row.worker = {};
  row.queued_at = {};
  row.state = state;
  row.end = {.reason = reason, .ended_at = now.wall, .message = std::move(message)};
  row.allowed = state == TaskState::kFailed && is_tolerated(run, index, row.end);
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
    if (is_final(instance.state) || holds_attempt(instance.state) || CHAPPE_MUTANT(kStoppedRunsGoOn)) continue;
    if (run.outlives_stop(i) || run.waits_for_run(i)) continue;
    forget_wait(run, i);
    if (!instance.has_row) {
      run.set_state(i, TaskState::kCancelled);
      tell_children(run, i);
      continue;
    }
    TaskRow row = row_of(run, i);
    row.attempt = {};
    row.state = TaskState::kCancelled;
    row.end = {.reason = Reason::kCancelled, .ended_at = now.wall, .message = message};
    store_row(run, i, std::move(row));
    tell_children(run, i);
  }
  const auto is_over = [&](const ReadyRange& range) { return !run.outlives_stop(range.next); };
  std::erase_if(run.parked, is_over);
  std::erase_if(run.parked_ahead, [&](const auto& item) { return !run.outlives_stop(item.second); });
  for (auto& [task, parked] : run.parked_by_task) std::erase_if(parked, is_over);
  for (const std::uint32_t hook : run.dag->hooks) judge_hooks(run, hook);
  if (cancels_attempts(run)) {
    cancel_attempts(run);
    cancel_started_runs(run);
  }
  services.look_at_all(run);
  touched.push_back(run.row.seq);
}

/// Requires: the run is being stopped.
bool EngineState::cancels_attempts(const LiveRun& run) const {
  if (CHAPPE_MUTANT(kCancelsOnPaperOnly)) return false;
  return run.row.stop != Stop::kFailFast || run.dag->fail_fast == FailFast::kCancel;
}

void EngineState::cancel_attempts(LiveRun& run) {
  for (std::uint32_t i = 0; i < run.states.size(); ++i) {
    const InstanceState& instance = run.states[i];
    if (instance.state != TaskState::kQueued && instance.state != TaskState::kRunning) continue;
    if (!run.is_stopped(run.instances->task_of(i))) continue;
    const auto worker = workers.find(instance.worker);
    CHAPPE_ASSERT(worker != workers.end());
    if (worker->second.is_expected()) {
      end_pod(worker->second, {.reason = Reason::kCancelled, .message = run.row.message});
      continue;
    }
    LeasedAttempt& leased = worker->second.leased.at(instance.attempt);
    if (std::exchange(leased.cancel_sent, true) || !worker->second.connection) continue;  // Told when it is back.
    send_to(worker->second.connection).cancel.push_back({.what = {{run.row.seq, i}, instance.attempt}});
  }
}

void EngineState::finish_if_over(LiveRun& run) {
  const std::uint32_t left_over = CHAPPE_MUTANT(kRunsEndEarly) ? 1 : 0;
  if (run.row.state != RunState::kRunning || (!run.is_over() && run.unsettled() > left_over)) return;
  settle_watchers(run);
  if (!run.is_over() && run.unsettled() > left_over) return;
  if (run.dag->handlers > 0 && !run.handling) {
    begin_handling(run);
    if (!run.is_over()) return;
  }
  const std::string group = Places::group_of(run.row, *run.dag);
  const RunSeq seq = run.row.seq;
  change_run(run, [&](RunRow& row) {
    row.state = run.outcome();
    row.ended_at = now.wall;
    if (row.state == RunState::kSuccess) row.outputs = published_by(run);
  });
  notify_of_end(run);
  run_places.give_back(group, seq);
  tell_parent(run);
  tell_triggers_of_end(run);
  forget_run(seq);
  if (!CHAPPE_MUTANT(kQueuedRunsStayQueued)) start_next(group);
}

void EngineState::change_run(LiveRun& run, const std::function<void(RunRow&)>& change) {
  const RunState before = run.row.state;
  change(run.row);
  if (is_final(before) != is_final(run.row.state)) collector.plan(run.row, *run.dag);
  if (CHAPPE_MUTANT(kCancelsAreNotSaved) && before == RunState::kRunning && run.row.stop == Stop::kCancel &&
      run.row.state == before) {
    return;
  }
  out.persist.run_changes.push_back({run.row, before});
}

void EngineState::on(const ExpiredLooked& event) {
  const bool live = event.run && find_run(event.run->seq) != nullptr;
  collector.take(event, live, now.wall, lookups_under_way, out);
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
  past.forget(*found->second);
  unhold(row.dag);
  leave_backfill(row);
  runs.erase(found);
  if (const auto graph = graphs.find(dag.get()); graph != graphs.end() && graph->second.expired()) graphs.erase(graph);
}

}  // namespace chappe
