#include <fmt/format.h>

#include <algorithm>

#include "engine/base/assert.h"
#include "engine/base/mutant.h"
#include "engine/run/datasets.h"
#include "engine/run/engine_state.h"
#include "engine/run/resolve.h"

namespace chappe {
namespace {

constexpr double kShortAttemptSeconds = 0.1;  ///< Below it, work may wait at a worker ahead of free capacity, ...
constexpr double kAheadSeconds = 0.08;        ///< ... about as much as is done there in this time.
constexpr std::uint32_t kNoopChunk = 256;     ///< No-ops for one worker before the next one gets some.

}  // namespace

// ---- Placing ----

std::uint32_t EngineState::pool_id(const std::string& name) {
  const auto [place, fresh] = pool_ids.try_emplace(name, static_cast<std::uint32_t>(pools.size()));
  if (fresh) pools.push_back({name, config.pool_default_slots, 0});
  return place->second;
}

/// Numbered as they come: what a class is sorted by must be the same in every replay.
std::uint32_t EngineState::whereabouts_id(const Whereabouts& where) {
  const auto [place, fresh] = whereabouts_ids.try_emplace(where, static_cast<std::uint32_t>(whereabouts.size()));
  if (fresh) whereabouts.push_back(&place->first);
  return place->second;
}

ReadyClass EngineState::class_of(const LiveRun& run, std::uint32_t index) {
  const Task& task = run.task(run.instances->task_of(index));
  ReadyClass which{.rank = -task.priority, .pool = pool_id(task.pool), .slots = task.slots};
  which.noop = task.kind == TaskKind::kNoop;
  which.where = whereabouts_id(task.where);
  which.in_pods = runs_in_pod(task);
  if (which.noop) return which;
  which.features = needed_by(task);
  which.resources = CHAPPE_MUTANT(kPlacesAsIfItWereTheFirst) ? task.work->resources : run.resources_of(index);
  return which;
}

void EngineState::enqueue(LiveRun& run, std::uint32_t task, ReadyRange range) {
  more_ready = true;
  for (ReadyRange alike; range.next < range.end; range.next = alike.end) {
    alike = run.alike(range);
    ready[class_of(run, alike.next)].push(run.row.seq, run.share, alike, run.is_depth_first(task) ? batch : 0);
  }
}

void EngineState::dispatch() {
  std::uint32_t budget = config.assign_max;
  more_ready = false;
  begin_in_pods();
  call_at_gates();
  for (auto it = ready.begin(); it != ready.end() && budget > 0;) {
    dispatch_class(it->first, it->second, budget);
    it = it->second.empty() ? ready.erase(it) : std::next(it);
  }
  // What became ready while placing may belong to a class that was passed already.
  if (budget == 0 || more_ready || gates.has_calls()) out.wake_at = now.mono;
}

Need EngineState::need_of(const LiveRun& run, const ReadyClass& which) const {
  Need need{.resources = which.resources, .noop = which.noop};
  need.where = whereabouts[which.where];
  need.features = which.features;
  if (run.attempt_seconds < 0 || run.attempt_seconds >= kShortAttemptSeconds) return need;
  constexpr double kAheadMax = 1'000;
  need.ahead = static_cast<std::uint32_t>(std::clamp(kAheadSeconds / run.attempt_seconds, 1.0, kAheadMax));
  return need;
}

void EngineState::dispatch_class(const ReadyClass& which, ReadyQueue& queue, std::uint32_t& budget) {
  std::optional<std::size_t> room;
  std::uint32_t quota = 0;  // How many more this worker takes before the choice is made anew.
  while (budget > 0) {
    const Pool& pool = pools[which.pool];
    if (pool.slots > 0 && pool.taken + which.slots > pool.slots && !CHAPPE_MUTANT(kForgetsPools)) return;
    if (which.in_pods && pods.size() >= config.pods_max) return;
    const auto key = queue.pop();
    if (!key) return;
    LiveRun* run = find_run(key->run);
    if (run == nullptr || !run->started()) continue;
    const std::uint32_t position = run->instances->task_of(key->index);
    const Task& task = run->task(position);
    const bool asks_for_more = task.retry.scale.is_set() && class_of(*run, key->index).resources != which.resources;
    if (run->states[key->index].state != TaskState::kScheduled || asks_for_more) {
      unpark(*run, position);  // It gave up since it was its turn: that of the next one.
      continue;
    }
    if (services.holds_back(*run, key->index)) {
      unpark(*run, position);
      continue;
    }
    if (park(*run, key->index)) continue;
    if (task.is_gated() && stopped_at_gate(*run, key->index)) {
      unpark(*run, position);
      continue;
    }
    if (which.in_pods) {
      if (!try_pod(*run, key->index)) unpark(*run, position);
      --budget;
      continue;
    }
    const Need need = need_of(*run, which);
    const WorkerSeq avoid = task.retry.avoid_same_worker ? run->states[key->index].worker : WorkerSeq{};
    if (quota == 0 || avoid) {
      room = pick_worker(rooms, need, avoid);
      if (!room) return queue.push_front(*key, run->share);
      quota = which.noop ? room_for(rooms[*room], need, kNoopChunk) : 1;
    }
    if (!try_assign(*run, key->index, *room)) {
      unpark(*run, position);
      continue;
    }
    --quota;
    --budget;
  }
}

/// True: the run or the task has as many attempts as it may; the instance waits aside until one ends.
bool EngineState::park(LiveRun& run, std::uint32_t index) {
  const std::uint32_t task = run.instances->task_of(index);
  const ReadyRange own{index, index + 1};
  if (run.dag->max_active_tasks > 0 && run.active >= run.dag->max_active_tasks && !CHAPPE_MUTANT(kForgetsMaxActive)) {
    run.is_depth_first(task) ? (void)run.parked_ahead.insert({~batch, index}) : run.parked.push_back(own);
    return true;
  }
  const auto& foreach = run.task(task).foreach;
  if (!foreach || foreach->max_parallel == 0 || run.tasks[task].active < foreach->max_parallel) return false;
  if (CHAPPE_MUTANT(kForgetsMaxParallel)) return false;
  run.parked_by_task[task].push_back(own);
  unpark_run(run);  // The run has a place that this one cannot take.
  return true;
}

/// An attempt ended: one of those that wait aside may go on.
void EngineState::unpark(LiveRun& run, std::uint32_t task) {
  if (CHAPPE_MUTANT(kForgetsParked)) return;
  unpark_run(run);
  const auto parked = run.parked_by_task.find(task);
  if (parked == run.parked_by_task.end()) return;
  unpark_next(run, parked->second);
  if (parked->second.empty()) run.parked_by_task.erase(parked);
}

/// Those that gave up waiting meanwhile do not use up a turn.
void EngineState::unpark_next(LiveRun& run, std::deque<ReadyRange>& parked) {
  while (!parked.empty()) {
    const ReadyRange range = parked.front();
    parked.pop_front();
    if (run.states[range.next].state != TaskState::kScheduled) continue;
    return enqueue(run, run.instances->task_of(range.next), range);
  }
}

bool EngineState::try_assign(LiveRun& run, std::uint32_t index, std::size_t room) {
  auto work = resolve_work(run, index, *this);
  if (work) {
    assign(run, index, workers.at(rooms[room].worker), std::move(*work));
    return true;
  }
  settle_without_attempt(run, index, TaskState::kFailed, Reason::kLaunchFailed, work.error().message);
  judge_due(run);
  return false;
}

AttemptId EngineState::new_attempt() {
  CHAPPE_ASSERT(++attempts_made < std::uint64_t{1} << kCounterBits);
  return newest_attempt();
}

AttemptId EngineState::newest_attempt() const {
  if (CHAPPE_MUTANT(kAttemptIdsWithoutEpoch)) return {attempts_made};
  return {(std::uint64_t{epoch} << kCounterBits) | attempts_made};
}

void EngineState::assign(LiveRun& run, std::uint32_t index, WorkerState& worker,
                         std::shared_ptr<const ResolvedWork> work) {
  lease(run, index, worker, new_attempt());
  hand_over(run, index, worker, std::move(work));
}

void EngineState::lease(LiveRun& run, std::uint32_t index, WorkerState& worker, AttemptId attempt) {
  TaskRow row = row_of(run, index);
  row.attempt = attempt;
  if (!CHAPPE_MUTANT(kAttemptNumberStays)) ++row.attempt_no;
  row.state = TaskState::kQueued;
  row.worker = worker.row.seq;
  row.queued_at = now.wall;
  store_row(run, index, std::move(row));
  worker.leased[attempt] = {.key = {run.row.seq, index}, .queued_at = now.wall};
  take_room(run, index, worker);
}

void EngineState::hand_over(LiveRun& run, std::uint32_t index, WorkerState& worker,
                            std::shared_ptr<const ResolvedWork> work) {
  const std::uint32_t position = run.instances->task_of(index);
  const InstanceState& instance = run.states[index];
  if (run.task(position).cache) note_making(run, index, instance.attempt, *work);
  const InstanceKey key{run.row.seq, index};
  for (const ResolvedInput& input : work->inputs) {
    for (const InputObject& object : input.objects) {
      if (!object.key.empty() && !CHAPPE_MUTANT(kForgetsInputs))
        out.persist.inputs.push_back({key, instance.attempt, object});
    }
  }
  worker.leased.at(instance.attempt).batch = batch;
  Assignment assignment{.attempt = instance.attempt, .key = key, .attempt_no = instance.attempt_no};
  assignment.task = run.task(position).id;
  if (run.instances->mapped(position)) {
    assignment.map_key = run.instances->key_of(index);
    assignment.item_json = to_json(run.instances->item_of(index));
  }
  assignment.run = run.context;
  assignment.work = std::move(work);
  send_to(worker.connection).assign.push_back(std::move(assignment));
}

void EngineState::take_room(LiveRun& run, std::uint32_t index, WorkerState& worker) {
  const std::uint32_t position = run.instances->task_of(index);
  const Task& task = run.task(position);
  take_gates(run, index);
  pools[pool_id(task.pool)].taken += task.slots;
  ++run.active;
  ++run.tasks[position].active;
  if (!worker.has_room()) return;
  WorkerRoom& room = rooms[worker.room];
  if (task.kind == TaskKind::kNoop) {
    ++room.noops;
  } else if (!CHAPPE_MUTANT(kForgetsTakenRoom)) {
    room.taken += run.resources_of(index);
  }
}

/// The attempt's worker, slots and counters are free again; what it was leased as is handed back.
LeasedAttempt EngineState::release(LiveRun& run, std::uint32_t index) {
  const std::uint32_t position = run.instances->task_of(index);
  const Task& task = run.task(position);
  WorkerState& worker = workers.at(run.states[index].worker);
  const auto found = worker.leased.find(run.states[index].attempt);
  CHAPPE_ASSERT(found != worker.leased.end());
  const LeasedAttempt leased = found->second;
  worker.leased.erase(found);
  if (!CHAPPE_MUTANT(kKeepsSlots)) pools[pool_id(task.pool)].taken -= task.slots;
  give_gates_back(run, index);
  --run.active;
  --run.tasks[position].active;
  unpark(run, position);
  if (worker.pod) {
    release_pod(worker);
    return leased;
  }
  if (!worker.connection) return leased;
  WorkerRoom& room = rooms[worker.room];
  if (task.kind == TaskKind::kNoop) {
    --room.noops;
  } else {
    room.taken -= run.resources_of(index);
  }
  return leased;
}

// ---- Rows ----

TaskRow EngineState::row_of(const LiveRun& run, std::uint32_t index) const {
  const InstanceState& instance = run.states[index];
  TaskRow row{.key = {run.row.seq, index}, .state = instance.state};
  row.allowed = instance.allowed;
  row.attempt = instance.attempt;
  row.attempt_no = instance.attempt_no;
  row.user_tries = instance.user_tries;
  row.infra_tries = instance.infra_tries;
  row.iteration = instance.iteration;
  row.worker = instance.worker;
  row.ready_at = run.ready_at(index);
  return row;
}

void EngineState::store_row(LiveRun& run, std::uint32_t index, TaskRow row) {
  InstanceState& instance = run.states[index];
  TaskChange& change = out.persist.tasks.emplace_back();
  change.expect_row = instance.has_row;
  change.expect_state = instance.stored;
  change.expect_attempt = instance.attempt;
  run.set_state(index, row.state, row.attempt);
  if (!run.cached.empty() && !holds_attempt(row.state)) run.cached.erase(index);
  instance.stored = row.state;
  instance.has_row = true;
  instance.allowed = row.allowed;
  instance.attempt_no = row.attempt_no;
  instance.user_tries = row.user_tries;
  instance.infra_tries = row.infra_tries;
  instance.iteration = row.iteration;
  instance.worker = row.worker;
  if (!run.dag->hooks.empty() || !run.dag->watchers.empty()) note_for_hooks(run, index, row);
  if (is_final(row.state)) past.note_end(run, index);
  change.row = std::move(row);
}

}  // namespace chappe
