// Lines of attempts behind short programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/worker/agent_desk.h"

namespace chappe::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

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

}  // namespace
}  // namespace chappe::agent
