// The worker's decisions as stories: what came in, and all that had to be done and told.
#include "worker/agent/agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chappe::agent {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr Resources kOneCore{1000, 0, 0};

WorkerHello two_cores(std::uint32_t prefetch = 0) {
  WorkerHello hello;
  hello.incarnation = "i1";
  hello.name = "w1";
  hello.capacity = {2000, 8 << 20, 0};
  hello.prefetch = prefetch;
  return hello;
}

HeldAttempt held(std::uint64_t attempt) { return {{{1}, static_cast<std::uint32_t>(attempt)}, {attempt}}; }

Assignment task(std::uint64_t attempt, std::optional<Duration> timeout = {}, Resources need = kOneCore) {
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

Assignment noop(std::uint64_t attempt) {
  Assignment assignment = task(attempt);
  assignment.work = std::make_shared<const ResolvedWork>();
  return assignment;
}

WorkerSend welcome(std::uint32_t epoch = 1) {
  WorkerSend send;
  send.welcome = WorkerSend::Welcome{{1}, epoch, 5s, 60s};
  return send;
}

WorkerSend assign(std::vector<Assignment> assignments, std::uint64_t batch = 1) {
  WorkerSend send;
  send.batch = batch;
  send.assign = std::move(assignments);
  return send;
}

WorkerSend cancel(std::uint64_t attempt, bool forget = false, Reason reason = Reason::kCancelled) {
  WorkerSend send;
  send.cancel = {{held(attempt), forget, reason}};
  return send;
}

WorkerSend acknowledge(std::vector<std::uint64_t> attempts) {
  WorkerSend send;
  for (const std::uint64_t attempt : attempts) send.acknowledged.push_back({attempt});
  return send;
}

/// An agent and a clock that the test moves.
class Desk {
 public:
  explicit Desk(WorkerHello self = two_cores()) : agent(std::move(self)) {}

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

  /// A first program, which takes that long: the agent expects the same of others.
  void learn(Duration length) {
    (void)hear(assign({task(100)}));
    agent.program_started({100}, now());
    pass(length);
    agent.program_ended({100}, now());
    (void)end(100);
  }

  Agent agent;
  bool link_ready = true;
  bool outputs_wanted = false;

 private:
  MonoTime time_{1'000'000};
};

std::vector<std::uint64_t> started(const AgentOrders& orders) {
  std::vector<std::uint64_t> ids;
  for (const auto& assignment : orders.start) ids.push_back(assignment->attempt.value);
  return ids;
}

std::vector<std::uint64_t> finished(const AgentOrders& orders) {
  std::vector<std::uint64_t> ids;
  for (const auto& result : orders.finished) ids.push_back(result.what.attempt.value);
  return ids;
}

std::vector<std::uint64_t> returned(const AgentOrders& orders) {
  std::vector<std::uint64_t> ids;
  for (const auto& each : orders.returned) ids.push_back(each.what.attempt.value);
  return ids;
}

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
  (void)desk.hear(assign({task(1), task(2), task(3), task(4), task(5)}));
  AgentOrders orders = desk.end(1);
  EXPECT_THAT(finished(orders), IsEmpty());
  EXPECT_LE(*orders.wake_at, desk.now().mono + kResultDelayMax);
  EXPECT_THAT(finished(desk.end(2)), IsEmpty());
  EXPECT_THAT(finished(desk.end(3)), ElementsAre(1, 2, 3));  // Nothing left to start: time for more.
}

TEST(Agent, TellsResultsOfLongerProgramsAtOnce) {
  Desk desk(two_cores(4));
  desk.join();
  desk.learn(kResultDelayMax);
  (void)desk.hear(assign({task(1), task(2), task(3), task(4), task(5)}));
  EXPECT_THAT(finished(desk.end(1)), ElementsAre(1));
}

