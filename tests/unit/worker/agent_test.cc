// The worker's decisions as stories: what came in, and all that had to be done and told. Lines: agent_line_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/worker/agent_desk.h"

namespace chappe::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Agent, SaysHelloWhenConnectedAndTellsNothingBefore) {
  Desk desk;
  EXPECT_FALSE(desk.orders().hello.has_value());
  desk.agent.connected(desk.now());
  const AgentOrders orders = desk.orders();
  ASSERT_TRUE(orders.hello.has_value());
  EXPECT_EQ(orders.hello->name, "w1");
  EXPECT_THAT(orders.hello->held, IsEmpty());
  EXPECT_FALSE(desk.orders().hello.has_value());
}

TEST(Agent, StartsWhatFitsInOrderOfArrival) {
  Desk desk;
  desk.join();
  EXPECT_THAT(started(desk.hear(assign({task(1), task(2), task(3)}))), ElementsAre(1, 2));
  EXPECT_THAT(started(desk.end(2)), ElementsAre(3));
}

TEST(Agent, StartsASmallAttemptWhileALargeOneWaitsForRoom) {
  Desk desk;
  desk.join();
  EXPECT_THAT(started(desk.hear(assign({task(1), task(2, {}, {2000, 0, 0}), task(3)}))), ElementsAre(1, 3));
}

TEST(Agent, FreesRoomWhenTheProgramEndedThoughOutputsAreStillStaged) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1), task(2), task(3)}));
  desk.agent.program_ended({1}, desk.now());
  EXPECT_THAT(started(desk.orders()), ElementsAre(3));
  (void)desk.end(1);
  EXPECT_THAT(started(desk.hear(assign({task(4)}))), IsEmpty());
}

TEST(Agent, TellsAResultAtOnceWhenItHasRoomForMore) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1)}));
  desk.pass(1ms);
  const AgentOrders orders = desk.end(1, Reason::kExitCode);
  ASSERT_THAT(finished(orders), ElementsAre(1));
  EXPECT_EQ(orders.finished[0].what, held(1));
  EXPECT_EQ(orders.finished[0].end.reason, Reason::kExitCode);
  EXPECT_EQ(orders.finished[0].end.ended_at - orders.finished[0].end.started_at, 1ms);
}

TEST(Agent, LetsResultsWaitForEachOtherWhileThereIsEnoughToDo) {
  Desk desk(two_cores(4));
  desk.join();
  desk.learn(1ms);
  (void)desk.hear(assign({task(11), task(12), task(13), task(14), task(15)}));
  AgentOrders orders = desk.end(11);
  EXPECT_THAT(finished(orders), IsEmpty());
  EXPECT_LE(*orders.wake_at, desk.now().mono + kResultDelayMax);
  EXPECT_THAT(finished(desk.end(12)), IsEmpty());
  EXPECT_THAT(finished(desk.end(13)), ElementsAre(11, 12, 13));  // Nothing left to start: time for more.
}

TEST(Agent, TellsResultsOfLongerProgramsAtOnce) {
  Desk desk(two_cores(4));
  desk.join();
  desk.learn(kResultDelayMax);
  (void)desk.hear(assign({task(11), task(12), task(13), task(14), task(15)}));
  EXPECT_THAT(finished(desk.end(11)), ElementsAre(11));
}

TEST(Agent, NeverLetsAResultWaitLong) {
  Desk desk(two_cores(4));
  desk.join();
  desk.learn(1ms);
  (void)desk.hear(assign({task(11), task(12), task(13), task(14), task(15), task(16), task(17)}));
  EXPECT_THAT(finished(desk.end(11)), IsEmpty());
  desk.pass(kResultDelayMax);
  EXPECT_THAT(finished(desk.orders()), ElementsAre(11));
}

TEST(Agent, TellsThatAnAttemptStartedOnlyIfItLastsAWhile) {
  Desk desk;
  desk.join();
  EXPECT_THAT(desk.hear(assign({task(1), task(2)})).started, IsEmpty());
  (void)desk.end(1);
  desk.pass(kStartedAfter);
  const AgentOrders orders = desk.orders();
  ASSERT_EQ(orders.started.size(), 1U);
  EXPECT_EQ(orders.started[0].what, held(2));
  EXPECT_THAT(desk.orders().started, IsEmpty());
}

