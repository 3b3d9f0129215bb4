// Teardowns: they run when their setup has succeeded and everything they wait for has ended, however that was, and also
// in a run that is being stopped.
#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

bool some_is(const LiveRun& run, std::uint32_t task, TaskState state) {
  const std::uint32_t first = run.instances->first(task);
  for (std::uint32_t i = first; i < first + run.instances->count(task); ++i) {
    if (run.states[i].state == state) return true;
  }
  return false;
}

}  // namespace

/// How a handler ended is no matter of the run's; nor is a teardown or a hook, unless its `allow_failure` is false.
bool EngineState::counts_for_run(const LiveRun& run, std::uint32_t task) {
  const Task& of = run.task(task);
  const bool beside = of.is_hook() || !of.teardown_of.empty();
  return !run.dag->is_handler(task) && !(beside && of.allow_failure.always);
}

void EngineState::judge_teardown(LiveRun& run, std::uint32_t position) {
  TaskProgress& progress = run.tasks[position];
  if (progress.judged || progress.upstream.done() < progress.upstream.total) return;
  progress.judged = true;
  if (!progress.ready_at.is_set()) progress.ready_at = now.wall;
  const auto& setups = run.task(position).teardown_of;
  const auto some_setup_is = [&](TaskState state) {
    return std::any_of(setups.begin(), setups.end(), [&](std::uint32_t setup) { return some_is(run, setup, state); });
  };
  const std::uint32_t index = run.instances->first(position);
  if (some_setup_is(TaskState::kSuccess) || CHAPPE_MUTANT(kTeardownsIgnoreTheirSetup)) {
    return make_ready(run, position, {index, index + 1});
  }
  if (run.states[index].state != TaskState::kNone) return;
  const bool stopped = run.row.stop != Stop::kNone;
  const bool failed = some_setup_is(TaskState::kFailed) || some_setup_is(TaskState::kUpstreamFailed);
  settle_without_attempt(run, index,
                         stopped  ? TaskState::kCancelled
                         : failed ? TaskState::kUpstreamFailed
                                  : TaskState::kSkipped,
                         stopped ? Reason::kCancelled : Reason::kUpstream, "its setup has not succeeded");
}

/// What was torn down must be set up again for those that run again. Errors: kConflict: a teardown is under way.
Result<void> EngineState::add_setups(const LiveRun& run, std::vector<std::uint32_t>& chosen) const {
  std::vector<bool> chosen_task(run.tasks.size());
  for (const std::uint32_t index : chosen) chosen_task[run.instances->task_of(index)] = true;
  std::vector<bool> again(run.tasks.size());
  for (std::uint32_t task = 0; task < run.tasks.size(); ++task) {
    const auto& setups = run.task(task).teardown_of;
    if (setups.empty()) continue;
    const std::vector<bool> within = run.graph->with_descendants(setups);
    std::vector<bool> before = Graph::with_ancestors(*run.dag, {&task, 1});
    before[task] = false;
    bool needed = false;
    for (std::uint32_t each = 0; each < run.tasks.size(); ++each) {
      needed = needed || (chosen_task[each] && within[each] && before[each]);
    }
    if (!needed) continue;
    const TaskState state = run.states[run.instances->first(task)].state;
    if (holds_attempt(state)) {
      return fail(ErrorCode::kConflict, run.task(task).id + " is tearing down what it would need; wait for its end");
    }
    if (!is_final(state)) continue;
    again[task] = true;
    for (const std::uint32_t setup : setups) again[setup] = true;
  }
  std::vector<bool> known(run.states.size());
  for (const std::uint32_t index : chosen) known[index] = true;
  for (std::uint32_t i = 0; i < run.states.size(); ++i) {
    const bool wanted = again[run.instances->task_of(i)] && is_final(run.states[i].state);
    if (wanted && !known[i] && !run.instances->is_retired(i)) chosen.push_back(i);
  }
  return {};
}

}  // namespace chappe
