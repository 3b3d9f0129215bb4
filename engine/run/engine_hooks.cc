// Hooks: tasks that run when something comes to another task, and watchers, which hear of all that waits in a run.
//
// A hook has an instance for each one of its task's, and stands in step with it. It is judged whenever a row of that
// one is written, and when it has ended itself: what came meanwhile is told once, with the latest. Which attempt it was
// told of last is its row's `iteration`, so a restart tells nothing twice.
#include <fmt/format.h>

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

/// A late fan-out whose items have hooks of their own.
bool stands_for_items(const LiveRun& run, std::uint32_t task, std::uint32_t index) {
  return run.instances->late_items(task) != nullptr && index == run.instances->own(task);
}

/// What a hook of the retries has heard of last. Those before a person ran the task again are not among them.
std::optional<std::uint16_t> last_retry(const InstanceState& of) {
  if (of.user_tries + of.infra_tries == 0) return std::nullopt;
  if (of.state == TaskState::kUpForRetry || of.state == TaskState::kScheduled) return of.attempt_no;
  const bool goes_on = holds_attempt(of.state) || of.state == TaskState::kSuccess;
  if (!goes_on || of.attempt_no < 2) return std::nullopt;
  return static_cast<std::uint16_t>(of.attempt_no - 1);
}

bool has_started(const LiveRun& run, std::uint32_t index) {
  const auto end = run.ends.find(index);
  if (end == run.ends.end() || !end->second.started_at.is_set()) return false;
  const TaskState state = run.states[index].state;
  if (state == TaskState::kScheduled) return bool(run.states[index].attempt);  // It has rested; its row says so still.
  return state == TaskState::kRunning || state == TaskState::kCommitting || state == TaskState::kUpForRetry ||
         state == TaskState::kSuccess || state == TaskState::kFailed;
}

/// The number of the attempt that there is to tell of; nullopt: nothing that the hook is for has come.
std::optional<std::uint16_t> news(const LiveRun& run, HookEvent hook, std::uint32_t task, std::uint32_t index) {
  const InstanceState& of = run.states[index];
  const auto where = [&](bool came) { return came ? std::optional(of.attempt_no) : std::nullopt; };
  switch (hook) {
    case HookEvent::kStart:
      return where(has_started(run, index));
    case HookEvent::kRetry:
      return last_retry(of);
    case HookEvent::kSuccess:
      return where(of.state == TaskState::kSuccess && !stands_for_items(run, task, index));
    case HookEvent::kFailure:
      return where(of.state == TaskState::kFailed || (is_final(of.state) && CHAPPE_MUTANT(kHooksHearOfAnyEnd)));
    case HookEvent::kSkipped:
      return where(of.state == TaskState::kSkipped && !of.allowed);
    case HookEvent::kNone:
    case HookEvent::kWait:
    case HookEvent::kLate:
      break;
  }
  return std::nullopt;
}

/// Its row says that it was called, and it had not begun when the scheduler ended: it has the tries that it had.
void line_up_again(EngineState& state, LiveRun& run, std::uint32_t index) {
  run.set_state(index, TaskState::kScheduled);
  state.add_queue_timer(run, index, state.since(run.ready_at(index)));
  state.deadlines.watch(run, index);
  state.enqueue(run, run.instances->task_of(index), {index, index + 1});
}

}  // namespace

/// Something was written of an instance: those who may have to hear of it are asked at the end of the step.
void EngineState::note_for_hooks(LiveRun& run, std::uint32_t index, const TaskRow& row) {
  const Task& task = run.task(run.instances->task_of(index));
  if (!task.hooks.empty()) remember_end(run, index, row);
  const bool looks_again = task.is_hook() && is_final(row.state);
  if (!task.hooks.empty() || looks_again) hooks_due.push_back({run.row.seq, index});
}

/// Why the attempt before failed is known until the one under way has ended.
void EngineState::remember_end(LiveRun& run, std::uint32_t index, const TaskRow& row) {
  if (row.state == TaskState::kRunning) {
    run.ends[index].started_at = row.end.started_at;
  } else if (is_final(row.state) || row.state == TaskState::kUpForRetry) {
    run.ends[index] = row.end;
  }
}