TEST(Agent, KeepsAResultUntilItIsAcknowledgedAndTellsItAgainOnEveryConnection) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1), noop(2)}));
  (void)desk.end(1);
  EXPECT_THAT(finished(desk.orders()), IsEmpty());
  desk.agent.connected(desk.now());
  AgentOrders orders = desk.orders();
  EXPECT_THAT(orders.hello->held, ElementsAre(held(1), held(2)));
  EXPECT_THAT(finished(orders), ElementsAre(1, 2));
  (void)desk.hear(acknowledge({1}));
  desk.agent.connected(desk.now());
  orders = desk.orders();
  EXPECT_THAT(orders.hello->held, ElementsAre(held(2)));
  EXPECT_THAT(finished(orders), ElementsAre(2));
}

TEST(Agent, TellsAResultAgainWhenNobodyAcknowledgesIt) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({noop(1)}));
  desk.pass(29s);
  (void)desk.hear({});
  EXPECT_THAT(finished(desk.orders()), IsEmpty());
  desk.pass(1s);
  EXPECT_THAT(finished(desk.orders()), ElementsAre(1));
}

TEST(Agent, SaysHelloAgainWhenAskedTo) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1)}));
  WorkerSend send;
  send.hello_please = true;
  const AgentOrders orders = desk.hear(send);
  ASSERT_TRUE(orders.hello.has_value());
  EXPECT_THAT(orders.hello->held, ElementsAre(held(1)));
}

TEST(Agent, FinishesNoOpsAtOnceAndTogether) {
  Desk desk;
  desk.join();
  const AgentOrders orders = desk.hear(assign({noop(1), noop(2), noop(3)}));
  EXPECT_THAT(orders.start, IsEmpty());
  EXPECT_THAT(finished(orders), ElementsAre(1, 2, 3));
  EXPECT_EQ(orders.finished[0].end.reason, Reason::kNone);
  EXPECT_EQ(orders.finished[0].end.started_at, desk.now().wall);
}

TEST(Agent, IgnoresAnAssignmentThatComesTwice) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1)}));
  EXPECT_THAT(started(desk.hear(assign({task(1)}))), IsEmpty());
  (void)desk.end(1);
  EXPECT_THAT(started(desk.hear(assign({task(1)}))), IsEmpty());
}

TEST(Agent, GivesBackAnAssignmentThatComesAgainWhenItIsOver) {
  Desk desk;
  desk.join();
  EXPECT_EQ(started(desk.hear(assign({task(7)}))), std::vector<std::uint64_t>{7});
  (void)desk.end(7);
  (void)desk.hear(acknowledge({7}));
  const AgentOrders orders = desk.hear(assign({task(7)}));
  EXPECT_TRUE(orders.start.empty()) << "an attempt that was over started again";
  ASSERT_EQ(orders.returned.size(), 1U);
  EXPECT_EQ(orders.returned[0].what, held(7));
}

TEST(Agent, GivesBackAnAssignmentThatALaterOneOvertook) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(8)}, 2));
  const AgentOrders orders = desk.hear(assign({task(7)}, 1));
  EXPECT_TRUE(orders.start.empty());
  EXPECT_EQ(orders.returned.size(), 1U);
}

TEST(Agent, LeavesAnAttemptItsGraceWhenTheCancelIsSaidAgain) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(7)}));
  EXPECT_EQ(desk.hear(cancel(7)).stop.size(), 1U);
  EXPECT_TRUE(desk.hear(cancel(7)).stop.empty());
  EXPECT_EQ(desk.hear(cancel(7, true)).stop.size(), 1U) << "it must be forgotten at once";
}

TEST(Agent, SendsAHeartbeatWithAllItHolds) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1), noop(2)}, 7));
  EXPECT_FALSE(desk.orders().heartbeat.has_value());
  desk.pass(5s);
  const AgentOrders orders = desk.orders();
  ASSERT_TRUE(orders.heartbeat.has_value());
  EXPECT_EQ(orders.heartbeat->batch_seen, 7U);
  EXPECT_THAT(orders.heartbeat->held, ElementsAre(held(1), held(2)));
  EXPECT_EQ(orders.wake_at, desk.now().mono + 5s);
}

