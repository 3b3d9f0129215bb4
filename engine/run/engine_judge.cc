// Tasks are judged: by their trigger rule, and those that the engine decides itself, by their conditions.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/base/assert.h"
#include "engine/base/mutant.h"
#include "engine/model/secrets.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

/// Its logical time is one of its schedule.
bool is_of_schedule(const RunRow& row) { return row.trigger == "schedule" || row.trigger == "backfill"; }

}  // namespace

/// Counts all ends anew; every task that has not spoken is up for judgement.
void EngineState::recount(LiveRun& run) {
  run.to_judge.clear();
  run.items_to_judge.clear();
  run.failed = false;
  for (std::uint32_t task = 0; task < run.tasks.size(); ++task) {
    run.tasks[task].upstream = {};
    run.tasks[task].tolerated = 0;
    for (const Dependency& edge : run.task(task).depends_on) {
      const bool counts = !run.dag->in_step(task, edge.task) && !run.dag->consumes(task, edge.task);
      if (counts) run.tasks[task].upstream.total += run.instances->count(edge.task);
    }
    run.to_judge.push_back(task);
  }
  for (std::uint32_t index = 0; index < run.states.size(); ++index) {
    if (is_final(run.states[index].state)) tell_children(run, index);
  }
}

void EngineState::tell_children(LiveRun& run, std::uint32_t index) {
  if (!run.instances->is_current(index)) return;
  const InstanceState& ended = run.states[index];
  const std::uint32_t task = run.instances->task_of(index);
  if (ended.state == TaskState::kFailed && ended.allowed) ++run.tasks[task].tolerated;
  // A worker may say "cancelled" though nobody cancelled the run; what was asked for is then not done.
  const bool failed = (ended.state == TaskState::kFailed && !ended.allowed) ||
                      ended.state == TaskState::kUpstreamFailed || ended.state == TaskState::kCancelled;
  if (failed && counts_for_run(run, task)) run.failed = true;
  for (const ChildEdge& edge : run.graph->children(task)) {
    if (run.dag->consumes(edge.child, task)) continue;  // It asks whether the service is ready.
    TaskProgress& child = run.tasks[edge.child];
    const Dependency& dependency = run.task(edge.child).depends_on[edge.dependency];
    const bool of_item = run.dag->in_step(edge.child, task);
    if (!of_item) count_end(child.upstream, dependency, ended);
    if (run.task(edge.child).is_hook()) continue;  // It hears of each instance by itself.
    if (child.judged || CHAPPE_MUTANT(kChildrenAreNotJudged)) continue;
    if (of_item) {
      run.items_to_judge.push_back(run.instances->in_step(task, index, edge.child));
    } else {
      run.to_judge.push_back(edge.child);
    }
  }
}

void EngineState::judge_due(LiveRun& run) {
  // Judging a task may end instances, which puts more tasks at the end of the list: a loop, because a chain of skips
  // may be a million tasks long.
  while (!run.to_judge.empty() || !run.items_to_judge.empty()) {
    for (std::size_t i = 0; i < run.to_judge.size(); ++i) judge_task(run, run.to_judge[i]);
    run.to_judge.clear();
    for (std::size_t i = 0; i < run.items_to_judge.size(); ++i) judge_item(run, run.items_to_judge[i]);
    run.items_to_judge.clear();
  }
}

/// Names one of those that decided it, for people: "train[pairs] is failed (trigger_rule all_success)".
std::string EngineState::why_not(const LiveRun& run, std::uint32_t index, Verdict verdict) const {
  const std::uint32_t task = run.instances->task_of(index);
  const TriggerRule rule = run.task(task).trigger_rule;
  const auto decided = [&](const InstanceState& ended) {
    const bool failed =
        (ended.state == TaskState::kFailed && !ended.allowed) || ended.state == TaskState::kUpstreamFailed;
    if (verdict == Verdict::kUpstreamFailed) return failed;
    const bool skipped = ended.state == TaskState::kSkipped && !ended.allowed;
    if (rule == TriggerRule::kAllSuccess || rule == TriggerRule::kNoneSkipped) return skipped;
    if (rule == TriggerRule::kAllFailed) return is_final(ended.state) && !failed;
    return rule == TriggerRule::kAllSkipped && is_final(ended.state) && !skipped;
  };
  for (const Dependency& edge : run.task(task).depends_on) {
    const ReadyRange awaited = run.awaited(index, edge.task);
    for (std::uint32_t i = awaited.next; i < awaited.end; ++i) {
      if (!decided(run.states[i])) continue;
      return fmt::format("{} is {} (trigger_rule {})", run.instances->name_of(i), name_of(run.states[i].state),
                         name_of(rule));
    }
  }
  const UpstreamCounts up = run.upstream(index);
  return fmt::format("trigger_rule {}: {} of {} upstream succeeded, {} failed, {} skipped", name_of(rule), up.success,
                     up.total, up.failed + up.upstream_failed, up.skipped);
}

