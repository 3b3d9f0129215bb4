// The laws over what becomes durable: each commit is read before the store applies it.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/laws.h"
#include "tests/simulation/world.h"
#include "tests/support/trigger_rules.h"

namespace chappe::simulation {
namespace {

bool holds_lease(TaskState state) { return state == TaskState::kQueued || state == TaskState::kRunning; }
bool has_won(TaskState state) { return state == TaskState::kCommitting || state == TaskState::kSuccess; }
/// Also by way of others, or itself.
bool waits_for(const Dag& dag, std::uint32_t task, std::uint32_t upstream) {
  std::vector<bool> reached(dag.tasks.size());
  std::vector<std::uint32_t> to_visit{task};
  while (!to_visit.empty()) {
    const std::uint32_t at = to_visit.back();
    to_visit.pop_back();
    if (at == upstream) return true;
    if (reached[at]) continue;
    reached[at] = true;
    for (const Dependency& edge : dag.tasks[at].depends_on) to_visit.push_back(edge.task);
  }
  return false;
}

bool is_program(const Task& task) { return runs_program(task) || task.kind == TaskKind::kNoop; }

}  // namespace

std::string Laws::name(InstanceKey key) const {
  const Story* story = story_of(key.run);
  return fmt::format("run {} {}", key.run.value, story == nullptr ? "?" : story->instances->name_of(key.index));
}

const Task& Laws::task_of(const RunView& run, InstanceKey key) const {
  return run.story->dag->tasks[run.story->instances->task_of(key.index)];
}

void Laws::committed(std::uint32_t epoch, bool newest, const Persist& persist) {
  ++world_.seen.commits;
  if (!newest) broken(Law::kEpoch, fmt::format("epoch {} commits after it was replaced", epoch));
  for (const RunRow& row : persist.runs) commit_run(row, persist);
  for (const RunChange& change : persist.run_changes) commit_run_change(change);
  check_places();
  for (const FanOutRow& row : persist.fan_outs) commit_fan_out(row);
  note_cached(persist);
  note_ready(persist);
  for (const TaskChange& change : persist.tasks) {
    check_wait(persist, change);
    commit_task(change);
  }
  for (const AssetVersion& version : persist.asset_versions) commit_asset_version(version);
  for (const ArtifactRow& row : persist.artifacts) commit_artifact(row);
  for (const InputRow& row : persist.inputs) commit_input(row);
  for (const CacheUseRow& use : persist.cache_uses) check_cached(persist, use);
  for (const AssetPublished& published : persist.published) commit_published(published);
  for (const AliasRow& row : persist.aliases) commit_alias(row);
  check_schedules(persist);
  check_events(persist);
  check_states(persist);
  check_datasets(persist);
  check_reads(persist);
  for (const BackfillRow& row : persist.backfills) commit_backfill(row);
  check_backfills_counted();
  check_collected(persist);
  check_pruned(persist);
  for (const TaskChange& change : persist.tasks) check_fail_fast(runs_.at(change.row.key.run), change.row);
  for (const TaskChange& change : persist.tasks) check_tolerance(change.row.key);
  for (const RunChange& change : persist.run_changes) {
    RunView& run = runs_.at(change.row.seq);
    run.generation_rose = false;
    if (is_final(run.row.state)) check_run_verdict(run);
    if (is_final(change.row.state) && !is_final(change.expect_state)) check_told(persist, change);
  }
}

// ---- Runs ----

void Laws::commit_run(const RunRow& row, const Persist& persist) {
  const auto asked = asked_.find(row.id);
  const Story* listens = row.backfill ? nullptr : listener(row.dag);
  if (listens != nullptr) {
    row.trigger == "schedule" ? check_scheduled(row, persist) : check_triggered(row, persist);
  } else if (row.trigger == "dag") {
    check_started(row, persist);
  } else if (asked == asked_.end() && !row.backfill) {
    return broken(Law::kRequests, "a run that nobody asked for");
  } else if (asked != asked_.end() && !stories_submitted_.insert(asked->second).second) {
    broken(Law::kRequests, "one request makes two runs");
  }
  if (row.backfill) check_backfill_run(row);
  RunView& run = runs_[row.seq];
  run.story = listens != nullptr     ? listens
              : row.trigger == "dag" ? &world_.child
              : row.backfill         ? &world_.past->story
                                     : &world_.story(asked->second);
  run.row = row;
  run.active_by_task.assign(run.story->dag->tasks.size(), 0);
  if (row.dag_version != run.story->dag->version) broken(Law::kOneVersion, "a run begins with another DAG version");
  if (row.state == RunState::kQueued) world_.saw(Sight::kRunQueuedBehindAnother);
  note_place(row, false, false);
}

void Laws::commit_run_change(const RunChange& change) {
  const auto found = runs_.find(change.row.seq);
  if (found == runs_.end()) return broken(Law::kRequests, "a run changes that does not exist");
  RunView& run = found->second;
  const RunRow& old = run.row;
  const RunRow& row = change.row;
  if (row.dag_version != old.dag_version) broken(Law::kOneVersion, "a run changes its DAG version");
  const bool again = row.generation == old.generation + 1;
  if (!again && row.generation != old.generation) broken(Law::kEdges, "a run's generation jumps");
  RunRow but_for_retention = row;
  but_for_retention.retention = old.retention;
  if (is_final(old.state) && !again && but_for_retention != old) broken(Law::kEdges, "a run changes that is over");
  const bool cancelled = row.stop == Stop::kCancel || row.stop == Stop::kCutShort;
  if (old.stop == Stop::kCancel && !cancelled && !again) broken(Law::kRequests, "a cancel is undone");
  if (old.stop != Stop::kNone && row.stop == Stop::kNone && !again) broken(Law::kEdges, "a stop is undone");
  if (again) run.generation_rose = true;
  if (row.stop != old.stop && row.stop == Stop::kFailFast) world_.saw(Sight::kRunStoppedByFailFast);
  if (row.stop != old.stop && row.stop == Stop::kTimeout) world_.saw(Sight::kRunStoppedByTimeout);
  if (row.stop != old.stop && row.stop >= Stop::kCutShort) world_.saw(Sight::kHandlersCutShort);
  check_deadline(run, row);
  if (row.group != old.group) broken(Law::kEdges, "a run changes its group");
  note_place(row, old.state == RunState::kRunning, again);
  run.row = row;
}

void Laws::check_run_verdict(const RunView& run) {
  bool failed =
      run.row.stop == Stop::kFailFast || run.row.stop == Stop::kTimeout || run.row.stop == Stop::kCutShortFailed;
  std::uint32_t rows = 0;
  for (auto it = rows_.lower_bound({run.row.seq, 0}); it != rows_.end() && it->first.run == run.row.seq; ++it) {
    const TaskRow& row = it->second;
    const bool unmoved = row.state == TaskState::kNone && run.row.stop != Stop::kNone;
    if (!is_final(row.state) && !unmoved) {
      return broken(Law::kRunVerdict, fmt::format("a run is over, and {} is {}", name(row.key), name_of(row.state)));
    }
    ++rows;
    if (is_aside(run, row.key)) continue;
    failed = failed || (row.state == TaskState::kFailed && !row.allowed) || row.state == TaskState::kUpstreamFailed ||
             row.state == TaskState::kCancelled;
  }
  if (rows < run.story->instances->size() && run.row.stop == Stop::kNone) {
    return broken(Law::kRunVerdict, "a run is over, and some of its instances never had their turn");
  }
  if (run.row.instances != run.story->instances->size()) {
    return broken(Law::kRunVerdict, "a run is over, and its row does not count all its instances");
  }
  const bool cancelled = run.row.stop == Stop::kCancel || run.row.stop == Stop::kCutShort;
  const RunState verdict = cancelled ? RunState::kCancelled : failed ? RunState::kFailed : RunState::kSuccess;
  if (run.row.state != verdict) {
    broken(Law::kRunVerdict, fmt::format("a run is {}, not {}", name_of(run.row.state), name_of(verdict)));
  }
  world_.saw(cancelled ? Sight::kRunCancelled : failed ? Sight::kRunFailed : Sight::kRunSucceeded);
  check_handlers(run);
  check_hooks_heard(run);
  check_published(run);
}

/// Each had its turn if the run's end concerns it, and was skipped if not.
void Laws::check_handlers(const RunView& run) {
  const Dag& dag = *run.story->dag;
  if (run.row.stop >= Stop::kCutShort || !run.row.started_at.is_set()) return;  // Cancelled while it was queued.
  for (auto task = static_cast<std::uint32_t>(dag.tasks.size()) - dag.handlers; task < dag.tasks.size(); ++task) {
    const auto row = rows_.find({run.row.seq, run.story->instances->first(task)});
    if (row == rows_.end()) return broken(Law::kRunVerdict, "a run is over, and one of its handlers was not heard");
    const bool skipped = row->second.state == TaskState::kSkipped;
    const bool concerned = support::concerns(dag.tasks[task].handler, run.row.state);
    const bool may_skip = !dag.tasks[task].when.empty() || dag.tasks[task].kind == TaskKind::kWait ||
                          dag.tasks[task].kind == TaskKind::kHuman;
    if (skipped == concerned && !(skipped && may_skip)) {
      broken(Law::kRunVerdict, fmt::format("{} is {} after a run that is {}", name(row->first),
                                           name_of(row->second.state), name_of(run.row.state)));
    }
    if (concerned) world_.saw(Sight::kHandlerRan);
  }
}

bool Laws::handles(const RunView& run, InstanceKey key) const { return task_of(run, key).handler != Handler::kNone; }

bool Laws::tears_down(const RunView& run, InstanceKey key) const { return !task_of(run, key).teardown_of.empty(); }

/// How it ends is no matter of the run's.
bool Laws::is_aside(const RunView& run, InstanceKey key) const {
  return handles(run, key) || task_of(run, key).is_hook() ||
         (tears_down(run, key) && task_of(run, key).allow_failure.always);
}

bool Laws::some_setup_succeeded(const RunView& run, InstanceKey key) const {
  const auto& setups = task_of(run, key).teardown_of;
  return std::any_of(setups.begin(), setups.end(), [&](std::uint32_t setup) {
    const auto row = rows_.find({key.run, run.story->instances->first(setup)});
    return row != rows_.end() && row->second.state == TaskState::kSuccess;
  });
}

/// Nothing of it may start any more.
bool Laws::stopped(const RunView& run, InstanceKey key) const {
  const bool outlives = handles(run, key) || task_of(run, key).is_hook() || tears_down(run, key);
  return outlives ? run.row.stop >= Stop::kCutShort : run.row.stop != Stop::kNone;
}

/// A handler does not begin before everything else has ended.
void Laws::check_turn(const RunView& run, InstanceKey key) {
  const Dag& dag = *run.story->dag;
  for (std::uint32_t i = 0; handles(run, key) && i < run.story->instances->size(); ++i) {
    const InstanceKey other{run.row.seq, i};
    if (handles(run, other)) continue;
    const auto row = rows_.find(other);
    const TaskState state = row == rows_.end() ? TaskState::kNone : row->second.state;
    if (is_final(state) || (state == TaskState::kNone && run.row.stop != Stop::kNone)) continue;
    return broken(Law::kDependenciesFirst, fmt::format("handler {} of {} is assigned, and {} is {}", name(key),
                                                       dag.name, name(other), name_of(state)));
  }
}

// ---- Task instances ----

void Laws::commit_fan_out(const FanOutRow& row) {
  const auto run = runs_.find(row.run);
  if (run == runs_.end()) return broken(Law::kLineage, "a fan-out of no run");
  Story& story = world_.story(asked_.at(run->second.row.id));
  const bool again = story.instances->late_items(row.task) != nullptr;
  if (again && run->second.row.generation == 1) broken(Law::kEdges, "items become others in the same generation");
  if (auto given = story.instances->fan_out(row.task, row.items, ValueMap{}); !given) {
    return broken(Law::kLineage, "a fan-out cannot be read: " + given.error().message);
  }
  world_.saw(again ? Sight::kFannedOutAnew : Sight::kFannedOutLate);
}

void Laws::commit_task(const TaskChange& change) {
  const TaskRow& row = change.row;
  const auto run = runs_.find(row.key.run);
  if (run == runs_.end()) return broken(Law::kLineage, "a task instance of no run");
  const auto [place, fresh] = rows_.try_emplace(row.key, TaskRow{.key = row.key});
  TaskRow& old = place->second;
  if (change.expect_row == fresh || change.expect_state != old.state || change.expect_attempt != old.attempt) {
    return broken(Law::kFence, fmt::format("{} is changed by who does not know how it stands", name(row.key)));
  }
  check_hook(run->second, old, row);
  check_edge(run->second, old, row);
  check_attempt(run->second, old, row);
  check_budgets(run->second, old, row);
  check_ends_with_run(run->second, old, row);
  check_latest(run->second, old, row);
  check_past(run->second, old, row);
  check_deadline(run->second, old, row);
  check_services(run->second, old, row);
  if (has_won(row.state) && !has_won(old.state)) check_won(run->second, old, row);
  if (is_final(old.state) && row.state == TaskState::kNone) winner_.erase(row.key);
  if (old.state == TaskState::kCommitting && row.state == TaskState::kFailed) forget_winner(row);
  if (holds_lease(old.state)) commit_lease(run->second, old, false);
  if (holds_lease(row.state)) commit_lease(run->second, row, true);
  note_end(old, row);
  if (row.state == TaskState::kUpForRetry || row.state == TaskState::kWaiting) {
    rests_until_[row.key] = world_.time.now() + (row.retry_at - world_.wall());
  }
  old = row;
}

/// Its assets cannot be published: its outputs count for nothing.
void Laws::forget_winner(const TaskRow& row) {
  winner_.erase(row.key);
  won_.erase(row.attempt);
  unpublishable_.insert(row.attempt);
  std::erase_if(committed_objects_, [&](const auto& each) { return each.second == row.attempt; });
}

void Laws::note_end(const TaskRow& old, const TaskRow& row) {
  ++world_.seen.edges[static_cast<std::size_t>(old.state)][static_cast<std::size_t>(row.state)];
  if (!row.end.ended_at.is_set() || row.state == old.state) return;
  if (row.state != TaskState::kUpForRetry && !is_final(row.state)) return;
  ++world_.seen.reasons[static_cast<std::size_t>(row.end.reason)];
  world_.journal.note("ends", row.key.run.value, row.key.index, static_cast<std::uint64_t>(row.end.reason));
  if (row.state == TaskState::kFailed && !row.allowed) world_.people.see_failure(story_of(row.key.run)->number);
  if (row.end.reason == Reason::kQueueTimeout) check_queue_timeout(row);
  if (row.end.reason == Reason::kTimeout) world_.saw(Sight::kProgramTimedOut);
  if (row.end.reason == Reason::kLostWorker && row.end.message.starts_with("no word")) world_.saw(Sight::kFenced);
  if (row.end.reason == Reason::kCheckFailed) world_.saw(Sight::kCheckFailed);
}

void Laws::check_queue_timeout(const TaskRow& row) {
  const auto& most = task_of(runs_.at(row.key.run), row.key).queue_timeout;
  if (!most || !row.ready_at.is_set() || world_.plan.knows(Fault::kWallJump)) return;
  // A person ran others of its task again, which are ready since then; its attempt is from before.
  if (row.queued_at.is_set() && row.queued_at < row.ready_at) return;
  const Duration waited = row.end.ended_at - row.ready_at;
  if (waited + std::chrono::milliseconds(1) >= *most) return;
  broken(Law::kRests,
         fmt::format("{} waited {}, and its queue_timeout is {}", name(row.key), to_text(waited), to_text(*most)));
}

void Laws::check_edge(const RunView& run, const TaskRow& old, const TaskRow& row) {
  const bool reset = run.generation_rose && row.state == TaskState::kNone && !holds_attempt(old.state);
  const bool known = is_edge(old.state, row.state) && (!is_final(old.state) || run.generation_rose);
  // A task that starts runs needs nobody for its next try.
  const bool starts_again = task_of(run, row.key).kind == TaskKind::kDag && old.state == TaskState::kUpForRetry &&
                            row.state == TaskState::kWaiting;
  // When it became ready in time is durable.
  const Task& task = task_of(run, row.key);
  const bool as_if_not = old.state == TaskState::kScheduled && is_edge(TaskState::kNone, row.state);
  const bool ready = (task.latest_only || task.deadline) &&
                     (as_if_not || (old.state == TaskState::kNone && row.state == TaskState::kScheduled));
  const bool on_past = task.depends_on_past && !old.attempt && !row.attempt &&
                       (old.state == TaskState::kWaiting || row.state == TaskState::kWaiting);
  // What was given back is looked up anew after a restart, as if it had never been given away.
  const bool used_again = as_if_not && task.cache && row.state == TaskState::kSuccess;
  if (reset || known || starts_again || ready || on_past || used_again || is_called(run, old, row)) return;
  if (fails_with_run(run, old, row)) return;
  broken(Law::kEdges, fmt::format("{} goes from {} to {}", name(row.key), name_of(old.state), name_of(row.state)));
}

void Laws::check_attempt(RunView& run, const TaskRow& old, const TaskRow& row) {
  if (row.attempt == old.attempt || !row.attempt) return;
  if (row.attempt <= newest_attempt_) {
    broken(Law::kFence, fmt::format("{} gets attempt {}, which is not new", name(row.key), to_text(row.attempt)));
  }
  newest_attempt_ = row.attempt;
  attempts_[row.attempt] = row.key;
  if (row.attempt_no != old.attempt_no + 1) {
    broken(Law::kBudgets, fmt::format("{} gets attempt #{} after #{}", name(row.key), row.attempt_no, old.attempt_no));
  }
  const Task& task = task_of(run, row.key);
  if (row.state == TaskState::kQueued) return check_assigned(run, old, row);
  const bool said_no = row.end.reason == Reason::kCheckFailed && !std::ranges::all_of(task.checks, holds);
  if (is_program(task) && !said_no && !cached_now_.contains(row.attempt))
    broken(Law::kEdges, name(row.key) + " has an attempt that nobody was given");
  if (task.kind == TaskKind::kCheck && row.state == TaskState::kSuccess) world_.saw(Sight::kCheckPassed);
}

void Laws::check_assigned(RunView& run, const TaskRow& old, const TaskRow& row) {
  const std::uint32_t position = run.story->instances->task_of(row.key.index);
  const std::string ends = upstream_ends(run, row.key.index);
  const bool teardown = tears_down(run, row.key);
  const bool first_try = old.user_tries + old.infra_tries == 0;  // A person may mark a setup as failed after that.
  if (teardown && first_try && !some_setup_succeeded(run, row.key)) {
    broken(Law::kDependenciesFirst, name(row.key) + " tears down what was not set up");
  }
  if (teardown) world_.saw(run.row.stop == Stop::kNone ? Sight::kTornDown : Sight::kTornDownThoughStopped);
  const TriggerRule rule = teardown ? TriggerRule::kAllDone : run.story->dag->tasks[position].trigger_rule;
  if (!support::rule_allows(rule, ends)) {
    broken(Law::kDependenciesFirst, fmt::format("{} is assigned with upstream '{}'", name(row.key), ends));
  }
  note_ahead(run, row.key.index);
  check_turn(run, row.key);
  check_set_up(run, row.key);
  if (run.row.state != RunState::kRunning || stopped(run, row.key)) {
    broken(Law::kRequests, name(row.key) + " is assigned, and its run is over or stopped");
  }
  const auto rests = rests_until_.find(row.key);
  const bool rested = old.state == TaskState::kUpForRetry || old.state == TaskState::kWaiting;
  if (!rested || rests == rests_until_.end() || world_.plan.knows(Fault::kWallJump)) return;
  if (world_.time.now() + std::chrono::milliseconds(1) < rests->second) {
    broken(Law::kRests,
           fmt::format("{} is tried again {} too early", name(row.key), to_text(rests->second - world_.time.now())));
  }
}

/// What stands between a setup and its teardown begins before that is torn down, or when it is set up again. Only what
/// the teardown waits for itself: other rules on the way may let it go ahead of the rest.
void Laws::check_set_up(const RunView& run, InstanceKey key) {
  const Dag& dag = *run.story->dag;
  const std::uint32_t task = run.story->instances->task_of(key.index);
  for (std::uint32_t teardown = task + 1; teardown < dag.tasks.size(); ++teardown) {
    const auto& setups = dag.tasks[teardown].teardown_of;
    const auto& edges = dag.tasks[teardown].depends_on;
    const bool waits = std::ranges::find(edges, task, &Dependency::task) != edges.end();
    if (setups.empty() || !waits) continue;
    const auto row = rows_.find({key.run, run.story->instances->first(teardown)});
    // Without an attempt nothing was torn down: a person only says so.
    const bool is_over =
        row != rows_.end() && row->second.attempt && (is_final(row->second.state) || holds_attempt(row->second.state));
    const bool within = std::ranges::any_of(setups, [&](std::uint32_t setup) { return waits_for(dag, task, setup); });
    if (is_over && within) {
      broken(Law::kDependenciesFirst,
             fmt::format("{} is assigned, and {} is {}", name(key), name(row->first), name_of(row->second.state)));
    }
  }
}

void Laws::check_budgets(const RunView& run, const TaskRow& old, const TaskRow& row) {
  const Task& task = task_of(run, row.key);
  if (run.generation_rose && row.state == TaskState::kNone) {
    if (row.user_tries + row.infra_tries + row.iteration > 0)
      broken(Law::kBudgets, name(row.key) + " begins anew with old tries");
    return;
  }
  if (is_called(run, old, row)) return;
  if (row.iteration != old.iteration) return check_iteration(run, old, row);
  const bool failed = row.state == TaskState::kUpForRetry || row.state == TaskState::kFailed;
  const bool ends = holds_attempt(old.state) && failed;
  if (ends || fails_with_run(run, old, row)) return check_charge(run, old, row);
  if (row.user_tries != old.user_tries || row.infra_tries != old.infra_tries) {
    broken(Law::kBudgets, name(row.key) + " is charged for nothing");
  }
  if (row.user_tries > task.retry.limit + 1 || row.infra_tries > task.infra_retry.limit + 1) {
    broken(Law::kBudgets, name(row.key) + " is past its budget");
  }
}

/// They are counted one by one, each of them with tries of its own, and no more than may be.
void Laws::check_iteration(const RunView& run, const TaskRow& old, const TaskRow& row) {
  const auto& loop = task_of(run, row.key).loop;
  if (!loop || row.iteration != old.iteration + 1 || row.iteration > loop->max_iterations) {
    return broken(Law::kBudgets,
                  fmt::format("{} is at iteration {} after {}", name(row.key), row.iteration, old.iteration));
  }
  const bool goes_on = row.state == TaskState::kWaiting;
  if (goes_on && row.user_tries + row.infra_tries > 0) broken(Law::kBudgets, name(row.key) + " goes on with old tries");
  if (goes_on && row.iteration == loop->max_iterations)
    broken(Law::kBudgets, name(row.key) + " goes on past its bound");
  if (goes_on) world_.saw(Sight::kLoopWentOn);
  if (row.state == TaskState::kFailed) world_.saw(Sight::kLoopGaveUp);
}

/// Where a worker is taken at its word that it does not hold an attempt, it must not have its result.
void Laws::check_result_kept(const TaskRow& old, const TaskRow& row) {
  const bool believed = row.end.message.find("does not hold the attempt") != std::string::npos;
  if (!believed || !world_.plan.honest()) return;
  const std::string incarnation = holder(old.attempt);
  for (const auto& worker : world_.workers) {
    const bool has_it = worker->alive() && worker->incarnation() == incarnation && worker->owes(old.attempt);
    if (has_it) broken(Law::kKeepsResults, fmt::format("{} is lost, and its worker has its result", name(old.key)));
  }
}

void Laws::check_charge(const RunView& run, const TaskRow& old, const TaskRow& row) {
  const Task& task = task_of(run, row.key);
  const int users = row.user_tries - old.user_tries;
  const int infra = row.infra_tries - old.infra_tries;
  const bool lost = is_infrastructure(row.end.reason);
  if (users < 0 || infra < 0 || users + infra > 1 || (lost ? users : infra) != 0) {
    broken(Law::kBudgets, fmt::format("{}: {} is charged to the wrong budget", name(row.key), name_of(row.end.reason)));
  }
  if (row.state == TaskState::kUpForRetry && users + infra != 1) {
    broken(Law::kBudgets, name(row.key) + " is tried again at nobody's expense");
  }
  const bool again = row.state == TaskState::kUpForRetry;
  const bool past = lost ? row.infra_tries > task.infra_retry.limit : row.user_tries > task.retry.limit;
  if (again && past) broken(Law::kBudgets, name(row.key) + " is tried again past its budget");
  if (lost && !again && !past && !stopped(run, row.key))
    broken(Law::kBudgets, name(row.key) + " is given up before its budget");
  if (lost && !again && past) world_.saw(Sight::kInfraBudgetUsedUp);
  if (!lost) return;
  if (row.end.reason == Reason::kLostWorker) world_.saw(Sight::kAttemptLost);
  check_result_kept(old, row);
  // With a pod that is gone goes the attempt only if nothing of it had begun.
  const bool may_be_lost = world_.plan.knows(Fault::kLosePod) && !begun_.contains(old.attempt);
  if (world_.plan.spares_workers() && !may_be_lost)
    broken(Law::kCalm, fmt::format("{} is lost: {}", name(row.key), row.end.message));
}

/// Something upstream of its fan-out is not over, and its own item there is.
void Laws::note_ahead(const RunView& run, std::uint32_t index) {
  const Instances& instances = *run.story->instances;
  const std::uint32_t task = instances.task_of(index);
  for (const Dependency& edge : run.story->dag->tasks[task].depends_on) {
    if (!run.story->dag->in_step(task, edge.task)) continue;
    const std::uint32_t first = instances.first(edge.task);
    for (std::uint32_t i = first; i < first + instances.count(edge.task); ++i) {
      const auto row = rows_.find({run.row.seq, i});
      if (row == rows_.end() || !is_final(row->second.state)) return world_.saw(Sight::kItemWentAhead);
    }
  }
}

std::string Laws::upstream_ends(const RunView& run, std::uint32_t index) const {
  const Instances& instances = *run.story->instances;
  const Dag& dag = *run.story->dag;
  const std::uint32_t task = instances.task_of(index);
  std::string ends;
  for (const Dependency& edge : dag.tasks[task].depends_on) {
    if (dag.consumes(task, edge.task)) continue;  // The law over services asks for these.
    const bool one = dag.in_step(task, edge.task);
    const std::uint32_t first = one ? instances.in_step(task, index, edge.task) : instances.first(edge.task);
    for (std::uint32_t i = first; i < first + (one ? 1 : instances.count(edge.task)); ++i) {
      const auto row = rows_.find({run.row.seq, i});
      const bool never_will =
          row == rows_.end() && run.row.stop != Stop::kNone;  // A stopped run keeps no row of these.
      const TaskState state = never_will ? TaskState::kCancelled : TaskState::kNone;
      ends += row == rows_.end() ? support::upstream_letter(edge, state, false)
                                 : support::upstream_letter(edge, row->second.state, row->second.allowed);
    }
  }
  return ends;
}

void Laws::check_won(const RunView& run, const TaskRow& old, const TaskRow& row) {
  const Task& task = task_of(run, row.key);
  if (!row.attempt) return;  // A fan-out over nothing.
  if (!winner_.try_emplace(row.key, row.attempt).second) {
    broken(Law::kOneWinner,
           fmt::format("{}: {} commits after {}", name(row.key), to_text(row.attempt), to_text(winner_.at(row.key))));
  }
  won_.insert(row.attempt);
  if (!runs_program(task) || cached_now_.contains(row.attempt) || task.is_service()) return;
  if (row.attempt != old.attempt)
    broken(Law::kFence, name(row.key) + " is won by an attempt that is not its current one");
  const auto truth = truth_.find(row.attempt);
  if (truth == truth_.end() || truth->second.reason != Reason::kNone) {
    broken(Law::kOwnAttemptsOnly, name(row.key) + " succeeds, and its program did not");
  }
  if (truth == truth_.end()) return;
  const bool open = std::any_of(truth->second.objects.begin(), truth->second.objects.end(),
                                [](const OutputObject& object) { return !object.upload.empty(); });
  if (open && row.state == TaskState::kSuccess) {
    broken(Law::kVisibleOnce, name(row.key) + " is a success before its assets are visible");
  }
}

void Laws::check_fail_fast(const RunView& run, const TaskRow& row) {
  const bool failed = row.state == TaskState::kFailed && !row.allowed && rows_.at(row.key) == row;
  if (!failed || is_aside(run, row.key) || run.story->dag->fail_fast == FailFast::kOff || run.generation_rose) return;
  if (run.row.stop == Stop::kNone && !is_final(run.row.state)) {
    broken(Law::kRunVerdict, name(row.key) + " failed, and fail_fast does not stop the run");
  }
}

/// `min_success` leaves room for so many failures, and for no more: those are allowed.
void Laws::check_tolerance(InstanceKey key) {
  const RunView& run = runs_.at(key.run);
  const Task& task = task_of(run, key);
  const std::uint32_t position = run.story->instances->task_of(key.index);
  if (!task.foreach || !run.story->instances->mapped(position) || task.allow_failure.always) return;
  const std::uint32_t first = run.story->instances->first(position);
  const std::uint32_t count = run.story->instances->count(position);
  std::uint32_t allowed = 0, failed = 0;
  for (std::uint32_t i = first; i < first + count; ++i) {
    const auto row = rows_.find({key.run, i});
    if (row == rows_.end() || row->second.state != TaskState::kFailed) continue;
    ++(row->second.allowed ? allowed : failed);
  }
  const std::uint32_t most = task.foreach->may_fail(count);
  if (allowed > 0) world_.saw(Sight::kItemTolerated);
  if (allowed > most) broken(Law::kRunVerdict, name(key) + " is tolerated, and too many of its fan-out failed");
  if (failed > 0 && allowed < most)
    broken(Law::kRunVerdict, name(key) + " fails its task, and others might have failed");
}

namespace {

/// random_dag() makes nothing that grows but by doubling.
std::int64_t cpu_needed(const Task& task, std::uint32_t tries) {
  const bool grows = task.retry.scale.cpu > 1;
  return std::int64_t{task.work->resources.cpu_milli} << (grows ? tries : 0);
}

}  // namespace

/// Of a check that a worker measures: they are asked first.
void Laws::check_conditions(const Assignment& what) {
  const auto run = runs_.find(what.key.run);
  if (run == runs_.end()) return;  // Told elsewhere.
  const auto& conditions = task_of(run->second, what.key).checks;
  if (std::all_of(conditions.begin(), conditions.end(), holds)) return;
  broken(Law::kDependenciesFirst, name(what.key) + " is to be measured though a condition of its check is false");
}

void Laws::check_scale(const Assignment& what) {
  const auto row = rows_.find(what.key);
  const auto run = runs_.find(what.key.run);
  if (row == rows_.end() || run == runs_.end() || row->second.attempt != what.attempt) return;  // Told elsewhere.
  const Task& task = task_of(run->second, what.key);
  if (!runs_program(task)) return;
  if (what.work->resources.cpu_milli != cpu_needed(task, row->second.user_tries)) {
    broken(Law::kRoom, name(what.key) + " is told to take another share of its worker than its try needs");
  }
  if (what.work->resources.cpu_milli > task.work->resources.cpu_milli) world_.saw(Sight::kAskedForMore);
}

/// What an attempt takes while it is assigned: a pool's slots, room at a worker, a place among its run's and task's.
void Laws::commit_lease(RunView& run, const TaskRow& row, bool takes) {
  const Task& task = task_of(run, row.key);
  const std::uint32_t position = run.story->instances->task_of(row.key.index);
  const std::int64_t sign = takes ? 1 : -1;
  const auto count = [&](std::uint32_t& counter) { counter = static_cast<std::uint32_t>(counter + sign); };
  count(run.active);
  count(run.active_by_task[position]);
  std::int64_t& pool = pool_taken_[task.pool];
  pool += sign * task.slots;
  std::int64_t& cpu = cpu_taken_[row.worker];
  const std::int64_t need = runs_program(task) ? cpu_needed(task, row.user_tries) : 0;
  cpu += sign * need;
  for (const LockUse& lock : task.locks) {
    auto& held = locks_held_[lock.name.text()];
    held.second += lock.exclusive ? sign : 0;
    held.first += sign;
  }
  std::int64_t& active = active_per_dag_[run.row.dag + "." + task.id];
  if (task.max_active_per_dag > 0) active += sign;
  if (!takes) return;
  const auto over = [&](const char* what) { broken(Law::kRoom, fmt::format("{}: more than {}", name(row.key), what)); };
  if (task.pool == "a" && pool > 1) over("pool a has slots");
  for (const LockUse& lock : task.locks) {
    const auto& [held, alone] = locks_held_[lock.name.text()];
    if (held > (alone > 0 ? 1 : 2)) over("a lock has places");
    if (held == 2) world_.saw(Sight::kLockShared);
  }
  if (task.max_active_per_dag > 0 && active > task.max_active_per_dag) over("max_active_per_dag");
  if (task.pool == "b" && pool > 2) over("pool b has slots");
  const Dag& dag = *run.story->dag;
  if (dag.max_active_tasks > 0 && run.active > dag.max_active_tasks) over("max_active_tasks");
  const std::uint32_t parallel = task.foreach ? task.foreach->max_parallel : 0;
  if (parallel > 0 && run.active_by_task[position] > parallel) over("max_parallel");
  constexpr std::int64_t kCores = 2000;
  if (need > 0 && cpu > kCores * (1 + world_.plan.prefetch)) over("the worker takes ahead");
}

// ---- Lineage ----

void Laws::commit_input(const InputRow& row) {
  const auto task = rows_.find(row.key);
  const auto attempt = attempts_.find(row.attempt);
  if (!row.object.s3.empty()) {  // Recorded with its end, when another attempt may have begun. See check_reads().
    const bool known = attempt != attempts_.end() && attempt->second == row.key;
    if (!known) broken(Law::kLineage, "an input is recorded of an attempt that nobody knows");
    return;
  }
  // A wait that ended may be run again in the same batch.
  const bool ended = attempt != attempts_.end() && attempt->second == row.key && won_.contains(row.attempt) &&
                     task_of(runs_.at(row.key.run), row.key).wait != nullptr;
  if (!ended && (task == rows_.end() || task->second.attempt != row.attempt)) {
    return broken(Law::kLineage, "an input is recorded of an attempt that is not the current one");
  }
  inputs_.insert({row.attempt, row.object.key});
  const auto source = committed_objects_.find(row.object.key);
  if (source == committed_objects_.end()) {
    broken(Law::kReadsCommitted, fmt::format("{} is handed {}, which nobody committed", name(row.key), row.object.key));
  }
  // What runs in a pod is handed its inputs when the pod is there: later than it got its number.
  const bool in_pod = task_of(runs_.at(row.key.run), row.key).pod != nullptr;
  const bool came_after =
      in_pod ? row.object.producer_attempt == row.attempt : row.object.producer_attempt >= row.attempt;
  if (came_after) broken(Law::kLineage, name(row.key) + " reads what came after it");
}

void Laws::commit_artifact(const ArtifactRow& row) {
  const auto task = rows_.find(row.key);
  if (task == rows_.end() || task->second.attempt != row.attempt || !has_won(task->second.state)) {
    return broken(Law::kLineage, "a manifest is recorded of an attempt that did not win");
  }
  if (row.made_by_attempt) return commit_cached_artifact(row);
  if (!committed_objects_.try_emplace(row.object.key, row.attempt).second) {
    broken(Law::kLineage, row.object.key + " is committed twice");
  }
  const auto& objects = world_.objects.objects();
  const auto object = objects.find(row.object.key);
  if (object == objects.end() || object->second.sha256 != row.object.sha256) {
    broken(Law::kManifestExists, row.object.key + " is committed, and is not there");
  }
  if (row.object.key.find("/" + to_text(row.attempt) + "/") == std::string::npos) {
    broken(Law::kManifestExists, row.object.key + " is committed by another attempt");
  }
}

void Laws::commit_asset_version(const AssetVersion& version) {
  if (!won_.contains(version.attempt)) broken(Law::kLineage, "an asset version of an attempt that did not win");
  versions_[version.id] = version;
}

void Laws::commit_published(const AssetPublished& published) {
  const auto found = versions_.find(published.id);
  if (found == versions_.end()) return broken(Law::kLineage, "an asset version is published that does not exist");
  const AssetVersion& version = found->second;
  const auto* upload = world_.objects.shown_at(version.uri);
  const bool visible = shown_.contains(version.key) || (upload != nullptr && upload->sha256 == version.sha256);
  if (!visible) broken(Law::kVisibleOnce, version.key + " is said to be published, and was never visible");
}

void Laws::commit_alias(const AliasRow& row) {
  AssetVersionId& stands = aliases_[row.model + "@" + row.alias];
  if (row.previous != stands) broken(Law::kAliases, "an alias moves from where it does not stand");
  stands = row.version;
  if (!row.by_attempt) return;
  if (!won_.contains(row.by_attempt)) broken(Law::kAliases, "an alias moves, and its task did not succeed");
  const PromoteSpec& promote = *task_of(runs_.at(row.by_task.run), row.by_task).promote;
  if (row.alias != promote.alias) return world_.saw(Sight::kPreviousKept);
  world_.saw(Sight::kAliasMovedByTask);
  const bool keeps = promote.keep_previous && row.previous && row.previous != row.version;
  if (keeps && aliases_[row.model + "@" + row.alias + "_previous"] != row.previous) {
    broken(Law::kAliases, "an alias moves, and where it stood before has no name");
  }
}

}  // namespace chappe::simulation