TEST(Agent, NeverLetsAResultWaitLong) {
  Desk desk(two_cores(4));
  desk.join();
  desk.learn(1ms);
  (void)desk.hear(assign({task(1), task(2), task(3), task(4), task(5), task(6), task(7)}));
  EXPECT_THAT(finished(desk.end(1)), IsEmpty());
  desk.pass(kResultDelayMax);
  EXPECT_THAT(finished(desk.orders()), ElementsAre(1));
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

// ---- Lining up ----

/// A desk whose programs took so long that lines have one place, with 1 and 2 running, 3 and 4 lined up behind them,
/// and 5 waiting.
class Line : public testing::Test {
 protected:
  Line() : desk(two_cores(8)) {
    desk.join();
    desk.learn(kShortProgram - 1us);
    (void)desk.hear(assign({task(1), task(2), task(3), task(4), task(5)}));
    run(1);
    run(2);
    lined = desk.orders();
  }
  void run(std::uint64_t attempt) { desk.agent.program_started({attempt}, desk.now()); }
  AgentOrders program_ends(std::uint64_t attempt) {
    desk.agent.program_ended({attempt}, desk.now());
    return desk.orders();
  }
  AgentOrders finish(std::uint64_t attempt) {
    (void)program_ends(attempt);
    return desk.end(attempt);
  }

  Desk desk;
  AgentOrders lined;
};

std::vector<std::pair<std::uint64_t, std::uint64_t>> lined_up(const AgentOrders& orders) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> pairs;
  for (const auto& order : orders.line_up) pairs.emplace_back(order.assignment->attempt.value, order.front.value);
  return pairs;
}

using Pairs = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

TEST_F(Line, FormsBehindShortPrograms) {
  EXPECT_EQ(lined_up(lined), (Pairs{{3, 1}, {4, 2}}));
  EXPECT_EQ(desk.agent.running(), 2U);
  EXPECT_EQ(lined_up(desk.orders()), Pairs{});
}

TEST_F(Line, MovesUpWhenAProgramEnds) {
  desk.pass(1ms);
  const AgentOrders orders = program_ends(1);
  EXPECT_THAT(started(orders), IsEmpty());  // It runs already.
  EXPECT_EQ(lined_up(orders), (Pairs{{5, 3}}));
  (void)finish(3);
  EXPECT_TRUE(desk.agent.wanted({5}));
  EXPECT_EQ(desk.agent.running(), 3U);  // 1 stages its outputs; 2 and 5 run.
}

TEST_F(Line, NeverTakesMoreRoomThanThereIs) {
  (void)desk.hear(assign({task(6), task(7)}));
  for (const std::uint64_t attempt : {1U, 2U, 3U, 4U}) {
    const AgentOrders orders = finish(attempt);
    EXPECT_THAT(started(orders), IsEmpty());
    EXPECT_LE(desk.agent.running(), 2U);
  }
}

TEST_F(Line, IsTakenBackWhenTheFrontTurnsOutLong) {
  EXPECT_LE(*lined.wake_at, desk.now().mono + kShortProgram);
  desk.pass(kShortProgram);
  EXPECT_THAT(desk.orders().withdraw, ElementsAre(AttemptId{3}, AttemptId{4}));
  EXPECT_THAT(desk.orders().withdraw, IsEmpty());
  desk.agent.withdrawn({3}, desk.now());
  desk.agent.withdrawn({4}, desk.now());
  const AgentOrders orders = desk.orders();
  EXPECT_THAT(orders.start, IsEmpty());
  EXPECT_EQ(lined_up(orders), Pairs{});
  EXPECT_THAT(started(program_ends(2)), ElementsAre(3));  // In its old place: before 5.
}

TEST_F(Line, RunsWhatStartedBeforeItCouldBeTakenBack) {
  desk.pass(kShortProgram);
  EXPECT_THAT(desk.orders().withdraw, ElementsAre(AttemptId{3}, AttemptId{4}));
  (void)program_ends(1);
  EXPECT_TRUE(desk.agent.wanted({3}));
  desk.pass(kStartedAfter);
  EXPECT_THAT(desk.orders().started, testing::Contains(testing::Field(&AttemptStarted::what, held(3))));
}

