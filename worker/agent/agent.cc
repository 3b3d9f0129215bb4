#include "worker/agent/agent.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "engine/base/assert.h"
#include "engine/base/mutant.h"

namespace chappe::agent {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMessageBytesMax = 1024;  ///< AttemptEnd::message.
constexpr Duration kLeaseDefault = 60s;         ///< For draining, where no scheduler ever said one.

Duration part_of(Duration whole, int percent) { return whole * percent / 100; }

}  // namespace

Agent::Agent(WorkerHello self, bool one_attempt) : self_(std::move(self)), one_attempt_(one_attempt) {}

std::optional<FenceTimes> Agent::fence() const {
  if (!lease_) return std::nullopt;
  return FenceTimes{contact_ + part_of(*lease_, 75), contact_ + part_of(*lease_, 92)};
}

bool Agent::wanted(AttemptId attempt) const {
  const auto held = held_.find(attempt);
  return held != held_.end() && held->second.phase == Phase::kRunning && !held->second.process->doom;
}

// ---- What happened ------------------------------------------------------------------------------------------------

void Agent::connected(Now now) {
  connected_ = true;
  hello_due_ = true;
  stale_scheduler_ = false;
  batch_seen_ = 0;
  draining_told_ = false;
  heartbeat_due_ = now.mono + heartbeat_;
}

bool Agent::take_welcome(const WorkerSend& message) {
  if (!message.welcome) return !stale_scheduler_;
  stale_scheduler_ = message.welcome->epoch < epoch_ && !CHAPPE_MUTANT(kAgentObeysOldSchedulers);
  if (stale_scheduler_) return false;
  epoch_ = message.welcome->epoch;
  heartbeat_ = std::max<Duration>(message.welcome->heartbeat, 1ms);
  lease_ = std::max<Duration>(message.welcome->lease, heartbeat_);
  return true;
}

void Agent::take(const WorkerSend& message, Now now) {
  if (left_ || !take_welcome(message)) return;
  contact_ = std::max(contact_, now.mono);
  fenced_ = false;
  // A scheduler that was started anew, or had forgotten us, counts from 1: from the hello on, not only from its answer.
  batch_seen_ = message.welcome || message.hello_please ? message.batch : std::max(batch_seen_, message.batch);
  if (message.hello_please) hello_due_ = true;
  for (const AttemptId attempt : message.acknowledged) {
    const auto held = held_.find(attempt);
    if (CHAPPE_MUTANT(kAgentKeepsAcknowledged)) continue;
    if (held != held_.end() && held->second.phase == Phase::kEnded) held_.erase(held);
  }
  for (const CancelAttempt& cancel : message.cancel) take_cancel(cancel, now);
  for (const Assignment& assignment : message.assign) take_assignment(assignment, now);
}

void Agent::take_assignment(const Assignment& assignment, Now now) {
  CHAPPE_ASSERT(assignment.work != nullptr);
  if (held_.contains(assignment.attempt)) return;  // Said twice.
  // Said again when it is over already, or overtaken by a later one: it must not start, whoever has it by now.
  const bool second = one_attempt_ && newest_assigned_;
  const bool old = second || (assignment.attempt <= newest_assigned_ && !CHAPPE_MUTANT(kAgentStartsTwice));
  newest_assigned_ = std::max(newest_assigned_, assignment.attempt);
  if (old || (draining_ && !CHAPPE_MUTANT(kAgentStartsWhileDraining)) || held_.size() >= kHeldMax) {
    returned_.push_back({{}, {assignment.key, assignment.attempt}});
    return;
  }
  Held& held = held_[assignment.attempt];
  held.key = assignment.key;
  if (assignment.work->kind == TaskKind::kNoop) {
    held.phase = Phase::kEnded;
    held.at = now.wall;
    if (results_.empty()) results_since_ = now.mono;
    results_.push_back(assignment.attempt);
    results_urgent_ = true;
    return;
  }
  held.process = std::make_unique<Process>();
  held.process->assignment = std::make_shared<const Assignment>(assignment);
  held.process->since = now.mono;
  waiting_.push_back(assignment.attempt);
  may_fit_ = true;
}

