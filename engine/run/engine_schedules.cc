// What is deployed, and the runs that time starts.
//
// A time is done with in the transaction that moves `fired_to` past it, together with the run that it made: so neither
// a crash nor a clock that is set back makes it twice. What lies between `fired_to` and now was missed: `catchup`
// decides.
#include <fmt/format.h>

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

constexpr Duration kOnTime = std::chrono::minutes(1);  ///< So late a time is not missed.
/// Schedules are of the wall clock, which may be set: so it is looked at this often.
constexpr Duration kLookAtClock = std::chrono::seconds(30);
constexpr Duration kRestWhenFull = std::chrono::seconds(1);

WallTime just_before(WallTime time) { return {time.us - 1}; }
WallTime just_after(WallTime time) { return {time.us + 1}; }

/// The latest time in [first, now] whose jitter has passed; `first` itself where there is no later one.
WallTime latest_due(const Dag& dag, WallTime first, WallTime now) {
  const SchedulePlan& plan = dag.schedule;
  const WallTime end = plan.end.is_set() ? std::min(plan.end, now) : now;
  WallTime time = plan.previous(just_after(end)).value_or(first);
  while (time > first && time + plan.delay(dag.name, time) > now) time = plan.previous(time).value_or(first);
  return std::max(time, first);
}

/// Whether more than `count` times lie in [first, now].
bool are_more_than(const SchedulePlan& plan, WallTime first, WallTime now, std::uint32_t count) {
  std::optional<WallTime> time = first;
  for (std::uint32_t i = 0; i < count; ++i) {
    time = plan.next(*time);
    if (!time || *time > now) return false;
  }
  return true;
}

/// The first of the latest `count` times up to now.
WallTime first_of_latest(const Dag& dag, WallTime first, WallTime now, std::uint32_t count) {
  WallTime time = latest_due(dag, first, now);
  for (std::uint32_t i = 1; i < count; ++i) time = dag.schedule.previous(time).value_or(first);
  return std::max(time, first);
}

/// Which of the times that are due comes next; those before it are given up.
WallTime time_to_make(const Dag& dag, WallTime first, WallTime now) {
  const SchedulePlan& plan = dag.schedule;
  if (plan.catchup != Catchup::kAll || CHAPPE_MUTANT(kScheduleSkipsMissedTimes)) return latest_due(dag, first, now);
  if (plan.catchup_window && now - first > *plan.catchup_window) {
    const auto in_window = plan.next(just_before(WallTime{now.us - plan.catchup_window->count()}));
    first = in_window && *in_window <= now ? *in_window : latest_due(dag, first, now);
  }
  if (!are_more_than(plan, first, now, plan.max_catchup_runs)) return first;
  return first_of_latest(dag, first, now, plan.max_catchup_runs);
}

/// Why a time makes no run any more; "": it does.
std::string why_given_up(const Dag& dag, WallTime time, WallTime now) {
  const SchedulePlan& plan = dag.schedule;
  const Duration late = now - (time + plan.delay(dag.name, time));
  if (plan.catchup_window && late > *plan.catchup_window) {
    return fmt::format("{} was missed, longer ago than its catchup_window of {}", to_iso8601(time),
                       to_text(*plan.catchup_window));
  }
  if (plan.catchup == Catchup::kNone && late > kOnTime) {
    return fmt::format("{} was missed, and catchup is none", to_iso8601(time));
  }
  return "";
}

/// Where a schedule begins that is deployed now.
WallTime begin_of(const SchedulePlan& plan, WallTime now) {
  const bool catches_up = plan.catchup == Catchup::kAll && plan.start.is_set() && plan.start < now;
  return catches_up ? just_before(plan.start) : now;
}

}  // namespace

// ---- Deploying ----

Deployment* EngineState::deployed(std::string_view dag) {
  const auto found = deployments.find(dag);
  return found == deployments.end() || found->second.row.removed ? nullptr : &found->second;
}

