#include "engine/run/engine_services.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/base/assert.h"
#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

/// A person may say that the task went well: then whoever depends on it makes do without.
bool is_good_without(const InstanceState& service) {
  return service.state == TaskState::kSuccess || (service.state == TaskState::kFailed && service.allowed);
}

}  // namespace

// ---- Who depends on services ----

/// The first service that the task depends on and that is not ready; null: all are.
const InstanceState* EngineServices::missing(const LiveRun& run, std::uint32_t task, std::uint32_t& service) {
  for (const Dependency& edge : run.task(task).depends_on) {
    if (!run.dag->consumes(task, edge.task)) continue;
    const std::uint32_t index = run.instances->first(edge.task);
    if (is_ready(run, index) || is_good_without(run.states[index])) continue;
    service = edge.task;
    return &run.states[index];
  }
  return nullptr;
}

bool EngineServices::is_needless(LiveRun& run, std::uint32_t task, ReadyRange which) {
  if (!run.task(task).is_service() || !is_done(run, which.next)) return false;
  if (run.states[which.next].state == TaskState::kNone) {
    state_.settle_without_attempt(run, which.next, TaskState::kSkipped, Reason::kNone,
                                  "nothing that depends on it is left to run");
  }
  return true;
}

bool EngineServices::holds(LiveRun& run, std::uint32_t task, ReadyRange which) {
  if (run.dag->services.empty() || CHAPPE_MUTANT(kStartsBeforeServices)) return false;
  std::uint32_t service = 0;
  const InstanceState* lacks = missing(run, task, service);
  if (lacks == nullptr) return false;
  bool waits = false;  // After a restart most have begun.
  for (std::uint32_t i = which.next; i < which.end; ++i) {
    if (run.states[i].state != TaskState::kNone) continue;
    waits = true;
    if (is_final(lacks->state)) give_up(run, i, service);
  }
  if (!waits) return false;
  if (is_final(lacks->state)) return true;
  ServiceWaits& place = run.for_services[task];
  if (run.is_whole(task, which) || CHAPPE_MUTANT(kOnlyTheLastItemsAreHeld)) place.undecided.clear();
  hold(place.undecided, which);
  return true;
}

bool EngineServices::holds_back(LiveRun& run, std::uint32_t index) {
  if (run.dag->services.empty() || CHAPPE_MUTANT(kStartsBeforeServices)) return false;
  const std::uint32_t task = run.instances->task_of(index);
  std::uint32_t service = 0;
  const InstanceState* lacks = missing(run, task, service);
  if (lacks == nullptr) return false;
  if (is_final(lacks->state)) {
    give_up(run, index, service);
    state_.judge_due(run);
  } else {
    hold(run.for_services[task].scheduled, {index, index + 1});
  }
  return true;
}

void EngineServices::give_up(LiveRun& run, std::uint32_t index, std::uint32_t service) {
  const TaskState end = run.states[run.instances->first(service)].state;
  state_.settle_without_attempt(run, index,
                                end == TaskState::kSkipped ? TaskState::kSkipped : TaskState::kUpstreamFailed,
                                Reason::kUpstream, fmt::format("service {} is {}", run.task(service).id, name_of(end)));
}

/// What became ready while the service was up, and has found no room before it ended, never will start.
void EngineServices::give_up_ready(LiveRun& run, std::uint32_t service) {
  if (is_good_without(run.states[run.instances->first(service)])) return;
  for (const ChildEdge& edge : run.graph->children(service)) {
    if (!run.dag->consumes(edge.child, service)) continue;
    const std::uint32_t first = run.instances->first(edge.child);
    for (std::uint32_t i = first; i < first + run.instances->count(edge.child); ++i) {
      if (run.states[i].state == TaskState::kScheduled) give_up(run, i, service);
    }
  }
}

/// Those that a person runs again, or whose upstream tasks, are judged when it is their turn.
void EngineServices::let_go(LiveRun& run, std::uint32_t task) {
  const auto found = run.for_services.find(task);
  if (found == run.for_services.end()) return;
  std::uint32_t service = 0;
  const InstanceState* lacks = missing(run, task, service);
  if (lacks != nullptr && !is_final(lacks->state)) return;
  const ServiceWaits waits = std::move(found->second);
  run.for_services.erase(found);
  for (const ReadyRange range : waits.scheduled) {
    for (std::uint32_t i = range.next; i < range.end; ++i) {
      if (run.states[i].state != TaskState::kScheduled) continue;
      run.task(task).subdag ? state_.begin_dag(run, i) : state_.enqueue(run, task, {i, i + 1});
    }
  }
  const bool by_item = run.is_depth_first(task);
  for (const ReadyRange range : waits.undecided) {
    ReadyRange free{range.next, range.next};
    const auto flush = [&](std::uint32_t next) {
      if (free.next < free.end) state_.make_ready(run, task, free);
      free = {next, next};
    };
    for (std::uint32_t i = range.next; i < range.end; ++i) {
      const bool is_free = run.states[i].state == TaskState::kNone && state_.is_allowed_still(run, i);
      if (!is_free) {
        flush(i + 1);
        continue;
      }
      // What counts time from when it is ready has not begun before.
      (by_item ? run.items_ready_at[i] : run.tasks[task].ready_at) = state_.now.wall;
      free.end = i + 1;
    }
    flush(0);
  }
}