void Agent::take_cancel(const CancelAttempt& cancel, Now now) {
  const auto held = held_.find(cancel.what.attempt);
  if (CHAPPE_MUTANT(kAgentIgnoresCancels) && !cancel.forget) return;
  if (CHAPPE_MUTANT(kAgentForgetsNothing) && cancel.forget) return;
  if (held == held_.end()) return;  // Returned or acknowledged meanwhile; a heartbeat tells.
  if (held->second.phase == Phase::kRunning) return cancel_running(held->second, cancel);
  if (held->second.phase == Phase::kWaiting && held->second.process->front)
    return cancel_lined_up(held->second, cancel);
  if (held->second.phase == Phase::kWaiting) std::erase(waiting_, cancel.what.attempt);
  if (cancel.forget) {
    held_.erase(held);
  } else if (held->second.phase == Phase::kWaiting) {
    AttemptFinished result{{}, {held->second.key, held->first}, {}, nullptr};
    result.end.reason = cancel.reason;
    result.end.ended_at = now.wall;
    finish(held, std::move(result), now);
  }
}

void Agent::cancel_running(Held& held, const CancelAttempt& cancel) {
  const std::optional<Doom>& doom = held.process->doom;
  if (doom && (doom->forget || !cancel.forget)) return;  // Said again: it has its grace already.
  // Forgotten: somebody else may have it by now, so no time for a farewell.
  const Duration grace = cancel.forget ? 0s : held.process->assignment->work->kill_grace;
  stop(cancel.what.attempt, held, {cancel.reason, "", cancel.forget}, grace);
}

void Agent::cancel_lined_up(Held& held, const CancelAttempt& cancel) {
  held.process->condemn({cancel.reason, "", cancel.forget});
  withdraw(cancel.what.attempt, *held.process);
}

void Agent::Process::condemn(Doom reason) {
  if (doom) {
    doom->forget = doom->forget || reason.forget;
  } else {
    doom = std::move(reason);
  }
}

void Agent::stop(AttemptId attempt, Held& held, Doom doom, Duration grace) {
  held.process->condemn(std::move(doom));
  stops_.push_back({attempt, grace});
}

void Agent::program_started(AttemptId attempt, Now now) {
  Process& process = *held_.at(attempt).process;
  process.program_since = now.mono;
  plan_deadline(process);
}

/// Requires: its program runs.
void Agent::plan_deadline(Process& process) {
  const ResolvedWork& work = *process.assignment->work;
  std::optional<Duration> length = work.timeout;
  const bool starts = work.service && process.port == 0;
  if (starts) length = std::min(length.value_or(work.service->ready_timeout), work.service->ready_timeout);
  process.deadline.reset();
  if (!length) return;
  process.deadline = *process.program_since + *length;
  next_deadline_ = std::min(next_deadline_.value_or(*process.deadline), *process.deadline);
}

void Agent::service_ready(AttemptId attempt, std::string host, std::uint16_t port) {
  const auto held = held_.find(attempt);
  if (held == held_.end() || held->second.phase != Phase::kRunning || held->second.process->doom) return;
  Process& process = *held->second.process;
  process.host = std::move(host);
  process.port = port;
  plan_deadline(process);
  process.started_told = false;
  to_tell_started_.push_back(attempt);
}

void Agent::program_ended(AttemptId attempt, Now now) {
  Process& process = *held_.at(attempt).process;
  process.deadline.reset();
  if (process.program_since) {
    const Duration length = now.mono - *process.program_since;
    program_length_ = program_length_ ? (*program_length_ * 7 + length) / 8 : length;
  }
  if (process.next) take_over(process, now);
  free_room(process, now.mono);
}

/// What is lined up behind `front` has started in the moment when that ended, in the same room.
void Agent::take_over(Process& front, Now now) {
  const AttemptId attempt = std::exchange(front.next, {});
  Held& held = held_.at(attempt);
  Process& process = *held.process;
  process.front = {};  // What is behind it stays there.
  process.withdrawing = false;
  --lined_up_;
  process.has_room = std::exchange(front.has_room, false);
  room_came_free_ = std::max(room_came_free_, now.mono);
  begin(attempt, held, now);
  program_started(attempt, now);
  if (fenced_) process.condemn({Reason::kLostWorker, "no word from the scheduler", false});
  if (stopping_) process.condemn({Reason::kLostWorker, "the worker was stopped", false});
  if (process.doom) stops_.push_back({attempt, process.doom->forget ? 0s : process.assignment->work->kill_grace});
}