Result<void> EngineState::check_deployable(const DagDeployed& event) const {
  const Dag& dag = *event.dag;
  const auto known = deployments.find(dag.name);
  if (known == deployments.end() && deployments.size() >= config.deployments_max) {
    return fail(ErrorCode::kConflict, fmt::format("{} DAGs are deployed already", deployments.size()));
  }
  if (known != deployments.end() && !known->second.row.removed && event.origin.empty() &&
      !known->second.row.origin.empty()) {
    return fail(ErrorCode::kConflict,
                fmt::format("DAG {} comes from the file {}: change it there", dag.name, known->second.row.origin));
  }
  if (const std::size_t more = new_listings(dag); looks.size() + more > config.looks_max) {
    return fail(ErrorCode::kConflict, fmt::format("{} different things outside are looked at already, for triggers and "
                                                  "tasks that wait; this would be {} more",
                                                  looks.size(), more));
  }
  if (dag.schedule.empty()) return {};  // Each event gives parameters of its own.
  auto params = resolve_params(dag.params, Value());
  if (!params) return fail(std::move(params.error()).in("a schedule starts runs with the defaults of all parameters"));
  const RunRequested first{.dag = event.dag, .params = std::move(*params), .trigger = "schedule"};
  if (auto planned = plan_run(first); !planned) return fail(std::move(planned.error()));
  return {};
}

void EngineState::on(const DagDeployed& event) {
  if (auto checked = check_deployable(event); !checked) return reply(event.ticket, fail(std::move(checked.error())));
  const Dag& dag = *event.dag;
  Deployment& deployment = deployments[dag.name];
  DeploymentRow& row = deployment.row;
  const bool known = !row.dag.empty() && !row.removed;
  const std::string before = known ? row.version : "";
  const bool changed = before != dag.version || row.origin != event.origin || deployment.dag == nullptr;
  if (changed) {
    stop_listening(deployment);
    const SchedulePlan* old = known && deployment.dag != nullptr ? &deployment.dag->schedule : nullptr;
    const bool goes_on = old != nullptr && old->same_times(dag.schedule);
    if (!goes_on) row.fired_to = std::max(row.fired_to, known ? now.wall : begin_of(dag.schedule, now.wall));
    if (old == nullptr || old->paused != dag.schedule.paused) row.paused = dag.schedule.paused;
    row.dag = dag.name;
    row.version = dag.version;
    row.schedule = dag.schedule.text();
    row.origin = event.origin;
    row.removed = false;
    row.deployed_by = event.requested_by;
    row.deployed_at = now.wall;
    row.message.clear();
    row.triggers = to_text(dag.triggers);
    deployment.dag = event.dag;
    plan_next(deployment);
    listen(deployment);
    row.message = circle_of(dag);
    forget_unheard_events(deployment);
    out.persist.dag_versions.push_back({dag.version, dag.name, dag.source, now.wall, event.commit});
    save(deployment);
    audit({event.requested_by, event.source}, "dag.deploy", "dag " + dag.name,
          to_json(ValueMap{{"before", before}, {"after", dag.version}}));
  }
  reply(event.ticket, Value(ValueMap{{"dag", dag.name},
                                     {"dag_version", dag.version},
                                     {"previous_version", before.empty() ? Value() : Value(before)},
                                     {"state", !changed ? "unchanged"
                                               : known  ? "changed"
                                                        : "new"},
                                     {"schedule", row.schedule.empty() ? Value() : Value(row.schedule)},
                                     {"triggers", row.triggers.empty() ? Value() : Value(row.triggers)},
                                     {"paused", row.paused},
                                     {"message", row.message.empty() ? Value() : Value(row.message)},
                                     {"next_at", row.next_at.is_set() ? Value(to_iso8601(row.next_at)) : Value()}}));
}