TEST(Agent, CountsBatchesAnewOnEachConnection) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({noop(1)}, 7));
  desk.agent.connected(desk.now());
  (void)desk.orders();
  (void)desk.hear(welcome());
  desk.pass(5s);
  EXPECT_EQ(desk.orders().heartbeat->batch_seen, 0U);
}

TEST(Agent, CountsBatchesAnewFromTheHelloThatItIsAskedFor) {
  Desk desk;
  desk.join();
  WorkerSend late;
  late.batch = 9;
  (void)desk.hear(late);
  WorkerSend stranger;
  stranger.hello_please = true;
  EXPECT_TRUE(desk.hear(stranger).hello.has_value());
  desk.pass(6s);
  EXPECT_EQ(desk.orders().heartbeat->batch_seen, 0U);  // What it saw of the last scheduler's means nothing to this one.
}

TEST(Agent, CancelsARunningAttemptAndTellsTheReasonItWasGiven) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1)}));
  AgentOrders orders = desk.hear(cancel(1));
  EXPECT_THAT(orders.stop, ElementsAre(StopOrder{{1}, 10s}));
  EXPECT_THAT(finished(orders), IsEmpty());
  EXPECT_FALSE(desk.agent.wanted({1}));
  orders = desk.end(1, Reason::kSignal);
  EXPECT_FALSE(desk.outputs_wanted);
  ASSERT_THAT(finished(orders), ElementsAre(1));
  EXPECT_EQ(orders.finished[0].end.reason, Reason::kCancelled);
  EXPECT_EQ(orders.finished[0].outputs, nullptr);
}

TEST(Agent, CancelsAWaitingAttemptWithoutStartingIt) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1), task(2), task(3)}));
  const AgentOrders orders = desk.hear(cancel(3, false, Reason::kQueueTimeout));
  EXPECT_THAT(orders.stop, IsEmpty());
  ASSERT_THAT(finished(orders), ElementsAre(3));
  EXPECT_EQ(orders.finished[0].end.reason, Reason::kQueueTimeout);
  EXPECT_FALSE(orders.finished[0].end.started_at.is_set());
  EXPECT_THAT(started(desk.end(1)), IsEmpty());
}

TEST(Agent, KillsAForgottenAttemptAtOnceAndNeverMentionsItAgain) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1), task(2), task(3), noop(4)}));
  EXPECT_THAT(desk.hear(cancel(1, true)).stop, ElementsAre(StopOrder{{1}, 0s}));
  (void)desk.hear(cancel(3, true));
  (void)desk.hear(cancel(4, true));
  EXPECT_THAT(finished(desk.end(1)), IsEmpty());
  EXPECT_FALSE(desk.outputs_wanted);
  desk.agent.connected(desk.now());
  EXPECT_THAT(desk.orders().hello->held, ElementsAre(held(2)));
}

TEST(Agent, ForgetsAnAttemptThatWasBeingCancelled) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1)}));
  (void)desk.hear(cancel(1));
  EXPECT_THAT(desk.hear(cancel(1, true)).stop, ElementsAre(StopOrder{{1}, 0s}));
  EXPECT_THAT(finished(desk.end(1)), IsEmpty());
  EXPECT_EQ(desk.agent.held(), 0U);
}

TEST(Agent, StopsAnAttemptWhenItsTimeoutPassesCountedFromItsProgramsStart) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1, 2s)}));
  desk.pass(3s);  // Its inputs are being fetched.
  EXPECT_THAT(desk.orders().stop, IsEmpty());
  desk.agent.program_started({1}, desk.now());
  EXPECT_LE(*desk.orders().wake_at, desk.now().mono + 2s);
  desk.pass(2s);
  EXPECT_THAT(desk.orders().stop, ElementsAre(StopOrder{{1}, 10s}));
  EXPECT_THAT(desk.orders().stop, IsEmpty());
  const AgentOrders orders = desk.end(1, Reason::kSignal);
  EXPECT_EQ(orders.finished[0].end.reason, Reason::kTimeout);
  EXPECT_EQ(orders.finished[0].end.message, "still ran after its timeout of 2s");
}

TEST(Agent, HasNoTimeoutWhileOutputsAreStaged) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1, 2s)}));
  desk.agent.program_started({1}, desk.now());
  desk.agent.program_ended({1}, desk.now());
  desk.pass(2s);
  EXPECT_THAT(desk.orders().stop, IsEmpty());
}

