/// \file
/// What an agent tells its scheduler, and when it next wants to be asked. The rest is in agent.cc.
#include <algorithm>
#include <limits>
#include <utility>

#include "engine/base/mutant.h"
#include "worker/agent/agent.h"

namespace chappe::agent {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLeaseUnsaid = 60s;  ///< For repeating results, where no scheduler ever said a lease.

void wake_by(AgentOrders& orders, MonoTime time) { orders.wake_at = std::min(orders.wake_at.value_or(time), time); }

}  // namespace

void Agent::tell(Now now, AgentOrders& orders) {
  if (std::exchange(hello_due_, false)) {
    orders.hello = self_;
    orders.hello->number = ++hellos_;
    orders.hello->held = held_list();
    // Everything below follows the hello on the same connection, in order.
    if (!CHAPPE_MUTANT(kAgentTellsResultsOnce)) tell_all_results_again();
    to_tell_started_.clear();
    for (const AttemptId attempt : running_) {
      held_.at(attempt).process->started_told = false;
      to_tell_started_.push_back(attempt);
    }
  }
  if (draining_ && !std::exchange(draining_told_, true)) orders.goodbye_draining = true;
  if (now.mono >= heartbeat_due_) tell_services_again();
  if (now.mono >= results_again_at_ && !CHAPPE_MUTANT(kAgentTellsResultsOnce)) tell_all_results_again();
  tell_started(now.mono, orders);
  tell_finished(now.mono, orders);
  orders.returned = std::exchange(returned_, {});
  if (now.mono >= heartbeat_due_) {
    heartbeat_due_ = now.mono + heartbeat_;
    orders.heartbeat = HeartbeatOrder{batch_seen_, held_list()};
  }
}

/// With nothing left that runs or is not acknowledged, or where nobody takes our farewell.
bool Agent::may_leave(MonoTime now, bool link_ready) const {
  if (!draining_ || left_ || !running_.empty()) return false;
  const bool told_all = held_.empty() && (link_ready || !connected_);
  return told_all || now >= farewell_over();
}

MonoTime Agent::farewell_over() const { return (held_.empty() ? drain_began_ : drain_until_) + kFarewellMax; }

void Agent::tell_started(MonoTime now, AgentOrders& orders) {
  while (!to_tell_started_.empty()) {
    const AttemptId attempt = to_tell_started_.front();
    const auto held = held_.find(attempt);
    const bool runs = held != held_.end() && held->second.phase == Phase::kRunning;
    if (runs && now < held->second.process->since + kStartedAfter) return;
    if (runs && !std::exchange(held->second.process->started_told, true)) {
      Process& process = *held->second.process;
      orders.started.push_back({{}, {held->second.key, attempt}, held->second.at, process.host, process.port});
      if (CHAPPE_MUTANT(kAgentTellsReadyOnce)) process.port = 0, process.host.clear();
    }
    to_tell_started_.pop_front();
  }
}

/// Nobody acknowledges that a service is ready, and somebody waits for it: what was lost on a connection that held is
/// said anew.
void Agent::tell_services_again() {
  for (const AttemptId attempt : running_) {
    Process& process = *held_.at(attempt).process;
    if (process.port == 0 || process.doom) continue;
    process.started_told = false;
    to_tell_started_.push_back(attempt);
  }
}

bool Agent::results_due(MonoTime now) const {
  // With enough to do, results can wait for each other. Without, they are what brings more.
  const bool are_many = program_length_ && *program_length_ < kResultDelayMax;
  return results_urgent_ || waiting_.empty() || !are_many || now >= results_since_ + kResultDelayMax;
}

void Agent::tell_finished(MonoTime now, AgentOrders& orders) {
  if (results_.empty() || !results_due(now)) return;
  orders.finished.reserve(results_.size());
  for (const AttemptId attempt : results_) {
    const auto held = held_.find(attempt);
    if (held == held_.end()) continue;
    orders.finished.push_back(result_of(attempt, held->second));
    if (CHAPPE_MUTANT(kAgentForgetsUnacknowledged)) held_.erase(held);
  }
  results_.clear();
  results_urgent_ = false;
  results_again_at_ = now + lease_.value_or(kLeaseUnsaid) / 2;
}

AttemptFinished Agent::result_of(AttemptId attempt, const Held& held) const {
  if (held.result != nullptr) return *held.result;
  AttemptFinished result;
  result.what = {held.key, attempt};
  result.end.started_at = result.end.ended_at = held.at;
  return result;
}

void Agent::tell_all_results_again() {
  results_.clear();
  for (const auto& [attempt, held] : held_) {
    if (held.phase == Phase::kEnded) results_.push_back(attempt);
  }
  std::sort(results_.begin(), results_.end());
  results_urgent_ = !results_.empty();
  results_again_at_ = {std::numeric_limits<std::int64_t>::max()};
}

std::vector<HeldAttempt> Agent::held_list() const {
  std::vector<HeldAttempt> list;
  list.reserve(held_.size());
  for (const auto& [attempt, held] : held_) {
    const bool left_out = CHAPPE_MUTANT(kAgentHidesResults) && held.phase == Phase::kEnded;
    if (!left_out) list.push_back({held.key, attempt});
  }
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.attempt < b.attempt; });
  return list;
}

void Agent::plan_wake(MonoTime now, bool link_ready, AgentOrders& orders) const {
  if (left_) return;
  if (const auto times = fence(); times && !fenced_ && !running_.empty()) wake_by(orders, times->terminate_at);
  if (next_deadline_) wake_by(orders, *next_deadline_);
  plan_waiting(orders);
  if (began_ && !newest_assigned_ && !draining_) wake_by(orders, *began_ + kFirstAttemptMax);
  if (draining_ && now < drain_until_) wake_by(orders, drain_until_);
  if (draining_ && running_.empty()) wake_by(orders, farewell_over());
  if (link_ready && connected_) plan_messages(now, orders);
}

void Agent::plan_waiting(AgentOrders& orders) const {
  if (!waiting_.empty()) {
    const MonoTime since = held_.at(waiting_.front()).process->since;
    wake_by(orders, std::min(std::max(since, room_came_free_) + kReturnAfter, since + kWaitingMax));
  }
  if (lined_up_ == 0) return;
  for (const AttemptId attempt : running_) {
    const Process& front = *held_.at(attempt).process;
    const bool watched = front.next && !held_.at(front.next).process->withdrawing;
    if (watched) wake_by(orders, *front.program_since + kShortProgram);
  }
}

void Agent::plan_messages(MonoTime now, AgentOrders& orders) const {
  wake_by(orders, heartbeat_due_);
  if (!to_tell_started_.empty()) {
    const auto held = held_.find(to_tell_started_.front());
    const bool runs = held != held_.end() && held->second.phase == Phase::kRunning;
    wake_by(orders, runs ? held->second.process->since + kStartedAfter : now);
  }
  if (!results_.empty()) wake_by(orders, results_since_ + kResultDelayMax);
}

}  // namespace chappe::agent