void EngineState::on(const DagPauseRequested& event) {
  Deployment* deployment = deployed(event.dag);
  if (deployment == nullptr) {
    return reply(event.ticket, fail(ErrorCode::kNotFound, fmt::format("no DAG '{}' is deployed", event.dag)));
  }
  if (std::exchange(deployment->row.paused, event.paused) != event.paused) {
    plan_next(*deployment);
    line_up(*deployment);
    save(*deployment);
    audit({event.requested_by, event.source}, event.paused ? "dag.pause" : "dag.unpause", "dag " + event.dag,
          to_json(ValueMap{{"before", !event.paused}, {"after", event.paused}}));
  }
  const WallTime next = deployment->row.next_at;
  reply(event.ticket, Value(ValueMap{{"dag", event.dag},
                                     {"paused", event.paused},
                                     {"next_at", next.is_set() ? Value(to_iso8601(next)) : Value()}}));
}

void EngineState::on(const DagRemoved& event) {
  Deployment* deployment = deployed(event.dag);
  if (deployment == nullptr || (!event.origin.empty() && deployment->row.origin != event.origin)) {
    return reply(event.ticket, fail(ErrorCode::kNotFound, fmt::format("no DAG '{}' is deployed", event.dag)));
  }
  if (event.origin.empty() && !deployment->row.origin.empty()) {
    return reply(event.ticket, fail(ErrorCode::kConflict, fmt::format("DAG {} comes from the file {}: remove that",
                                                                      event.dag, deployment->row.origin)));
  }
  audit({event.requested_by, event.source}, "dag.undeploy", "dag " + event.dag,
        to_json(ValueMap{{"before", deployment->row.version}, {"after", Value()}}));
  stop_listening(*deployment);
  deployment->row.removed = true;
  deployment->dag = nullptr;
  forget_unheard_events(*deployment);
  plan_next(*deployment);
  save(*deployment);
  reply(event.ticket, Value(ValueMap{{"dag", event.dag}, {"state", "undeployed"}}));
}

void EngineState::save(const Deployment& deployment) {
  std::vector<DeploymentRow>& rows = out.persist.deployments;
  if (rows.empty() || rows.back().dag != deployment.row.dag) rows.emplace_back();
  rows.back() = deployment.row;
}

/// Where the schedule stands, from `fired_to` on.
void EngineState::plan_next(Deployment& deployment) {
  const std::string& dag = deployment.row.dag;
  if (deployment.turn == Deployment::Turn::kByTime) due_times.erase({deployment.due, dag});
  const bool rests = deployment.dag == nullptr || deployment.row.paused;
  const auto next = rests ? std::nullopt : deployment.dag->schedule.next(deployment.row.fired_to);
  deployment.next = deployment.row.next_at = next.value_or(WallTime{});
  deployment.due = next ? *next + deployment.dag->schedule.delay(dag, *next) : WallTime{};
  if (next && CHAPPE_MUTANT(kScheduleForgetsJitter)) deployment.due = *next;
  deployment.turn = next ? Deployment::Turn::kByTime : Deployment::Turn::kNone;
  if (next) due_times.insert({deployment.due, dag});
}

/// DAGs of which the text does not load any more keep their place in time, and wait for a better one.
void EngineState::adopt_deployments(std::vector<StoredDeployment> stored) {
  for (StoredDeployment& each : stored) {
    Deployment& deployment = deployments[each.row.dag];
    deployment.row = std::move(each.row);
    deployment.dag = deployment.row.removed ? nullptr : std::move(each.dag);
    plan_next(deployment);
    listen(deployment);
  }
}

// ---- Firing ----

/// Each DAG that is due makes one run at most, and then it is another's turn.
void EngineState::run_schedules() {
  while (!due_times.empty() && due_times.begin()->first <= now.wall) {
    deployments.at(due_times.begin()->second).turn = Deployment::Turn::kInLine;
    due_line.push_back(due_times.begin()->second);
    due_times.erase(due_times.begin());
  }
  for (std::uint32_t left = config.fires_max; left > 0 && !due_line.empty(); --left) {
    if (runs.size() >= config.runs_max) return;
    Deployment& deployment = deployments.at(due_line.front());
    due_line.pop_front();
    InHand::take(config.in_hand, deployment.row.dag);
    if (deployment.turn != Deployment::Turn::kInLine) continue;
    if (hold(deployment)) {
      deployment.turn = Deployment::Turn::kHeld;
    } else if (deployment.due > now.wall) {
      plan_next(deployment);  // The clock was set back while it stood in line.
    } else {
      fire(deployment);
    }
  }
}