void EngineState::tell_hooks() {
  // A hook that ends at once is news to itself.
  while (!hooks_due.empty()) {
    for (const InstanceKey& key : std::exchange(hooks_due, {})) {
      LiveRun* run = find_run(key.run);
      if (run != nullptr && run->started() && run->row.state == RunState::kRunning) tell_hooks(*run, key.index);
    }
  }
}

void EngineState::tell_hooks(LiveRun& run, std::uint32_t index) {
  if (run.instances->is_retired(index)) return;
  const std::uint32_t position = run.instances->task_of(index);
  const Task& task = run.task(position);
  for (const std::uint32_t hook : task.hooks) judge_hook(run, hook, index);
  if (!task.is_hook()) return;
  if (task.hook != HookEvent::kWait && task.hook != HookEvent::kLate) {
    judge_hook(run, position, run.instances->in_step(position, index, task.hook_of));
  } else if (run.watch_again.erase(index) > 0) {
    call_hook(run, index, static_cast<std::uint16_t>(run.states[index].iteration + 1));
  }
}

/// All instances of one hook: when a run begins, goes on, or is stopped.
void EngineState::judge_hooks(LiveRun& run, std::uint32_t hook) {
  const Task& task = run.task(hook);
  if (task.hook == HookEvent::kWait || task.hook == HookEvent::kLate) {
    const std::uint32_t index = run.instances->own(hook);
    const InstanceState& instance = run.states[index];
    const bool called = instance.state == TaskState::kNone && instance.stored == TaskState::kScheduled;
    if (called) line_up_again(*this, run, index);
    return;
  }
  const std::uint32_t first = run.instances->first(task.hook_of);
  for (std::uint32_t i = first; i < first + run.instances->count(task.hook_of); ++i) judge_hook(run, hook, i);
  const std::uint32_t own = run.instances->own(task.hook_of);
  if (stands_for_items(run, task.hook_of, own)) judge_hook(run, hook, own);
}

/// `of`: the instance that it may have to hear of.
void EngineState::judge_hook(LiveRun& run, std::uint32_t hook, std::uint32_t of) {
  const Task& task = run.task(hook);
  const std::uint32_t index = run.instances->in_step(task.hook_of, of, hook);
  const InstanceState& instance = run.states[index];
  if (instance.state != TaskState::kNone && !is_final(instance.state)) return;
  const bool idle = instance.state == TaskState::kNone;
  const bool cut_short = run.is_stopped(hook);
  const bool called = idle && instance.stored == TaskState::kScheduled && !cut_short;  // Before a restart.
  if (called && CHAPPE_MUTANT(kRestoreForgetsTriesOfHooks)) return call_hook(run, index, instance.iteration);
  if (called) return line_up_again(*this, run, index);  // What came since is told when it has ended.
  const auto told = news(run, task.hook, task.hook_of, of);
  const bool unheard = told && (idle || instance.iteration != *told || CHAPPE_MUTANT(kHooksHearTwice));
  if (unheard && !cut_short) return call_hook(run, index, *told);
  const TaskState end = run.states[of].state;
  if (!idle || !is_final(end)) return;
  const bool with_run = run.row.stop != Stop::kNone;  // Its row says it all.
  if (end == TaskState::kCancelled && !instance.has_row && with_run) {
    run.set_state(index, TaskState::kCancelled);
    if (run.is_over()) touched.push_back(run.row.seq);
    return;
  }
  if (cut_short) return;
  settle_without_attempt(run, index, TaskState::kSkipped, Reason::kNone,
                         fmt::format("{} is {}", run.instances->name_of(of), name_of(end)));
}

