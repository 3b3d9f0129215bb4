#include "engine/run/engine_past.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

constexpr auto kRestUnread = std::chrono::seconds(10);

bool ended_well(const LiveRun& run, std::uint32_t index) {
  const InstanceState& instance = run.states[index];
  const bool allowed = instance.state == TaskState::kFailed && instance.allowed;
  return instance.state == TaskState::kSuccess || instance.state == TaskState::kSkipped || allowed ||
         run.reading.contains(index);  // It succeeded, and only its values are read again.
}

}  // namespace

// ---- A task is ready ----

bool EnginePast::holds(LiveRun& run, std::uint32_t task, ReadyRange which) {
  if (!run.task(task).depends_on_past || run.tasks[task].past_allows || CHAPPE_MUTANT(kForgetsThePast)) return false;
  bool asks = false;  // After a restart most have begun.
  for (std::uint32_t i = which.next; i < which.end && !asks; ++i) {
    asks = run.states[i].state == TaskState::kNone || run.waits_for_past(i);
  }
  if (!asks) return false;
  const auto [place, fresh] = run.past.try_emplace(task);
  PastWait& wait = place->second;
  if (run.is_whole(task, which)) wait.held.clear();
  hold(wait.held, which);
  if (fresh) {
    by_dag_[run.row.dag].insert({run.row.seq, task});
    line_up(run, task, wait);
  } else if (wait.stand == PastWait::Stand::kWaits) {
    show(run, wait, which, false);
  }
  return true;
}

void EnginePast::line_up(LiveRun& run, std::uint32_t task, PastWait& wait) {
  wait.stand = PastWait::Stand::kInLine;
  line_.emplace_back(run.row.seq, task);
}

void EnginePast::ask() {
  if (again_at_ && *again_at_ <= state_.now.mono) {
    for (const Waiter& who : std::exchange(unread_, {})) {
      if (PastWait* wait = find(who)) line_up(*state_.find_run(who.first), who.second, *wait);
    }
    again_at_.reset();
  }
  std::map<RunSeq, WantedPast> wanted;
  for (std::size_t left = kPastAskedMax; left > 0 && !line_.empty(); --left) {
    const Waiter who = line_.front();
    line_.pop_front();
    PastWait* wait = find(who);
    if (wait == nullptr || wait->stand != PastWait::Stand::kInLine) continue;
    const LiveRun& run = *state_.find_run(who.first);
    wait->stand = PastWait::Stand::kAsked;
    WantedPast& its = wanted[who.first];
    its.run = who.first;
    its.dag = run.row.dag;
    its.before = run.row.logical_time;
    its.tasks.push_back(run.task(who.second).id);
  }
  for (auto& [seq, each] : wanted) state_.out.past.push_back(std::move(each));
  if (!wanted.empty() || !line_.empty()) state_.out.wake_at = state_.now.mono;
}

PastWait* EnginePast::find(Waiter who) {
  LiveRun* run = state_.find_run(who.first);
  if (run == nullptr) return nullptr;
  const auto found = run->past.find(who.second);
  return found == run->past.end() ? nullptr : &found->second;
}

// ---- Its past is known ----

void EnginePast::take_in(const PastLooked& event) {
  LiveRun* run = state_.find_run(event.run);
  if (run == nullptr || !run->started()) return;
  LiveRun* on = state_.find_run(event.on);
  std::string error = event.error;
  const bool left_alone = left_alone_.contains(event.on);
  if (left_alone) error = fmt::format("run {} is left alone", event.on_id.text());
  for (const PastLooked::Task& looked : event.tasks) {
    const auto task = run->dag->find(looked.id);
    PastWait* wait = task ? find({event.run, *task}) : nullptr;
    if (wait == nullptr || wait->stand != PastWait::Stand::kAsked) continue;
    leave({event.run, *task}, looked.id, *wait);
    if (event.live && on == nullptr && !left_alone) {
      line_up(*run, *task, *wait);  // It has ended in this step, after it was looked up.
      continue;
    }
    const bool moved = wait->on != event.on || wait->error != error;
    wait->on = event.on;
    wait->on_id = event.on_id;
    wait->error = error;
    std::optional<Unwell> blocker;
    if (on != nullptr) {
      blocker = unwell(*on, looked.id, 0);
    } else if (looked.unwell || !error.empty()) {
      blocker = Unwell{.state = looked.unwell.value_or(TaskState::kNone)};
    }
    if (!blocker) {
      let_go(*run, *task);
      continue;
    }
    wait->told = blocker->state;
    wait_on(*run, *task, *wait, blocker->index);
    for (const ReadyRange range : wait->held) show(*run, *wait, range, moved);
  }
  state_.judge_due(*run);
}

