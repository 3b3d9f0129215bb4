// Tasks that a person runs again, or says the end of. Both make a new generation of the run, which goes on where it had
// ended, and are told to the audit log.
#include <fmt/format.h>

#include <algorithm>

#include "engine/base/assert.h"
#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

constexpr std::string_view kToleratedNow = "it failed; min_success leaves room for it now";

std::string about_run(const RunId& run) { return "run " + run.text(); }

/// Which tasks, and which single instances, a person means.
struct Meant {
  std::vector<bool> tasks;
  std::vector<bool> named;        ///< Of `tasks` those that were named themselves.
  std::vector<bool> alone;        ///< By instance.
  std::vector<bool> below;        ///< Tasks that must not be under way: these, and all that depends on them.
  std::vector<bool> above_alone;  ///< By instance: what `alone` ones wait for in depth-first fan-outs...
  std::vector<bool> below_alone;  ///< ... and what waits for them there. Each of them is among these, too.
};

void add_all(std::vector<bool>& to, const std::vector<bool>& more) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = to[i] || more[i];
}

/// Along depth-first fan-outs an item goes with its own alone; what else stands above and below is noted in `up` and
/// `down`.
void follow_item(const LiveRun& run, std::uint32_t index, Meant& meant, std::vector<std::uint32_t>& up,
                 std::vector<std::uint32_t>& down) {
  std::vector<std::uint32_t> to_visit;
  const auto visit = [&](std::uint32_t at, std::vector<bool>& known) {
    if (!known[at]) to_visit.push_back(at);
    known[at] = true;
  };
  visit(index, meant.above_alone);
  while (!to_visit.empty()) {
    const std::uint32_t at = to_visit.back();
    to_visit.pop_back();
    const std::uint32_t task = run.instances->task_of(at);
    for (const Dependency& edge : run.task(task).depends_on) {
      if (!run.dag->in_step(task, edge.task)) {
        up.push_back(edge.task);
      } else {
        visit(run.instances->in_step(task, at, edge.task), meant.above_alone);
      }
    }
  }
  visit(index, meant.below_alone);
  while (!to_visit.empty()) {
    const std::uint32_t at = to_visit.back();
    to_visit.pop_back();
    const std::uint32_t task = run.instances->task_of(at);
    for (const ChildEdge& edge : run.graph->children(task)) {
      if (!run.dag->in_step(edge.child, task)) {
        down.push_back(edge.child);
      } else {
        visit(run.instances->in_step(task, at, edge.child), meant.below_alone);
      }
    }
  }
}

Result<Meant> meant_by(const LiveRun& run, const RetryRequested& event) {
  Meant meant{.tasks = std::vector<bool>(run.tasks.size()),
              .named = std::vector<bool>(run.tasks.size()),
              .alone = std::vector<bool>(run.states.size()),
              .above_alone = std::vector<bool>(run.states.size()),
              .below_alone = std::vector<bool>(run.states.size())};
  std::vector<std::uint32_t> up, down;
  for (const std::string& name : event.tasks) {
    if (const auto task = run.dag->find(name)) {
      meant.tasks[*task] = meant.named[*task] = true;
      up.push_back(*task);
      down.push_back(*task);
      continue;
    }
    const auto instance = run.instances->find(name);
    if (!instance) return fail(ErrorCode::kNotFound, fmt::format("the run has no task '{}'", name));
    meant.alone[*instance] = true;
    follow_item(run, *instance, meant, up, down);
  }
  if (event.reach.upstream) add_all(meant.tasks, Graph::with_ancestors(*run.dag, up));
  if (event.reach.downstream) add_all(meant.tasks, run.graph->with_descendants(down));
  for (std::uint32_t task = 0; task < meant.tasks.size(); ++task) {
    if (meant.tasks[task]) down.push_back(task);
  }
  meant.below = run.graph->with_descendants(down);
  return meant;
}

/// Its run was asked to do without it.
bool is_left_out(const InstanceState& instance) { return instance.state == TaskState::kSkipped && instance.allowed; }

/// It waits for the end of another run.
bool is_in_other_run(const LiveRun& run, std::uint32_t index) {
  const InstanceState& instance = run.states[index];
  return instance.state == TaskState::kWaiting && instance.attempt &&
         run.task(run.instances->task_of(index)).subdag.has_value();
}