void EngineState::judge_task(LiveRun& run, std::uint32_t task) {
  if (run.task(task).is_hook()) return judge_hooks(run, task);
  if (!run.task(task).teardown_of.empty()) return judge_teardown(run, task);
  if (run.is_depth_first(task)) return judge_items(run, task);
  TaskProgress& progress = run.tasks[task];
  if (progress.judged || run.is_stopped(task) || (run.dag->is_handler(task) && !run.handling)) return;
  const TriggerRule rule = run.task(task).trigger_rule;
  const Verdict verdict = judge(rule, progress.upstream);
  if (verdict == Verdict::kWait) return;
  progress.judged = true;
  if (!progress.ready_at.is_set()) progress.ready_at = now.wall;  // After a restart it is judged again.
  const std::uint32_t first = run.instances->first(task);
  if (verdict == Verdict::kRun) {
    const bool late = run.task(task).foreach && run.task(task).foreach->late;
    if (late && !find_items(run, task)) return;
    return make_ready(run, task, {run.instances->first(task), run.instances->first(task) + run.instances->count(task)});
  }
  const TaskState state = verdict == Verdict::kSkip ? TaskState::kSkipped : TaskState::kUpstreamFailed;
  const std::string message = why_not(run, first, verdict);
  for (std::uint32_t i = first; i < first + run.instances->count(task); ++i) {
    if (run.states[i].state == TaskState::kNone) settle_without_attempt(run, i, state, Reason::kUpstream, message);
  }
  const std::uint32_t own = run.instances->own(task);
  if (run.states[own].state == TaskState::kNone) settle_without_attempt(run, own, state, Reason::kUpstream, message);
}

/// One item of a depth-first fan-out: the ends of the others are no matter of its.
void EngineState::judge_item(LiveRun& run, std::uint32_t index) {
  const std::uint32_t task = run.instances->task_of(index);
  if (run.states[index].state != TaskState::kNone || run.is_stopped(task)) return;
  const ForEach& foreach = *run.task(task).foreach;
  if (foreach.late && !is_final(run.states[run.instances->own(foreach.leader)].state)) return;  // There may be others.
  const Verdict verdict = judge(run.task(task).trigger_rule, run.upstream(index));
  if (verdict == Verdict::kWait) return;
  run.items_ready_at.try_emplace(index, now.wall);
  if (verdict == Verdict::kRun) return make_ready(run, task, {index, index + 1});
  const TaskState state = verdict == Verdict::kSkip ? TaskState::kSkipped : TaskState::kUpstreamFailed;
  settle_without_attempt(run, index, state, Reason::kUpstream, why_not(run, index, verdict));
}

/// False where a person runs again what it depends on, while it was under way itself.
bool EngineState::is_allowed_still(const LiveRun& run, std::uint32_t index) const {
  const std::uint32_t task = run.instances->task_of(index);
  if (CHAPPE_MUTANT(kRetriesOvertakeTheirUpstream) || run.task(task).is_hook()) return true;
  if (!run.task(task).teardown_of.empty()) return run.tasks[task].upstream.done() == run.tasks[task].upstream.total;
  return judge(run.task(task).trigger_rule, run.upstream(index)) == Verdict::kRun;
}

/// Its next attempt, whose row this becomes, waits for the upstream tasks as the first one did.
void EngineState::wait_again(LiveRun& run, std::uint32_t index, TaskRow row) {
  row.attempt = {};
  row.state = TaskState::kNone;
  store_row(run, index, std::move(row));
  const std::uint32_t task = run.instances->task_of(index);
  run.tasks[task].judged = false;
  if (run.is_depth_first(task)) {
    run.items_to_judge.push_back(index);
  } else {
    run.to_judge.push_back(task);
  }
  judge_due(run);
}

