/// \file
/// An agent on a desk, what it is told, and what it wants: for tests of its decisions.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "worker/agent/agent.h"

namespace chappe::agent {

using namespace std::chrono_literals;

inline constexpr Resources kOneCore{1000, 0, 0};

inline WorkerHello two_cores(std::uint32_t prefetch = 0) {
  WorkerHello hello;
  hello.incarnation = "i1";
  hello.name = "w1";
  hello.capacity = {2000, 8 << 20, 0};
  hello.prefetch = prefetch;
  return hello;
}

inline HeldAttempt held(std::uint64_t attempt) { return {{{1}, static_cast<std::uint32_t>(attempt)}, {attempt}}; }

inline Assignment task(std::uint64_t attempt, std::optional<Duration> timeout = {}, Resources need = kOneCore) {
  ResolvedWork work;
  work.kind = TaskKind::kRun;
  work.command = {"true"};
  work.timeout = timeout;
  work.kill_grace = 10s;
  work.resources = need;
  Assignment assignment;
  assignment.attempt = {attempt};
  assignment.key = held(attempt).key;
  assignment.work = std::make_shared<const ResolvedWork>(work);
  return assignment;
}

inline Assignment noop(std::uint64_t attempt) {
  Assignment assignment = task(attempt);
  assignment.work = std::make_shared<const ResolvedWork>();
  return assignment;
}

inline WorkerSend welcome(std::uint32_t epoch = 1) {
  WorkerSend send;
  send.welcome = WorkerSend::Welcome{{1}, epoch, 5s, 60s};
  return send;
}

inline WorkerSend assign(std::vector<Assignment> assignments, std::uint64_t batch = 1) {
  WorkerSend send;
  send.batch = batch;
  send.assign = std::move(assignments);
  return send;
}

inline WorkerSend cancel(std::uint64_t attempt, bool forget = false, Reason reason = Reason::kCancelled) {
  WorkerSend send;
  send.cancel = {{held(attempt), forget, reason}};
  return send;
}

inline WorkerSend acknowledge(std::vector<std::uint64_t> attempts) {
  WorkerSend send;
  for (const std::uint64_t attempt : attempts) send.acknowledged.push_back({attempt});
  return send;
}

/// An agent and a clock that the test moves.
class Desk {
 public:
  explicit Desk(WorkerHello self = two_cores(), bool one_attempt = false) : agent(std::move(self), one_attempt) {}

  Now now() const { return {{1'000'000'000 + time_.us}, time_}; }
  void pass(Duration duration) { time_ = time_ + duration; }
  AgentOrders orders() { return agent.orders(now(), link_ready); }
  AgentOrders hear(const WorkerSend& send) {
    agent.take(send, now());
    return orders();
  }
  /// Connected and welcome; the hello is out.
  void join() {
    agent.connected(now());
    EXPECT_TRUE(orders().hello.has_value());
    (void)hear(welcome());
  }
  AgentOrders end(std::uint64_t attempt, Reason reason = Reason::kNone) {
    AttemptEnd end;
    end.reason = reason;
    outputs_wanted = agent.ended({attempt}, end, std::make_shared<AttemptOutputs>(), now());
    return orders();
  }

  /// A first program (10; others must come after it), which takes that long: the agent expects the same of others.
  void learn(Duration length) {
    (void)hear(assign({task(10)}));
    agent.program_started({10}, now());
    pass(length);
    agent.program_ended({10}, now());
    (void)end(10);
  }

  Agent agent;
  bool link_ready = true;
  bool outputs_wanted = false;

 private:
  MonoTime time_{1'000'000};
};

inline std::vector<std::uint64_t> started(const AgentOrders& orders) {
  std::vector<std::uint64_t> ids;
  for (const auto& assignment : orders.start) ids.push_back(assignment->attempt.value);
  return ids;
}

inline std::vector<std::uint64_t> finished(const AgentOrders& orders) {
  std::vector<std::uint64_t> ids;
  for (const auto& result : orders.finished) ids.push_back(result.what.attempt.value);
  return ids;
}

inline std::vector<std::uint64_t> returned(const AgentOrders& orders) {
  std::vector<std::uint64_t> ids;
  for (const auto& each : orders.returned) ids.push_back(each.what.attempt.value);
  return ids;
}

}  // namespace chappe::agent