bool EngineState::hold(const Deployment& deployment) const {
  return run_places.waiting_of(deployment.row.dag) >= config.fires_queued_max;
}

void EngineState::fire(Deployment& deployment) {
  const Dag& dag = *deployment.dag;
  const WallTime time = time_to_make(dag, deployment.next, now.wall);
  std::string& message = deployment.row.message;
  message = why_given_up(dag, time, now.wall);
  if (message.empty()) make_scheduled_run(deployment, time);
  deployment.row.fired_to = time;
  plan_next(deployment);
  if (!CHAPPE_MUTANT(kScheduleForgetsTimes)) save(deployment);
}

void EngineState::make_scheduled_run(Deployment& deployment, WallTime time) {
  const SchedulePlan& plan = deployment.dag->schedule;
  const WallTime fired_to = deployment.row.fired_to;
  const bool follows = time == deployment.next && plan.next(just_before(fired_to)) == fired_to;
  RunRequested run{.id = make_run_id(), .dag = deployment.dag, .trigger = "schedule", .requested_by = "schedule"};
  run.logical_time = run.interval_end = time;
  run.interval_start = follows ? fired_to : plan.previous(time).value_or(time);
  auto params = resolve_params(deployment.dag->params, Value());
  if (params) run.params = std::move(*params);
  auto planned = params ? plan_run(run) : fail(std::move(params.error()));
  const bool skips = planned && run.dag->on_limit == OnLimit::kSkip && !has_place(*run.dag, *planned);
  if (planned && !skips) {
    add_run(run, *std::move(planned));
    return;
  }
  deployment.row.message = fmt::format("{} made no run: {}", to_iso8601(time),
                                       skips ? told_full(*run.dag, *planned) : planned.error().message);
}

/// A run of it has ended: its turn comes again.
void EngineState::unhold(const std::string& dag) {
  const auto found = deployments.find(dag);
  if (found != deployments.end()) line_up(found->second);
  if (found == deployments.end() || found->second.turn != Deployment::Turn::kHeld) return;
  found->second.turn = Deployment::Turn::kInLine;
  due_line.push_back(dag);
}

void EngineState::wake_for_schedules() {
  std::optional<Duration> wait;
  if (!due_line.empty() || !event_line.empty()) {
    wait = runs.size() >= config.runs_max ? kRestWhenFull : Duration(0);
  } else if (!due_times.empty()) {
    wait = std::clamp(due_times.begin()->first - now.wall, Duration(0), kLookAtClock);
  }
  if (!wait) return;
  const MonoTime at = now.mono + *wait;
  out.wake_at = out.wake_at ? std::min(*out.wake_at, at) : at;
}

/// Unique in this store by the run's number, and not to be guessed from outside.
RunId EngineState::make_run_id() const {
  std::array<std::uint8_t, 10> bytes{};
  std::uint64_t number = last_run.value + 1;
  for (std::size_t i = 0; i < sizeof(std::uint32_t); ++i, number >>= 8) bytes[i] = static_cast<std::uint8_t>(number);
  auto mixed = static_cast<std::uint64_t>(chance((std::uint64_t{epoch} << 32) + last_run.value + 1) * 0x1.0p53);
  for (std::size_t i = sizeof(std::uint32_t); i < bytes.size(); ++i, mixed >>= 8) {
    bytes[i] = static_cast<std::uint8_t>(mixed);
  }
  return RunId::make(now.wall, bytes);
}

}  // namespace chappe