/// The first instance at or behind `from` that has not ended well, and then those before it; nullopt: all have, or
/// there is no such task. Of a late fan-out that which stands for the whole of it counts, too.
std::optional<EnginePast::Unwell> EnginePast::unwell(const LiveRun& run, const std::string& task, std::uint32_t from) {
  const auto position = run.dag->find(task);
  if (!position) return std::nullopt;
  if (!run.started()) return Unwell{};
  const auto is_unwell = [&](std::uint32_t index) { return !ended_well(run, index); };
  const std::uint32_t first = run.instances->first(*position);
  const std::uint32_t count = run.instances->count(*position);
  const std::uint32_t begin = from >= first && from < first + count ? from - first : 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t index = first + (begin + i) % count;
    if (is_unwell(index)) return Unwell{index, run.states[index].state};
  }
  const std::uint32_t own = run.instances->own(*position);
  if (is_unwell(own)) return Unwell{own, run.states[own].state};
  return std::nullopt;
}

/// `blocker`: of that run, where it is live.
void EnginePast::wait_on(LiveRun& run, std::uint32_t task, PastWait& wait, std::uint32_t blocker) {
  wait.stand = PastWait::Stand::kWaits;
  const Waiter who{run.row.seq, task};
  if (wait.error.empty()) {
    LiveRun* on = state_.find_run(wait.on);
    Watch& watch = watches_[{wait.on, run.task(task).id}];
    watch.waiters.insert(who);
    watch.blocker = on != nullptr && on->started() ? std::optional(blocker) : std::nullopt;
    if (on != nullptr) give_place(*on);
  } else {
    unread_.insert(who);
    again_at_ = state_.now.mono + kRestUnread;
  }
}

/// They wait, for all to see. One row says so for all of them, and on what: `moved`: on another run than before.
void EnginePast::show(LiveRun& run, const PastWait& wait, ReadyRange which, bool moved) {
  bool told = false;
  for (std::uint32_t i = which.next; i < which.end; ++i) {
    const bool fresh = run.states[i].state == TaskState::kNone;
    const bool says = moved && run.states[i].stored == TaskState::kWaiting && run.waits_for_past(i);
    if (!fresh && !says) continue;
    if (std::exchange(told, true)) {
      run.set_state(i, TaskState::kWaiting);
      continue;
    }
    TaskRow row = state_.row_of(run, i);
    row.state = TaskState::kWaiting;
    row.end.message = wait.error.empty() ? "depends on its past: run " + wait.on_id.text() : wait.error;
    state_.store_row(run, i, std::move(row));
  }
}

/// Those that a person runs again, or whose upstream tasks, are judged when it is their turn.
void EnginePast::let_go(LiveRun& run, std::uint32_t task) {
  const auto found = run.past.find(task);
  leave({run.row.seq, task}, run.task(task).id, found->second);
  by_dag_[run.row.dag].erase({run.row.seq, task});
  const std::vector<ReadyRange> held = std::move(found->second.held);
  run.past.erase(found);
  ReadyRange free{0, 0};
  const auto flush = [&](std::uint32_t next) {
    if (free.next < free.end) state_.make_ready(run, task, free);
    free = {next, next};
  };
  for (const ReadyRange range : held) {
    for (std::uint32_t i = range.next; i < range.end; ++i) {
      const bool is_free =
          run.waits_for_past(i) || (run.states[i].state == TaskState::kNone && state_.is_allowed_still(run, i));
      if (!is_free || free.end != i) flush(i);
      if (!is_free) continue;
      run.tasks[task].past_allows = true;
      free_one(run, i);
      free.end = i + 1;
    }
  }
  flush(0);
}

/// Where it was seen to wait it is ready only now: what counts time from there has not begun before.
void EnginePast::free_one(LiveRun& run, std::uint32_t index) {
  const std::uint32_t task = run.instances->task_of(index);
  if (run.waits_for_past(index))
    (run.is_depth_first(task) ? run.items_ready_at[index] : run.tasks[task].ready_at) = state_.now.wall;
  if (run.states[index].stored != TaskState::kWaiting) return run.set_state(index, TaskState::kNone);
  TaskRow row = state_.row_of(run, index);
  row.state = TaskState::kNone;
  state_.store_row(run, index, std::move(row));
}

/// Its place among those that wait on another run, if it has one.
void EnginePast::leave(Waiter who, const std::string& task, const PastWait& wait) {
  const auto watch = watches_.find({wait.on, task});
  if (watch == watches_.end()) return;
  watch->second.waiters.erase(who);
  if (watch->second.waiters.empty()) watches_.erase(watch);
}