TEST_F(Line, LetsACancelledAttemptOutBeforeItStarts) {
  AgentOrders orders = desk.hear(cancel(3));
  EXPECT_THAT(orders.withdraw, ElementsAre(AttemptId{3}));
  EXPECT_THAT(orders.stop, IsEmpty());
  EXPECT_THAT(finished(orders), IsEmpty());
  desk.agent.withdrawn({3}, desk.now());
  orders = desk.orders();
  ASSERT_THAT(finished(orders), ElementsAre(3));
  EXPECT_EQ(orders.finished[0].end.reason, Reason::kCancelled);
  EXPECT_FALSE(orders.finished[0].end.started_at.is_set());
  EXPECT_EQ(lined_up(orders), (Pairs{{5, 1}}));
}

TEST_F(Line, StopsACancelledAttemptThatStartedMeanwhile) {
  (void)desk.hear(cancel(3));
  EXPECT_THAT(program_ends(1).stop, ElementsAre(StopOrder{{3}, 10s}));
  EXPECT_EQ(finish(3).finished.back().end.reason, Reason::kCancelled);
}

TEST_F(Line, ForgetsAnAttemptInIt) {
  (void)desk.hear(cancel(3, true));
  desk.agent.withdrawn({3}, desk.now());
  EXPECT_THAT(finished(desk.orders()), IsEmpty());
  desk.agent.connected(desk.now());
  EXPECT_THAT(desk.orders().hello->held, testing::Not(testing::Contains(held(3))));
}

TEST_F(Line, LeavesTheLineOfAFrontThatIsBeingStopped) {
  const AgentOrders orders = desk.hear(cancel(1));
  EXPECT_THAT(orders.withdraw, ElementsAre(AttemptId{3}));
  EXPECT_THAT(orders.stop, ElementsAre(StopOrder{{1}, 10s}));
}

TEST_F(Line, IsReturnedWhenTheWorkerDrains) {
  desk.agent.drain(desk.now());
  AgentOrders orders = desk.orders();
  EXPECT_THAT(returned(orders), ElementsAre(5));
  EXPECT_THAT(orders.withdraw, ElementsAre(AttemptId{3}, AttemptId{4}));
  desk.agent.withdrawn({3}, desk.now());
  EXPECT_THAT(returned(desk.orders()), ElementsAre(3));
  desk.agent.drain(desk.now());
  (void)desk.orders();
  EXPECT_THAT(program_ends(2).stop, ElementsAre(StopOrder{{4}, 10s}));  // It had started; it has to stop, too.
}

TEST_F(Line, TellsAnAttemptThatCouldNotBeMadeReady) {
  const AgentOrders orders = desk.end(3, Reason::kLaunchFailed);
  ASSERT_THAT(finished(orders), ElementsAre(3));
  EXPECT_FALSE(orders.finished[0].end.started_at.is_set());
  EXPECT_EQ(lined_up(orders), (Pairs{{5, 1}}));
}

TEST_F(Line, BeginsTheTimeoutWhenTheFrontEnds) {
  (void)finish(1);
  (void)finish(3);
  (void)desk.hear(assign({task(6, 2s)}));
  (void)finish(5);
  (void)finish(4);  // 6 was lined up behind one of the two.
  desk.pass(2s - 1us);
  EXPECT_THAT(desk.orders().stop, IsEmpty());
  desk.pass(1us);
  EXPECT_THAT(desk.orders().stop, ElementsAre(StopOrder{{6}, 10s}));
}

TEST_F(Line, TakesNobodyThatNeedsOtherRoomOrHasToFetchInputs) {
  Desk other(two_cores(8));
  other.join();
  (void)other.hear(assign({task(1)}));
  other.agent.program_started({1}, other.now());
  other.agent.program_ended({1}, other.now());
  (void)other.end(1);
  Assignment fetches = task(5);
  auto work = std::make_shared<ResolvedWork>(*fetches.work);
  work->inputs.emplace_back();
  fetches.work = work;
  (void)other.hear(assign({task(2), task(3), task(4, {}, {2000, 0, 0}), fetches}));
  other.agent.program_started({2}, other.now());
  other.agent.program_started({3}, other.now());
  EXPECT_EQ(lined_up(other.orders()), Pairs{});
}

