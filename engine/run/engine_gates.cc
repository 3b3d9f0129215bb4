// Attempts pass the gates of their tasks: locks, bounds over all runs of a DAG, rates.
#include <fmt/format.h>

#include "engine/base/assert.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

constexpr std::string_view kLockGate = "lock ";

}  // namespace

/// Who holds more than there is now keeps it to its end.
void EngineState::on(const BoundsSet& event) {
  for (Pool& pool : pools) pool.slots = config.pool_default_slots;
  for (const auto& [name, slots] : event.pools) pools[pool_id(name)].slots = slots;
  config.pools = event.pools;
  config.locks = event.locks;
  for (const auto& [name, view] : gates.view()) {
    if (!name.starts_with(kLockGate)) continue;
    const auto places = config.locks.find(name.substr(kLockGate.size()));
    gates.set_places(name, places == config.locks.end() ? 1 : places->second);
  }
}

/// The same for an instance whenever it is asked: names of locks are made of what does not change.
/// Errors: as the expressions in the names.
Result<std::vector<GateUse>> EngineState::gates_of(const LiveRun& run, std::uint32_t index) const {
  const Task& task = run.task(run.instances->task_of(index));
  std::vector<GateUse> uses;
  const std::string own = fmt::format("{}.{}", run.row.dag, task.id);
  for (const LockUse& lock : task.locks) {
    auto name = lock.name.expand(RunScope(run, index));
    if (!name) return fail(std::move(name.error()).in("lock"));
    const auto places = config.locks.find(*name);
    uses.push_back({.name = std::string(kLockGate) + *name,
                    .places = places == config.locks.end() ? 1 : places->second,
                    .exclusive = lock.exclusive});
  }
  if (task.max_active_per_dag > 0) uses.push_back({.name = "task " + own, .places = task.max_active_per_dag});
  if (task.rate) {
    uses.push_back({.name = "rate " + (task.rate->name.empty() ? own : task.rate->name),
                    .places = task.rate->limit,
                    .returns_after = task.rate->per});
  }
  return uses;
}

/// True: it stands in a line, or has failed; another one of its run may have its turn.
bool EngineState::stopped_at_gate(LiveRun& run, std::uint32_t index) {
  const Task& task = run.task(run.instances->task_of(index));
  const auto uses = gates_of(run, index);
  if (!uses) {
    settle_without_attempt(run, index, TaskState::kFailed, Reason::kLaunchFailed, uses.error().message);
    judge_due(run);
    return true;
  }
  const GateTurn turn{.rank = -task.priority, .who = {run.row.seq, index}};
  const GateUse* closed = gates.closed(*uses, turn);
  if (closed != nullptr) gates.wait(*closed, turn);
  return closed != nullptr;
}

/// Those whose turn it is are ready again.
void EngineState::call_at_gates() {
  for (const InstanceKey& key : gates.call(now.mono)) {
    LiveRun* run = find_run(key.run);
    const bool waits = run != nullptr && run->started() && key.index < run->states.size() &&
                       run->states[key.index].state == TaskState::kScheduled;
    if (waits) enqueue(*run, run->instances->task_of(key.index), {key.index, key.index + 1});
  }
}

void EngineState::take_gates(const LiveRun& run, std::uint32_t index) {
  if (!run.task(run.instances->task_of(index)).is_gated()) return;
  if (const auto uses = gates_of(run, index)) gates.take(*uses, {run.row.seq, index}, now.mono);
}

void EngineState::give_gates_back(const LiveRun& run, std::uint32_t index) {
  if (!run.task(run.instances->task_of(index)).is_gated()) return;
  if (const auto uses = gates_of(run, index)) gates.give_back(*uses, {run.row.seq, index});
}

/// "" where all are open.
std::string EngineState::explain_gates(const LiveRun& run, std::uint32_t index) const {
  const Task& task = run.task(run.instances->task_of(index));
  const auto uses = task.is_gated() ? gates_of(run, index) : std::vector<GateUse>();
  const GateUse* closed = uses ? gates.closed(*uses, {-task.priority, {run.row.seq, index}}) : nullptr;
  if (closed == nullptr) return "";
  const auto view = gates.view();
  const auto gate = view.find(closed->name);
  std::string text =
      fmt::format("{}: {} of {} places are taken", closed->name, gate->second.taken, gate->second.places);
  if (closed->returns_after > Duration(0)) return text + fmt::format(" for {} each", to_text(closed->returns_after));
  if (gate->second.holder) {
    const LiveRun& holder = *runs.at(gate->second.holder->run);
    text +=
        fmt::format(", by {} of run {}", holder.instances->name_of(gate->second.holder->index), holder.row.id.text());
  }
  return text;
}

}  // namespace chappe
