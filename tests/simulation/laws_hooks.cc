// The laws of hooks: each hears of what it is for, when that has come, and once of each.
#include <fmt/format.h>

#include "tests/simulation/laws.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {
namespace {

/// Whether there is something that it is for in how its task stands; of a task that is over, nothing else is to come.
bool is_news(HookEvent event, const TaskRow& of) {
  const int charged = of.user_tries + of.infra_tries;  // A failure that is the last one as well.
  switch (event) {
    case HookEvent::kStart:
      return of.attempt_no > 0 && of.end.started_at.is_set();
    case HookEvent::kRetry:
      return charged > (of.state == TaskState::kFailed ? 1 : 0);
    case HookEvent::kSuccess:
      return of.state == TaskState::kSuccess;
    case HookEvent::kFailure:
      return of.state == TaskState::kFailed;
    case HookEvent::kSkipped:
      return of.state == TaskState::kSkipped && !of.allowed;
    default:
      return false;
  }
}

}  // namespace

InstanceKey Laws::heard_by(const RunView& run, InstanceKey key) const {
  const Instances& instances = *run.story->instances;
  const std::uint32_t position = instances.task_of(key.index);
  return {key.run, instances.in_step(position, key.index, run.story->dag->tasks[position].hook_of)};
}

/// It is told of an attempt of its task; or it was, and had not begun when the scheduler ended.
bool Laws::is_called(const RunView& run, const TaskRow& old, const TaskRow& row) const {
  if (!task_of(run, row.key).is_hook()) return false;
  const bool again = old.state == TaskState::kScheduled && row.state == TaskState::kScheduled;
  const bool idle = old.state == TaskState::kNone || is_final(old.state);
  const bool begins = row.state == TaskState::kScheduled || row.state == TaskState::kQueued;
  return again || (idle && (begins || row.iteration != old.iteration) && row.state != TaskState::kNone);
}

void Laws::check_hook(const RunView& run, const TaskRow& old, const TaskRow& row) {
  if (!is_called(run, old, row) || old.state == TaskState::kScheduled) return;
  if (row.user_tries + row.infra_tries > 0) broken(Law::kBudgets, name(row.key) + " begins anew with old tries");
  if (is_final(old.state)) {
    winner_.erase(row.key);
    world_.saw(Sight::kHookCalledAgain);
    if (row.iteration <= old.iteration && !run.generation_rose) broken(Law::kHooks, name(row.key) + " is told twice");
  }
  const auto of = rows_.find(heard_by(run, row.key));
  if (run.generation_rose) return;  // What it is of may have been undone in this very commit.
  // An attempt that runs has a start that its row does not show before it has ended.
  const HookEvent event = task_of(run, row.key).hook;
  const bool runs = event == HookEvent::kStart && of != rows_.end() && of->second.state == TaskState::kRunning;
  const bool came = of != rows_.end() && (runs || is_news(event, of->second));
  if (!came || row.iteration > of->second.attempt_no) {
    broken(Law::kHooks, name(row.key) + " is called, and nothing has come that it is for");
  }
}

/// A run is over: what came was told, and nothing else. Not where a person ran or marked some of it again.
void Laws::check_hooks_heard(const RunView& run) {
  if (run.row.generation > 1 || run.row.stop >= Stop::kCutShort) return;
  const Dag& dag = *run.story->dag;
  for (const std::uint32_t hook : dag.hooks) {
    const std::uint32_t first = run.story->instances->first(hook);
    for (std::uint32_t i = first; i < first + run.story->instances->count(hook); ++i) {
      const InstanceKey key{run.row.seq, i};
      const auto row = rows_.find(key);
      const auto of = rows_.find(heard_by(run, key));
      // A stopped run keeps no row of what never began, or a cancelled one.
      if (row == rows_.end() || of == rows_.end() || row->second.state == TaskState::kCancelled) continue;
      const bool came = is_news(dag.tasks[hook].hook, of->second);
      const bool told = row->second.state != TaskState::kSkipped;
      if (came && !told && dag.tasks[hook].when.empty()) {
        broken(Law::kHooks, fmt::format("{} has not heard of what came to its task, which is {} after {} attempts",
                                        name(key), name_of(of->second.state), of->second.attempt_no));
      }
      if (told) world_.saw(Sight::kHookCalled);
      const HookEvent event = dag.tasks[hook].hook;
      const bool of_the_end = event != HookEvent::kStart && event != HookEvent::kRetry;
      if (told && !came && of_the_end) {
        broken(Law::kHooks,
               fmt::format("{} is {}, and nothing came to its task", name(key), name_of(row->second.state)));
      }
    }
  }
}

}  // namespace chappe::simulation
