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
    (void)desk.hear(assign({task(11), task(12), task(13), task(14), task(15)}));
    run(11);
    run(12);
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
  EXPECT_EQ(lined_up(lined), (Pairs{{13, 11}, {14, 12}}));
  EXPECT_EQ(desk.agent.running(), 2U);
  EXPECT_EQ(lined_up(desk.orders()), Pairs{});
}

TEST(Lines, AreOfProcessesThatHaveAllTheyNeed) {
  const auto boxed = [](std::uint64_t attempt) {
    Assignment assignment = task(attempt);
    ResolvedWork work = *assignment.work;
    if (attempt == 11) work.image = "debian:12";
    if (attempt != 11) work.secrets = {{.name = "A", .place = "A"}};
    assignment.work = std::make_shared<const ResolvedWork>(work);
    return assignment;
  };
  Desk desk(two_cores(8));
  desk.join();
  desk.learn(kShortProgram - 1us);
  (void)desk.hear(assign({boxed(11), task(12), boxed(13), task(14)}));
  desk.agent.program_started({11}, desk.now());
  desk.agent.program_started({12}, desk.now());
  EXPECT_EQ(lined_up(desk.orders()), (Pairs{{14, 12}}));
}

TEST_F(Line, MovesUpWhenAProgramEnds) {
  desk.pass(1ms);
  const AgentOrders orders = program_ends(11);
  EXPECT_THAT(started(orders), IsEmpty());  // It runs already.
  EXPECT_EQ(lined_up(orders), (Pairs{{15, 13}}));
  (void)finish(13);
  EXPECT_TRUE(desk.agent.wanted({15}));
  EXPECT_EQ(desk.agent.running(), 3U);  // 1 stages its outputs; 2 and 5 run.
}

TEST_F(Line, NeverTakesMoreRoomThanThereIs) {
  (void)desk.hear(assign({task(16), task(17)}));
  for (const std::uint64_t attempt : {11U, 12U, 13U, 14U}) {
    const AgentOrders orders = finish(attempt);
    EXPECT_THAT(started(orders), IsEmpty());
    EXPECT_LE(desk.agent.running(), 2U);
  }
}

TEST_F(Line, IsTakenBackWhenTheFrontTurnsOutLong) {
  EXPECT_LE(*lined.wake_at, desk.now().mono + kShortProgram);
  desk.pass(kShortProgram);
  EXPECT_THAT(desk.orders().withdraw, ElementsAre(AttemptId{13}, AttemptId{14}));
  EXPECT_THAT(desk.orders().withdraw, IsEmpty());
  desk.agent.withdrawn({13}, desk.now());
  desk.agent.withdrawn({14}, desk.now());
  const AgentOrders orders = desk.orders();
  EXPECT_THAT(orders.start, IsEmpty());
  EXPECT_EQ(lined_up(orders), Pairs{});
  EXPECT_THAT(started(program_ends(12)), ElementsAre(13));  // In its old place: before 5.
}

TEST_F(Line, RunsWhatStartedBeforeItCouldBeTakenBack) {
  desk.pass(kShortProgram);
  EXPECT_THAT(desk.orders().withdraw, ElementsAre(AttemptId{13}, AttemptId{14}));
  (void)program_ends(11);
  EXPECT_TRUE(desk.agent.wanted({13}));
  desk.pass(kStartedAfter);
  EXPECT_THAT(desk.orders().started, testing::Contains(testing::Field(&AttemptStarted::what, held(13))));
}

TEST_F(Line, LetsACancelledAttemptOutBeforeItStarts) {
  AgentOrders orders = desk.hear(cancel(13));
  EXPECT_THAT(orders.withdraw, ElementsAre(AttemptId{13}));
  EXPECT_THAT(orders.stop, IsEmpty());
  EXPECT_THAT(finished(orders), IsEmpty());
  desk.agent.withdrawn({13}, desk.now());
  orders = desk.orders();
  ASSERT_THAT(finished(orders), ElementsAre(13));
  EXPECT_EQ(orders.finished[0].end.reason, Reason::kCancelled);
  EXPECT_FALSE(orders.finished[0].end.started_at.is_set());
  EXPECT_EQ(lined_up(orders), (Pairs{{15, 11}}));
}

