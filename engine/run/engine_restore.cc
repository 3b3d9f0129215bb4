#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/base/assert.h"
#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

/// When each task became ready. Those of its instances say so that are under way; those that have ended only where no
/// others are to run again since.
void adopt_ready_times(LiveRun& run, const std::vector<TaskRow>& rows) {
  std::vector<WallTime> ended(run.tasks.size());
  std::vector<bool> again(run.tasks.size());
  for (const TaskRow& row : rows) {
    const std::uint32_t task = run.instances->task_of(row.key.index);
    const bool is_over = is_final(row.state);
    WallTime& known = is_over ? ended[task] : run.tasks[task].ready_at;
    known = std::max(known, row.ready_at);
    if (!is_over && !row.ready_at.is_set() && !CHAPPE_MUTANT(kRestoreBelievesOldReadyTimes)) again[task] = true;
  }
  for (std::uint32_t task = 0; task < run.tasks.size(); ++task) {
    WallTime& ready_at = run.tasks[task].ready_at;
    if (!ready_at.is_set() && !again[task]) ready_at = ended[task];
  }
}

}  // namespace

Result<Engine> Engine::restore(StoredState stored, EngineConfig config, Now now) {
  auto state = std::make_unique<EngineState>();
  state->config = std::move(config);
  state->epoch = stored.epoch;
  state->batch = (std::uint64_t{stored.epoch} << kCounterBits) + 1;
  state->last_run = stored.last_run;
  state->last_worker = stored.last_worker;
  state->last_asset_version = stored.last_asset_version;
  state->last_backfill = stored.last_backfill;
  state->now = now;
  for (const auto& [name, slots] : state->config.pools) state->pools[state->pool_id(name)].slots = slots;
  std::map<AssetVersionId, const AssetVersion*> versions;
  for (const AssetVersion& version : stored.assets) {
    versions[version.id] = &version;
    if (version.published_at.is_set()) state->remember_asset(version);
  }
  for (const AliasRow& alias : stored.aliases) {
    if (!alias.version || CHAPPE_MUTANT(kRestoreForgetsAliases)) continue;
    const auto version = versions.find(alias.version);
    const std::string name = fmt::format("{}@{}", alias.model, alias.alias);
    if (version == versions.end()) {
      return fail(ErrorCode::kCorrupt,
                  fmt::format("alias {} names version {}, which is not there", name, alias.version.value));
    }
    state->aliases[name] = *version->second;
  }
  state->last_notification = stored.last_notification;
  state->notifications_pending = stored.notifications_pending;
  for (auto& [dag, end] : stored.failed_dags) state->last_ends.emplace(std::move(dag), end);
  for (StateRow& row : stored.states) {
    if (CHAPPE_MUTANT(kRestoreForgetsStates)) break;
    std::pair key(row.scope, row.name);
    state->states.emplace(std::move(key), std::move(row));
  }
  for (TokenRow& row : stored.tokens) state->tokens.emplace(row.name, std::move(row));
  state->adopt_deployments(std::move(stored.deployments));
  state->last_event = stored.last_event;
  state->adopt_events(std::move(stored.events));
  state->adopt_sightings(std::move(stored.sightings));
  state->adopt_backfills(std::move(stored.backfills));
  for (WorkerRow& row : stored.workers) {
    WorkerState& worker = state->workers[row.seq];
    state->by_incarnation[row.incarnation] = row.seq;
    worker.lease_until = now.mono + state->config.lease;
    if (!row.pod.empty()) worker.pod = PodState{.deadline = now.mono + state->config.pod_start_max};
    if (!CHAPPE_MUTANT(kRestoreLeasesForEver)) {
      state->add_timer(state->config.lease, Timer::Kind::kLease, row.seq.value, 0);
    }
    worker.row = std::move(row);
  }
  for (StoredRun& run : stored.runs) {
    const std::string id = run.row.id.text();
    if (auto adopted = state->adopt(std::move(run)); !adopted) return fail(std::move(adopted.error()).in("run " + id));
  }
  for (const auto& [seq, run] : state->runs) {  // Who held their place may have been left alone.
    if (run->row.state == RunState::kQueued) state->lines_moved.insert(Places::group_of(run->row, *run->dag));
  }
  InHand::put_down(state->config.in_hand);
  state->link_runs(stored.left_alone);
  state->order_pods();
  state->pruner.adopt(stored.pruning);
  state->collector.adopt(std::move(stored.doomed), stored.next_due, state->out);
  return Engine(std::move(state));
}

