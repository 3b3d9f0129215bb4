#include <fmt/format.h>

#include "engine/run/engine_state.h"

namespace chappe {
namespace {

Value number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

/// It is ready, and asks for its past: after a restart anew.
bool asks_for_past(const EngineState& state, const LiveRun& run, std::uint32_t index) {
  return run.states[index].state == TaskState::kNone && run.past.contains(run.instances->task_of(index)) &&
         state.is_allowed_still(run, index);
}

/// It is ready but for a service: after a restart it asks for that anew, whether or not it had its turn before.
bool asks_for_service(const EngineState& state, const LiveRun& run, std::uint32_t index) {
  return run.states[index].state == TaskState::kNone &&
         !EngineServices::explain(run, run.instances->task_of(index)).empty() && state.is_allowed_still(run, index);
}

/// As its row has it, where only its values are read again.
std::string_view told_state(const EngineState& state, const LiveRun& run, std::uint32_t index) {
  if (asks_for_past(state, run, index) || asks_for_service(state, run, index)) return name_of(TaskState::kScheduled);
  return name_of(run.reading.contains(index) ? run.states[index].stored : run.states[index].state);
}

ValueList dump_tasks(const EngineState& state, const LiveRun& run) {
  ValueList tasks;
  for (std::uint32_t i = 0; i < run.states.size(); ++i) {
    const InstanceState& instance = run.states[i];
    ValueMap task{{"task", run.instances->name_of(i)},         {"state", told_state(state, run, i)},
                  {"attempt", to_text(instance.attempt)},      {"attempt_no", number(instance.attempt_no)},
                  {"user_tries", number(instance.user_tries)}, {"infra_tries", number(instance.infra_tries)},
                  {"iteration", number(instance.iteration)},   {"worker", number(instance.worker.value)}};
    if (instance.allowed) task.emplace_back("allowed", true);
    if (run.task(run.instances->task_of(i)).is_service()) task.emplace_back("ready", EngineServices::is_ready(run, i));
    if (const auto waits = run.waiting.find(i); waits != run.waiting.end()) {
      task.emplace_back("waits_for", waits->second.told);
      task.emplace_back("since", to_iso8601(waits->second.began));
      task.emplace_back("late_at", to_iso8601(waits->second.late_at));
    }
    if (const auto made = run.cached.find(i); made != run.cached.end()) {
      task.emplace_back("cache", made->second.cache.sha256);
    }
    tasks.emplace_back(std::move(task));
  }
  return tasks;
}

}  // namespace

Result<Value> Engine::explain(const RunId& id, std::string_view task, std::size_t limit, Now now) const {
  EngineState& state = *state_;
  const LiveRun* run = state.find_run(id);
  if (run == nullptr) return fail(ErrorCode::kNotFound, fmt::format("run {} is not queued or running", id.text()));
  state.now = now;
  ValueMap out{{"run", id.text()}, {"state", name_of(run->row.state)}};
  if (const auto due = EngineDeadlines::due(*run)) out.emplace_back("deadline", to_iso8601(*due));
  if (run->row.late_at.is_set()) out.emplace_back("late_at", to_iso8601(run->row.late_at));
  ValueList tasks;
  if (run->row.state == RunState::kQueued) {
    out.emplace_back("waits_for", state.told_turn(*run));
    out.emplace_back("tasks", std::move(tasks));
    return Value(std::move(out));
  }
  if (run->row.stop != Stop::kNone) out.emplace_back("stopping", run->row.message);
  std::uint64_t more = 0;
  for (std::uint32_t i = 0; i < run->states.size(); ++i) {
    if (is_final(run->states[i].state)) continue;
    if (!task.empty() && run->task(run->instances->task_of(i)).id != task && run->instances->name_of(i) != task)
      continue;
    if (tasks.size() < limit) {
      tasks.emplace_back(state.explain_instance(*run, i));
    } else {
      ++more;
    }
  }
  out.emplace_back("tasks", std::move(tasks));
  out.emplace_back("more", number(more));
  return Value(std::move(out));
}

ValueMap EngineState::explain_instance(const LiveRun& run, std::uint32_t index) const {
  const InstanceState& instance = run.states[index];
  const auto worker = workers.find(instance.worker);
  const std::string where = worker == workers.end() ? "?" : worker->second.row.name;
  std::string waits_for;
  switch (instance.state) {
    case TaskState::kNone:
      waits_for = asks_for_past(*this, run, index) ? past.explain(run, run.instances->task_of(index))
                                                   : explain_upstream(run, index);
      if (asks_for_service(*this, run, index)) waits_for = services.explain(run, run.instances->task_of(index));
      break;
    case TaskState::kScheduled:
      waits_for = explain_ready(run, index);
      break;
    case TaskState::kQueued:
      waits_for = worker != workers.end() && worker->second.is_expected()
                      ? explain_pod(worker->second)
                      : fmt::format("worker {}, which has attempt {} and has not said that it started", where,
                                    instance.attempt_no);
      break;
    case TaskState::kRunning:
      waits_for = services.explain_up(run, index);
      if (waits_for.empty()) waits_for = fmt::format("its own end: attempt {} runs on {}", instance.attempt_no, where);
      break;
    case TaskState::kCommitting:
      waits_for = unread_values(run.outputs.at(index)).empty() ? "the object store, which publishes its assets"
                                                               : "the object store, which its values are read from";
      break;
    case TaskState::kUpForRetry:
      waits_for = fmt::format("its rest before attempt {} to pass", instance.attempt_no + 1);
      break;
    case TaskState::kWaiting:
      waits_for = run.waits_for_past(index)     ? past.explain(run, run.instances->task_of(index))
                  : run.waiting.contains(index) ? explain_wait(run, index)
                                                : explain_waiting(run, index);
      break;
    default:
      break;
  }
  const bool held = holds_attempt(instance.state) && instance.state != TaskState::kCommitting;
  if (worker != workers.end() && held && !worker->second.connection && !worker->second.is_expected()) {
    waits_for += fmt::format("; worker {} has not been heard of for a while", where);
  }
  return {{"task", run.instances->name_of(index)},
          {"state", name_of(instance.state)},
          {"attempt", number(instance.attempt_no)},
          {"waits_for", std::move(waits_for)}};
}

std::string EngineState::explain_waiting(const LiveRun& run, std::uint32_t index) const {
  if (const auto started = run.started_runs.find(index); started != run.started_runs.end()) {
    const auto live = runs.find(started->second);
    if (live == runs.end()) return "a run that it started, which is left alone: cancel this one, or see the log";
    const LiveRun& child = *live->second;
    const std::string queue = child.row.state == RunState::kQueued ? ": " + explain_queued(child, run) : "";
    return fmt::format("run {} of {}, which is {}{}", child.row.id.text(), child.row.dag, name_of(child.row.state),
                       queue);
  }
  const Task& task = run.task(run.instances->task_of(index));
  if (task.subdag) return fmt::format("DAG {} to be read from the store", task.subdag->dag);
  const auto& loop = task.loop;
  if (!loop) return "";
  return fmt::format("iteration {} of at most {}, {} after the one before", run.states[index].iteration + 1,
                     loop->max_iterations, to_text(loop->interval));
}

std::string EngineState::explain_upstream(const LiveRun& run, std::uint32_t index) const {
  const std::uint32_t task = run.instances->task_of(index);
  constexpr std::size_t kNamesMax = 5;
  if (run.dag->is_handler(task) && !run.handling) return "the end of the run's other tasks";
  if (run.task(task).is_hook()) return explain_hook(run, index);
  std::string names;
  std::size_t count = 0;
  for (const Dependency& edge : run.task(task).depends_on) {
    const ReadyRange awaited = run.awaited(index, edge.task);
    for (std::uint32_t i = awaited.next; i < awaited.end; ++i) {
      if (is_final(run.states[i].state)) continue;
      if (count++ < kNamesMax) {
        names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", run.instances->name_of(i),
                             name_of(run.states[i].state));
      }
    }
  }
  if (count > kNamesMax) names += fmt::format(" and {} more", count - kNamesMax);
  return fmt::format("{} (trigger_rule {})", names.empty() ? "its upstream" : names,
                     name_of(run.task(task).trigger_rule));
}

