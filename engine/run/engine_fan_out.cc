// Fan-outs over results: when their items become known, and what becomes of items that there are no more.
#include <fmt/format.h>

#include <algorithm>

#include "engine/base/assert.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

bool is_about_item(const Task& task) {
  const auto& references = task.when.references();
  return std::any_of(references.begin(), references.end(), [&](const expr::Reference& reference) {
    return reference.path[0] == task.foreach->as || reference.path[0] == "key";
  });
}

std::string told_items(std::uint32_t count) { return fmt::format("{} item{}", count, count == 1 ? "" : "s"); }

/// How many tasks fan out over the items of this one.
std::uint64_t tasks_over(const Dag& dag, const Task& task) {
  std::uint64_t count = 1 + task.hooks.size();
  for (const std::uint32_t follower : task.followers) count += 1 + dag.tasks[follower].hooks.size();
  return count;
}

}  // namespace

/// What `when` says of all items alike was decided before there were any.
bool EngineState::asks_each(const Task& task) {
  if (task.when.empty()) return false;
  return !task.foreach || !task.foreach->late || task.foreach->depth_first || is_about_item(task);
}

/// The task may run. True: its items are known, and have their instances.
bool EngineState::find_items(LiveRun& run, std::uint32_t position) {
  const Task& task = run.task(position);
  const std::uint32_t own = run.instances->own(position);
  if (run.states[own].state != TaskState::kNone) return run.instances->mapped(position);
  const auto none = std::make_shared<const FanOut>();
  const bool asks_all = !task.when.empty() && !is_about_item(task);
  if (!decide_latest(run, own) || (asks_all && !decide_when(run, own))) {
    give_items(run, position, none);
    return false;
  }
  auto found = FanOut::evaluate(task, RunScope(run, own), run.params);
  const FanOutPtr before = run.instances->late_items(position);
  if (found && !run.instances->has_room(found->size() * tasks_over(*run.dag, task))) {
    found =
        fail(ErrorCode::kInvalidInput, fmt::format("foreach of task '{}': with {} items the run would have more than "
                                                   "{} task instances",
                                                   task.id, found->size(), kInstancesMax));
  }
  if (!found) {
    give_items(run, position, none);
    settle_without_attempt(run, own, TaskState::kFailed, Reason::kLaunchFailed, found.error().message);
    return false;
  }
  const std::uint32_t count = found->size();
  if (before == nullptr || *before != *found) {
    give_items(run, position, std::make_shared<const FanOut>(std::move(*found)));
  }
  if (count == 0) {
    decide_empty(run, own);
    return false;
  }
  settle_without_attempt(run, own, TaskState::kSuccess, Reason::kNone, told_items(count));
  run.to_judge.insert(run.to_judge.end(), task.followers.begin(), task.followers.end());
  return run.row.stop == Stop::kNone;
}

/// A depth-first fan-out as a whole is over, as far as finding its items goes, when that of its leader is.
void EngineState::judge_items(LiveRun& run, std::uint32_t task) {
  const ForEach& foreach = *run.task(task).foreach;
  const std::uint32_t own = run.instances->own(task);
  const bool known = foreach.late && run.instances->mapped(task) &&
                     is_final(run.states[run.instances->own(foreach.leader)].state) && !run.is_stopped(task);
  if (known && run.states[own].state == TaskState::kNone) {
    settle_without_attempt(run, own, TaskState::kSuccess, Reason::kNone, told_items(run.instances->count(task)));
  }
  const std::uint32_t first = run.instances->first(task);
  for (std::uint32_t i = first; i < first + run.instances->count(task); ++i) judge_item(run, i);
}

