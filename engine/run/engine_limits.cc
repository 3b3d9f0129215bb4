// What becomes of a run that its DAG has no place for: it waits, or takes the place of others.
#include <fmt/format.h>

#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {

bool EngineState::has_place(const Dag& dag) const {
  return running_of(dag.name).size() < dag.max_runs || CHAPPE_MUTANT(kForgetsMaxRuns);
}

/// For a run that was just queued.
void EngineState::make_place(const LiveRun& run) {
  if (run.dag->on_limit != OnLimit::kReplace && run.dag->on_limit != OnLimit::kLatest) return;
  const std::string message = fmt::format("run {} took its place (on_limit: {})", run.row.id.text(),
                                          run.dag->on_limit == OnLimit::kReplace ? "replace" : "latest");
  std::vector<RunSeq> older(queued_by_dag[run.row.dag].begin(), queued_by_dag[run.row.dag].end());
  if (run.dag->on_limit == OnLimit::kReplace) {
    for (const RunSeq seq : running_of(run.row.dag)) {
      if (!find_run(seq)->handling) older.push_back(seq);
    }
  }
  for (const RunSeq seq : older) {
    if (seq < run.row.seq) cancel_run(*find_run(seq), message);
  }
}

void EngineState::cancel_run(LiveRun& run, const std::string& message) {
  if (run.row.state != RunState::kQueued) {
    const bool again = run.row.stop == Stop::kCancel;
    if (run.handling || (again && run.has_only_teardowns_left())) return cut_short(run, message);
    if (again) return;
    stop(run, Stop::kCancel, message);
    return judge_due(run);
  }
  std::erase(queued_by_dag[run.row.dag], run.row.seq);
  change_run(run, [&](RunRow& row) {
    row.state = RunState::kCancelled;
    row.stop = Stop::kCancel;
    row.ended_at = now.wall;
    row.message = message;
  });
  tell_parent(run);
  tell_triggers_of_end(run);
  forget_run(run.row.seq);
}

}  // namespace chappe