Result<LiveRun*> EngineState::adopt(StoredRun stored) {
  auto owned = std::make_unique<LiveRun>();
  LiveRun& run = *owned;
  run.row = std::move(stored.row);
  run.dag = std::move(stored.dag);
  run.share = share_of(*run.dag);
  run.params = std::move(stored.params);
  for (TriggerEventRow& event : stored.events) run.events.push_back(std::move(event.detail));
  CHAPPE_ASSERT(run.dag != nullptr && run.params.as_map() != nullptr);
  // Secret ones were not recorded. What needs one must fail and say so, rather than go on with nothing.
  std::erase_if(*run.params.as_map(), [&](const auto& param) {
    return std::any_of(run.dag->params.begin(), run.dag->params.end(),
                       [&](const ParamSpec& spec) { return spec.secret && spec.name == param.first; });
  });
  if (run.row.generation > 1) run.before_generation = newest_attempt();  // When it began was not recorded.
  const RunSeq seq = run.row.seq;
  InHand::take(config.in_hand, seq);
  runs[seq] = std::move(owned);
  run_ids[run.row.id] = seq;
  if (!run.row.request_id.empty()) by_request[run.row.request_id] = {run.row.id};
  enter_backfill(run.row);
  if (run.row.state == RunState::kQueued) deadlines.watch(run);
  if (run.row.state == RunState::kQueued && !CHAPPE_MUTANT(kRestoreForgetsQueuedRuns)) queue_up(run);
  if (run.row.state == RunState::kQueued && run.row.generation == 1) return &run;
  if (auto prepared = prepare(run); !prepared) return fail(std::move(prepared.error()));
  if (auto adopted = adopt_fan_outs(run, stored.fan_outs); !adopted) return fail(std::move(adopted.error()));
  if (run.instances->size() != run.row.instances) {
    return fail(ErrorCode::kCorrupt, fmt::format("its DAG makes {} task instances, its row says {}",
                                                 run.instances->size(), run.row.instances));
  }
  for (ArtifactRow& artifact : stored.artifacts) {
    if (CHAPPE_MUTANT(kRestoreForgetsOutputs)) continue;
    run.keep(artifact.key.index, std::move(artifact));
  }
  for (ValueRow& value : stored.values) run.outputs[value.key.index].values.push_back(std::move(value.value));
  for (const TaskRow& row : stored.tasks) {
    if (row.key.index >= run.states.size()) return fail(ErrorCode::kCorrupt, "it has a row of no task instance");
  }
  adopt_ready_times(run, stored.tasks);
  for (const TaskRow& row : stored.tasks) {
    if (auto adopted = adopt_row(run, row); !adopted) return fail(std::move(adopted.error()));
  }
  for (CacheUseRow& made : stored.cached) run.cached[made.key.index] = std::move(made);
  if (run.row.state != RunState::kRunning) return &run;
  enter(run);
  if (run.row.stop != Stop::kNone && !CHAPPE_MUTANT(kRestoreForgetsStops)) {
    for (std::uint32_t i = 0; i < run.states.size(); ++i) {
      const TaskState state = run.states[i].state;
      const bool waits = state == TaskState::kNone || state == TaskState::kScheduled;
      if (waits && !run.outlives_stop(i)) run.set_state(i, TaskState::kCancelled);
    }
  }
  // Outputs that could not be published count for nothing.
  std::vector<std::uint32_t> unpublished;
  for (const auto& [index, outputs] : run.outputs) {
    const TaskState state = run.states[index].state;
    const bool up = state == TaskState::kRunning && run.task(run.instances->task_of(index)).is_service();
    if (state != TaskState::kSuccess && state != TaskState::kCommitting && !up) unpublished.push_back(index);
  }
  for (const std::uint32_t index : unpublished) run.forget_outputs(index);
  read_values_again(run);
  services.adopt(run);
  if (run.reading.empty()) resume_waits(run);
  adopt_watchers(run);
  recount(run);
  judge_due(run);
  services.look_at_all(run);
  judge_due(run);
  if (run.dag->handlers > 0 && run.is_over()) begin_handling(run);
  touched.push_back(seq);
  return &run;
}