std::string EngineState::explain_ready(const LiveRun& run, std::uint32_t index) const {
  const std::uint32_t position = run.instances->task_of(index);
  const Task& task = run.task(position);
  if (run.dag->max_active_tasks > 0 && run.active >= run.dag->max_active_tasks) {
    return fmt::format("its turn: {} tasks of the run are active, max_active_tasks is {}", run.active,
                       run.dag->max_active_tasks);
  }
  if (task.foreach && task.foreach->max_parallel > 0 && run.tasks[position].active >= task.foreach->max_parallel) {
    return fmt::format("its turn: {} items of {} are active, max_parallel is {}", run.tasks[position].active, task.id,
                       task.foreach->max_parallel);
  }
  if (std::string told = services.explain(run, position); !told.empty()) return told;
  if (run.looked_up.contains(index)) return "its result to be looked up in the cache";
  if (std::string gate = explain_gates(run, index); !gate.empty()) return gate;
  if (const auto pool = pool_ids.find(task.pool); pool != pool_ids.end()) {
    const Pool& slots = pools[pool->second];
    if (slots.slots > 0 && slots.taken + task.slots > slots.slots) {
      return fmt::format("pool {}: {} of {} slots are taken, it needs {}", slots.name, slots.taken, slots.slots,
                         task.slots);
    }
  }
  if (runs_in_pod(task)) {
    if (config.pods_max == 0) return "a pod: this scheduler was started without --kubernetes-namespace";
    return fmt::format("a pod: there are {} already, at most {}", pods.size(), config.pods_max);
  }
  if (rooms.empty()) return "a worker: none is connected";
  Need need{.noop = task.kind == TaskKind::kNoop};
  need.where = &task.where;
  if (!need.noop) need.resources = run.resources_of(index);
  if (!need.noop) need.features = needed_by(task);
  std::string why;
  for (const WorkerRoom& room : rooms) {
    if (refusal_of(room, need) == Refusal::kNone) return "the next pass of the scheduler";
    why += fmt::format("{}{}", why.empty() ? "" : "; ", explain_refusal(room, workers.at(room.worker).row.name, need));
  }
  const bool asks_for_more = !need.noop && run.own_resources_of(index) != task.work->resources;
  return fmt::format("a worker with room{}: {}", asks_for_more ? ", more than before by retry.scale" : "", why);
}

