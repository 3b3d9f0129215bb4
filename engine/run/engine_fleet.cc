// Fleets: what their workers carry, and who of them gets no more work.
#include <algorithm>
#include <map>

#include "engine/base/mutant.h"
#include "engine/run/engine.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

void add(FleetLoad& load, const Resources& need, std::uint64_t count) {
  load.cpu_milli += need.cpu_milli * count;
  load.memory_bytes += need.memory_bytes * count;
  load.gpus += need.gpus * count;
}

/// How many of a class a worker could help: no more than its pool has slots for.
std::uint64_t waiting_of(const EngineState& state, const ReadyClass& which, const ReadyQueue& queue) {
  const Pool& pool = state.pools[which.pool];
  if (pool.slots == 0) return queue.size();
  const std::uint32_t free = pool.slots > pool.taken ? pool.slots - pool.taken : 0;
  return std::min<std::uint64_t>(queue.size(), free / which.slots);
}

/// A worker's pod is its host, or has its name.
const std::string& name_in(const std::set<std::string>& pods, const WorkerState& worker) {
  return pods.contains(worker.row.host) ? worker.row.host : worker.row.name;
}

}  // namespace

bool EngineState::is_resting(const WorkerState& worker) const {
  return !CHAPPE_MUTANT(kFeedsRestingWorkers) && !resting.empty() && resting.contains(name_in(resting, worker));
}

void EngineState::on(const FleetResting& event) {
  resting = event.pods;
  for (auto& [seq, worker] : workers) {
    if (!worker.has_room()) continue;
    rooms[worker.room].draining = worker.draining || is_resting(worker);
  }
}

FleetView Engine::fleet(const std::set<std::string>& pods) const {
  const EngineState& state = *state_;
  FleetView view;
  std::map<std::string, FleetMember> members;
  for (const std::string& pod : pods) members[pod].pod = pod;
  const WorkerRoom* example = nullptr;
  for (const auto& [seq, worker] : state.workers) {
    const auto member = members.find(name_in(pods, worker));
    if (worker.pod || member == members.end()) continue;
    member->second.joined = true;
    member->second.attempts += worker.leased.size();
    view.load.tasks += worker.leased.size();
    if (!worker.connection) continue;
    const WorkerRoom& room = state.rooms[worker.room];
    add(view.load, room.taken, 1);
    if (example == nullptr) example = &room;
  }
  for (auto& [pod, member] : members) view.members.push_back(std::move(member));
  WorkerRoom empty;
  if (example != nullptr) {
    empty = *example;
    empty.taken = {.cpu_milli = 0};
    empty.noops = 0;
    empty.draining = false;
    view.load.each = empty.capacity;
  }
  for (const auto& [which, queue] : state.ready) {
    Need need{.resources = which.resources, .noop = which.noop, .where = state.whereabouts[which.where]};
    need.features = which.features;
    const bool fits = example == nullptr || refusal_of(empty, need) == Refusal::kNone;
    if (which.in_pods || !fits) continue;
    const std::uint64_t waiting = waiting_of(state, which, queue);
    view.load.tasks += waiting;
    if (!which.noop) add(view.load, which.resources, waiting);
  }
  return view;
}

}  // namespace chappe
