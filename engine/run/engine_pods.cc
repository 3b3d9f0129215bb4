// Attempts that have a pod made for them. The pod's worker joins with a key of its own, takes the attempt, and leaves.
// From asking for the pod on, the attempt is leased to that worker, which is expected: so it is leased, lost and
// restored like any other.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "engine/base/assert.h"
#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"
#include "engine/run/resolve.h"

namespace chappe {

bool EngineState::runs_in_pod(const Task& task) const {
  const bool has_program = task.kind == TaskKind::kRun || task.kind == TaskKind::kHttp || task.kind == TaskKind::kData;
  return task.pod != nullptr || (config.pods_by_default && has_program && task.any_executor);
}

/// False: the task cannot start at all.
bool EngineState::try_pod(LiveRun& run, std::uint32_t index) {
  // What it comes to is found again when the worker has joined; what comes to nothing needs no pod.
  if (const auto work = resolve_work(run, index, *this); !work) {
    settle_without_attempt(run, index, TaskState::kFailed, Reason::kLaunchFailed, work.error().message);
    judge_due(run);
    return false;
  }
  const AttemptId attempt = new_attempt();
  const WorkerSeq seq{++last_worker.value};
  WorkerState& worker = workers[seq];
  const std::string name = config.pod_prefix + to_text(attempt);
  worker.row = {.seq = seq, .incarnation = name, .name = name, .joined_at = now.wall, .pod = name};
  worker.pod = PodState{.attempt = attempt, .deadline = now.mono + config.pod_start_max};
  worker.lease_until = worker.pod->deadline;
  by_incarnation[name] = seq;
  pods[attempt] = seq;
  out.persist.workers.push_back(worker.row);
  add_timer(config.pod_start_max, Timer::Kind::kPod, seq.value, 0);
  lease(run, index, worker, attempt);
  order_pod(run, index, worker);
  return true;
}

/// After a restart, when all that they may name is known.
void EngineState::order_pods() {
  if (CHAPPE_MUTANT(kRestoreOrdersNoPods)) return;
  for (const auto& [attempt, seq] : pods) {
    const WorkerState& worker = workers.at(seq);
    const InstanceKey key = worker.leased.at(attempt).key;
    order_pod(*find_run(key.run), key.index, worker);
  }
}

void EngineState::order_pod(LiveRun& run, std::uint32_t index, const WorkerState& worker) {
  const std::uint32_t position = run.instances->task_of(index);
  PodOrder& order = out.pods.emplace_back();
  order.what = {{run.row.seq, index}, worker.pod->attempt};
  order.dag = run.dag;
  order.task = position;
  order.run = run.context;
  order.attempt_no = run.states[index].attempt_no;
  if (run.instances->mapped(position)) order.map_key = run.instances->key_of(index);
  order.pod = worker.row.pod;
  order.resources = run.own_resources_of(index);
  order.joined = !worker.is_expected();
  // Where it comes to nothing any more, the worker is told so when it joins.
  if (const auto work = resolve_work(run, index, *this); work && !order.joined) {
    order.image = (*work)->image;
    order.sidecars = (*work)->sidecars;
  }
}

// ---- The worker in it ----

/// The key was made for one pod, and the first process that comes with it is that pod's: a second one is refused.
void EngineState::join_pod(const WorkerJoined& event) {
  const auto found = pods.find(event.join_key_of);
  if (found == pods.end()) return dismiss(event);
  const WorkerHello& hello = event.hello;
  WorkerState& worker = workers.at(found->second);
  const bool is_first = worker.is_expected();
  const bool is_another = !is_first && worker.row.incarnation != hello.incarnation;
  if (is_another && !CHAPPE_MUTANT(kPodKeysServeTwice)) return refuse(event, worker);
  if (WorkerState* before = worker_on(event.connection); before != nullptr && before != &worker) disconnect(*before);
  if (is_first) know_pod_worker(worker, hello);
  if (hello.number < worker.hello) return;
  worker.hello = hello.number;
  if (worker.connection == event.connection) {
    hear(worker);
    welcome(worker);
  } else {
    worker.row.key = event.worker_key;
    connect(worker, event.connection, hello);
  }
  if (is_first) {
    worker.leased.at(worker.pod->attempt).batch = batch;  // Of this step, in which it is told of it.
    joined_in_pods.push_back(worker.row.seq);
    return;
  }
  reconcile(worker, hello.held, 0);
  cancel_again(worker);
}

/// Its attempt has ended, and its pod is being removed: it leaves when it holds nothing.
void EngineState::dismiss(const WorkerJoined& event) {
  for (const HeldAttempt& each : event.hello.held) {
    if (has_won(each)) {
      send_to(event.connection).acknowledged.push_back(each.attempt);
    } else {
      send_to(event.connection).cancel.push_back({.what = each, .forget = true});
    }
  }
}

void EngineState::know_pod_worker(WorkerState& worker, const WorkerHello& hello) {
  by_incarnation.erase(worker.row.incarnation);
  worker.row.incarnation = hello.incarnation;
  worker.row.host = hello.host;
  by_incarnation[hello.incarnation] = worker.row.seq;
  worker.pod->told.clear();
  add_timer(config.lease, Timer::Kind::kLease, worker.row.seq.value, 0);
}

namespace {

void begin_in_pod(EngineState& state, WorkerState& worker) {
  const InstanceKey key = worker.leased.at(worker.pod->attempt).key;
  LiveRun& run = *state.find_run(key.run);
  const std::uint32_t task = run.instances->task_of(key.index);
  // A service ended while the pod was made: the attempt waits for the next one, and needs another pod then.
  const bool lacks = !EngineServices::explain(run, task).empty() && !CHAPPE_MUTANT(kPodsBeginBeforeServices);
  if (lacks) return state.take_back(run, key.index);
  auto work = resolve_work(run, key.index, state);
  if (work && !(*work)->image.empty()) {  // It is in a container of that image already, and so are its sidecars.
    auto bare = std::make_shared<ResolvedWork>(**work);
    bare->image.clear();
    bare->sidecars.clear();
    *work = std::move(bare);
  }
  const Features unknown = needed_by(run.task(task)).without(worker.features);
  if (work && unknown.empty()) return state.hand_over(run, key.index, worker, std::move(*work));
  const std::string message =
      work ? fmt::format("the worker in pod {} is of an older version, which does not know {}: its image is too old",
                         worker.row.pod, fmt::join(unknown.names(), ", "))
           : work.error().message;
  state.end_pod(worker, {.reason = Reason::kLaunchFailed, .message = message});
  state.judge_due(run);
}

}  // namespace

/// Only when all news of the step is known: a worker may have come and gone by then, or be on its way out.
void EngineState::begin_in_pods() {
  for (const WorkerSeq seq : std::exchange(joined_in_pods, {})) {
    const auto found = workers.find(seq);
    const bool is_here = found != workers.end() && found->second.connection && found->second.pod->attempt;
    if (is_here && !found->second.pod->draining) begin_in_pod(*this, found->second);
  }
}

// ---- What becomes of it ----

void EngineState::on(const PodSeen& event) {
  if (event.what == PodSeen::What::kImage) {
    // It changes nothing that is decided, so nothing of it is kept here.
    if (event.attempt <= newest_attempt()) out.persist.attempt_images.push_back({event.attempt, event.message});
    return;
  }
  const auto found = pods.find(event.attempt);
  if (found == pods.end()) return;  // Told late: the attempt has ended.
  WorkerState& worker = workers.at(found->second);
  LiveRun& run = *find_run(worker.leased.at(event.attempt).key.run);
  switch (event.what) {
    case PodSeen::What::kWaiting:
      worker.pod->told = event.message;
      return;
    case PodSeen::What::kStarted:
      worker.pod->told.clear();
      if (!worker.is_expected() || std::exchange(worker.pod->started, true)) return;
      worker.pod->deadline = now.mono + config.pod_join_max;
      return add_timer(config.pod_join_max, Timer::Kind::kPod, worker.row.seq.value, 0);
    case PodSeen::What::kRefused:
      if (!worker.is_expected()) return;
      end_pod(worker, {.reason = Reason::kLaunchFailed, .message = event.message});
      break;
    case PodSeen::What::kEnded:
      end_pod(worker, {.reason = event.reason, .message = event.message});
      break;
    case PodSeen::What::kGone:
      // A worker that has joined may be alive on a node that nobody hears of: then its lease is what counts.
      if (!worker.is_expected() && !CHAPPE_MUTANT(kDeletedPodsEndTheirAttempts)) {
        worker.pod->told = event.message;
        return;
      }
      end_pod(worker, {.reason = Reason::kLostWorker, .message = event.message});
      break;
    case PodSeen::What::kImage:
      return;
  }
  judge_due(run);
}

void EngineState::on_pod_timer(WorkerSeq seq) {
  if (CHAPPE_MUTANT(kPodsMayTakeForEver)) return;
  const auto found = workers.find(seq);
  if (found == workers.end() || !found->second.is_expected() || found->second.pod->deadline > now.mono) return;
  WorkerState& worker = found->second;
  LiveRun& run = *find_run(worker.leased.begin()->second.key.run);
  const std::string told = worker.pod->told.empty() ? "" : ": " + worker.pod->told;
  const std::string message = worker.pod->started ? fmt::format("pod {} started, and its worker did not join within {}",
                                                                worker.row.pod, to_text(config.pod_join_max))
                                                  : fmt::format("pod {} did not start within {}{}", worker.row.pod,
                                                                to_text(config.pod_start_max), told);
  end_pod(worker, {.reason = Reason::kLaunchFailed, .message = message});
  judge_due(run);
}

/// The attempt is over, and so is its worker. Requires: it has the attempt. The caller has the run judged.
void EngineState::end_pod(WorkerState& worker, AttemptEnd end) {
  const bool is_known = !worker.is_expected();
  const InstanceKey key = worker.leased.at(worker.pod->attempt).key;
  // What the pod was waiting for is what kept it from starting in time.
  if (end.reason == Reason::kQueueTimeout && !worker.pod->told.empty()) {
    end.reason = Reason::kLaunchFailed;
    end.message += "; its pod waits: " + worker.pod->told;
  }
  disconnect(worker);
  LiveRun& run = *find_run(key.run);
  const LeasedAttempt leased = release(run, key.index);
  if (is_known) forget_worker(worker);
  end.started_at = leased.started_at;
  end.ended_at = now.wall;
  end_attempt(run, key.index, std::move(end), leased.queued_at);
}

/// Whoever ended the attempt: nobody needs its pod, nor its worker if that has not come.
void EngineState::release_pod(WorkerState& worker) {
  const AttemptId attempt = std::exchange(worker.pod->attempt, {});
  pods.erase(attempt);
  if (!CHAPPE_MUTANT(kPodsAreKept)) {
    PodOrder& order = out.pods.emplace_back();
    order.what.attempt = attempt;
    order.pod = worker.row.pod;
  }
  if (worker.is_expected()) forget_worker(worker);
}

/// As it was before the restart; whatever became of the pod meanwhile is told anew.
void EngineState::adopt_pod(WorkerState& worker) {
  CHAPPE_ASSERT(worker.leased.size() == 1);
  const AttemptId attempt = worker.leased.begin()->first;
  worker.pod->attempt = attempt;
  pods[attempt] = worker.row.seq;
  if (worker.is_expected()) add_timer(config.pod_start_max, Timer::Kind::kPod, worker.row.seq.value, 0);
}

std::string EngineState::explain_pod(const WorkerState& worker) const {
  if (worker.pod->started) return fmt::format("the worker in pod {} to join: the pod runs", worker.row.pod);
  const std::string& told = worker.pod->told;
  return fmt::format("pod {} to start{}", worker.row.pod, told.empty() ? "" : ": " + told);
}

}  // namespace chappe