void Agent::leave_line(Process& process) {
  held_.at(process.front).process->next = process.next;
  if (process.next) held_.at(process.next).process->front = process.front;
  process.front = process.next = {};
  process.withdrawing = false;
  --lined_up_;
}

void Agent::withdraw(AttemptId attempt, Process& process) {
  if (!std::exchange(process.withdrawing, true)) withdrawals_.push_back(attempt);
}

void Agent::withdraw_line(const Process& front) {
  for (AttemptId attempt = front.next; attempt;) {
    Process& process = *held_.at(attempt).process;
    withdraw(attempt, process);
    attempt = process.next;
  }
}

void Agent::withdrawn(AttemptId attempt, Now now) {
  const auto held = held_.find(attempt);
  CHAPPE_ASSERT(held != held_.end() && held->second.phase == Phase::kWaiting && held->second.process->front);
  Process& process = *held->second.process;
  leave_line(process);
  if (!process.doom && !draining_) {
    waiting_.insert(std::lower_bound(waiting_.begin(), waiting_.end(), attempt), attempt);  // To its old place.
    may_fit_ = true;
    return;
  }
  if (!process.doom) return give_back(attempt);
  if (process.doom->forget) {
    held_.erase(held);
    return;
  }
  AttemptFinished result{{}, {held->second.key, attempt}, {}, nullptr};
  result.end.reason = process.doom->reason;
  result.end.ended_at = now.wall;
  finish(held, std::move(result), now);
}

void Agent::free_room(Process& process, MonoTime now) {
  if (!std::exchange(process.has_room, false) || CHAPPE_MUTANT(kAgentLeaksRoom)) return;
  const Resources& need = process.assignment->work->resources;
  used_.cpu_milli -= need.cpu_milli;
  used_.memory_bytes -= need.memory_bytes;
  used_.gpus -= need.gpus;
  room_came_free_ = std::max(room_came_free_, now);
  may_fit_ = true;
}

bool Agent::ended(AttemptId attempt, AttemptEnd end, std::shared_ptr<const AttemptOutputs> outputs, Now now) {
  const auto held = held_.find(attempt);
  CHAPPE_ASSERT(held != held_.end() && held->second.phase != Phase::kEnded);
  Process& process = *held->second.process;
  if (held->second.phase == Phase::kWaiting) leave_line(process);
  free_room(process, now.mono);
  std::erase(running_, attempt);
  const bool wanted = !process.doom;
  if (process.doom && process.doom->forget) {
    held_.erase(held);
    return false;
  }
  AttemptFinished result{{}, {held->second.key, attempt}, std::move(end), wanted ? std::move(outputs) : nullptr};
  result.end.started_at = held->second.at;
  result.end.ended_at = now.wall;
  if (process.doom) {
    result.end.reason = process.doom->reason;
    result.end.exit_code = 0;
    result.end.message = process.doom->message;
  }
  if (result.end.message.size() > kMessageBytesMax) result.end.message.resize(kMessageBytesMax);
  finish(held, std::move(result), now);
  return wanted;
}

void Agent::finish(HeldMap::iterator held, AttemptFinished result, Now now) {
  if (results_.empty()) results_since_ = now.mono;
  results_.push_back(held->first);
  held->second.phase = Phase::kEnded;
  held->second.process.reset();
  held->second.result = std::make_unique<const AttemptFinished>(std::move(result));
}

void Agent::give_back(AttemptId attempt) {
  const auto held = held_.find(attempt);
  returned_.push_back({{}, {held->second.key, attempt}});
  held_.erase(held);
}

void Agent::drain(Now now) {
  if (draining_) {
    drain_until_ = std::min(drain_until_, now.mono);
    return stop_all("the worker was stopped", 0s);
  }
  draining_ = true;
  drain_began_ = now.mono;
  drain_until_ = now.mono + lease_.value_or(kLeaseDefault);
  for (const AttemptId attempt : std::exchange(waiting_, {})) give_back(attempt);
  for (const AttemptId attempt : running_) withdraw_line(*held_.at(attempt).process);
}