namespace {

/// How many task instances could go on but for one thing, by that thing. Cost: O(live runs, gates, classes).
ValueMap count_waiting(const EngineState& state) {
  std::uint64_t pool = 0, worker = 0, limit = 0, gate = 0, rest = 0, waits = 0;
  for (const auto& [which, queue] : state.ready) {
    const Pool& its = state.pools[which.pool];
    (its.slots != 0 && its.taken + which.slots > its.slots ? pool : worker) += queue.size();
  }
  for (const auto& [name, view] : state.gates.view()) gate += view.waiting;
  for (const auto& [seq, run] : state.runs) {
    const auto in_state = [&counts = run->counts](TaskState which) { return counts[static_cast<std::size_t>(which)]; };
    rest += in_state(TaskState::kUpForRetry);
    waits += in_state(TaskState::kWaiting);
    limit += run->parked_ahead.size();
    for (const ReadyRange& range : run->parked) limit += range.end - range.next;
    for (const auto& [task, ranges] : run->parked_by_task) {
      for (const ReadyRange& range : ranges) limit += range.end - range.next;
    }
  }
  waits -= std::min<std::uint64_t>(waits, state.questions.size());
  return {{"pool", number(pool)},
          {"worker", number(worker)},
          {"limit", number(limit)},
          {"lock_or_rate", number(gate)},
          {"retry", number(rest)},
          {"time_or_data", number(waits)},
          {"person", number(state.questions.size())}};
}

/// Processors that attempts of workers have, and tasks want that wait for one. What rests for another reason wants
/// none.
double cpus_wanted(const EngineState& state) {
  std::uint64_t milli = 0;
  for (const WorkerRoom& room : state.rooms) milli += room.taken.cpu_milli;
  for (const auto& [which, queue] : state.ready) {
    if (!which.in_pods && !which.noop) milli += which.resources.cpu_milli * queue.size();
  }
  return static_cast<double>(milli) / 1000.0;
}

}  // namespace

