// What people ask of runs and aliases: cancel, run again, move.
#include <fmt/format.h>

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {

void EngineState::on(const CancelRequested& event) {
  LiveRun* run = find_run(event.run);
  if (run == nullptr) {
    return reply(event.ticket, fail(ErrorCode::kNotFound, fmt::format("run {} is not running", event.run.text())));
  }
  audit({event.requested_by, event.source}, "run.cancel", "run " + run->row.id.text(),
        to_json(ValueMap{{"before", name_of(run->row.state)}, {"after", name_of(RunState::kCancelled)}}));
  cancel_run(*run, fmt::format("cancelled by {}", event.requested_by));
  reply(event.ticket, Value(ValueMap{{"run", event.run.text()}, {"state", "cancelled"}}));
}

void EngineState::on(const RetryRequested& event) {
  const std::string name = "run " + event.run.text();
  LiveRun* run = find_run(event.run);
  const bool finished = run == nullptr;
  if (finished && event.stored == nullptr) {
    return reply(event.ticket, fail(ErrorCode::kNotFound, name + " is not known"));
  }
  if (finished && !is_final(event.stored->row.state) && !CHAPPE_MUTANT(kRunsAgainWhatAnotherRuns)) {
    return reply(event.ticket, fail(ErrorCode::kConflict, name + " is another scheduler's, or was when it was read"));
  }
  if (!finished && (run->row.state == RunState::kQueued || run->row.stop != Stop::kNone)) {
    return reply(event.ticket, fail(ErrorCode::kConflict, name + " has not started, or is being stopped"));
  }
  if (!finished && run->handling) {
    return reply(event.ticket, fail(ErrorCode::kConflict, name + " is over but for its handlers; wait for its end"));
  }
  if (finished) {
    auto adopted = adopt(*event.stored);
    if (!adopted) {
      forget_run(event.stored->row.seq);
      return reply(event.ticket, fail(std::move(adopted.error())));
    }
    run = *adopted;
  }
  auto again = chosen_for_retry(*run, event.tasks);
  if (!again) {
    if (finished) forget_run(run->row.seq);
    return reply(event.ticket, fail(std::move(again.error())));
  }
  const bool has_place =
      !finished || running_by_dag[run->row.dag] < run->dag->max_runs || CHAPPE_MUTANT(kForgetsMaxRuns);
  const RunState state = has_place ? RunState::kRunning : RunState::kQueued;
  audit({event.requested_by, event.source}, "run.retry", name,
        to_json(ValueMap{{"before", name_of(run->row.state)},
                         {"after", name_of(state)},
                         {"instances", static_cast<std::int64_t>(again->size())}}));
  change_run(*run, [&](RunRow& row) {
    row.state = state;
    row.stop = Stop::kNone;
    row.ended_at = {};
    row.message.clear();
    if (!CHAPPE_MUTANT(kRetryWithoutGeneration)) ++row.generation;
    if (finished) row.started_at = has_place ? now.wall : WallTime{};
  });
  forget_results(*run, event.tasks, *again);
  reset(*run, *again);
  if (!has_place) {
    queue_up(*run);
  } else if (finished) {
    begin(*run);
  } else {
    resume(*run);
  }
  reply(event.ticket, Value(ValueMap{{"run", event.run.text()},
                                     {"state", name_of(state)},
                                     {"generation", static_cast<std::int64_t>(run->row.generation)},
                                     {"instances", static_cast<std::int64_t>(again->size())}}));
}

Result<std::vector<std::uint32_t>> EngineState::chosen_for_retry(const LiveRun& run,
                                                                 const std::vector<std::string>& names) const {
  std::vector<std::uint32_t> chosen;
  std::vector<std::uint32_t> roots;  // Tasks.
  std::vector<bool> alone(run.states.size());
  for (const std::string& name : names) {
    if (const auto task = run.dag->find(name)) {
      roots.push_back(*task);
      continue;
    }
    const auto instance = run.instances->find(name);
    if (!instance) return fail(ErrorCode::kNotFound, fmt::format("the run has no task '{}'", name));
    alone[*instance] = true;
    for (const ChildEdge& edge : run.graph->children(run.instances->task_of(*instance))) roots.push_back(edge.child);
  }
  const std::vector<bool> reached = run.graph->with_descendants(roots);
  const std::vector<bool> too_many = past_tolerance(run);
  for (std::uint32_t i = 0; i < run.states.size(); ++i) {
    const InstanceState& instance = run.states[i];
    const bool named = alone[i] || (!names.empty() && reached[run.instances->task_of(i)]);
    const bool failed =
        instance.state == TaskState::kFailed && (!instance.allowed || too_many[run.instances->task_of(i)]);
    const bool unfinished =
        failed || instance.state == TaskState::kCancelled || instance.state == TaskState::kUpstreamFailed;
    const bool not_begun = instance.state == TaskState::kNone && is_final(run.row.state);
    const bool in_other_run = instance.state == TaskState::kWaiting && run.task(run.instances->task_of(i)).subdag;
    if (named && (holds_attempt(instance.state) || in_other_run)) {
      return fail(ErrorCode::kConflict, fmt::format("{} is {}; it cannot be run again before it has ended",
                                                    run.instances->name_of(i), chappe::name_of(instance.state)));
    }
    if (run.instances->is_retired(i)) continue;
    if ((is_final(instance.state) && (named || unfinished)) || not_begun) chosen.push_back(i);
  }
  if (auto added = add_setups(run, chosen); !added) return fail(std::move(added.error()));
  if (chosen.empty()) {
    return fail(ErrorCode::kConflict, "nothing in the run failed or was cancelled; name a task to run it again");
  }
  add_waiting_descendants(run, chosen);
  add_handlers(run, chosen);
  return chosen;
}

/// What is ready because of ends that are about to be undone is not ready any more.
void EngineState::add_waiting_descendants(const LiveRun& run, std::vector<std::uint32_t>& chosen) const {
  std::vector<std::uint32_t> roots;
  for (const std::uint32_t index : chosen) {
    const std::uint32_t task = run.instances->task_of(index);
    if (!roots.empty() && roots.back() == task) continue;
    for (const ChildEdge& edge : run.graph->children(task)) roots.push_back(edge.child);
    roots.push_back(task);
  }
  const std::vector<bool> reached = run.graph->with_descendants(roots);
  if (CHAPPE_MUTANT(kRetryForgetsWhatIsReady)) return;
  for (std::uint32_t i = 0; i < run.states.size(); ++i) {
    const TaskState state = run.states[i].state;
    const bool waits = state == TaskState::kScheduled || rests(run, i) ||
                       (state == TaskState::kWaiting && run.task(run.instances->task_of(i)).waits());
    if (waits && reached[run.instances->task_of(i)]) chosen.push_back(i);
  }
}

/// A queued run waits for its turn. A restart finds the same order: that of the runs' numbers.
void EngineState::queue_up(const LiveRun& run) {
  std::deque<RunSeq>& queue = queued_by_dag[run.row.dag];
  queue.insert(std::lower_bound(queue.begin(), queue.end(), run.row.seq), run.row.seq);
}

/// Makes the instances as if they had not run, in a new generation.
void EngineState::reset(LiveRun& run, const std::vector<std::uint32_t>& indexes) {
  for (const std::uint32_t index : indexes) {
    forget_wait(run, index);
    if (!run.states[index].has_row) {
      run.set_state(index, TaskState::kNone);
    } else {
      TaskRow row = row_of(run, index);
      row.attempt = {};
      row.state = TaskState::kNone;
      row.allowed = false;
      if (!CHAPPE_MUTANT(kRetryKeepsOldTries)) row.user_tries = 0;
      row.infra_tries = 0;
      row.iteration = 0;
      store_row(run, index, std::move(row));
    }
    run.outputs.erase(index);
    TaskProgress& progress = run.tasks[run.instances->task_of(index)];
    progress.judged = false;
    progress.ready_at = {};
  }
  run.before_generation = newest_attempt();
  auto context = *run.context;
  context.generation = run.row.generation;
  run.context = std::make_shared<const RunContext>(std::move(context));
}

/// Goes on in a new generation: timers were of the one before, and all tasks are judged anew.
void EngineState::resume(LiveRun& run) {
  for (std::uint32_t i = 0; i < run.states.size(); ++i) {
    const TaskState state = run.states[i].state;
    if (state != TaskState::kScheduled && state != TaskState::kQueued) continue;
    const WallTime ready_at = run.tasks[run.instances->task_of(i)].ready_at;
    add_queue_timer(run, i, ready_at.is_set() ? since(ready_at) : Duration(0));
  }
  if (run.dag->timeout) add_run_timer(run, *run.dag->timeout);
  recount(run);
  judge_due(run);
}

void EngineState::on(const AliasMoveRequested& event) {
  const std::string name = fmt::format("{}@{}", event.model, event.alias);
  AliasRow row{.model = event.model, .alias = event.alias};
  if (const auto before = aliases.find(name); before != aliases.end()) row.previous = before->second.id;
  row.by = event.requested_by;
  row.at = now.wall;
  if (event.version) {
    row.version = event.version->id;
    if (!CHAPPE_MUTANT(kAliasesStayInMemory)) aliases[name] = *event.version;
  } else {
    aliases.erase(name);
  }
  audit({event.requested_by, event.source}, "alias.move", "alias " + name,
        to_json(ValueMap{{"before", static_cast<std::int64_t>(row.previous.value)},
                         {"after", static_cast<std::int64_t>(row.version.value)}}));
  reply(event.ticket, Value(ValueMap{{"alias", name},
                                     {"version", static_cast<std::int64_t>(row.version.value)},
                                     {"previous", static_cast<std::int64_t>(row.previous.value)}}));
  out.persist.aliases.push_back(std::move(row));
}

void EngineState::on(const TokenRequested& event) {
  TokenRow row = event.token;
  row.created_at = now.wall;
  const auto before = tokens.find(row.name);
  const bool known = before != tokens.end();
  if (known && (!before->second.expires_at.is_set() || before->second.expires_at > now.wall)) {
    return reply(event.ticket,
                 fail(ErrorCode::kConflict, fmt::format("there is a token '{}' already; revoke it first", row.name)));
  }
  if (!known && tokens.size() >= config.tokens_max) {
    return reply(event.ticket, fail(ErrorCode::kConflict,
                                    fmt::format("there are {} tokens already; revoke some first", tokens.size())));
  }
  if (known) out.persist.tokens.push_back({before->second, true});
  out.persist.tokens.push_back({row});
  const Value after = ValueMap{{"role", name_of(row.role)}, {"expires_at", to_iso8601(row.expires_at)}};
  audit({row.created_by, event.source}, "token.create", "token " + row.name,
        to_json(ValueMap{{"before", Value()}, {"after", after}}));
  reply(event.ticket, Value(ValueMap{{"token", row.name}, {"created_at", to_iso8601(row.created_at)}}));
  tokens[row.name] = std::move(row);
}

void EngineState::on(const TokenRevokeRequested& event) {
  const auto found = tokens.find(event.name);
  if (found == tokens.end()) {
    return reply(event.ticket, fail(ErrorCode::kNotFound, fmt::format("there is no token '{}'", event.name)));
  }
  const Value before =
      ValueMap{{"role", name_of(found->second.role)}, {"expires_at", to_iso8601(found->second.expires_at)}};
  audit({event.requested_by, event.source}, "token.revoke", "token " + event.name,
        to_json(ValueMap{{"before", before}, {"after", Value()}}));
  reply(event.ticket, Value(ValueMap{{"token", event.name}, {"state", "revoked"}}));
  out.persist.tokens.push_back({std::move(found->second), true});
  tokens.erase(found);
}

void EngineState::on(const AccessDenied& event) {
  audit({event.principal, event.source}, "access", event.object, event.detail);
  out.persist.audit.back().result = "denied";
  reply(event.ticket, Value());
}

}  // namespace chappe