void Agent::evict(Now now) {
  if (draining_) return drain(now);
  drain(now);
  Duration longest{};
  for (const AttemptId attempt : running_) {
    longest = std::max(longest, held_.at(attempt).process->assignment->work->kill_grace);
  }
  drain_until_ = now.mono + longest;
  stop_all("the worker was told to leave", Duration::max());
}

void Agent::stop_all(const std::string& message, Duration grace_max) {
  stopping_ = true;
  for (const AttemptId attempt : running_) {
    Held& held = held_.at(attempt);
    stop(attempt, held, {Reason::kLostWorker, message, false},
         std::min(grace_max, held.process->assignment->work->kill_grace));
  }
}

// ---- What to do ---------------------------------------------------------------------------------------------------

AgentOrders Agent::orders(Now now, bool link_ready) {
  AgentOrders orders;
  enforce_fence(now.mono);
  enforce_timeouts(now.mono);
  if (one_attempt_) leave_after_one(now);
  enforce_drain(now);
  return_waiting(now.mono);
  start_waiting(now, orders);
  withdraw_late(now.mono);
  line_up(now.mono, orders);
  orders.withdraw = std::exchange(withdrawals_, {});
  orders.stop = std::exchange(stops_, {});
  if (link_ready && connected_ && !left_) tell(now, orders);
  if (may_leave(now.mono, link_ready)) orders.goodbye = left_ = true;
  plan_wake(now.mono, link_ready, orders);
  return orders;
}

void Agent::enforce_fence(MonoTime now) {
  const std::optional<FenceTimes> times = fence();
  if (!times || fenced_ || now < times->terminate_at || CHAPPE_MUTANT(kAgentHasNoFence)) return;
  fenced_ = true;
  const Duration grace = std::max<Duration>(times->kill_at - now, 0s);
  const std::string message = fmt::format("no word from the scheduler for {}", to_text(now - contact_));
  for (const AttemptId attempt : running_)
    stop(attempt, held_.at(attempt), {Reason::kLostWorker, message, false}, grace);
}

void Agent::enforce_timeouts(MonoTime now) {
  if (!next_deadline_ || now < *next_deadline_ || CHAPPE_MUTANT(kAgentForgetsTimeouts)) return;
  next_deadline_.reset();
  for (const AttemptId attempt : running_) {
    Held& held = held_.at(attempt);
    std::optional<MonoTime>& deadline = held.process->deadline;
    if (!deadline) continue;
    if (now < *deadline) {
      next_deadline_ = std::min(next_deadline_.value_or(*deadline), *deadline);
      continue;
    }
    const ResolvedWork& work = *held.process->assignment->work;
    const bool starts = work.service && held.process->port == 0;
    deadline.reset();
    const std::string message = starts ? "was not ready within " + to_text(work.service->ready_timeout)
                                       : "still ran after its timeout of " + to_text(*work.timeout);
    stop(attempt, held, {Reason::kTimeout, message, false}, work.kill_grace);
  }
}

void Agent::enforce_drain(Now now) {
  if (!draining_ || now.mono < drain_until_) return;
  if (!stopping_) stop_all("the worker was stopped, and this did not end in time", Duration::max());
}

void Agent::leave_after_one(Now now) {
  if (!began_) began_ = now.mono;
  const bool too_late = !newest_assigned_ && now.mono >= *began_ + kFirstAttemptMax;
  if (!draining_ && held_.empty() && (newest_assigned_ || too_late)) drain(now);
}

void Agent::return_waiting(MonoTime now) {
  if (waiting_.empty() || now < held_.at(waiting_.front()).process->since + kReturnAfter) return;
  const bool crowded = now >= room_came_free_ + kReturnAfter;
  std::erase_if(waiting_, [&](AttemptId attempt) {
    const MonoTime since = held_.at(attempt).process->since;
    const bool returned = (crowded && now >= since + kReturnAfter) || now >= since + kWaitingMax;
    if (returned) give_back(attempt);
    return returned;
  });
}