TEST_F(Line, StopsACancelledAttemptThatStartedMeanwhile) {
  (void)desk.hear(cancel(13));
  EXPECT_THAT(program_ends(11).stop, ElementsAre(StopOrder{{13}, 10s}));
  EXPECT_EQ(finish(13).finished.back().end.reason, Reason::kCancelled);
}

TEST_F(Line, ForgetsAnAttemptInIt) {
  (void)desk.hear(cancel(13, true));
  desk.agent.withdrawn({13}, desk.now());
  EXPECT_THAT(finished(desk.orders()), IsEmpty());
  desk.agent.connected(desk.now());
  EXPECT_THAT(desk.orders().hello->held, testing::Not(testing::Contains(held(13))));
}

TEST_F(Line, LeavesTheLineOfAFrontThatIsBeingStopped) {
  const AgentOrders orders = desk.hear(cancel(11));
  EXPECT_THAT(orders.withdraw, ElementsAre(AttemptId{13}));
  EXPECT_THAT(orders.stop, ElementsAre(StopOrder{{11}, 10s}));
}

TEST_F(Line, IsReturnedWhenTheWorkerDrains) {
  desk.agent.drain(desk.now());
  AgentOrders orders = desk.orders();
  EXPECT_THAT(returned(orders), ElementsAre(15));
  EXPECT_THAT(orders.withdraw, ElementsAre(AttemptId{13}, AttemptId{14}));
  desk.agent.withdrawn({13}, desk.now());
  EXPECT_THAT(returned(desk.orders()), ElementsAre(13));
  desk.agent.drain(desk.now());
  (void)desk.orders();
  EXPECT_THAT(program_ends(12).stop, ElementsAre(StopOrder{{14}, 10s}));  // It had started; it has to stop, too.
}

TEST_F(Line, TellsAnAttemptThatCouldNotBeMadeReady) {
  const AgentOrders orders = desk.end(13, Reason::kLaunchFailed);
  ASSERT_THAT(finished(orders), ElementsAre(13));
  EXPECT_FALSE(orders.finished[0].end.started_at.is_set());
  EXPECT_EQ(lined_up(orders), (Pairs{{15, 11}}));
}

TEST(Lines, HoldNoRequest) {
  const auto request = [](std::uint64_t attempt) {
    Assignment assignment = task(attempt);
    ResolvedWork work = *assignment.work;
    work.kind = TaskKind::kHttp;
    work.http = std::make_shared<const ResolvedHttp>();
    assignment.work = std::make_shared<const ResolvedWork>(work);
    return assignment;
  };
  Desk desk(two_cores(8));
  desk.join();
  desk.learn(kShortProgram - 1us);
  (void)desk.hear(assign({request(11), task(12), request(13), task(14)}));
  desk.agent.program_started({11}, desk.now());
  desk.agent.program_started({12}, desk.now());
  EXPECT_EQ(lined_up(desk.orders()), (Pairs{{14, 12}}));
}

TEST_F(Line, BeginsTheTimeoutWhenTheFrontEnds) {
  (void)finish(11);
  (void)finish(13);
  (void)desk.hear(assign({task(16, 2s)}));
  (void)finish(15);
  (void)finish(14);  // 6 was lined up behind one of the two.
  desk.pass(2s - 1us);
  EXPECT_THAT(desk.orders().stop, IsEmpty());
  desk.pass(1us);
  EXPECT_THAT(desk.orders().stop, ElementsAre(StopOrder{{16}, 10s}));
}