/// What ended as it did because of these instances, and for no reason of its own: it is judged anew. So is what a run
/// that was stopped after a failure did not get to.
std::vector<std::uint32_t> judged_by(const LiveRun& run, const std::vector<std::uint32_t>& indexes) {
  std::vector<std::uint32_t> found;
  std::vector<bool> known(run.states.size());
  for (const std::uint32_t index : indexes) known[index] = true;
  const auto add = [&](std::uint32_t index) {
    const InstanceState& instance = run.states[index];
    const bool follows = instance.state == TaskState::kUpstreamFailed || instance.state == TaskState::kSkipped;
    if (known[index] || !follows || is_left_out(instance)) return false;
    known[index] = true;
    found.push_back(index);
    return true;
  };
  std::vector<std::uint32_t> to_visit;
  for (const std::uint32_t index : indexes) to_visit.push_back(run.instances->task_of(index));
  std::vector<bool> visited(run.tasks.size());
  while (!to_visit.empty()) {
    const std::uint32_t task = to_visit.back();
    to_visit.pop_back();
    if (visited[task]) continue;
    visited[task] = true;
    for (const ChildEdge& edge : run.graph->children(task)) {
      bool some = add(run.instances->own(edge.child));
      const std::uint32_t first = run.instances->first(edge.child);
      for (std::uint32_t i = first; i < first + run.instances->count(edge.child); ++i) some = add(i) || some;
      if (some) to_visit.push_back(edge.child);
    }
  }
  for (std::uint32_t i = 0; i < run.states.size() && run.row.stop != Stop::kNone; ++i) {
    if (run.states[i].state == TaskState::kCancelled && !known[i] && !run.instances->is_retired(i)) found.push_back(i);
  }
  return found;
}

/// Items of the task that failed past what `min_success` leaves room for, and that it has room for when those of `anew`
/// are items that failed no more, but for so many as `fail` of them.
std::vector<std::uint32_t> tolerated_now(const LiveRun& run, std::uint32_t task, const std::vector<bool>& anew,
                                         std::uint32_t fail) {
  if (!run.instances->mapped(task) || CHAPPE_MUTANT(kMarksForgetTolerance)) return {};
  const std::uint32_t first = run.instances->first(task);
  const std::uint32_t count = run.instances->count(task);
  std::uint32_t most = run.task(task).foreach->may_fail(count);
  std::vector<std::uint32_t> failed;
  for (std::uint32_t i = first; i < first + count && most > 0; ++i) {
    if (anew[i] || run.states[i].state != TaskState::kFailed) continue;
    if (run.states[i].allowed) {
      ++fail;
    } else {
      failed.push_back(i);
    }
  }
  failed.resize(std::min<std::size_t>(failed.size(), most - std::min(most, fail)));
  return failed;
}

/// The instance has ended so by what a person did. Requires: it is reset.
void end_by_hand(EngineState& state, LiveRun& run, std::uint32_t index, TaskState end, bool allowed,
                 std::string message) {
  TaskRow row = state.row_of(run, index);
  row.state = end;
  row.worker = {};
  row.end = {.ended_at = state.now.wall, .message = std::move(message)};
  row.allowed = allowed;
  state.store_row(run, index, std::move(row));
  state.tell_children(run, index);
}

/// What these need about them, and what that needs: a service may need a setup, and a setup a service.
Result<void> add_needed(const EngineState& state, LiveRun& run, std::vector<std::uint32_t>& chosen) {
  for (std::size_t known = 0; known != chosen.size();) {
    known = chosen.size();
    if (auto added = state.services.add_needed(run, chosen); !added) return added;
    if (auto added = state.add_setups(run, chosen); !added) return added;
  }
  return {};
}

}  // namespace

