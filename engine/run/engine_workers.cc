#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "engine/base/assert.h"
#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {

WorkerState* EngineState::worker_on(ConnectionId connection) {
  const auto seq = by_connection.find(connection);
  return seq == by_connection.end() ? nullptr : &workers.at(seq->second);
}

/// Any message is a sign of life of all that the worker holds.
void EngineState::hear(WorkerState& worker) {
  if (!CHAPPE_MUTANT(kLeasesAreNotRenewed)) worker.lease_until = now.mono + config.lease;
}

/// The worker whose name or place this one claims with another key; nullptr: nobody's.
WorkerState* EngineState::robbed_by(const WorkerJoined& event) {
  const WorkerHello& hello = event.hello;
  for (auto& [seq, worker] : workers) {
    const WorkerRow& row = worker.row;
    const bool claimed = row.incarnation == hello.incarnation || (row.name == hello.name && row.host == hello.host);
    if (claimed && !row.key.empty() && row.key != event.worker_key) return &worker;
  }
  return nullptr;
}

/// It is not answered. Should it be in the right (the machine got a new key), it asks again with each heartbeat, and is
/// let in when the lease of the other one has run out.
void EngineState::refuse(const WorkerJoined& event, WorkerState& robbed) {
  if (robbed.impostor_told && now.mono - *robbed.impostor_told < config.lease) return;
  robbed.impostor_told = now.mono;
  const std::string principal = "worker key " + event.worker_key;
  audit({principal, ""}, "worker.join", fmt::format("worker {} on {}", robbed.row.name, robbed.row.host),
        to_json(ValueMap{{"why", "it is held by a worker with another key"}}));
  out.persist.audit.back().result = "denied";
}

void EngineState::on(const WorkerJoined& event) {
  if (event.join_key_of) return join_pod(event);
  const WorkerHello& hello = event.hello;
  if (WorkerState* robbed = robbed_by(event)) return refuse(event, *robbed);
  // A connection speaks for one process: whoever spoke on it before is gone from it.
  if (WorkerState* before = worker_on(event.connection); before != nullptr) {
    if (before->row.incarnation != hello.incarnation) disconnect(*before);
  }
  // The same place with another process: the lock on its work directory proves that the earlier one is dead.
  for (auto it = workers.begin(); it != workers.end();) {
    WorkerState& other = (it++)->second;
    const bool same_place = other.row.name == hello.name && other.row.host == hello.host;
    if (same_place && other.row.incarnation != hello.incarnation) lose_worker(other, "was started anew");
  }
  const auto known = by_incarnation.find(hello.incarnation);
  WorkerSeq seq = known == by_incarnation.end() ? WorkerSeq{} : known->second;
  if (!seq) {
    seq = WorkerSeq{++last_worker.value};
    by_incarnation[hello.incarnation] = seq;
    WorkerState& fresh = workers[seq];
    fresh.row = {.seq = seq, .incarnation = hello.incarnation, .name = hello.name, .host = hello.host};
    fresh.row.joined_at = now.wall;
    add_timer(config.lease, Timer::Kind::kLease, seq.value, 0);
  }
  WorkerState& worker = workers.at(seq);
  // Sent on a connection that was given up since, and read only now: it knows nothing of what the newer one was told.
  if (hello.number < worker.hello && !CHAPPE_MUTANT(kBelievesOldHellos)) return;
  worker.hello = hello.number;
  if (worker.connection == event.connection) {
    // It was asked twice. What it was told since its first hello may still be on its way.
    hear(worker);
    welcome(worker);
  } else {
    worker.row.key = event.worker_key;
    connect(worker, event.connection, hello);
  }
  // What it was told on earlier connections and the hello does not name, it does not hold.
  reconcile(worker, hello.held, 0);
  cancel_again(worker);
}

/// What was cancelled while nobody could tell the worker, or was told and may have got lost.
void EngineState::cancel_again(WorkerState& worker) {
  if (CHAPPE_MUTANT(kCancelsOnce)) return;
  std::vector<AttemptId> doomed;
  for (const auto& [attempt, leased] : worker.leased) {
    LiveRun& run = *runs.at(leased.key.run);
    const bool waits = run.states[leased.key.index].state == TaskState::kQueued;
    const bool late = leased.cancel_sent && (waits || deadlines.has_passed(run, leased.key.index));
    const bool stopped = run.is_stopped(run.instances->task_of(leased.key.index));
    const bool done = leased.cancel_sent && services.ends_well(run, leased.key.index);
    if (late || done || (stopped && cancels_attempts(run))) doomed.push_back(attempt);
  }
  std::sort(doomed.begin(), doomed.end());
  for (const AttemptId attempt : doomed) {
    LeasedAttempt& leased = worker.leased.at(attempt);
    leased.cancel_sent = true;
    LiveRun& run = *runs.at(leased.key.run);
    const bool stopped = (run.is_stopped(run.instances->task_of(leased.key.index)) && cancels_attempts(run)) ||
                         services.ends_well(run, leased.key.index);
    const bool overdue = deadlines.has_passed(run, leased.key.index);
    const Reason reason = stopped ? Reason::kCancelled : overdue ? Reason::kTimeout : Reason::kQueueTimeout;
    send_to(worker.connection).cancel.push_back({.what = {leased.key, attempt}, .reason = reason});
  }
}

void EngineState::connect(WorkerState& worker, ConnectionId connection, const WorkerHello& hello) {
  disconnect(worker);
  worker.connection = connection;
  worker.draining = false;
  worker.labels = hello.labels;
  worker.taints = hello.taints;
  worker.features = hello.features;
  worker.row.cpu_milli = hello.capacity.cpu_milli;
  worker.row.memory_bytes = hello.capacity.memory_bytes;
  worker.row.lost_at = {};
  out.persist.workers.push_back(worker.row);
  by_connection[connection] = worker.row.seq;
  hear(worker);
  for (auto& [attempt, leased] : worker.leased) leased.batch = 0;
  if (!worker.pod) open_room(worker, hello);
  welcome(worker);
}