TEST(Agent, LinesUpAsManyAsEndSoonAndByTurns) {
  Desk desk(two_cores(64));
  desk.join();
  desk.learn(kLineWork / 3);
  std::vector<Assignment> many;
  for (std::uint64_t i = 1; i <= 9; ++i) many.push_back(task(i));
  (void)desk.hear(assign(many));
  desk.agent.program_started({1}, desk.now());
  desk.agent.program_started({2}, desk.now());
  EXPECT_EQ(lined_up(desk.orders()), (Pairs{{3, 1}, {4, 2}, {5, 3}, {6, 4}, {7, 5}, {8, 6}}));
  EXPECT_EQ(desk.agent.waiting(), 7U);

  desk.agent.program_ended({1}, desk.now());
  EXPECT_EQ(desk.agent.running(), 3U);  // 1 until it is over, 2 and 3.
  EXPECT_EQ(lined_up(desk.orders()), (Pairs{{9, 7}}));
}

TEST(Agent, ClosesTheGapThatAnAttemptLeavesInALine) {
  Desk desk(two_cores(64));
  desk.join();
  desk.learn(1ms);
  (void)desk.hear(assign(
      {task(1, {}, {2000, 0, 0}), task(2, {}, {2000, 0, 0}), task(3, {}, {2000, 0, 0}), task(4, {}, {2000, 0, 0})}));
  desk.agent.program_started({1}, desk.now());
  EXPECT_EQ(lined_up(desk.orders()), (Pairs{{2, 1}, {3, 2}, {4, 3}}));
  EXPECT_THAT(desk.hear(cancel(3, true)).withdraw, ElementsAre(AttemptId{3}));
  desk.agent.withdrawn({3}, desk.now());
  for (const std::uint64_t attempt : {1U, 2U}) {
    desk.agent.program_ended({attempt}, desk.now());
    (void)desk.end(attempt);
  }
  EXPECT_TRUE(desk.agent.wanted({4}));  // It runs: nobody is before it any more.
  desk.pass(kShortProgram);
  EXPECT_THAT(desk.orders().withdraw, IsEmpty());
}

TEST(Agent, TakesAWholeLineBackWhenItsFrontTurnsOutLong) {
  Desk desk(two_cores(64));
  desk.join();
  desk.learn(1ms);
  (void)desk.hear(assign({task(1, {}, {2000, 0, 0}), task(2, {}, {2000, 0, 0}), task(3, {}, {2000, 0, 0})}));
  desk.agent.program_started({1}, desk.now());
  (void)desk.orders();
  desk.pass(kShortProgram);
  EXPECT_THAT(desk.orders().withdraw, ElementsAre(AttemptId{2}, AttemptId{3}));
  desk.agent.withdrawn({2}, desk.now());
  desk.agent.withdrawn({3}, desk.now());
  desk.agent.program_ended({1}, desk.now());
  EXPECT_THAT(started(desk.orders()), ElementsAre(2));
}

TEST(Agent, LinesNobodyUpBehindLongPrograms) {
  Desk desk(two_cores(8));
  desk.join();
  (void)desk.hear(assign({task(1), task(2), task(3)}));
  desk.agent.program_started({1}, desk.now());
  EXPECT_EQ(lined_up(desk.orders()), Pairs{});
  desk.pass(kShortProgram);
  desk.agent.program_ended({1}, desk.now());
  (void)desk.hear(assign({task(4)}));
  desk.agent.program_started({3}, desk.now());
  EXPECT_EQ(lined_up(desk.orders()), Pairs{});
}

TEST(Agent, WakesForNothingWhenItHasNothingToDoAndNobodyToTell) {
  Desk desk;
  EXPECT_FALSE(desk.orders().wake_at.has_value());
}

}  // namespace
}  // namespace chappe::agent
