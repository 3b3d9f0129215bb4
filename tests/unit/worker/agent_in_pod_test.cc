// The agent of a worker that takes one attempt and leaves: in a pod.
#include <gmock/gmock.h>

#include "tests/unit/worker/agent_desk.h"

namespace chappe::agent {
namespace {

using testing::ElementsAre;

class AgentInPod : public testing::Test {
 protected:
  Desk desk_{two_cores(), true};
};

TEST_F(AgentInPod, TakesOneAttemptWhateverItNeedsAndLeavesWhenItsResultIsKnown) {
  desk_.join();
  EXPECT_THAT(started(desk_.hear(assign({task(1, {}, {64'000, std::uint64_t{1} << 40, 8})}))), ElementsAre(1));
  EXPECT_FALSE(desk_.end(1).goodbye);
  EXPECT_TRUE(desk_.hear(acknowledge({1})).goodbye);
}

TEST_F(AgentInPod, GivesASecondAttemptBack) {
  desk_.join();
  (void)desk_.hear(assign({task(1)}));
  EXPECT_THAT(returned(desk_.hear(assign({task(2)}, 2))), ElementsAre(2));
}

TEST_F(AgentInPod, LeavesWhenNoAttemptComes) {
  desk_.join();
  desk_.pass(kFirstAttemptMax - 1us);
  EXPECT_FALSE(desk_.orders().goodbye);
  desk_.pass(1us);
  EXPECT_TRUE(desk_.orders().goodbye);
}

TEST_F(AgentInPod, WakesToLeave) { EXPECT_EQ(desk_.orders().wake_at, desk_.now().mono + kFirstAttemptMax); }

TEST_F(AgentInPod, AnEvictionStopsWhatRunsWithItsGrace) {
  desk_.join();
  (void)desk_.hear(assign({task(1)}));
  desk_.agent.evict(desk_.now());
  EXPECT_THAT(desk_.orders().stop, ElementsAre(StopOrder{{1}, 10s}));
  desk_.pass(8s);
  const AgentOrders orders = desk_.end(1);
  ASSERT_EQ(orders.finished.size(), 1U);
  EXPECT_EQ(orders.finished[0].end.reason, Reason::kLostWorker);
  EXPECT_EQ(orders.finished[0].end.message, "the worker was told to leave");
  EXPECT_FALSE(orders.goodbye) << "the result is not acknowledged yet";
  EXPECT_TRUE(desk_.hear(acknowledge({1})).goodbye);
}

TEST_F(AgentInPod, AnEvictionOfWhatHasNotBegunGivesItBack) {
  desk_.join();
  desk_.agent.evict(desk_.now());
  EXPECT_TRUE(desk_.orders().goodbye);
  EXPECT_THAT(returned(desk_.hear(assign({task(1)}))), testing::IsEmpty()) << "it has left";
}

}  // namespace
}  // namespace chappe::agent