TEST_F(Line, TakesNobodyThatNeedsOtherRoomOrHasToFetchInputs) {
  Desk other(two_cores(8));
  other.join();
  (void)other.hear(assign({task(11)}));
  other.agent.program_started({11}, other.now());
  other.agent.program_ended({11}, other.now());
  (void)other.end(11);
  Assignment fetches = task(15);
  auto work = std::make_shared<ResolvedWork>(*fetches.work);
  work->inputs.emplace_back();
  fetches.work = work;
  (void)other.hear(assign({task(12), task(13), task(14, {}, {2000, 0, 0}), fetches}));
  other.agent.program_started({12}, other.now());
  other.agent.program_started({13}, other.now());
  EXPECT_EQ(lined_up(other.orders()), Pairs{});
}

TEST(Agent, LinesUpAsManyAsEndSoonAndByTurns) {
  Desk desk(two_cores(64));
  desk.join();
  desk.learn(kLineWork / 3);
  std::vector<Assignment> many;
  for (std::uint64_t i = 11; i <= 19; ++i) many.push_back(task(i));
  (void)desk.hear(assign(many));
  desk.agent.program_started({11}, desk.now());
  desk.agent.program_started({12}, desk.now());
  EXPECT_EQ(lined_up(desk.orders()), (Pairs{{13, 11}, {14, 12}, {15, 13}, {16, 14}, {17, 15}, {18, 16}}));
  EXPECT_EQ(desk.agent.waiting(), 7U);

  desk.agent.program_ended({11}, desk.now());
  EXPECT_EQ(desk.agent.running(), 3U);  // 1 until it is over, 2 and 3.
  EXPECT_EQ(lined_up(desk.orders()), (Pairs{{19, 17}}));
}

TEST(Agent, ClosesTheGapThatAnAttemptLeavesInALine) {
  Desk desk(two_cores(64));
  desk.join();
  desk.learn(1ms);
  (void)desk.hear(assign({task(11, {}, {2000, 0, 0}), task(12, {}, {2000, 0, 0}), task(13, {}, {2000, 0, 0}),
                          task(14, {}, {2000, 0, 0})}));
  desk.agent.program_started({11}, desk.now());
  EXPECT_EQ(lined_up(desk.orders()), (Pairs{{12, 11}, {13, 12}, {14, 13}}));
  EXPECT_THAT(desk.hear(cancel(13, true)).withdraw, ElementsAre(AttemptId{13}));
  desk.agent.withdrawn({13}, desk.now());
  for (const std::uint64_t attempt : {11U, 12U}) {
    desk.agent.program_ended({attempt}, desk.now());
    (void)desk.end(attempt);
  }
  EXPECT_TRUE(desk.agent.wanted({14}));  // It runs: nobody is before it any more.
  desk.pass(kShortProgram);
  EXPECT_THAT(desk.orders().withdraw, IsEmpty());
}

TEST(Agent, TakesAWholeLineBackWhenItsFrontTurnsOutLong) {
  Desk desk(two_cores(64));
  desk.join();
  desk.learn(1ms);
  (void)desk.hear(assign({task(11, {}, {2000, 0, 0}), task(12, {}, {2000, 0, 0}), task(13, {}, {2000, 0, 0})}));
  desk.agent.program_started({11}, desk.now());
  (void)desk.orders();
  desk.pass(kShortProgram);
  EXPECT_THAT(desk.orders().withdraw, ElementsAre(AttemptId{12}, AttemptId{13}));
  desk.agent.withdrawn({12}, desk.now());
  desk.agent.withdrawn({13}, desk.now());
  desk.agent.program_ended({11}, desk.now());
  EXPECT_THAT(started(desk.orders()), ElementsAre(12));
}

TEST(Agent, LinesNobodyUpBehindLongPrograms) {
  Desk desk(two_cores(8));
  desk.join();
  (void)desk.hear(assign({task(11), task(12), task(13)}));
  desk.agent.program_started({11}, desk.now());
  EXPECT_EQ(lined_up(desk.orders()), Pairs{});
  desk.pass(kShortProgram);
  desk.agent.program_ended({11}, desk.now());
  (void)desk.hear(assign({task(14)}));
  desk.agent.program_started({13}, desk.now());
  EXPECT_EQ(lined_up(desk.orders()), Pairs{});
}

}  // namespace
}  // namespace chappe::agent