std::string EngineServices::explain(const LiveRun& run, std::uint32_t task) {
  std::uint32_t service = 0;
  const InstanceState* lacks = run.dag->services.empty() ? nullptr : missing(run, task, service);
  if (lacks == nullptr) return "";
  return fmt::format("service {} to be ready, which is {}", run.task(service).id, name_of(lacks->state));
}

std::string EngineServices::explain_up(const LiveRun& run, std::uint32_t index) {
  constexpr std::size_t kNamesMax = 5;
  const std::uint32_t service = run.instances->task_of(index);
  if (!run.task(service).is_service()) return "";
  if (!is_ready(run, index)) return "itself to be ready";
  std::string names;
  std::size_t count = 0;
  for (const ChildEdge& edge : run.graph->children(service)) {
    if (!run.dag->consumes(edge.child, service)) continue;
    const std::uint32_t first = run.instances->first(edge.child);
    for (std::uint32_t i = first; i < first + run.instances->count(edge.child); ++i) {
      if (is_final(run.states[i].state) || count++ >= kNamesMax) continue;
      names +=
          fmt::format("{}{} ({})", names.empty() ? "" : ", ", run.instances->name_of(i), name_of(run.states[i].state));
    }
  }
  if (count > kNamesMax) names += fmt::format(" and {} more", count - kNamesMax);
  return names.empty() ? "its own end: nobody depends on it any more"
                       : "those that depend on it to end: " + names + "; it is ready";
}

// ---- Services ----

bool EngineServices::is_ready(const LiveRun& run, std::uint32_t index) {
  const auto found = run.services.find(run.instances->task_of(index));
  const InstanceState& instance = run.states[index];
  return found != run.services.end() && found->second.ready == instance.attempt &&
         instance.state == TaskState::kRunning;
}

void EngineServices::take_in(LiveRun& run, std::uint32_t index, const AttemptStarted& event) {
  if (is_ready(run, index)) return;
  const InstanceKey key{run.row.seq, index};
  const std::uint32_t task = run.instances->task_of(index);
  InstanceOutputs& kept = run.fresh_outputs(index);
  kept.values = {{.name = std::string(kServiceAddress), .value = fmt::format("{}:{}", event.host, event.port)},
                 {.name = std::string(kServiceHost), .value = event.host},
                 {.name = std::string(kServicePort), .value = std::int64_t{event.port}}};
  for (const NamedValue& value : kept.values) {
    state_.out.persist.values.push_back({key, event.what.attempt, value, state_.now.wall});
  }
  run.services[task].ready = event.what.attempt;
  tell(run, task);
  state_.judge_due(run);
}

/// Those that wait for the service.
void EngineServices::tell(LiveRun& run, std::uint32_t service) {
  if (run.for_services.empty()) return;
  for (const ChildEdge& edge : run.graph->children(service)) {
    if (run.dag->consumes(edge.child, service)) let_go(run, edge.child);
  }
}

void EngineServices::adopt(LiveRun& run) {
  for (const std::uint32_t service : run.dag->services) {
    const std::uint32_t index = run.instances->first(service);
    const auto outputs = run.outputs.find(index);
    if (run.states[index].state != TaskState::kRunning || outputs == run.outputs.end()) continue;
    if (!outputs->second.values.empty()) run.services[service].ready = run.states[index].attempt;
  }
}

void EngineServices::forget_holders(LiveRun& run) {
  for (auto& [task, service] : run.services) service.holder.reset();
}

/// Nobody needs the service any more. Looks for one that does from where one was found last: before it all have ended.
bool EngineServices::is_done(LiveRun& run, std::uint32_t index) {
  const std::uint32_t task = run.instances->task_of(index);
  std::optional<std::uint32_t>& holder = run.services[task].holder;
  // What has succeeded, and whose values are only read again after a restart, needs nobody.
  const auto holds_up = [&](std::uint32_t each) {
    const bool is_read = run.reading.contains(each) && !CHAPPE_MUTANT(kReadingHoldsServicesUp);
    return !is_final(run.states[each].state) && !is_read;
  };
  if (holder && holds_up(*holder) && !CHAPPE_MUTANT(kStopsServicesEarly)) return false;
  for (const ChildEdge& edge : run.graph->children(task)) {
    if (!run.dag->consumes(edge.child, task)) continue;
    const std::uint32_t own = run.instances->own(edge.child);
    const std::uint32_t first = run.instances->first(edge.child);
    const std::uint32_t end = first + run.instances->count(edge.child);
    const bool within = holder && first <= *holder && *holder < end;
    if (holder && !within && *holder != own) continue;
    if (CHAPPE_MUTANT(kStopsServicesEarly) && holder && !holds_up(*holder)) return true;
    for (std::uint32_t i = within ? *holder : first; i < end; ++i) {
      if (!holds_up(i)) continue;
      holder = i;
      return false;
    }
    holder.reset();
    if (!holds_up(own)) continue;
    holder = own;
    return false;
  }
  return true;
}