bool Agent::fits(const Resources& need) const {
  const Resources& all = self_.capacity;
  if (one_attempt_ || CHAPPE_MUTANT(kAgentOverbooks)) return true;
  return need.cpu_milli <= all.cpu_milli - used_.cpu_milli &&
         need.memory_bytes <= all.memory_bytes - used_.memory_bytes && need.gpus <= all.gpus - used_.gpus;
}

void Agent::start_waiting(Now now, AgentOrders& orders) {
  if (fenced_ || waiting_.empty() || !std::exchange(may_fit_, false)) return;
  std::erase_if(waiting_, [&](AttemptId attempt) {
    Held& held = held_.at(attempt);
    const Resources& need = held.process->assignment->work->resources;
    if (!fits(need)) return false;
    used_.cpu_milli += need.cpu_milli;
    used_.memory_bytes += need.memory_bytes;
    used_.gpus += need.gpus;
    held.process->has_room = true;
    begin(attempt, held, now);
    orders.start.push_back(held.process->assignment);
    return true;
  });
}

void Agent::begin(AttemptId attempt, Held& held, Now now) {
  held.phase = Phase::kRunning;
  held.at = now.wall;
  held.process->since = now.mono;
  running_.push_back(attempt);
  to_tell_started_.push_back(attempt);
}

/// Between two short programs a worker would mostly wait to be woken. So the next ones are made ready before. Lines
/// grow by turns, so that none is long while another is short.
void Agent::line_up(MonoTime now, AgentOrders& orders) {
  if (fenced_ || waiting_.empty() || program_length_.value_or(kShortProgram) >= kShortProgram) return;
  const std::size_t length_max = line_length();
  for (std::size_t length = 1; length <= length_max && !waiting_.empty(); ++length) {
    for (const AttemptId attempt : running_) {
      const Process& front = *held_.at(attempt).process;
      const bool short_yet = front.program_since && front.has_room && now < *front.program_since + kShortProgram;
      if (!short_yet || front.doom || !front.is_program()) continue;
      const AttemptId last = last_in_line(attempt, length);
      const AttemptId next = last ? take_next_for(front) : AttemptId{};
      if (!next) continue;
      Process& process = *held_.at(next).process;
      held_.at(last).process->next = next;
      process.front = last;
      ++lined_up_;
      orders.line_up.push_back({process.assignment, last});
    }
  }
}

/// How many attempts of the length that they have here end within kLineWork; at least one.
std::size_t Agent::line_length() const {
  const std::int64_t length = std::max<std::int64_t>(program_length_->count(), 1);
  return static_cast<std::size_t>(std::clamp<std::int64_t>(Duration(kLineWork).count() / length, 1, kLineMax));
}

/// `front` itself where nothing is behind it; 0: `length_max` attempts are, or one is on its way out.
AttemptId Agent::last_in_line(AttemptId front, std::size_t length_max) const {
  AttemptId last = front;
  std::size_t length = 0;
  while (const AttemptId next = held_.at(last).process->next) {
    if (++length == length_max || held_.at(next).process->withdrawing) return {};
    last = next;
  }
  return last;
}

/// The first that waits, needs the same room, and has nothing to fetch or to box; it waits no more. 0: there is none.
AttemptId Agent::take_next_for(const Process& front) {
  const Resources& room = front.assignment->work->resources;
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](AttemptId attempt) {
    const ResolvedWork& work = *held_.at(attempt).process->assignment->work;
    return work.resources == room && work.inputs.empty() && work.secrets.empty() && work.image.empty() &&
           !work.service && (work.http == nullptr || CHAPPE_MUTANT(kAgentLinesUpRequests));
  });
  if (found == waiting_.end()) return {};
  const AttemptId next = *found;
  waiting_.erase(found);
  return next;
}

/// The front turned out long, or will be long in dying: the others may find room elsewhere.
void Agent::withdraw_late(MonoTime now) {
  if (lined_up_ == 0) return;
  for (const AttemptId attempt : running_) {
    const Process& front = *held_.at(attempt).process;
    if (front.next && (front.doom || now >= *front.program_since + kShortProgram)) withdraw_line(front);
  }
}

}  // namespace chappe::agent
