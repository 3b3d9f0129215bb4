// What an agent makes of services: when they must be ready, and how it tells that they are.
#include <gmock/gmock.h>

#include "tests/unit/worker/agent_desk.h"

namespace chappe::agent {
namespace {

Assignment service(std::uint64_t attempt, std::optional<Duration> timeout = {}) {
  Assignment assignment = task(attempt, timeout);
  ResolvedWork work = *assignment.work;
  work.service = ServiceSpec{.ready_timeout = 30s};
  assignment.work = std::make_shared<const ResolvedWork>(work);
  return assignment;
}

/// A desk where attempt 1, a service, has begun and its start was told.
Desk desk_with_service(std::optional<Duration> timeout = {}) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({service(1, timeout)}));
  desk.agent.program_started({1}, desk.now());
  desk.pass(kStartedAfter);
  const AgentOrders orders = desk.orders();
  EXPECT_EQ(orders.started.size(), 1U);
  EXPECT_EQ(orders.started.at(0).port, 0);
  return desk;
}

TEST(AgentOfServices, TellsTheAddressOfAServiceThatIsReady) {
  Desk desk = desk_with_service();
  EXPECT_TRUE(desk.orders().started.empty());
  desk.agent.service_ready({1}, "h", 7);
  const AgentOrders orders = desk.orders();
  ASSERT_EQ(orders.started.size(), 1U);
  EXPECT_EQ(orders.started[0].what, held(1));
  EXPECT_EQ(orders.started[0].host, "h");
  EXPECT_EQ(orders.started[0].port, 7);
  EXPECT_TRUE(desk.orders().started.empty());
}

TEST(AgentOfServices, TellsItAgainOnEveryConnection) {
  Desk desk = desk_with_service();
  desk.agent.service_ready({1}, "h", 7);
  (void)desk.orders();
  desk.agent.connected(desk.now());
  const AgentOrders orders = desk.orders();
  ASSERT_EQ(orders.started.size(), 1U);
  EXPECT_EQ(orders.started[0].port, 7);
}

TEST(AgentOfServices, TellsItAgainWithEachHeartbeatAsItMayHaveBeenLost) {
  Desk desk = desk_with_service();
  desk.agent.service_ready({1}, "h", 7);
  (void)desk.orders();
  desk.pass(5s);
  const AgentOrders orders = desk.orders();
  EXPECT_TRUE(orders.heartbeat.has_value());
  ASSERT_EQ(orders.started.size(), 1U);
  EXPECT_EQ(orders.started[0].port, 7);
}

TEST(AgentOfServices, StopsAServiceThatIsNotReadyInTime) {
  Desk desk = desk_with_service(60s);
  desk.pass(30s);
  const AgentOrders orders = desk.orders();
  ASSERT_EQ(orders.stop.size(), 1U);
  EXPECT_EQ(orders.stop[0].grace, 10s);
  const AgentOrders ended = desk.end(1);
  ASSERT_EQ(ended.finished.size(), 1U);
  EXPECT_EQ(ended.finished[0].end.reason, Reason::kTimeout);
  EXPECT_EQ(ended.finished[0].end.message, "was not ready within 30s");
}

TEST(AgentOfServices, LeavesAServiceThatIsReadyToItsTimeout) {
  Desk desk = desk_with_service(60s);
  desk.agent.service_ready({1}, "h", 7);
  desk.pass(40s);
  EXPECT_TRUE(desk.hear(welcome()).stop.empty());  // A word of the scheduler: the fence is no matter here.
  desk.pass(20s);
  EXPECT_EQ(desk.orders().stop.size(), 1U);
  EXPECT_EQ(desk.end(1).finished.at(0).end.message, "still ran after its timeout of 1m");
}

TEST(AgentOfServices, SaysNothingOfAServiceThatIsBeingStopped) {
  Desk desk = desk_with_service();
  EXPECT_EQ(desk.hear(cancel(1)).stop.size(), 1U);
  desk.agent.service_ready({1}, "h", 7);
  EXPECT_TRUE(desk.orders().started.empty());
}

TEST(AgentOfServices, LinesNoServiceUpAndNothingBehindOne) {
  Desk desk(two_cores(10));
  desk.join();
  desk.learn(1ms);
  (void)desk.hear(assign({service(11), task(12)}, 2));
  desk.agent.program_started({11}, desk.now());
  desk.agent.program_started({12}, desk.now());
  const AgentOrders orders = desk.hear(assign({task(13), service(14)}, 3));
  ASSERT_EQ(orders.line_up.size(), 1U);
  EXPECT_EQ(orders.line_up[0].front, AttemptId{12});
  EXPECT_EQ(orders.line_up[0].assignment->attempt, AttemptId{13});
}

}  // namespace
}  // namespace chappe::agent