/// The run, with all its tasks; made live again where it had ended. Errors: it is not known, or cannot be changed now.
Result<LiveRun*> EngineState::open_run(const RunId& id, const StoredRun* stored) {
  if (LiveRun* run = find_run(id)) {
    if (run->row.state == RunState::kQueued || run->row.stop != Stop::kNone) {
      return fail(ErrorCode::kConflict, about_run(id) + " has not started, or is being stopped");
    }
    if (!run->handling) return run;
    return fail(ErrorCode::kConflict, about_run(id) + " is over but for its handlers; wait for its end");
  }
  if (stored == nullptr) return fail(ErrorCode::kNotFound, about_run(id) + " is not known");
  if (!is_final(stored->row.state) && !CHAPPE_MUTANT(kRunsAgainWhatAnotherRuns)) {
    return fail(ErrorCode::kConflict, about_run(id) + " is another scheduler's, or was when it was read");
  }
  if (stored->row.pruned_at.is_set()) return fail(ErrorCode::kNotFound, told_pruned(stored->row));
  const bool goes = pruner.is_marking(stored->row.seq) && !CHAPPE_MUTANT(kRunsAgainWhatIsPruned);
  if (goes) return fail(ErrorCode::kConflict, about_run(id) + " is being pruned at this very moment");
  if (collector.is_marking(stored->row.seq) && !CHAPPE_MUTANT(kRunsAgainWhatIsCollected)) {
    return fail(ErrorCode::kConflict, about_run(id) + " changed at this very moment; ask again");
  }
  auto adopted = adopt(*stored);
  if (!adopted) forget_run(stored->row.seq);
  return adopted;
}

/// A new generation. A run that had ended is queued where its DAG has no place for it now.
void EngineState::reopen(LiveRun& run, bool was_over, const std::string& message) {
  const bool has_room =
      !was_over || has_own_place(run.row) || has_place(*run.dag, run.row) || past.is_awaited(run.row.seq);
  change_run(run, [&](RunRow& row) {
    row.state = has_room ? RunState::kRunning : RunState::kQueued;
    row.stop = Stop::kNone;
    row.ended_at = {};
    row.message = message;
    if (!CHAPPE_MUTANT(kRetryWithoutGeneration)) ++row.generation;
    if (was_over) row.started_at = has_room ? now.wall : WallTime{};
    row.outputs = {};
  });
}

/// Once its rows are as the new generation begins with them.
void EngineState::begin_again(LiveRun& run, bool was_over) {
  if (run.row.state == RunState::kQueued) {
    queue_up(run);
  } else if (was_over) {
    begin(run);
  } else {
    resume(run);
  }
}

// ---- Run again ----

void EngineState::on(const RetryRequested& event) {
  const bool was_over = find_run(event.run) == nullptr;
  auto opened = open_run(event.run, event.stored.get());
  if (!opened) return reply(event.ticket, fail(std::move(opened.error())));
  LiveRun& run = **opened;
  auto again = chosen_for_retry(run, event);
  if (auto added = again ? services.add_needed(run, *again) : Result<void>(); !added) again = fail(added.error());
  if (!again) {
    if (was_over) forget_run(run.row.seq);
    return reply(event.ticket, fail(std::move(again.error())));
  }
  const RunState before = run.row.state;
  reopen(run, was_over, "");
  const auto count = static_cast<std::int64_t>(again->size());
  audit({event.requested_by, event.source}, "run.retry", about_run(event.run),
        to_json(ValueMap{{"before", name_of(before)}, {"after", name_of(run.row.state)}, {"instances", count}}));
  forget_results(run, event.tasks, *again);
  std::vector<bool> anew(run.states.size());
  for (const std::uint32_t index : *again) anew[index] = true;
  std::vector<std::uint32_t> tolerated;
  for (std::uint32_t task = 0; task < run.tasks.size(); ++task) {
    for (const std::uint32_t index : tolerated_now(run, task, anew, 0)) tolerated.push_back(index);
  }
  reset(run, *again);
  reset(run, tolerated);
  for (const std::uint32_t index : tolerated) {
    end_by_hand(*this, run, index, TaskState::kFailed, true, std::string(kToleratedNow));
  }
  const Value told = ValueMap{{"run", event.run.text()},
                              {"state", name_of(run.row.state)},
                              {"generation", static_cast<std::int64_t>(run.row.generation)},
                              {"instances", count}};
  begin_again(run, was_over);
  reply(event.ticket, told);
}

