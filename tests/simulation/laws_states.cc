// The laws over values that outlive runs: one moves with a success, by an attempt that knew what it replaces; and no
// success leaves it behind.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/laws.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {
namespace {

std::optional<std::uint64_t> version_told(const Assignment& what) {
  for (const auto& [name, text] : what.work->env) {
    if (name == "CHAPPE_STATE_C_VERSION") return std::stoull(text);
  }
  return std::nullopt;
}

bool ends_well(const TaskChange& change) {
  return change.row.state == TaskState::kSuccess && change.row.attempt == change.expect_attempt && change.row.attempt &&
         (holds_attempt(change.expect_state) || change.expect_state == TaskState::kCommitting);
}

}  // namespace

std::uint64_t Laws::state_version() const {
  const auto& states = world_.store.tables().states;
  return states.empty() ? 0 : states.begin()->second.version;
}

/// What is durable is what an attempt is told.
void Laws::note_state_told(const Assignment& what, bool newest) {
  const auto version = version_told(what);
  if (!version) return;
  states_told_.insert_or_assign(what.attempt, *version);
  if (newest && *version != state_version()) {
    broken(Law::kStates,
           fmt::format("{} is told version {} of a state that has {}", name(what.key), *version, state_version()));
  }
}

void Laws::check_states(const Persist& persist) {
  std::uint64_t version = state_version();
  for (const StateRow& row : persist.states) {
    check_state(persist, row, version);
    version = row.version;
  }
  for (const TaskChange& change : persist.tasks) {
    const RunView& run = runs_.at(change.row.key.run);
    const Task& task = task_of(run, change.row.key);
    if (task.work == nullptr || task.work->states.empty()) continue;
    check_state_refused(persist, change, task);
    if (!ends_well(change) || run.row.backfill) continue;
    const bool wrote = std::any_of(persist.states.begin(), persist.states.end(),
                                   [&](const StateRow& row) { return row.by_attempt == change.row.attempt; });
    if (!wrote) broken(Law::kStates, name(change.row.key) + " succeeds, and its state stays behind");
  }
}

void Laws::check_state(const Persist& persist, const StateRow& row, std::uint64_t version) {
  const auto told = states_told_.find(row.by_attempt);
  if (told == states_told_.end() || (told->second != version && !is_in_pod(row.by_task))) {
    broken(Law::kStates, fmt::format("{} moves a state that it does not know", name(row.by_task)));
  }
  // What it comes to: its start may have been told in the same batch.
  const auto change = std::find_if(persist.tasks.rbegin(), persist.tasks.rend(), [&](const TaskChange& each) {
    return each.row.key == row.by_task && each.row.attempt == row.by_attempt;
  });
  const bool well = change != persist.tasks.rend() && change->row.end.reason == Reason::kNone &&
                    (change->row.state == TaskState::kSuccess || change->row.state == TaskState::kWaiting);
  if (!well) broken(Law::kStates, name(row.by_task) + " moves a state, and does not succeed");
  const auto left = [&](const ValueRow& each) {
    return each.attempt == row.by_attempt && each.value.value == row.value;
  };
  const auto& values = world_.store.tables().values;
  if (std::none_of(persist.values.begin(), persist.values.end(), left) &&
      std::none_of(values.begin(), values.end(), left)) {
    broken(Law::kStates, name(row.by_task) + " moves a state to what it did not leave");
  }
  world_.saw(Sight::kStateMoved);
}

/// An attempt that will move the state is publishing its assets, or was before this batch.
bool Laws::is_promised(const Persist& persist) const {
  const auto moves = [&](InstanceKey key) {
    const Task& task = task_of(runs_.at(key.run), key);
    return task.work != nullptr && !task.work->states.empty();
  };
  const auto publishes = [&](const auto& each) {
    return each.second.state == TaskState::kCommitting && moves(each.first);
  };
  const auto changes = [&](const TaskChange& each) {
    return (each.row.state == TaskState::kCommitting || each.expect_state == TaskState::kCommitting) &&
           moves(each.row.key);
  };
  return std::ranges::any_of(rows_, publishes) || std::ranges::any_of(persist.tasks, changes);
}

/// Only who knows an earlier value is refused, and who would come between.
void Laws::check_state_refused(const Persist& persist, const TaskChange& change, const Task& task) {
  const bool refused = change.row.end.reason == Reason::kInvalidOutput && change.row.end.message.starts_with("state '");
  if (!refused || change.row.attempt != change.expect_attempt) return;
  world_.saw(Sight::kStateRefused);
  const auto told = states_told_.find(change.row.attempt);
  const bool moved = !persist.states.empty() || told == states_told_.end() || told->second != state_version();
  if (!moved && task.pod == nullptr && !is_promised(persist))
    broken(Law::kStates, name(change.row.key) + " is refused a state that did not move");
}

bool Laws::is_in_pod(InstanceKey key) const { return task_of(runs_.at(key.run), key).pod != nullptr; }

}  // namespace chappe::simulation