/// Instances of one task, whose items are known.
void EngineState::make_ready(LiveRun& run, std::uint32_t position, ReadyRange which) {
  if (services.is_needless(run, position, which)) return;
  if (past.holds(run, position, which) || services.holds(run, position, which)) return;
  const Task& task = run.task(position);
  ReadyRange range{which.next, which.next};
  const auto flush = [&](std::uint32_t next) {
    const bool may_be_known = task.cache && !run.row.no_cache;
    if (range.next < range.end && may_be_known) line_up(run, range);
    if (range.next < range.end && !may_be_known) enqueue(run, position, range);
    range = {next, next};
  };
  for (std::uint32_t i = which.next; i < which.end; ++i) {
    const bool waits =
        run.states[i].state == TaskState::kNone && decide_latest(run, i) && (!asks_each(task) || decide_when(run, i));
    const bool empty = task.foreach && !run.instances->mapped(position);
    if (waits && empty) decide_empty(run, i);
    const bool asks_metrics = task.kind == TaskKind::kData && !task.checks.empty() && !CHAPPE_MUTANT(kMeasuresAnyway);
    if (waits && !empty && (task.kind == TaskKind::kCheck || asks_metrics)) decide_check(run, i);
    if (waits && !empty && task.kind == TaskKind::kPromote) decide_promote(run, i);
    if (waits && !empty && (task.kind == TaskKind::kWait || task.kind == TaskKind::kHuman)) begin_wait(run, i);
    if (waits && !empty && task.kind == TaskKind::kDag) begin_dag(run, i);
    if (run.states[i].state != TaskState::kNone || run.is_stopped(position)) {
      flush(i + 1);
      continue;
    }
    run.set_state(i, TaskState::kScheduled);
    // One row says when they became ready, so that they are as late after a restart as they were before.
    const bool tells = ((task.latest_only && is_of_schedule(run.row)) || task.deadline) && i == which.next;
    const bool told = run.states[i].stored == TaskState::kScheduled || CHAPPE_MUTANT(kLatestIsAskedAgain);
    if (tells && !told) store_row(run, i, row_of(run, i));
    range.end = i + 1;
    add_queue_timer(run, i, since(run.ready_at(i)));
    deadlines.watch(run, i);
  }
  flush(0);
}

/// True: go on. False: the instance is settled. What counts is when the task became ready; runs that a person, an event
/// or another run asked for are never late.
bool EngineState::decide_latest(LiveRun& run, std::uint32_t index) {
  if (!run.task(run.instances->task_of(index)).latest_only || !is_of_schedule(run.row)) return true;
  const SchedulePlan& plan = run.dag->schedule;
  const auto later = plan.next(run.row.logical_time);
  const bool has_come = later && *later + plan.delay(run.row.dag, *later) <= run.ready_at(index);
  if (!has_come || CHAPPE_MUTANT(kForgetsLatestOnly)) return true;
  settle_without_attempt(run, index, TaskState::kSkipped, Reason::kNone,
                         fmt::format("latest_only: the next time, {}, has come", to_iso8601(*later)));
  return false;
}

/// True: go on. False: the instance is settled.
bool EngineState::decide_when(LiveRun& run, std::uint32_t index) {
  const expr::Expression& when = run.task(run.instances->task_of(index)).when;
  const auto answer = when.evaluate_condition(RunScope(run, index));
  if (answer && *answer) return true;
  if (answer) {
    settle_without_attempt(run, index, TaskState::kSkipped, Reason::kNone, "when is false: " + when.text());
  } else {
    const Error told = without_secrets(*run.dag, run.params, when.references(), answer.error());
    settle_without_attempt(run, index, TaskState::kFailed, Reason::kLaunchFailed, "when: " + told.message);
  }
  return false;
}

void EngineState::decide_empty(LiveRun& run, std::uint32_t index) {
  const ForEach& foreach = *run.task(run.instances->task_of(index)).foreach;
  switch (foreach.on_empty) {
    case ForEach::OnEmpty::kSkip:
      return settle_without_attempt(run, index, TaskState::kSkipped, Reason::kNone, "foreach has no items");
    case ForEach::OnEmpty::kSucceed:
      return settle_without_attempt(run, index, TaskState::kSuccess, Reason::kNone, "foreach has no items");
    case ForEach::OnEmpty::kFail:
      return settle_without_attempt(run, index, TaskState::kFailed, Reason::kLaunchFailed, "foreach has no items");
  }
}