Value Engine::workers(Now now) const {
  const EngineState& state = *state_;
  ValueList workers;
  for (const auto& [seq, worker] : state.workers) {
    ValueMap labels;
    for (const auto& [name, value] : worker.labels) labels.emplace_back(name, value);
    ValueMap one{{"worker", number(seq.value)},
                 {"name", worker.row.name},
                 {"host", worker.row.host},
                 {"connected", static_cast<bool>(worker.connection)},
                 {"cpus", worker.row.cpu_milli / 1000.0},
                 {"memory_bytes", number(worker.row.memory_bytes)},
                 {"attempts", number(worker.leased.size())},
                 {"lease_seconds_left", static_cast<double>((worker.lease_until - now.mono).count()) / 1e6},
                 {"joined_at", to_iso8601(worker.row.joined_at)},
                 {"labels", std::move(labels)}};
    ValueList taints(worker.taints.begin(), worker.taints.end());
    one.emplace_back("taints", std::move(taints));
    if (worker.has_room()) {
      const WorkerRoom& room = state.rooms[worker.room];
      one.emplace_back("draining", room.draining);
      one.emplace_back("executors", room.containers ? ValueList{"process", "container"} : ValueList{"process"});
      ValueList features;
      for (const std::string_view name : room.features.names()) features.emplace_back(std::string(name));
      one.emplace_back("features", std::move(features));
    }
    if (worker.pod) one.emplace_back("pod", worker.row.pod);
    workers.emplace_back(std::move(one));
  }
  ValueList pools;
  std::vector<std::uint64_t> waiting(state.pools.size());
  for (const auto& [which, queue] : state.ready) waiting[which.pool] += queue.size();
  for (std::size_t i = 0; i < state.pools.size(); ++i) {
    pools.emplace_back(ValueMap{{"pool", state.pools[i].name},
                                {"slots", number(state.pools[i].slots)},
                                {"taken", number(state.pools[i].taken)},
                                {"ready", number(waiting[i])}});
  }
  const std::uint64_t queued = state.run_places.waiting();
  return ValueMap{{"items", std::move(workers)},
                  {"next", Value()},
                  {"pools", std::move(pools)},
                  {"live_runs", number(state.runs.size())},
                  {"runs_queued", number(queued)},
                  {"runs_running", number(state.runs.size() - queued)},
                  {"tasks_waiting", count_waiting(state)},
                  {"cpus_wanted", cpus_wanted(state)},
                  {"objects_refused", number(state.collector.refused())}};
}

std::string Engine::dump_json() const {
  const EngineState& state = *state_;
  ValueList runs;
  for (const auto& [seq, run] : state.runs) {
    runs.emplace_back(ValueMap{{"run", run->row.id.text()},
                               {"state", name_of(run->row.state)},
                               {"group", run->row.group},
                               {"stop", number(static_cast<std::uint64_t>(run->row.stop))},
                               {"active", number(run->active)},
                               {"waits_for_runs", number(run->started_runs.size())},
                               {"tasks", dump_tasks(state, *run)}});
  }
  ValueList schedules;
  for (const auto& [dag, deployment] : state.deployments) {
    ValueMap events;
    for (const auto& [source, waiting] : deployment.events)
      events.emplace_back(to_text(source), number(waiting.size()));
    ValueMap seen;
    for (const auto& [source, objects] : deployment.seen) seen.emplace_back(source, number(objects.size()));
    schedules.emplace_back(ValueMap{{"dag", dag},
                                    {"version", deployment.row.version},
                                    {"paused", deployment.row.paused},
                                    {"removed", deployment.row.removed},
                                    {"fired_to", to_iso8601(deployment.row.fired_to)},
                                    {"next", to_iso8601(deployment.next)},
                                    {"due", to_iso8601(deployment.due)},
                                    {"events", std::move(events)},
                                    {"seen", std::move(seen)},
                                    {"waits_for", deployment.row.waits_for}});
  }
  ValueMap states;
  for (const auto& [key, row] : state.states) states.emplace_back(key.first + " " + key.second, number(row.version));
  ValueList backfills;
  for (const auto& [id, backfill] : state.backfills) {
    backfills.emplace_back(ValueMap{{"backfill", number(id.value)},
                                    {"state", name_of(backfill.row.state)},
                                    {"done", to_iso8601(backfill.row.done)},
                                    {"made", number(backfill.row.made)},
                                    {"skipped", number(backfill.row.skipped)},
                                    {"live", number(backfill.live.size())}});
  }
  ValueList waiters;
  for (const auto& [name, keys] : state.asset_waiters) {
    waiters.emplace_back(ValueMap{{"asset", name}, {"waiters", number(keys.size())}});
  }
  for (const auto& [target, look] : state.looks) {
    waiters.emplace_back(ValueMap{{"look", target.name}, {"waiters", number(look.waiters.size())}});
  }
  ValueList leases;
  for (const auto& [seq, worker] : state.workers) {
    leases.emplace_back(ValueMap{{"worker", number(seq.value)}, {"leased", number(worker.leased.size())}});
  }
  ValueList tokens;
  for (const auto& [name, row] : state.tokens) tokens.emplace_back(name);
  return to_json(ValueMap{{"epoch", number(state.epoch)},
                          {"runs", std::move(runs)},
                          {"schedules", std::move(schedules)},
                          {"states", std::move(states)},
                          {"backfills", std::move(backfills)},
                          {"waiters", std::move(waiters)},
                          {"questions", number(state.questions.size())},
                          {"workers", std::move(leases)},
                          {"tokens", std::move(tokens)}});
}

}  // namespace chappe
