// What a run that is left alone, as it brought the scheduler down, is for those that have to do with it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

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

class LeftAloneTest : public testing::Test {
 protected:
  LeftAloneTest() {
    world_.know(child_);
    world_.step({world_.join(world_.worker("w"))});
  }

  /// A run whose task waits for a run of `child_`, which it has started.
  RunId submit_parent(const std::string& more = "") {
    const RunId parent = world_.submit(dag_of("{name: p, tasks: [{id: call, dag: {name: child}" + more + "}]}"));
    DagBrought brought = world_.brought(parent, "call");
    started_ = brought.run;
    world_.step({std::move(brought)});
    return parent;
  }
  Effects restart() {
    world_.restart();
    const Effects begun = world_.step({world_.join(world_.worker("w"))});
    while (world_.has_past_to_look_up()) world_.step();
    return begun;
  }
  void finish(const RunId& run, const std::string& instance) {
    world_.step({world_.finished(world_.worker("w"), *world_.newest(run, instance))});
  }

  EngineWorld world_;
  DagPtr child_ = dag_of("{name: child, tasks: [{id: t, run: 'true'}]}");
  RunId started_;
};

// It would be a second run of the same request, which no store takes: the scheduler could never start again.
TEST_F(LeftAloneTest, IsNotStartedOnceMoreByTheTaskThatWaitsForIt) {
  const RunId parent = submit_parent();
  world_.left_alone = {started_};
  EXPECT_THAT(restart().wanted, IsEmpty());
  EXPECT_EQ(world_.state(parent, "call"), "waiting");
  EXPECT_THAT(world_.explained(parent), HasSubstr("a run that it started, which is left alone"));
}

TEST_F(LeftAloneTest, LetsTheRunThatWaitsForItBeCancelled) {
  const RunId parent = submit_parent();
  world_.left_alone = {started_};
  (void)restart();
  world_.step({CancelRequested{.ticket = {1}, .run = parent, .requested_by = "ann"}});
  EXPECT_EQ(world_.state(parent, "call"), "cancelled");
  EXPECT_EQ(world_.state(parent), "cancelled");
  EXPECT_EQ(world_.engine().live_runs(), 0U);
}

TEST_F(LeftAloneTest, LetsADeadlineEndTheTaskThatWaitsForIt) {
  const RunId parent = submit_parent(", deadline: 1h");
  world_.left_alone = {started_};
  (void)restart();
  world_.pass(hours(2));
  EXPECT_EQ(world_.state(parent, "call"), "failed");
  EXPECT_EQ(world_.row(parent, "call").end.reason, Reason::kTimeout);
}

TEST_F(LeftAloneTest, IsWaitedForOnWhenAnotherBuildTakesItUp) {
  const RunId parent = submit_parent();
  world_.left_alone = {started_};
  (void)restart();
  world_.left_alone.clear();
  (void)restart();
  world_.pass(hours(1));  // Its attempt was forgotten meanwhile: there is another.
  finish(started_, "t");
  EXPECT_EQ(world_.state(parent), "success");
}

TEST_F(LeftAloneTest, HoldsBackTasksThatDependOnTheirPast) {
  const DagPtr dag =
      dag_of("{name: d, concurrency: {max_runs: 9}, tasks: [{id: t, run: 'true', depends_on_past: true}]}");
  const RunId first = world_.submit(dag);
  while (world_.has_past_to_look_up()) world_.step();
  const RunId second = world_.submit(dag);
  while (world_.has_past_to_look_up()) world_.step();
  world_.left_alone = {first};
  (void)restart();
  EXPECT_EQ(world_.state(second, "t"), "waiting");
  EXPECT_THAT(world_.explained(second), HasSubstr("run " + first.text() + " is left alone"));
  world_.left_alone.clear();
  (void)restart();
  world_.pass(hours(1));
  finish(first, "t");
  while (world_.has_past_to_look_up()) world_.step();
  EXPECT_EQ(world_.state(second, "t"), "queued");
}

}  // namespace
}  // namespace chappe