bool EngineServices::ends_well(LiveRun& run, std::uint32_t index) const {
  const std::uint32_t task = run.instances->task_of(index);
  if (!run.task(task).is_service()) return false;
  const bool cancelled = run.is_stopped(task) && state_.cancels_attempts(run);
  return !cancelled && is_done(run, index);
}

void EngineServices::note_end(LiveRun& run, std::uint32_t index) {
  if (run.dag->services.empty()) return;
  const std::uint32_t task = run.instances->task_of(index);
  if (run.task(task).is_service()) {
    tell(run, task);
    give_up_ready(run, task);
    if (CHAPPE_MUTANT(kServicesHoldTheirsUpForEver)) return;
  }
  for (const Dependency& edge : run.task(task).depends_on) {
    if (run.dag->consumes(task, edge.task)) stop_if_done(run, edge.task);
  }
}

void EngineServices::look_at_all(LiveRun& run) {
  for (const std::uint32_t service : run.dag->services) {
    tell(run, service);
    stop_if_done(run, service);
  }
}

void EngineServices::look_at_returned(LiveRun& run, std::uint32_t index) {
  const std::uint32_t task = run.instances->task_of(index);
  if (run.task(task).is_service() && !CHAPPE_MUTANT(kReturnedServicesStart)) stop_if_done(run, task);
}

/// What has not begun need not; what rests before another try has done its work.
void EngineServices::stop_if_done(LiveRun& run, std::uint32_t service) {
  const std::uint32_t index = run.instances->first(service);
  const InstanceState& instance = run.states[index];
  const bool is_held = run.waits_for_service(index) || run.past.contains(service);
  const bool waits = instance.state == TaskState::kNone && is_held && state_.is_allowed_still(run, index);
  if (is_final(instance.state) || (instance.state == TaskState::kNone && !waits) || !is_done(run, index)) return;
  if (CHAPPE_MUTANT(kServicesStayUp)) return;
  const bool cancelled = run.is_stopped(service) && state_.cancels_attempts(run);
  if (cancelled) return;  // It is being stopped like all others.
  if (waits || instance.state == TaskState::kScheduled || run.waits_for_past(index)) {
    return state_.settle_without_attempt(run, index, TaskState::kSkipped, Reason::kNone,
                                         "nothing that depends on it is left to run");
  }
  if (instance.state == TaskState::kUpForRetry) {
    TaskRow row = state_.row_of(run, index);
    row.state = TaskState::kSuccess;
    row.end = {.ended_at = state_.now.wall, .message = "not started again: all that depend on it have ended"};
    return state_.settle(run, index, std::move(row));
  }
  if (instance.state != TaskState::kQueued && instance.state != TaskState::kRunning) return;
  WorkerState& worker = state_.workers.at(instance.worker);
  if (worker.is_expected()) return state_.end_pod(worker, {.reason = Reason::kCancelled});
  LeasedAttempt& leased = worker.leased.at(instance.attempt);
  if (std::exchange(leased.cancel_sent, true) || !worker.connection) return;  // Told when it is back.
  state_.send_to(worker.connection).cancel.push_back({.what = {{run.row.seq, index}, instance.attempt}});
}

/// What was stopped must be up for those that run again.
Result<void> EngineServices::add_needed(LiveRun& run, std::vector<std::uint32_t>& chosen) const {
  if (run.dag->services.empty()) return {};
  std::vector<bool> known(run.states.size());
  for (const std::uint32_t index : chosen) known[index] = true;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const std::uint32_t task = run.instances->task_of(chosen[i]);
    for (const Dependency& edge : run.task(task).depends_on) {
      const std::uint32_t service = run.instances->first(edge.task);
      if (!run.dag->consumes(task, edge.task) || known[service]) continue;
      known[service] = true;
      if (holds_attempt(run.states[service].state) && is_done(run, service)) {
        return fail(ErrorCode::kConflict, run.task(edge.task).id + " is being stopped; wait for its end");
      }
      if (is_final(run.states[service].state)) chosen.push_back(service);
    }
  }
  return {};
}

}  // namespace chappe