TEST(Agent, ReturnsAnAttemptThatWaitedWhileNoRoomCameFree) {
  Desk desk(two_cores(4));
  desk.join();
  (void)desk.hear(assign({task(1), task(2), task(3)}));
  desk.pass(kReturnAfter - 1us);
  EXPECT_THAT(returned(desk.orders()), IsEmpty());
  desk.pass(1us);
  EXPECT_THAT(returned(desk.orders()), ElementsAre(3));
  EXPECT_EQ(desk.agent.held(), 2U);
}

TEST(Agent, KeepsAnAttemptWaitingWhileRoomComesFreeForOthersButNotForEver) {
  Desk desk(two_cores(4));
  desk.join();
  (void)desk.hear(assign({task(1), task(2, {}, {2000, 0, 0})}));
  for (std::uint64_t other = 3; other < 100; ++other) {
    (void)desk.hear(assign({task(other)}));
    desk.pass(100ms);
    EXPECT_THAT(returned(desk.end(other)), IsEmpty());
  }
  (void)desk.hear(assign({task(100)}));
  desk.pass(300ms);
  EXPECT_THAT(returned(desk.end(100)), ElementsAre(2));
}

TEST(Agent, ReturnsWhatItCannotHold) {
  Desk desk;
  desk.join();
  std::vector<Assignment> many;
  for (std::uint64_t attempt = 1; attempt <= kHeldMax + 1; ++attempt) many.push_back(noop(attempt));
  EXPECT_THAT(returned(desk.hear(assign(many))), ElementsAre(kHeldMax + 1));
  EXPECT_EQ(desk.agent.held(), kHeldMax);
}

TEST(Agent, StopsItsTasksBeforeTheLeaseEndsWhenTheSchedulerIsSilent) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1)}));
  EXPECT_EQ(desk.agent.fence(), (FenceTimes{desk.now().mono + 45s, desk.now().mono + 55200ms}));
  desk.pass(45s);
  EXPECT_THAT(desk.orders().stop, ElementsAre(StopOrder{{1}, 10200ms}));
  const AgentOrders orders = desk.end(1, Reason::kSignal);
  EXPECT_EQ(orders.finished[0].end.reason, Reason::kLostWorker);
  EXPECT_THAT(orders.finished[0].end.message, testing::HasSubstr("no word from the scheduler for 45s"));
}

TEST(Agent, StartsNothingWhileItIsFenced) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1), task(2), task(3)}));
  desk.pass(45s);
  desk.link_ready = false;
  (void)desk.orders();
  EXPECT_THAT(started(desk.end(1)), IsEmpty());
  desk.link_ready = true;
  EXPECT_THAT(returned(desk.orders()), ElementsAre(3));
  EXPECT_THAT(started(desk.hear(assign({task(4)}))), ElementsAre(4));
}

TEST(Agent, CountsEveryWordOfTheSchedulerAsContact) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1)}));
  for (int i = 0; i < 10; ++i) {
    desk.pass(44s);
    EXPECT_THAT(desk.hear({}).stop, IsEmpty());
  }
}

TEST(Agent, DoesNotListenToASchedulerThatWasReplaced) {
  Desk desk;
  desk.join();
  (void)desk.hear(welcome(5));
  desk.agent.connected(desk.now());
  (void)desk.orders();
  const auto fence = desk.agent.fence();
  desk.pass(1s);
  (void)desk.hear(welcome(4));
  EXPECT_THAT(started(desk.hear(assign({task(1)}))), IsEmpty());
  EXPECT_EQ(desk.agent.fence(), fence);
  (void)desk.hear(welcome(6));
  EXPECT_THAT(started(desk.hear(assign({task(1)}))), ElementsAre(1));
}

TEST(Agent, KeepsAllNewsWhileTheLinkTakesNone) {
  Desk desk;
  desk.join();
  desk.link_ready = false;
  EXPECT_THAT(started(desk.hear(assign({task(1), noop(2)}))), ElementsAre(1));
  const AgentOrders silent = desk.end(1);
  EXPECT_THAT(finished(silent), IsEmpty());
  desk.pass(5s);
  EXPECT_FALSE(desk.orders().heartbeat.has_value());
  desk.link_ready = true;
  const AgentOrders orders = desk.orders();
  EXPECT_THAT(finished(orders), ElementsAre(2, 1));
  EXPECT_TRUE(orders.heartbeat.has_value());
}

