// Tasks that depend on their past, in the engine: what bounds how it is looked up, and what comes of odd answers.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "engine/run/engine_past.h"
#include "tests/support/dag_builder.h"
#include "tests/support/engine_world.h"

namespace chappe {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using support::dag_of;
using support::EngineWorld;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class PastTest : public testing::Test {
 protected:
  PastTest() { world_.step({world_.join(world_.worker("w"))}); }

  RunId submit(const DagPtr& dag) {
    const RunId run = world_.submit(dag);
    look_up_all();
    return run;
  }
  void look_up_all() {
    while (world_.has_past_to_look_up()) world_.step();
  }
  void finish(const RunId& run, const std::string& instance, AttemptEnd end = {}) {
    ASSERT_NE(world_.newest(run, instance), nullptr);
    world_.step({world_.finished(world_.worker("w"), *world_.newest(run, instance), end)});
    look_up_all();
  }
  AttemptEnd failure() { return {.reason = Reason::kExitCode, .exit_code = 1}; }

  EngineWorld world_;
  DagPtr dag_ = dag_of("{name: d, concurrency: {max_runs: 9}, tasks: [{id: t, run: 'true', depends_on_past: true}]}");
};

TEST_F(PastTest, IsLookedUpForSoManyTasksInOneStep) {
  std::string tasks;
  for (std::size_t i = 0; i <= kPastAskedMax; ++i)
    tasks += fmt::format("- {{id: t{}, noop: {{}}, depends_on_past: true}}\n", i);
  const DagPtr dag = dag_of("name: many\ntasks:\n" + tasks);
  const Effects first = world_.step({world_.request(dag)});
  ASSERT_THAT(first.past, SizeIs(1));
  EXPECT_THAT(first.past[0].tasks, SizeIs(kPastAskedMax));
  EXPECT_EQ(first.wake_at, world_.now.mono);
  const Effects second = world_.step();
  ASSERT_THAT(second.past, SizeIs(1));
  EXPECT_THAT(second.past[0].tasks, SizeIs(1));
  EXPECT_THAT(world_.step().past, IsEmpty());
}

TEST_F(PastTest, ThatCannotBeReadIsAskedForAgainAfterAWhile) {
  Engine engine = Engine::restore({}, world_.config(), world_.now).value();
  RunRequested asked = world_.request(dag_);
  const Effects begun = engine.step(std::vector<Event>{asked}, world_.now);
  ASSERT_THAT(begun.past, SizeIs(1));
  PastLooked failed{.run = begun.past[0].run, .tasks = {{"t"}}, .error = "the disk is on fire"};
  const Effects waits = engine.step(std::vector<Event>{failed}, world_.now);
  EXPECT_THAT(waits.past, IsEmpty());
  EXPECT_EQ(waits.wake_at, world_.now.mono + seconds(10));
  EXPECT_THAT(to_json(*engine.explain(asked.id, "", 10, world_.now)), HasSubstr("the disk is on fire"));
  const Now later{world_.now.wall + seconds(10), world_.now.mono + seconds(10)};
  EXPECT_THAT(engine.step({}, later).past, SizeIs(1));
}

TEST_F(PastTest, AnswersToNobodyChangeNothing) {
  const RunId run = submit(dag_);
  const std::size_t commits = world_.store().commits();
  PastLooked stale{.run = world_.row(run).seq, .tasks = {{"t", TaskState::kFailed}, {"unheard_of"}}};
  world_.step({stale, PastLooked{.run = {99}, .tasks = {{"t"}}}});
  EXPECT_EQ(world_.store().commits(), commits);
  EXPECT_EQ(world_.state(run, "t"), "queued");
}

TEST_F(PastTest, OfAVersionWithoutTheTaskLetsItStart) {
  const RunId first = submit(dag_of("{name: d, tasks: [{id: other, run: 'true'}]}"));
  finish(first, "other", failure());
  const RunId second = submit(dag_);
  EXPECT_EQ(world_.state(second, "t"), "queued");
}

TEST_F(PastTest, IsNoMatterOfWhoWasSeenToBeAllowed) {
  const RunId first = submit(dag_);
  finish(first, "t");
  const RunId second = submit(dag_);
  world_.step({world_.retry(first, {"t"})});
  look_up_all();
  EXPECT_EQ(world_.state(first, "t"), "queued");
  EXPECT_EQ(world_.state(second, "t"), "queued");
}

TEST_F(PastTest, ARunThatIsRetriedAsksAnew) {
  const RunId first = submit(dag_);
  finish(first, "t");
  const RunId second = submit(dag_);
  finish(second, "t");
  world_.step({world_.mark(first, "t", TaskState::kFailed)});
  world_.step({world_.retry(second, {"t"})});
  look_up_all();
  EXPECT_EQ(world_.state(second, "t"), "waiting");
  EXPECT_THAT(world_.explained(second), HasSubstr("where it is failed (depends_on_past); retry or mark it there"));
  world_.step({world_.mark(first, "t", TaskState::kSkipped)});
  look_up_all();
  EXPECT_EQ(world_.state(second, "t"), "queued");
}

TEST_F(PastTest, ABackfillCannotBeginWithTheNewestDate) {
  const DagPtr dag = dag_of("{name: d, schedule: '@hourly', tasks: [{id: t, noop: {}, depends_on_past: true}]}");
  BackfillSpec spec{.from = world_.now.wall + -hours(5), .to = world_.now.wall};
  EXPECT_TRUE(check_backfill(*dag, spec));
  spec.newest_first = true;
  EXPECT_THAT(check_backfill(*dag, spec).error().message, HasSubstr("task 't' has depends_on_past"));
}

TEST_F(PastTest, ATaskThatWaitsOnItIsCancelledWithItsRunAndForgotten) {
  const RunId first = submit(dag_);
  finish(first, "t", failure());
  const RunId second = submit(dag_);
  world_.step({CancelRequested{.ticket = {1}, .run = second, .requested_by = "ann"}});
  EXPECT_EQ(world_.state(second), "cancelled");
  EXPECT_EQ(world_.engine().live_runs(), 0U);
  world_.step({world_.mark(first, "t", TaskState::kSuccess)});
  EXPECT_EQ(world_.state(first), "success");
}

}  // namespace
}  // namespace chappe
