#include "engine/run/engine.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

constexpr int kConfirmsPerLease = 8;

}  // namespace

Engine::Engine(std::unique_ptr<EngineState> state) : state_(std::move(state)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Effects Engine::step(std::span<const Event> events, Now now) {
  EngineState& state = *state_;
  state.now = now;
  for (const Event& event : events) state.apply(event);
  state.run_timers();
  InHand::put_down(state.config.in_hand);
  state.run_schedules();
  // Only now: a run whose last task has just ended may have got new work by a retry in the same batch.
  state.finish_touched();
  state.run_triggers();
  state.answer_webhooks();
  state.finish_touched();
  state.run_backfills();
  InHand::put_down(state.config.in_hand);
  state.begin_lookups();
  state.dispatch();
  state.past.ask();
  if (!state.touched.empty() || !state.hooks_due.empty() ||
      state.past.has_ends()) {  // Placing found tasks that cannot start.
    state.finish_touched();
    state.out.wake_at = now.mono;
  }
  state.seal_effects();
  InHand::put_down(state.config.in_hand);
  return std::exchange(state.out, {});
}

std::vector<CacheLookup> Engine::follow_results(std::span<const Event> events, Now now) {
  EngineState& state = *state_;
  state.now = now;
  for (const Event& event : events) state.apply(event);
  state.begin_lookups();
  return std::exchange(state.out.lookups, {});
}

bool Engine::knows(const RunId& run) const { return state_->run_ids.contains(run); }
std::size_t Engine::live_runs() const { return state_->runs.size(); }

std::vector<TokenRow> Engine::tokens() const {
  std::vector<TokenRow> rows;
  for (const auto& [name, row] : state_->tokens) rows.push_back(row);
  return rows;
}

bool Engine::leased(ConnectionId connection, AttemptId attempt) const {
  const WorkerState* worker = state_->worker_on(connection);
  return worker != nullptr && worker->leased.contains(attempt);
}

void EngineState::apply(const Event& event) {
  std::visit([this](const auto& each) { on(each); }, event);
  InHand::put_down(config.in_hand);
}

void EngineState::run_timers() {
  while (!timers.empty() && timers.top().at <= now.mono) {
    const Timer timer = timers.top();
    timers.pop();
    if (timer.kind == Timer::Kind::kLease) {
      on_lease_timer({static_cast<std::uint32_t>(timer.what)});
      continue;
    }
    if (timer.kind == Timer::Kind::kPod) {
      on_pod_timer({static_cast<std::uint32_t>(timer.what)});
      continue;
    }
    const InstanceKey key = InstanceKey::from_row(static_cast<std::int64_t>(timer.what));
    LiveRun* run = find_run(key.run);
    if (run == nullptr) continue;
    if (timer.kind == Timer::Kind::kRunTimeout) {
      // With fail_fast, what runs may finish: but not later than this.
      const bool may_stop = run->row.stop == Stop::kNone || run->row.stop == Stop::kFailFast;
      const bool goes_on = may_stop && !run->handling;
      if (run->row.generation == timer.token && goes_on) {
        stop(*run, Stop::kTimeout, fmt::format("the run's timeout of {} passed", to_text(*run->dag->timeout)));
        judge_due(*run);
      }
      continue;
    }
    if (timer.kind == Timer::Kind::kRunDeadline) {
      deadlines.on_timer(*run);
      continue;
    }
    if (!run->started()) continue;
    const InstanceState& instance = run->states[key.index];
    if (timer.kind == Timer::Kind::kWait) {
      on_wait_timer(*run, key.index, timer.token);
    } else if (timer.kind == Timer::Kind::kQueueTimeout) {
      on_queue_timeout(*run, key.index, timer.token);
    } else if (timer.kind == Timer::Kind::kDeadline) {
      deadlines.on_timer(*run, key.index, timer.token);
    } else if (instance.attempt_no == timer.token && run->rests(key.index)) {
      if (!is_allowed_still(*run, key.index)) {
        wait_again(*run, key.index, row_of(*run, key.index));
        continue;
      }
      if (run->task(run->instances->task_of(key.index)).kind == TaskKind::kDag) {
        begin_dag(*run, key.index);
        continue;
      }
      run->set_state(key.index, TaskState::kScheduled);
      add_queue_timer(*run, key.index, Duration(0));
      deadlines.watch(*run, key.index);
      enqueue(*run, run->instances->task_of(key.index), {key.index, key.index + 1});
    }
  }
}

void EngineState::finish_touched() {
  tell_hooks();
  past.tell_ends();
  while (!touched.empty() || !lines_moved.empty() || past.has_ends()) {
    // The end of one is the beginning of another, which may be over at once.
    for (const RunSeq seq : std::exchange(touched, {})) {
      if (LiveRun* run = find_run(seq)) finish_if_over(*run);
    }
    for (const std::string& group : std::exchange(lines_moved, {})) start_next(group);
    tell_hooks();
    past.tell_ends();
  }
}

void EngineState::seal_effects() {
  // Everything assigned in this step goes out under its number.
  for (WorkerSend& send : out.send) {
    if (worker_on(send.to) != nullptr) send.batch = batch;
  }
  ++batch;
  send_of.clear();
  order_looks();
  if (const auto back = gates.next_return()) out.wake_at = out.wake_at ? std::min(*out.wake_at, *back) : *back;
  if (!timers.empty()) out.wake_at = out.wake_at ? std::min(*out.wake_at, timers.top().at) : timers.top().at;
  wake_for_schedules();
  wake_for_backfills();
  if (const auto again = past.wake_at()) out.wake_at = out.wake_at ? std::min(*out.wake_at, *again) : *again;
  collector.ask(now, out);
  pruner.ask();
  confirm_ownership();
}

/// A word to a worker makes its lease longer. A scheduler that was replaced and has nothing to write would do so for
/// ever, while the newer one hears nothing of that worker and gives its attempts to others.
void EngineState::confirm_ownership() {
  const bool writes = !out.persist.empty();
  const bool due = !confirmed_at || now.mono >= *confirmed_at + config.lease / kConfirmsPerLease;
  if (!writes && !(due && !out.send.empty() && !CHAPPE_MUTANT(kNeverConfirms))) return;
  out.confirm = !writes;
  confirmed_at = now.mono;
}

LiveRun* EngineState::find_run(RunSeq seq) {
  const auto found = runs.find(seq);
  if (found == runs.end()) return nullptr;
  InHand::take(config.in_hand, seq);
  return found->second.get();
}

LiveRun* EngineState::find_run(const RunId& id) {
  const auto found = run_ids.find(id);
  return found == run_ids.end() ? nullptr : find_run(found->second);
}

WorkerSend& EngineState::send_to(ConnectionId connection) {
  const auto [place, fresh] = send_of.try_emplace(connection, out.send.size());
  if (fresh) out.send.push_back(WorkerSend{.to = connection});
  return out.send[place->second];
}

void EngineState::reply(Ticket ticket, Result<Value> answer) {
  if (ticket) out.replies.push_back({ticket, std::move(answer)});
}

void EngineState::audit(const Asked& asked, const std::string& verb, const std::string& object, std::string detail) {
  out.persist.audit.push_back({now.wall, asked.by, verb, object, std::move(detail), asked.source});
}

double EngineState::chance(std::uint64_t salt) const {
  // splitmix64: one well-mixed number for each attempt, the same in every replay.
  std::uint64_t mixed = config.seed + salt * 0x9E3779B97F4A7C15U;
  mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9U;
  mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBU;
  mixed ^= mixed >> 31;
  return static_cast<double>(mixed >> 11) * 0x1.0p-53;
}

/// Of the wall clock, which may have been set back: nothing is in the future then.
Duration EngineState::since(WallTime time) const { return std::max(now.wall - time, Duration(0)); }

void EngineState::add_timer(Duration after, Timer::Kind kind, std::uint64_t what, std::uint64_t token) {
  timers.push({now.mono + after, kind, what, token});
}

}  // namespace chappe
