// Backfills: runs for a stretch of a schedule's past, made one after the other.
//
// A date is decided in the transaction that moves `done` past it, together with the run that it gets: so neither a
// crash nor a pause decides it twice. What runs a date has already stands in the store; the engine asks for it a few
// dates ahead, and hears of it before anything else happens. So no date ever has two runs that are under way because of
// a backfill.
#include <fmt/format.h>

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

constexpr std::size_t kDatesAskedMax = 16;  ///< At a time.
constexpr Duration kRestWhileFull = std::chrono::seconds(1);

std::string object_of(BackfillId id) { return fmt::format("backfill {}", id.value); }

Value backfill_answer(const BackfillRow& row) {
  return ValueMap{{"backfill", static_cast<std::int64_t>(row.id.value)},
                  {"dag", row.dag},
                  {"state", name_of(row.state)},
                  {"total", std::int64_t{row.total}}};
}

}  // namespace

// ---- What people ask ----

void EngineState::on(const BackfillRequested& event) {
  const Dag& dag = *event.dag;
  if (const auto other = backfill_of.find(dag.name); other != backfill_of.end()) {
    return reply(event.ticket,
                 fail(ErrorCode::kConflict,
                      fmt::format("{} of DAG {} is {}: cancel it, or wait for its end", object_of(other->second),
                                  dag.name, name_of(backfills.at(other->second).row.state))));
  }
  auto params = resolve_params(dag.params, Value(event.params));
  auto instances = params ? Instances::expand(event.dag, *params) : fail(std::move(params.error()));
  if (!instances) return reply(event.ticket, fail(std::move(instances.error())));
  const BackfillId id{++last_backfill.value};
  Backfill& backfill = backfills[id];
  backfill.dag = event.dag;
  backfill.params = std::move(*params);
  BackfillRow& row = backfill.row;
  row.id = id;
  row.dag = dag.name;
  row.version = dag.version;
  row.spec = event.spec;
  row.params_json = to_json(event.params);
  row.total = event.total;
  row.created_by = event.requested_by;
  row.created_at = now.wall;
  backfill_of[dag.name] = id;
  backfills_due.insert(id);
  save(backfill);
  audit({event.requested_by, event.source}, "backfill.create", object_of(id),
        to_json(ValueMap{{"dag", dag.name},
                         {"version", dag.version},
                         {"from", to_iso8601(row.spec.from)},
                         {"to", to_iso8601(row.spec.to)},
                         {"reprocess", name_of(row.spec.reprocess)},
                         {"dates", std::int64_t{row.total}}}));
  reply(event.ticket, backfill_answer(row));
}

void EngineState::on(const BackfillChangeRequested& event) {
  const auto found = backfills.find(event.backfill);
  if (found == backfills.end()) {
    return reply(event.ticket, fail(ErrorCode::kConflict, object_of(event.backfill) + " is over, or there is none"));
  }
  Backfill& backfill = found->second;
  const BackfillState before = backfill.row.state;
  if (event.state == BackfillState::kRunning && backfill.dag == nullptr) {
    return reply(event.ticket,
                 fail(ErrorCode::kConflict, object_of(event.backfill) + " cannot go on: " + backfill.row.message));
  }
  Value answer = backfill_answer(backfill.row);
  if (before != event.state) {
    audit({event.requested_by, event.source},
          event.state == BackfillState::kPaused      ? "backfill.pause"
          : event.state == BackfillState::kCancelled ? "backfill.cancel"
                                                     : "backfill.resume",
          object_of(event.backfill), to_json(ValueMap{{"before", name_of(before)}, {"after", name_of(event.state)}}));
    backfill.row.state = event.state;
    backfill.row.message.clear();
    answer = backfill_answer(backfill.row);
    if (event.state == BackfillState::kCancelled) {
      cancel_backfill(event.backfill,
                      fmt::format("{} was cancelled by {}", object_of(event.backfill), event.requested_by));
    } else {
      save(backfill);
      backfills_due.insert(event.backfill);
    }
  }
  reply(event.ticket, std::move(answer));
}

/// Runs that have come to their handlers end by themselves.
void EngineState::cancel_backfill(BackfillId id, const std::string& message) {
  const std::set<RunSeq> live = backfills.at(id).live;
  end_backfill(id, BackfillState::kCancelled);
  for (const RunSeq seq : live) {
    LiveRun* run = find_run(seq);
    if (run != nullptr && !run->handling) cancel_run(*run, message);
  }
}

void EngineState::end_backfill(BackfillId id, BackfillState state) {
  const auto found = backfills.find(id);
  found->second.row.state = state;
  found->second.row.ended_at = now.wall;
  save(found->second);
  backfill_of.erase(found->second.row.dag);
  backfills_due.erase(id);
  backfills.erase(found);
}

void EngineState::save(const Backfill& backfill) { out.persist.backfills.push_back(backfill.row); }

// ---- One date after the other ----

/// A backfill goes on when it begins, when a run of it has ended, and when its next dates were looked up.
void EngineState::run_backfills() {
  for (std::uint32_t left = config.fires_max; left > 0 && !backfills_due.empty(); --left) {
    if (runs.size() >= config.runs_max) return;
    const BackfillId id = *backfills_due.begin();
    backfills_due.erase(backfills_due.begin());
    InHand::take(config.in_hand, backfills.at(id).row.dag);
    go_on(backfills.at(id));
  }
}