/// The children count on the items from here on; what they are counted as now has not ended.
void EngineState::give_items(LiveRun& run, std::uint32_t task, FanOutPtr items) {
  const FanOutPtr before = run.instances->late_items(task);
  if (before == nullptr && items->size() == 0) return;
  const std::uint32_t old_first = run.instances->first(task);
  const std::uint32_t old_count = run.instances->count(task);
  out.persist.fan_outs.push_back({run.row.seq, task, items->told()});
  const FanOutPtr given = items;
  run.instances->fan_out(task, std::move(items));
  EngineServices::forget_holders(run);
  const std::uint32_t more = run.instances->size() - static_cast<std::uint32_t>(run.states.size());
  run.states.resize(run.instances->size());
  run.counts[static_cast<std::size_t>(TaskState::kNone)] += more;
  if (more > 0) {
    change_run(run, [&](RunRow& row) { row.instances = run.instances->size(); });
  }
  for (const ChildEdge& edge : run.graph->children(task)) {
    if (run.dag->in_step(edge.child, task)) continue;
    run.tasks[edge.child].upstream.total += run.instances->count(task) - old_count;
  }
  if (before != nullptr) retire(run, {old_first, old_first + old_count});
  for (const std::uint32_t hook : run.task(task).hooks) give_items(run, hook, given);
  for (const std::uint32_t follower : run.task(task).followers) give_items(run, follower, given);
}

void EngineState::retire(LiveRun& run, ReadyRange items) {
  for (std::uint32_t i = items.next; i < items.end; ++i) {
    const bool hears = run.task(run.instances->task_of(i)).is_hook() && holds_attempt(run.states[i].state);
    if (is_final(run.states[i].state) || hears) continue;
    CHAPPE_ASSERT(!holds_attempt(run.states[i].state));  // Nobody may run again what has an attempt downstream.
    settle_without_attempt(run, i, TaskState::kSkipped, Reason::kNone, "foreach has no such item any more");
  }
}

/// Positions follow from the order in which the items were found.
Result<void> EngineState::adopt_fan_outs(LiveRun& run, const std::vector<FanOutRow>& rows) {
  for (const FanOutRow& row : rows) {
    auto given = run.instances->fan_out(row.task, row.items, run.params);
    if (!given) return fail(ErrorCode::kCorrupt, "its fan-outs are not as they were: " + given.error().message);
  }
  const std::uint32_t more = run.instances->size() - static_cast<std::uint32_t>(run.states.size());
  run.states.resize(run.instances->size());
  run.counts[static_cast<std::size_t>(TaskState::kNone)] += more;
  return {};
}

/// A failure that `allow_failure` covers, or one of those that `min_success` leaves room for.
bool EngineState::is_tolerated(const LiveRun& run, std::uint32_t index, const AttemptEnd& end) const {
  const std::uint32_t position = run.instances->task_of(index);
  const Task& task = run.task(position);
  const auto& codes = task.allow_failure.exit_codes;
  const bool named =
      end.reason == Reason::kExitCode && std::find(codes.begin(), codes.end(), end.exit_code) != codes.end();
  if (task.allow_failure.always || named) return true;
  if (!run.instances->mapped(position) || !run.instances->is_current(index)) return false;
  return run.tasks[position].tolerated < task.foreach->may_fail(run.instances->count(position));
}

/// The run has room for one more of those that wait aside.
void EngineState::unpark_run(LiveRun& run) {
  while (!run.parked_ahead.empty()) {
    const std::uint32_t index = run.parked_ahead.begin()->second;
    run.parked_ahead.erase(run.parked_ahead.begin());
    if (run.states[index].state == TaskState::kScheduled) {
      return enqueue(run, run.instances->task_of(index), {index, index + 1});
    }
  }
  unpark_next(run, run.parked);
}

/// By task: so many items failed that those which were tolerated at first are to be run again like the others.
std::vector<bool> EngineState::past_tolerance(const LiveRun& run) {
  std::vector<bool> past(run.tasks.size());
  for (std::uint32_t i = 0; i < run.states.size(); ++i) {
    if (run.states[i].state != TaskState::kFailed || run.states[i].allowed) continue;
    const std::uint32_t task = run.instances->task_of(i);
    past[task] = run.instances->mapped(task) && run.task(task).foreach->may_fail(run.instances->count(task)) > 0;
  }
  return past;
}

}  // namespace chappe
