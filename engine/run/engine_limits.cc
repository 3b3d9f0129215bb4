// What a run that is asked for comes to, and what becomes of it where it has no place: it waits, or takes that of
// others.
#include <fmt/format.h>

#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

/// What its `concurrency.group` comes to.
Result<std::string> group_name(const RunRequested& event, const RunRow& row) {
  LiveRun asked;
  asked.row = row;
  asked.dag = event.dag;
  asked.params = Value(event.params);
  asked.events = event.events;
  auto name = event.dag->group.expand(RunScope(asked, std::nullopt));
  if (name && name->empty()) return fail(ErrorCode::kInvalidInput, "it is empty, and a group needs a name");
  if (name && name->size() > kGroupMax) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("it has {} bytes, and a group's name at most {}", name->size(), kGroupMax));
  }
  return name;
}

/// Where the interval of a run begins. A run that somebody asks for with a time of the schedule, such as a night that
/// was missed, is about what it would have been about. Any other is about a moment.
WallTime interval_start_of(const RunRequested& event, WallTime end) {
  if (event.interval_start.is_set()) return event.interval_start;
  if (!event.logical_time.is_set() || event.interval_end.is_set()) return end;
  const SchedulePlan& plan = event.dag->schedule;
  const bool is_due = plan.next(WallTime{end.us - 1}) == end;
  return is_due ? plan.previous(end).value_or(end) : end;
}

}  // namespace

/// The row that it begins with, but for its number. Errors: kInvalidInput: its fan-outs do not expand, or its group
/// has no name.
Result<RunRow> EngineState::plan_run(const RunRequested& event) const {
  auto instances = Instances::expand(event.dag, event.params);
  if (!instances) return fail(std::move(instances.error()));
  RunRow row{.id = event.id, .dag = event.dag->name, .dag_version = event.dag->version, .trigger = event.trigger};
  row.requested_by = event.requested_by;
  row.request_id = event.request_id;
  row.logical_time = event.logical_time.is_set() ? event.logical_time : now.wall;
  row.interval_end = event.interval_end.is_set() ? event.interval_end : row.logical_time;
  row.interval_start = interval_start_of(event, row.interval_end);
  row.instances = instances->size();
  row.created_at = now.wall;
  row.backfill = event.backfill;
  row.rerun_of = event.rerun_of;
  row.no_cache = event.no_cache;
  if (event.dag->group.text().empty() || has_own_place(row)) return row;
  auto group = group_name(event, row);
  if (!group) return fail(std::move(group.error()).in("concurrency.group"));
  row.group = *std::move(group);
  return row;
}

/// For a run that is not in line. One without a number is newer than all.
bool EngineState::has_place(const Dag& dag, const RunRow& row) const {
  const RunSeq seq = row.seq ? row.seq : RunSeq{last_run.value + 1};
  return run_places.is_free(Places::group_of(row, dag), seq, dag.max_runs) || CHAPPE_MUTANT(kForgetsMaxRuns);
}

/// For a run that was just queued.
void EngineState::make_place(const LiveRun& run) {
  if (run.dag->on_limit != OnLimit::kReplace && run.dag->on_limit != OnLimit::kLatest) return;
  const std::string message = fmt::format("run {} took its place (on_limit: {})", run.row.id.text(),
                                          run.dag->on_limit == OnLimit::kReplace ? "replace" : "latest");
  const std::string group = Places::group_of(run.row, *run.dag);
  std::vector<RunSeq> older(run_places.line(group).begin(), run_places.line(group).end());
  if (run.dag->on_limit == OnLimit::kReplace) {
    for (const RunSeq seq : run_places.taken(group)) {
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
  const std::string group = Places::group_of(run.row, *run.dag);
  run_places.leave_line(group, run.row);
  if (!CHAPPE_MUTANT(kCancelStopsTheLine)) lines_moved.insert(group);
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