void EngineState::go_on(Backfill& backfill) {
  const BackfillRow& row = backfill.row;
  if (row.state != BackfillState::kRunning || backfill.asked || backfill.dag == nullptr) return;
  if (backfill.live.size() >= row.spec.max_active) return;
  WantedDates wanted{.backfill = row.id, .dag = row.dag, .times = {}};
  auto time = row.spec.next(backfill.dag->schedule, row.done);
  for (; time && wanted.times.size() < kDatesAskedMax; time = row.spec.next(backfill.dag->schedule, *time)) {
    wanted.times.push_back(*time);
  }
  if (!wanted.times.empty()) {
    backfill.asked = true;
    out.dates.push_back(std::move(wanted));
    out.wake_at = now.mono;
  } else if (backfill.live.empty()) {
    end_backfill(row.id, BackfillState::kCompleted);
  }
}

void EngineState::on(const DatesLooked& event) {
  const auto found = backfills.find(event.backfill);
  if (found == backfills.end()) return;
  Backfill& backfill = found->second;
  BackfillRow& row = backfill.row;
  backfill.asked = false;
  backfills_due.insert(event.backfill);
  bool decided = false;
  for (const DatesLooked::Date& date : event.dates) {
    if (row.state != BackfillState::kRunning || backfill.dag == nullptr) break;
    if (row.spec.next(backfill.dag->schedule, row.done) != date.time) break;  // Said before.
    const bool makes_run =
        why_no_run(row.spec.reprocess, date.newest).empty() || CHAPPE_MUTANT(kBackfillLooksNothingUp);
    const bool has_room = backfill.live.size() < row.spec.max_active && runs.size() < config.runs_max;
    if (makes_run && (!has_room || !make_backfill_run(backfill, date.time))) break;
    ++(makes_run ? row.made : row.skipped);
    row.done = date.time;
    decided = true;
  }
  if (decided) save(backfill);
}

/// False: it cannot, and the backfill rests.
bool EngineState::make_backfill_run(Backfill& backfill, WallTime time) {
  RunRequested run{.id = make_run_id(), .dag = backfill.dag, .params = backfill.params, .trigger = "backfill"};
  run.requested_by = backfill.row.created_by;
  run.logical_time = run.interval_end = time;
  run.interval_start = backfill.dag->schedule.previous(time).value_or(time);
  run.backfill = backfill.row.id;
  auto planned = plan_run(run);
  if (planned) {
    add_run(run, *std::move(planned));
    return true;
  }
  backfill.row.state = BackfillState::kPaused;  // Its fan-outs did expand when it was asked for.
  backfill.row.message = planned.error().message;
  save(backfill);
  return false;
}

/// Of a run that begins: the tasks that its backfill does without count as done for those that depend on them.
void EngineState::leave_out(LiveRun& run) {
  const auto found = backfills.find(run.row.backfill);
  if (found == backfills.end() || found->second.row.spec.tasks.empty()) return;
  const auto out_of_it = left_out(*run.dag, found->second.row.spec.tasks);
  if (!out_of_it) return;  // They were in it when it was asked for.
  for (std::uint32_t i = 0; i < run.states.size(); ++i) {
    if (!(*out_of_it)[run.instances->task_of(i)]) continue;
    TaskRow row = row_of(run, i);
    row.state = TaskState::kSkipped;
    row.allowed = true;
    row.end = {.ended_at = now.wall, .message = object_of(run.row.backfill) + " leaves it out"};
    store_row(run, i, std::move(row));
  }
}

void EngineState::enter_backfill(const RunRow& row) {
  const auto found = backfills.find(row.backfill);
  if (found != backfills.end()) found->second.live.insert(row.seq);
}

void EngineState::leave_backfill(const RunRow& row) {
  const auto found = backfills.find(row.backfill);
  if (found == backfills.end()) return;
  found->second.live.erase(row.seq);
  backfills_due.insert(row.backfill);
}

void EngineState::wake_for_backfills() {
  if (backfills_due.empty()) return;
  const MonoTime at = now.mono + (runs.size() >= config.runs_max ? kRestWhileFull : Duration(0));
  out.wake_at = out.wake_at ? std::min(*out.wake_at, at) : at;
}

/// Before the runs are: those that are not over are theirs.
void EngineState::adopt_backfills(std::vector<StoredBackfill> stored) {
  for (StoredBackfill& each : stored) {
    Backfill& backfill = backfills[each.row.id];
    backfill.row = std::move(each.row);
    backfill_of[backfill.row.dag] = backfill.row.id;
    backfills_due.insert(backfill.row.id);
    auto params = each.dag == nullptr ? fail(ErrorCode::kCorrupt, "its DAG version does not load any more")
                                      : resolve_params(each.dag->params, each.params);
    if (params) {
      backfill.dag = std::move(each.dag);
      backfill.params = std::move(*params);
    } else {
      backfill.row.message = params.error().message;
    }
  }
}

}  // namespace chappe