/// It waits for a place, and one that has it waits on this: both would wait for ever.
void EnginePast::give_place(LiveRun& run) {
  if (run.row.state != RunState::kQueued || CHAPPE_MUTANT(kAwaitedRunsGetNoPlace)) return;
  const std::string group = Places::group_of(run.row, *run.dag);
  state_.run_places.leave_line(group, run.row);
  state_.lines_moved.insert(group);
  state_.start(run);
}

// ---- What others come to ----

void EnginePast::note_end(const LiveRun& run, std::uint32_t index) {
  const auto first = watches_.lower_bound({run.row.seq, ""});
  if (first == watches_.end() || first->first.first != run.row.seq || CHAPPE_MUTANT(kPastWakesNobody)) return;
  const auto watch = watches_.find({run.row.seq, run.task(run.instances->task_of(index)).id});
  if (watch == watches_.end()) return;
  if (!watch->second.blocker || *watch->second.blocker == index) ends_.insert(watch->first);
}

void EnginePast::tell_ends() {
  for (const Awaited& awaited : std::exchange(ends_, {})) {
    const auto found = watches_.find(awaited);
    LiveRun* on = state_.find_run(awaited.first);
    if (found == watches_.end()) continue;
    const auto still = on == nullptr ? std::nullopt : unwell(*on, awaited.second, found->second.blocker.value_or(0));
    if (still) found->second.blocker = still->index;
    for (const Waiter& who : std::set<Waiter>(found->second.waiters)) {
      PastWait* wait = find(who);
      if (wait == nullptr) continue;
      LiveRun& run = *state_.find_run(who.first);
      if (still) {
        wait->told = still->state;
      } else if (on == nullptr) {
        line_up(run, who.second, *wait);  // It has ended meanwhile: the store knows.
      } else if (wait->stand == PastWait::Stand::kWaits) {
        let_go(run, who.second);
        state_.judge_due(run);
      }
    }
  }
}

void EnginePast::note_run(const RunRow& row) {
  const auto found = by_dag_.find(row.dag);
  if (found == by_dag_.end() || CHAPPE_MUTANT(kNewerPastIsNoNews)) return;
  for (const Waiter& who : found->second) {
    LiveRun& run = *state_.find_run(who.first);
    if (row.logical_time < run.row.logical_time) line_up(run, who.second, run.past.at(who.second));
  }
}

bool EnginePast::is_awaited(RunSeq run) const {
  if (CHAPPE_MUTANT(kAwaitedRunsGetNoPlace)) return false;
  for (auto watch = watches_.lower_bound({run, ""}); watch != watches_.end() && watch->first.first == run; ++watch) {
    for (const Waiter& who : watch->second.waiters) {
      const LiveRun& waiter = *state_.find_run(who.first);
      for (const ReadyRange range : waiter.past.at(who.second).held) {
        for (std::uint32_t i = range.next; i < range.end; ++i) {
          if (waiter.waits_for_past(i)) return true;
        }
      }
    }
  }
  return false;
}

void EnginePast::forget(const LiveRun& run) {
  for (const auto& [task, wait] : run.past) {
    leave({run.row.seq, task}, run.task(task).id, wait);
    by_dag_[run.row.dag].erase({run.row.seq, task});
    unread_.erase({run.row.seq, task});
  }
  if (const auto dag = by_dag_.find(run.row.dag); dag != by_dag_.end() && dag->second.empty()) by_dag_.erase(dag);
  for (auto watch = watches_.lower_bound({run.row.seq, ""});
       watch != watches_.end() && watch->first.first == run.row.seq; ++watch) {
    const auto last = unwell(run, watch->first.second, watch->second.blocker.value_or(0));
    watch->second.blocker.reset();  // A person who runs it again may give it other instances.
    for (const Waiter& who : watch->second.waiters) {
      if (PastWait* wait = find(who); wait != nullptr && last) wait->told = last->state;
    }
  }
}

std::string EnginePast::explain(const LiveRun& run, std::uint32_t task) const {
  const auto found = run.past.find(task);
  const bool known = found != run.past.end() && found->second.stand == PastWait::Stand::kWaits;
  if (!known) return "its past to be looked up (depends_on_past)";
  const PastWait& wait = found->second;
  if (!wait.error.empty()) return "its past to be looked up (depends_on_past): " + wait.error;
  const LiveRun* on = state_.find_run(wait.on);
  const auto now = on == nullptr ? std::nullopt : unwell(*on, run.task(task).id, 0);
  const TaskState state = now ? now->state : wait.told;
  if (on != nullptr && on->row.state == RunState::kQueued) {
    return fmt::format("its past: run {}, which is queued (depends_on_past)", wait.on_id.text());
  }
  const bool stuck = on == nullptr || is_final(state);
  return fmt::format("its past: run {}, where it is {} (depends_on_past){}", wait.on_id.text(), name_of(state),
                     stuck ? "; retry or mark it there" : "");
}

}  // namespace chappe