Result<std::vector<std::uint32_t>> EngineState::chosen_for_retry(LiveRun& run, const RetryRequested& event) const {
  const auto meant = meant_by(run, event);
  if (!meant) return fail(meant.error());
  std::vector<std::uint32_t> chosen;
  const std::vector<bool> too_many = past_tolerance(run);
  for (std::uint32_t i = 0; i < run.states.size(); ++i) {
    const InstanceState& instance = run.states[i];
    const std::uint32_t task = run.instances->task_of(i);
    const bool with_item =
        (event.reach.upstream && meant->above_alone[i]) || (event.reach.downstream && meant->below_alone[i]);
    const bool named = meant->alone[i] || meant->tasks[task] || with_item;
    const bool failed = instance.state == TaskState::kFailed && (!instance.allowed || too_many[task]);
    const bool unfinished =
        failed || instance.state == TaskState::kCancelled || instance.state == TaskState::kUpstreamFailed;
    const bool not_begun = instance.state == TaskState::kNone && is_final(run.row.state);
    const bool under_way = holds_attempt(instance.state) || is_in_other_run(run, i);
    if (under_way && (named || meant->below[task] || meant->below_alone[i])) {
      return fail(ErrorCode::kConflict, fmt::format("{} is {}; it cannot be run again before it has ended",
                                                    run.instances->name_of(i), chappe::name_of(instance.state)));
    }
    if (run.instances->is_retired(i)) continue;
    if (is_left_out(instance) && !meant->alone[i] && !meant->named[task]) continue;
    const bool again = event.reach.only_failed ? named && unfinished : named || unfinished;
    if ((is_final(instance.state) && again) || not_begun) chosen.push_back(i);
  }
  if (auto added = add_needed(*this, run, chosen); !added) return fail(std::move(added.error()));
  if (chosen.empty()) {
    return fail(ErrorCode::kConflict, event.tasks.empty()
                                          ? "nothing in the run failed or was cancelled; name a task to run it again"
                                          : "nothing of what was named failed or was cancelled");
  }
  add_waiting_descendants(run, chosen);
  add_hooks(run, chosen);
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
    const bool waits = state == TaskState::kScheduled || run.rests(i) || run.waits_for_past(i) ||
                       run.waits_for_service(i) ||
                       (state == TaskState::kWaiting && run.task(run.instances->task_of(i)).waits());
    if (waits && reached[run.instances->task_of(i)]) chosen.push_back(i);
  }
}

// ---- Marked ----

void EngineState::on(const MarkRequested& event) {
  const bool was_over = find_run(event.run) == nullptr;
  auto opened = open_run(event.run, event.stored.get());
  if (!opened) return reply(event.ticket, fail(std::move(opened.error())));
  LiveRun& run = **opened;
  auto marked = chosen_for_mark(run, event);
  std::vector<std::uint32_t> anew = marked ? judged_by(run, *marked) : std::vector<std::uint32_t>();
  auto needed = CHAPPE_MUTANT(kMarksForgetSetups) ? services.add_needed(run, anew) : add_needed(*this, run, anew);
  if (!needed) marked = fail(std::move(needed.error()));
  if (!marked) {
    if (was_over) forget_run(run.row.seq);
    return reply(event.ticket, fail(std::move(marked.error())));
  }
  const std::string message =
      fmt::format("{} was marked {} by {}", event.task, name_of(event.state), event.requested_by);
  const std::string_view before = name_of(run.states[marked->front()].state);
  const auto count = static_cast<std::int64_t>(marked->size());
  anew.insert(anew.end(), marked->begin(), marked->end());
  add_waiting_descendants(run, anew);
  // The other items of a fan-out are where they were.
  const std::uint32_t task = run.instances->task_of(marked->front());
  std::erase_if(anew, [&](std::uint32_t index) {
    return run.instances->task_of(index) == task && std::find(marked->begin(), marked->end(), index) == marked->end();
  });
  std::sort(anew.begin(), anew.end());
  anew.erase(std::unique(anew.begin(), anew.end()), anew.end());
  add_handlers(run, anew);
  std::vector<bool> is_marked(run.states.size());
  for (const std::uint32_t index : *marked) is_marked[index] = true;
  const std::size_t failing = event.state == TaskState::kFailed ? marked->size() : 0;
  const auto tolerated = tolerated_now(run, task, is_marked, static_cast<std::uint32_t>(failing));
  anew.insert(anew.end(), tolerated.begin(), tolerated.end());
  for (const std::uint32_t index : *marked) supersede(run, index, message);
  reopen(run, was_over, message);
  audit({event.requested_by, event.source}, "task.mark", fmt::format("{} {}", about_run(event.run), event.task),
        to_json(ValueMap{{"before", before}, {"after", name_of(event.state)}, {"instances", count}}));
  const bool judged = run.tasks[task].judged;
  const WallTime ready_at = run.tasks[task].ready_at;
  reset(run, anew);
  run.tasks[task].judged = judged;
  run.tasks[task].ready_at = ready_at;
  recount(run);  // How many failures of a fan-out are tolerated depends on its other items.
  for (const std::uint32_t index : *marked) {
    const bool allowed = event.state == TaskState::kFailed && is_tolerated(run, index, {});
    end_by_hand(*this, run, index, event.state, allowed, message);
  }
  for (const std::uint32_t index : tolerated) {
    end_by_hand(*this, run, index, TaskState::kFailed, true, std::string(kToleratedNow));
  }
  const Value told = ValueMap{{"run", event.run.text()},
                              {"task", event.task},
                              {"state", name_of(event.state)},
                              {"before", before},
                              {"generation", static_cast<std::int64_t>(run.row.generation)},
                              {"instances", count}};
  begin_again(run, was_over);
  touched.push_back(run.row.seq);
  reply(event.ticket, told);
}

