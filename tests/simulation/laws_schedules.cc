// The law over schedules: a time makes one run, not before it has come and in the commit that is done with it, and none
// is left out that `catchup` keeps.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/laws.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {
namespace {

bool keeps_all(const Dag& dag) {
  return dag.schedule.catchup == Catchup::kAll && dag.schedule.max_catchup_runs >= kCatchUpAll &&
         dag.on_limit != OnLimit::kSkip;
}

bool keeps_latest(const Dag& dag) { return dag.schedule.catchup != Catchup::kNone && dag.on_limit != OnLimit::kSkip; }

/// What the commit says last of the DAG; null: nothing.
const DeploymentRow* last_row_of(const Persist& persist, const std::string& dag) {
  const auto found = std::find_if(persist.deployments.rbegin(), persist.deployments.rend(),
                                  [&](const DeploymentRow& row) { return row.dag == dag; });
  return found == persist.deployments.rend() ? nullptr : &*found;
}

}  // namespace

/// Up to where its times were done with before the commit that says `row`.
WallTime Laws::done_before(const Dag& dag, const DeploymentRow& row) const {
  const auto known = fired_to_.find(dag.name);
  if (known != fired_to_.end()) return known->second;
  const SchedulePlan& plan = dag.schedule;
  const bool catches_up = plan.catchup == Catchup::kAll && plan.start.is_set() && plan.start < row.deployed_at;
  return catches_up ? WallTime{plan.start.us - 1} : row.deployed_at;
}

void Laws::check_scheduled(const RunRow& row, const Persist& persist) {
  const Dag& dag = *listener(row.dag)->dag;
  const auto refuse = [&](std::string_view why) {
    broken(Law::kSchedules, fmt::format("the run of {} for {} {}", row.dag, to_iso8601(row.logical_time), why));
  };
  const WallTime time = row.logical_time;
  if (dag.schedule.next({time.us - 1}) != time) return refuse("is for no time of its schedule");
  if (row.created_at < time + dag.schedule.delay(dag.name, time)) refuse("begins before it is due");
  const DeploymentRow* done = last_row_of(persist, row.dag);
  if (done == nullptr || time > done->fired_to) return refuse("begins, and its time may make another one");
  if (time <= done_before(dag, *done)) refuse("is for a time that was done with");
  if (!times_made_[row.dag].insert(time).second) refuse("is the second one");
  world_.saw(Sight::kTimeMade);
}

/// A task for the latest time is skipped in a run for an earlier one, and nowhere else.
void Laws::check_latest(const RunView& run, const TaskRow& old, const TaskRow& row) {
  if (!task_of(run, row.key).latest_only || !row.ready_at.is_set()) return;
  const Dag& dag = *run.story->dag;
  const bool of_time = run.row.backfill || run.row.trigger == "schedule";
  const auto later = of_time ? dag.schedule.next(run.row.logical_time) : std::nullopt;
  const bool has_come = later && *later + dag.schedule.delay(dag.name, *later) <= row.ready_at;
  const bool too_old = row.state == TaskState::kSkipped && row.end.message.starts_with("latest_only");
  if (too_old) world_.saw(Sight::kTaskTooOld);
  if (too_old && !has_come) broken(Law::kSchedules, name(row.key) + " is skipped, and is for the latest time");
  const bool begins = row.attempt && row.attempt != old.attempt && old.attempt_no == 0;
  if (begins && has_come) broken(Law::kSchedules, name(row.key) + " has an attempt, and a later time has come");
}

void Laws::check_schedules(const Persist& persist) {
  for (const Story& story : world_.listeners) {
    const Dag& dag = *story.dag;
    const DeploymentRow* row = dag.schedule.empty() ? nullptr : last_row_of(persist, dag.name);
    if (row == nullptr) continue;
    check_done_with(dag, *row);
    fired_to_[dag.name] = row->fired_to;
  }
}

void Laws::check_done_with(const Dag& dag, const DeploymentRow& row) {
  const WallTime before = done_before(dag, row);
  if (row.fired_to < before) broken(Law::kSchedules, dag.name + " goes back to times that were done with");
  if (row.fired_to <= before) return;
  if (dag.schedule.next({row.fired_to.us - 1}) != row.fired_to) {
    broken(Law::kSchedules, dag.name + " is done with a time that is none of its schedule");
  }
  const std::set<WallTime>& made = times_made_[dag.name];
  for (auto time = dag.schedule.next(before); time && *time <= row.fired_to; time = dag.schedule.next(*time)) {
    if (made.contains(*time)) continue;
    world_.saw(Sight::kTimeMissed);
    const bool due = keeps_all(dag) || (keeps_latest(dag) && *time == row.fired_to);
    if (due) broken(Law::kSchedules, fmt::format("{} leaves {} out", dag.name, to_iso8601(*time)));
  }
}

/// Whether each time that is due is done with.
bool Laws::all_times_done() const {
  return std::all_of(world_.listeners.begin(), world_.listeners.end(), [&](const Story& story) {
    const auto fired_to = fired_to_.find(story.dag->name);
    if (fired_to == fired_to_.end()) return true;
    const SchedulePlan& plan = story.dag->schedule;
    const auto next = plan.next(fired_to->second);
    return !next || *next + plan.delay(story.dag->name, *next) > world_.wall();
  });
}

}  // namespace chappe::simulation