Result<void> EngineState::adopt_row(LiveRun& run, const TaskRow& row) {
  const std::uint32_t index = row.key.index;
  InstanceState& instance = run.states[index];
  instance.attempt = row.attempt;
  instance.worker = row.worker;
  instance.attempt_no = row.attempt_no;
  if (!CHAPPE_MUTANT(kRestoreForgetsTries)) instance.user_tries = row.user_tries;
  instance.infra_tries = row.infra_tries;
  instance.iteration = row.iteration;
  instance.allowed = row.allowed;
  instance.stored = row.state;
  instance.has_row = true;
  if (!run.task(run.instances->task_of(index)).hooks.empty()) remember_end(run, index, row);
  // A scheduled instance is scheduled anew when its task is judged, and so asks one that waits on its past for that.
  const bool again = row.state == TaskState::kScheduled;
  const bool on_past = row.state == TaskState::kWaiting && !row.attempt && !row.queued_at.is_set();
  run.set_state(index, again ? TaskState::kNone : row.state);
  if (row.ready_at.is_set() && !is_final(row.state) && run.is_depth_first(run.instances->task_of(index))) {
    run.items_ready_at[index] = row.ready_at;
  }
  const bool goes_on = !is_final(row.state) && !again && !CHAPPE_MUTANT(kRestoreForgetsDeadlines);
  if (goes_on && row.ready_at.is_set()) deadlines.watch(run, index);
  switch (row.state) {
    case TaskState::kQueued:
    case TaskState::kRunning:
      return adopt_lease(run, row);
    case TaskState::kCommitting:
      adopt_committing(run, row);
      break;
    case TaskState::kUpForRetry:
      if (CHAPPE_MUTANT(kRestoreForgetsRests)) break;
      add_timer(rest_left(run, row), Timer::Kind::kRetry, static_cast<std::uint64_t>(row.key.row()), row.attempt_no);
      break;
    case TaskState::kWaiting:
      if (on_past) break;
      if (run.task(run.instances->task_of(index)).waits()) {
        run.waiting[index] = {.began = row.queued_at, .late_at = row.retry_at};
      } else {
        adopt_rest(run, row);
      }
      break;
    default:
      break;
  }
  return {};
}

/// Never more than the task can have asked for: the clock may have been set back while nobody was there.
Duration EngineState::rest_left(const LiveRun& run, const TaskRow& row) const {
  const Task& task = run.task(run.instances->task_of(row.key.index));
  const bool infra = is_infrastructure(row.end.reason);
  const Backoff& backoff = infra ? task.infra_retry.backoff : task.retry.backoff;
  const std::uint32_t tries = std::max<std::uint32_t>(infra ? row.infra_tries : row.user_tries, 1);
  const Duration longest = backoff_after(tries, backoff, std::nextafter(1.0, 0.0));
  if (CHAPPE_MUTANT(kTrustsTheWallClock)) return std::max(row.retry_at - now.wall, Duration(0));
  return std::clamp(row.retry_at - now.wall, Duration(0), longest);
}

Result<void> EngineState::adopt_lease(LiveRun& run, const TaskRow& row) {
  const auto worker = workers.find(row.worker);
  if (worker == workers.end()) {
    return fail(ErrorCode::kCorrupt, fmt::format("{} is assigned to worker {}, which has no row",
                                                 run.instances->name_of(row.key.index), row.worker.value));
  }
  worker->second.leased[row.attempt] = {.key = row.key, .queued_at = row.queued_at, .started_at = row.end.started_at};
  if (row.state == TaskState::kQueued) add_queue_timer(run, row.key.index, since(row.queued_at));
  take_room(run, row.key.index, worker->second);
  if (worker->second.pod) adopt_pod(worker->second);
  return {};
}

/// The commit is durable, the completion perhaps not: roll forward.
void EngineState::adopt_committing(LiveRun& run, const TaskRow& row) {
  run.committing[row.key.index] = row;
  promise_states(run, row.key.index, row.attempt, run.outputs[row.key.index].values);
  PublishAssets publish{.key = row.key, .attempt = row.attempt};
  for (const ArtifactRow& artifact : run.outputs[row.key.index].artifacts) {
    if (artifact.asset) publish.uploads.push_back({artifact.asset, artifact.object});
  }
  publish.values = unread_values(run.outputs[row.key.index]);
  if (!CHAPPE_MUTANT(kRestoreForgetsToPublish)) out.publish.push_back(std::move(publish));
}

}  // namespace chappe