void EngineState::open_room(WorkerState& worker, const WorkerHello& hello) {
  WorkerRoom room{.worker = worker.row.seq, .capacity = hello.capacity};
  room.noop_depth = hello.noop_depth;
  room.prefetch = hello.prefetch;
  room.labels = &worker.labels;
  room.taints = &worker.taints;
  room.containers = hello.containers;
  room.features = worker.features;
  room.draining = is_resting(worker);
  for (const auto& [attempt, leased] : worker.leased) {
    const LiveRun& run = *runs.at(leased.key.run);
    const Task& task = run.task(run.instances->task_of(leased.key.index));
    if (task.kind == TaskKind::kNoop) {
      ++room.noops;
    } else {
      room.taken += run.resources_of(leased.key.index);
    }
  }
  worker.room = rooms.size();
  rooms.push_back(room);
}

void EngineState::welcome(const WorkerState& worker) {
  send_to(worker.connection).welcome = {worker.row.seq, epoch, config.heartbeat, config.lease};
}

void EngineState::disconnect(WorkerState& worker) {
  if (!worker.connection) return;
  by_connection.erase(worker.connection);
  worker.connection = {};
  if (worker.pod) return;
  const std::size_t hole = worker.room;
  if (hole + 1 != rooms.size()) {
    rooms[hole] = rooms.back();
    workers.at(rooms[hole].worker).room = hole;
  }
  rooms.pop_back();
}

void EngineState::on(const WorkerLeft& event) {
  if (WorkerState* worker = worker_on(event.connection)) lose_worker(*worker, "left");
}

void EngineState::on(const WorkerDraining& event) {
  WorkerState* worker = worker_on(event.connection);
  if (worker == nullptr) return;
  hear(*worker);
  if (worker->pod) worker->pod->draining = true;
  worker->draining = !CHAPPE_MUTANT(kFeedsDrainingWorkers);
  if (worker->has_room()) rooms[worker->room].draining |= worker->draining;
}

void EngineState::on(const WorkerHeartbeat& event) {
  WorkerState* worker = worker_on(event.connection);
  WorkerSend& answer = send_to(event.connection);  // Even an empty answer tells the worker that its lease stands.
  if (worker == nullptr) {
    answer.hello_please = true;
    return;
  }
  hear(*worker);
  reconcile(*worker, event.held, event.batch_seen);
  cancel_again(*worker);
}

void EngineState::reconcile(WorkerState& worker, std::span<const HeldAttempt> held, std::uint64_t batch_seen) {
  std::unordered_set<AttemptId> said;
  for (const HeldAttempt& each : held) {
    said.insert(each.attempt);
    if (worker.leased.contains(each.attempt)) continue;
    if (has_won(each)) {
      send_to(worker.connection).acknowledged.push_back(each.attempt);  // The first acknowledgement was lost.
    } else if (!CHAPPE_MUTANT(kForgetsNothing)) {
      send_to(worker.connection).cancel.push_back({.what = each, .forget = true});
    }
  }
  std::vector<InstanceKey> lost;
  for (const auto& [attempt, leased] : worker.leased) {
    if (CHAPPE_MUTANT(kMissesLostAssignments)) continue;
    const bool arrived = leased.batch <= batch_seen || CHAPPE_MUTANT(kCountsAssignmentsOnTheirWayAsLost);
    if (arrived && !said.contains(attempt)) lost.push_back(leased.key);
  }
  lose_attempts(std::move(lost), fmt::format("worker {} does not hold the attempt any more", worker.row.name));
}

void EngineState::lose_attempts(std::vector<InstanceKey> lost, const std::string& why) {
  std::sort(lost.begin(), lost.end());  // A hash map's order must not decide what happens first.
  for (const InstanceKey& key : lost) {
    LiveRun& run = *find_run(key.run);
    const LeasedAttempt leased = release(run, key.index);
    AttemptEnd end{.reason = Reason::kLostWorker, .started_at = leased.started_at, .ended_at = now.wall};
    end.message = why;
    end_attempt(run, key.index, std::move(end), leased.queued_at);
    judge_due(run);
  }
}

void EngineState::lose_worker(WorkerState& worker, const std::string& why) {
  disconnect(worker);
  std::vector<InstanceKey> lost;
  for (const auto& [attempt, leased] : worker.leased) {
    if (!CHAPPE_MUTANT(kLosesWorkersWithoutTheirAttempts)) lost.push_back(leased.key);
  }
  lose_attempts(std::move(lost),
                fmt::format("worker {} on {} {}{}", worker.row.name, worker.row.host, why, why_pod_goes(worker)));
  forget_worker(worker);
}

void EngineState::forget_worker(WorkerState& worker) {
  worker.row.lost_at = now.wall;
  out.persist.workers.push_back(worker.row);
  by_incarnation.erase(worker.row.incarnation);
  workers.erase(WorkerSeq(worker.row.seq));
}

void EngineState::on_lease_timer(WorkerSeq seq) {
  const auto found = workers.find(seq);
  if (found == workers.end()) return;
  WorkerState& worker = found->second;
  if (worker.is_expected()) return;  // on_pod_timer() has an eye on it.
  if (worker.lease_until > now.mono) {
    timers.push({worker.lease_until, Timer::Kind::kLease, seq.value, 0});
    return;
  }
  if (!CHAPPE_MUTANT(kLeasesNeverEnd)) lose_worker(worker, fmt::format("was silent for {}", to_text(config.lease)));
}

}  // namespace chappe
