// The end of a run: its handlers, whoever caused it.
#include <fmt/format.h>

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

bool handles(Handler handler, RunState outcome) {
  switch (handler) {
    case Handler::kSuccess:
      return outcome == RunState::kSuccess;
    case Handler::kFailure:
      return outcome == RunState::kFailed;
    case Handler::kCancel:
      return outcome == RunState::kCancelled;
    case Handler::kExit:
      return true;
    case Handler::kNone:
      break;
  }
  return false;
}

}  // namespace

/// All tasks but the handlers have ended. Those that this end does not concern are skipped, the others judged by their
/// rules. Called again after a restart: what has a row by then stays as it is.
void EngineState::begin_handling(LiveRun& run) {
  settle_watchers(run);
  run.handling = true;
  if (run.is_cut_short()) return;  // All of them ended, or are on their way to it.
  const RunState outcome = run.outcome();
  const auto first = static_cast<std::uint32_t>(run.dag->tasks.size()) - run.dag->handlers;
  for (std::uint32_t task = first; task < run.dag->tasks.size(); ++task) {
    const std::uint32_t index = run.instances->first(task);
    const bool waits = run.states[index].state == TaskState::kNone && !CHAPPE_MUTANT(kForgetsHandlers);
    if (waits && handles(run.task(task).handler, outcome)) {
      run.to_judge.push_back(task);
    } else if (run.states[index].state == TaskState::kNone) {
      settle_without_attempt(run, index, TaskState::kSkipped, Reason::kNone,
                             fmt::format("the run's end is {}", name_of(outcome)));
    }
  }
  judge_due(run);
}

/// A person has had enough of the handlers and teardowns, too.
void EngineState::cut_short(LiveRun& run, const std::string& message) {
  if (run.is_cut_short()) return;
  const bool failed = run.outcome() == RunState::kFailed;
  const std::string_view what = run.handling ? "handlers" : "teardowns";
  change_run(run, [&](RunRow& row) {
    row.stop = failed ? Stop::kCutShortFailed : Stop::kCutShort;
    row.message = row.message.empty() ? message : fmt::format("{}; its {} were {}", row.message, what, message);
  });
  for (std::uint32_t index = 0; index < run.states.size(); ++index) {
    if (!run.outlives_stop(index)) continue;
    const TaskState state = run.states[index].state;
    if (is_final(state) || holds_attempt(state) || run.waits_for_run(index)) continue;
    settle_without_attempt(run, index, TaskState::kCancelled, Reason::kCancelled, message);
  }
  cancel_attempts(run);
  cancel_started_runs(run);
  touched.push_back(run.row.seq);
}

/// Whatever a person runs again, the run has another end, and its handlers hear of it.
void EngineState::add_handlers(const LiveRun& run, std::vector<std::uint32_t>& chosen) const {
  const auto first = static_cast<std::uint32_t>(run.dag->tasks.size()) - run.dag->handlers;
  for (std::uint32_t task = first; task < run.dag->tasks.size(); ++task) {
    const std::uint32_t index = run.instances->first(task);
    const bool is_new = std::find(chosen.begin(), chosen.end(), index) == chosen.end();
    if (is_new && is_final(run.states[index].state)) chosen.push_back(index);
  }
}

}  // namespace chappe