/// Of a check of data, only where a condition is false: else a worker measures.
void EngineState::decide_check(LiveRun& run, std::uint32_t index) {
  const Task& task = run.task(run.instances->task_of(index));
  AttemptEnd end{.started_at = now.wall, .ended_at = now.wall};
  std::string passed;
  for (const CheckCondition& condition : task.checks) {
    const auto answer = condition.expression.evaluate_condition(RunScope(run, index));
    if (answer && *answer) {
      passed += fmt::format("{}{}", passed.empty() ? "" : "; ", condition.expression.text());
      continue;
    }
    end.reason = Reason::kCheckFailed;
    const std::string what =
        !answer ? without_secrets(*run.dag, run.params, condition.expression.references(), answer.error()).message
                : condition.message;
    const std::string values = told_values(run, index, condition.expression);
    end.message = fmt::format("{}is false: {}{}{}{}", condition.name.empty() ? "" : condition.name + " ",
                              condition.expression.text(), values.empty() ? "" : " (" + values + ")",
                              what.empty() ? "" : ": ", what);
    break;
  }
  if (end.reason == Reason::kNone && task.kind == TaskKind::kData) return;
  if (end.reason == Reason::kNone) end.message = std::move(passed);
  TaskRow row = row_of(run, index);
  row.attempt = new_attempt();
  ++row.attempt_no;
  row.queued_at = now.wall;
  row.end = std::move(end);
  row.state = row.end.reason == Reason::kNone ? TaskState::kSuccess : TaskState::kFailed;
  row.allowed = row.state == TaskState::kFailed && is_tolerated(run, index, row.end);
  if (row.state == TaskState::kFailed) {
    notify(run, Notice::kGate, index, fmt::format("{} {}", run.instances->name_of(index), row.end.message));
  }
  settle(run, index, std::move(row));
}

void EngineState::decide_promote(LiveRun& run, std::uint32_t index) {
  const Task& task = run.task(run.instances->task_of(index));
  TaskRow row = row_of(run, index);
  row.attempt = new_attempt();
  ++row.attempt_no;
  row.queued_at = now.wall;
  row.end = {.started_at = now.wall, .ended_at = now.wall};
  auto moved = promote(run, *task.promote, row.attempt, index);
  if (moved) {
    row.end.message = fmt::format("{}@{} is version {} now (it was {})", moved->model, moved->alias,
                                  moved->version.value, moved->previous.value);
    row.state = TaskState::kSuccess;
    out.persist.aliases.push_back(std::move(*moved));
  } else {
    row.end.reason = Reason::kLaunchFailed;
    row.end.message = moved.error().message;
    row.state = TaskState::kFailed;
    row.allowed = is_tolerated(run, index, row.end);
  }
  settle(run, index, std::move(row));
}

Result<AliasRow> EngineState::promote(LiveRun& run, const PromoteSpec& spec, AttemptId attempt, std::uint32_t index) {
  auto chosen = select_instances(run, spec.from_task, spec.select);
  if (!chosen) return fail(std::move(chosen.error()));
  const std::string source = fmt::format("{}.{}", run.task(spec.from_task).id, spec.from_artifact);
  if (chosen->size() != 1) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{} comes from {} instances; say which with select", source, chosen->size()));
  }
  const ArtifactRow* artifact = output_artifact(run, chosen->front(), spec.from_artifact);
  if (artifact == nullptr || !artifact->asset) {
    return fail(ErrorCode::kNotFound, fmt::format("{} left no asset version to promote", source));
  }
  const std::string name = fmt::format("{}@{}", spec.model, spec.alias);
  const auto before = aliases.find(name);
  AliasRow row{.model = spec.model, .alias = spec.alias, .version = artifact->asset};
  if (before != aliases.end()) row.previous = before->second.id;
  row.by_task = {run.row.seq, index};
  row.by_attempt = attempt;
  row.by = "run " + run.row.id.text();
  row.at = now.wall;
  const bool moves = row.previous && row.previous != row.version;
  if (spec.keep_previous && moves && !CHAPPE_MUTANT(kPreviousIsForgotten)) {
    AliasRow kept = row;
    kept.alias += kPreviousSuffix;
    kept.version = row.previous;
    AssetVersion& stands = aliases[fmt::format("{}@{}", kept.model, kept.alias)];
    kept.previous = std::exchange(stands, before->second).id;
    if (kept.previous != kept.version) out.persist.aliases.push_back(std::move(kept));
  }
  aliases[name] = version_of(*artifact);
  return row;
}

}  // namespace chappe