/// The instances of the task that are not so already. Errors: there is none, or what they do cannot be cut off.
Result<std::vector<std::uint32_t>> EngineState::chosen_for_mark(const LiveRun& run, const MarkRequested& event) const {
  const auto refuse = [&](std::string why) { return fail(ErrorCode::kConflict, event.task + why); };
  std::vector<std::uint32_t> all;
  const auto task = run.dag->find(event.task);
  if (task) {
    for (std::uint32_t i = 0; i < run.instances->count(*task); ++i) all.push_back(run.instances->first(*task) + i);
    const std::uint32_t own = run.instances->own(*task);
    const bool stands_for_all = std::find(all.begin(), all.end(), own) == all.end();
    if (stands_for_all && !is_final(run.states[own].state)) all.push_back(own);
  } else if (const auto instance = run.instances->find(event.task)) {
    all.push_back(*instance);
  } else {
    return fail(ErrorCode::kNotFound, fmt::format("the run has no task '{}'", event.task));
  }
  if (run.is_handler(all.front())) return refuse(" is a handler: how it ends is no matter of the run's");
  if (run.row.stop == Stop::kCancel || run.row.stop == Stop::kCutShort) {
    return fail(ErrorCode::kConflict, about_run(event.run) + " was cancelled: 'chappe retry' lets it go on");
  }
  std::erase_if(all, [&](std::uint32_t i) { return run.states[i].state == event.state && !run.states[i].allowed; });
  if (all.empty()) return refuse(fmt::format(" is {} already", name_of(event.state)));
  for (const std::uint32_t i : all) {
    if (run.states[i].state == TaskState::kCommitting) return refuse(" is publishing its outputs; wait for its end");
    if (is_in_other_run(run, i)) return refuse(" waits for another run; cancel that one, or wait for its end");
  }
  return all;
}

/// An attempt under way counts for nothing any more: its worker kills it, and what it reports is not heard.
void EngineState::supersede(LiveRun& run, std::uint32_t index, const std::string& message) {
  const TaskState state = run.states[index].state;
  if (state != TaskState::kQueued && state != TaskState::kRunning) return;
  const HeldAttempt what{{run.row.seq, index}, run.states[index].attempt};
  const WorkerState& worker = workers.at(run.states[index].worker);
  if (worker.connection) send_to(worker.connection).cancel.push_back({.what = what, .forget = true});
  const LeasedAttempt leased = release(run, index);
  TaskRow row = row_of(run, index);
  row.queued_at = leased.queued_at;
  row.state = TaskState::kCancelled;
  row.end = {.reason = Reason::kCancelled, .started_at = leased.started_at, .ended_at = now.wall, .message = message};
  store_row(run, index, std::move(row));
}

// ---- Both ----

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
      row.ready_at = {};
      store_row(run, index, std::move(row));
    }
    run.forget_outputs(index);
    TaskProgress& progress = run.tasks[run.instances->task_of(index)];
    progress.judged = false;
    progress.ready_at = {};
    progress.past_allows = false;
    run.items_ready_at.erase(index);
  }
  EngineServices::forget_holders(run);
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
    const WallTime ready_at = run.ready_at(i);
    add_queue_timer(run, i, ready_at.is_set() ? since(ready_at) : Duration(0));
  }
  if (run.dag->timeout) add_run_timer(run, *run.dag->timeout);
  recount(run);
  judge_due(run);
  services.look_at_all(run);
  judge_due(run);
}

}  // namespace chappe