/// Its turn has come, perhaps not for the first time. `about`: what its row says it was told of.
void EngineState::call_hook(LiveRun& run, std::uint32_t index, std::uint16_t about) {
  const std::uint32_t position = run.instances->task_of(index);
  run.states[index].iteration = about;
  if (!run.task(position).when.empty() && !decide_when(run, index)) return;
  run.tasks[position].ready_at = now.wall;
  TaskRow row = row_of(run, index);
  row.attempt = {};
  row.worker = {};
  row.user_tries = 0;
  row.infra_tries = 0;
  row.allowed = false;
  row.state = TaskState::kScheduled;
  store_row(run, index, std::move(row));
  add_queue_timer(run, index, Duration(0));
  deadlines.watch(run, index);
  enqueue(run, position, {index, index + 1});
}

// ---- Watchers ----

/// A task has begun to wait, or is late.
void EngineState::tell_watchers(LiveRun& run, HookEvent event) {
  if (run.row.stop != Stop::kNone) return;
  for (const std::uint32_t watcher : run.dag->watchers) {
    if (run.task(watcher).hook != event) continue;
    const std::uint32_t index = run.instances->own(watcher);
    const InstanceState& instance = run.states[index];
    if (instance.state != TaskState::kNone && !is_final(instance.state)) {
      if (instance.state != TaskState::kScheduled) run.watch_again.insert(index);
      continue;
    }
    call_hook(run, index, static_cast<std::uint16_t>(instance.iteration + 1));
  }
}

/// After a restart: what came while one was under way is told when it ends.
void EngineState::adopt_watchers(LiveRun& run) {
  for (const std::uint32_t watcher : run.dag->watchers) {
    const std::uint32_t index = run.instances->own(watcher);
    const InstanceState& instance = run.states[index];
    if (!holds_attempt(instance.state)) continue;
    const auto worker = workers.find(instance.worker);
    if (worker == workers.end()) continue;
    const auto leased = worker->second.leased.find(instance.attempt);
    if (leased == worker->second.leased.end()) continue;
    const bool late = run.task(watcher).hook == HookEvent::kLate;
    const bool news = std::any_of(run.waiting.begin(), run.waiting.end(), [&](const auto& each) {
      const WallTime came = late ? each.second.late_at : each.second.began;
      return came.is_set() && came >= leased->second.queued_at;
    });
    const bool run_is_late = late && run.row.late_at.is_set() && run.row.late_at > leased->second.queued_at;
    if (news || run_is_late) run.watch_again.insert(index);
  }
}

/// All other tasks have ended.
void EngineState::settle_watchers(LiveRun& run) {
  for (const std::uint32_t watcher : run.dag->watchers) {
    const std::uint32_t index = run.instances->own(watcher);
    if (run.states[index].state != TaskState::kNone) continue;
    const bool late = run.task(watcher).hook == HookEvent::kLate;
    settle_without_attempt(run, index, TaskState::kSkipped, Reason::kNone,
                           late ? "nothing was late" : "nothing waited");
  }
}

// ---- Run again ----

/// Of what a person runs again, the hooks hear anew.
void EngineState::add_hooks(const LiveRun& run, std::vector<std::uint32_t>& chosen) const {
  if (run.dag->hooks.empty()) return;
  std::vector<bool> known(run.states.size());
  for (const std::uint32_t index : chosen) known[index] = true;
  const std::size_t count = chosen.size();
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t position = run.instances->task_of(chosen[i]);
    for (const std::uint32_t hook : run.task(position).hooks) {
      const std::uint32_t index = run.instances->in_step(position, chosen[i], hook);
      if (!known[index] && is_final(run.states[index].state)) chosen.push_back(index);
    }
  }
}

std::string EngineState::explain_hook(const LiveRun& run, std::uint32_t index) const {
  const std::uint32_t position = run.instances->task_of(index);
  const Task& task = run.task(position);
  if (task.hook == HookEvent::kWait) return "a task that waits";
  if (task.hook == HookEvent::kLate) return "a task that is late";
  const std::uint32_t of = run.instances->in_step(position, index, task.hook_of);
  constexpr std::string_view kWaitsFor[] = {"", "start", "try again", "succeed", "fail", "be skipped"};
  return fmt::format("{} ({}) to {}", run.instances->name_of(of), name_of(run.states[of].state),
                     kWaitsFor[static_cast<std::size_t>(task.hook)]);
}

}  // namespace chappe