TEST(Agent, DrainsByFinishingWhatRunsAndReturningTheRest) {
  Desk desk(two_cores(4));
  desk.join();
  (void)desk.hear(assign({task(1), task(2), task(3)}));
  desk.agent.drain(desk.now());
  AgentOrders orders = desk.orders();
  EXPECT_TRUE(orders.goodbye_draining);
  EXPECT_THAT(returned(orders), ElementsAre(3));
  EXPECT_THAT(returned(desk.hear(assign({task(4), noop(5)}))), ElementsAre(4, 5));
  (void)desk.end(1);
  EXPECT_FALSE(desk.end(2).goodbye);
  orders = desk.hear(acknowledge({1, 2}));
  EXPECT_TRUE(orders.goodbye);
  EXPECT_FALSE(desk.orders().goodbye);
}

TEST(Agent, LeavesAtOnceWhenItHoldsNothing) {
  Desk desk;
  desk.join();
  desk.agent.drain(desk.now());
  EXPECT_TRUE(desk.orders().goodbye);
}

TEST(Agent, LeavesThoughNobodyTakesItsFarewell) {
  Desk desk;
  desk.join();
  desk.link_ready = false;
  desk.agent.drain(desk.now());
  EXPECT_EQ(desk.orders().wake_at, desk.now().mono + kFarewellMax);
  desk.pass(kFarewellMax - 1us);
  EXPECT_FALSE(desk.orders().goodbye);
  desk.pass(1us);
  EXPECT_TRUE(desk.orders().goodbye);
}

TEST(Agent, KeepsResultsForASchedulerThatIsAwayUntilTheTimeToDrainIsOver) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1)}));
  desk.link_ready = false;
  desk.agent.drain(desk.now());
  (void)desk.end(1);
  desk.pass(60s + kFarewellMax - 1us);
  EXPECT_FALSE(desk.orders().goodbye);
  desk.pass(1us);
  EXPECT_TRUE(desk.orders().goodbye);
}

TEST(Agent, LeavesAtOnceWhereThereNeverWasAScheduler) {
  Desk desk;
  desk.agent.drain(desk.now());
  EXPECT_TRUE(desk.orders().goodbye);
}

TEST(Agent, StopsWhatStillRunsWhenTheTimeToDrainIsOver) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1)}));
  desk.agent.drain(desk.now());
  (void)desk.orders();
  desk.pass(40s);
  (void)desk.hear({});
  desk.pass(20s);
  EXPECT_THAT(desk.orders().stop, ElementsAre(StopOrder{{1}, 10s}));
  EXPECT_EQ(desk.end(1).finished[0].end.reason, Reason::kLostWorker);
  desk.pass(kFarewellMax);
  EXPECT_TRUE(desk.orders().goodbye);  // Nobody acknowledged, and that is that.
}

TEST(Agent, StopsAtOnceWhenToldToDrainTwice) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1)}));
  desk.agent.drain(desk.now());
  desk.agent.drain(desk.now());
  EXPECT_THAT(desk.orders().stop, ElementsAre(StopOrder{{1}, 0s}));
  EXPECT_FALSE(desk.end(1).goodbye);
  desk.pass(kFarewellMax);
  EXPECT_TRUE(desk.orders().goodbye);  // Nobody acknowledged, and nobody wants to wait for it.
}

TEST(Agent, CutsAMessageThatIsTooLong) {
  Desk desk;
  desk.join();
  (void)desk.hear(assign({task(1)}));
  AttemptEnd end;
  end.reason = Reason::kInvalidOutput;
  end.message = std::string(5000, 'x');
  (void)desk.agent.ended({1}, end, nullptr, desk.now());
  EXPECT_EQ(desk.orders().finished[0].end.message.size(), 1024U);
}

TEST(Agent, WakesForNothingWhenItHasNothingToDoAndNobodyToTell) {
  Desk desk;
  EXPECT_FALSE(desk.orders().wake_at.has_value());
}

}  // namespace
}  // namespace chappe::agent
