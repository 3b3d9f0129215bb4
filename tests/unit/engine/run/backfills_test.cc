// Backfills in the engine: how it goes on, what bounds it, and what a restart knows. It is 2027-01-15T08:00:00Z.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <set>

#include "tests/support/dag_builder.h"
#include "tests/support/engine_world.h"

namespace chappe {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using support::dag_of;
using support::EngineWorld;
using support::WorkerSide;
using testing::HasSubstr;
using testing::SizeIs;

constexpr const char* kHourly = "{name: d, schedule: '@hourly', tasks: [{id: t, noop: true}]}";

/// So many hours up to now.
BackfillSpec last_hours(const EngineWorld& world, std::uint32_t count, std::uint32_t max_active = 1) {
  return {.from = world.now.wall + -hours(count - 1), .to = world.now.wall, .max_active = max_active};
}

const BackfillRow& backfill_row(const EngineWorld& world, std::uint32_t id = 1) {
  return world.store().tables().backfills.at({id});
}

std::size_t runs_of(const EngineWorld& world, std::uint32_t id = 1) {
  std::size_t count = 0;
  for (const auto& [seq, run] : world.store().tables().runs) count += run.backfill == BackfillId{id} ? 1U : 0U;
  return count;
}

/// Until nothing is to be looked up any more.
void look_up_all(EngineWorld& world) {
  while (world.has_dates_to_look_up()) world.step();
}

void finish_one(EngineWorld& world) {
  WorkerSide& worker = world.worker("w");
  ASSERT_FALSE(worker.held.empty());
  world.step({world.finished(worker, worker.held.begin()->second)});
  look_up_all(world);
}

/// A world with a worker and a DAG of each hour.
class BackfillsTest : public testing::Test {
 protected:
  explicit BackfillsTest(EngineConfig config = {}) : world_(std::move(config)) {
    world_.step({world_.join(world_.worker("w")), world_.deployed(dag_)});
  }
  void begin(const BackfillSpec& spec) {
    world_.step({world_.backfill(dag_, spec)});
    look_up_all(world_);
  }
  std::string refused(const Effects& effects) {
    return effects.replies.empty() || effects.replies[0].answer ? "" : effects.replies[0].answer.error().message;
  }
  DagPtr dag_ = dag_of(kHourly);
  EngineWorld world_;
};

TEST_F(BackfillsTest, NeverMakesMoreThanItsRunsAtATime) {
  begin(last_hours(world_, 100, 7));
  for (int i = 0; i < 93; ++i) {
    EXPECT_EQ(world_.engine().live_runs(), 7U);
    finish_one(world_);
  }
  EXPECT_EQ(runs_of(world_), 100U);
  for (int i = 0; i < 7; ++i) finish_one(world_);
  EXPECT_EQ(backfill_row(world_).state, BackfillState::kCompleted);
  EXPECT_TRUE(backfill_row(world_).ended_at.is_set());
}

TEST_F(BackfillsTest, LooksAFewDatesAheadHoweverManyThereAre) {
  begin(last_hours(world_, 40));
  for (int i = 0; i < 40; ++i) finish_one(world_);
  ASSERT_EQ(backfill_row(world_).state, BackfillState::kCompleted);
  const Effects begun = world_.step({world_.backfill(dag_, last_hours(world_, 40))});
  ASSERT_THAT(begun.dates, SizeIs(1));
  EXPECT_THAT(begun.dates[0].times, SizeIs(16));
  EXPECT_EQ(begun.wake_at, world_.now.mono);
  look_up_all(world_);
  EXPECT_EQ(backfill_row(world_, 2).skipped, 40U);
  EXPECT_EQ(backfill_row(world_, 2).state, BackfillState::kCompleted);
}

TEST_F(BackfillsTest, GoesOnAfterARestartWithWhatIsDurable) {
  begin(last_hours(world_, 5, 2));
  finish_one(world_);
  world_.die_before_committing({});
  world_.step({world_.join(world_.worker("w"))});
  look_up_all(world_);
  EXPECT_EQ(world_.engine().live_runs(), 2U);
  EXPECT_EQ(backfill_row(world_).made, 3U);
  for (int i = 0; i < 4; ++i) finish_one(world_);
  std::set<WallTime> times;
  for (const auto& [seq, run] : world_.store().tables().runs) times.insert(run.logical_time);
  EXPECT_EQ(times.size(), 5U);
  EXPECT_EQ(runs_of(world_), 5U);
}

TEST_F(BackfillsTest, AnAnswerThatComesTwiceDecidesNothingTwice) {
  const Effects begun = world_.step({world_.backfill(dag_, last_hours(world_, 3, 3))});
  DatesLooked looked{.backfill = begun.dates.at(0).backfill, .dates = {}};
  for (const WallTime time : begun.dates[0].times) looked.dates.push_back({time, std::nullopt});
  world_.step({looked});
  world_.step({looked});
  EXPECT_EQ(runs_of(world_), 3U);
  looked.backfill = {99};
  world_.step({looked});
  EXPECT_EQ(runs_of(world_), 3U);
}

TEST_F(BackfillsTest, KeepsTheVersionThatWasInUseWhenItBegan) {
  begin(last_hours(world_, 3));
  const DagPtr newer = dag_of("{name: d, schedule: '@daily', tasks: [{id: t, noop: true}, {id: u, noop: true}]}");
  world_.step({world_.deployed(newer)});
  finish_one(world_);
  finish_one(world_);
  for (const auto& [seq, run] : world_.store().tables().runs) EXPECT_EQ(run.dag_version, dag_->version);
  EXPECT_EQ(runs_of(world_), 3U);
}

TEST_F(BackfillsTest, RunsKnowTheirTimeAndTheIntervalBeforeIt) {
  begin(last_hours(world_, 1));
  const RunRow& run = world_.store().tables().runs.begin()->second;
  EXPECT_EQ(run.trigger, "backfill");
  EXPECT_EQ(run.requested_by, "ann");
  EXPECT_EQ(run.logical_time, world_.now.wall);
  EXPECT_EQ(run.interval_end, run.logical_time);
  EXPECT_EQ(run.interval_start, run.logical_time + -hours(1));
}

TEST_F(BackfillsTest, CancellingOneThatIsPausedOrUnderWayEndsItForGood) {
  begin(last_hours(world_, 9, 3));
  BackfillChangeRequested cancel{.ticket = {1}, .backfill = {1}, .requested_by = "ben"};
  cancel.state = BackfillState::kCancelled;
  world_.step({cancel});
  look_up_all(world_);
  EXPECT_EQ(backfill_row(world_).state, BackfillState::kCancelled);
  for (const auto& [seq, run] : world_.store().tables().runs) {
    EXPECT_EQ(run.message, "backfill 1 was cancelled by ben");
  }
  EXPECT_THAT(refused(world_.step({cancel})), HasSubstr("backfill 1 is over"));
  EXPECT_EQ(runs_of(world_), 3U);
  EXPECT_EQ(refused(world_.step({world_.backfill(dag_, last_hours(world_, 2))})), "") << "its place is free";
}

TEST_F(BackfillsTest, OneWhoseDagDoesNotLoadAnyMoreRestsAndSaysSo) {
  begin(last_hours(world_, 3));
  StoredState stored = world_.store().load().value();
  stored.backfills.at(0).dag = nullptr;
  stored.epoch += 1;
  auto engine = Engine::restore(std::move(stored), {}, world_.now);
  ASSERT_TRUE(engine);
  EXPECT_TRUE(engine->step({}, world_.now).dates.empty());
  const std::vector<Event> resume{BackfillChangeRequested{.ticket = {1}, .backfill = {1}, .requested_by = "ann"}};
  EXPECT_THAT(refused(engine->step(resume, world_.now)), HasSubstr("does not load any more"));
}

class FullBackfillsTest : public BackfillsTest {
 protected:
  static EngineConfig small() {
    EngineConfig config;
    config.runs_max = 2;
    return config;
  }
  FullBackfillsTest() : BackfillsTest(small()) {}
};

TEST_F(FullBackfillsTest, WaitsWhereTheSchedulerHasAsManyRunsAsItTakes) {
  begin(last_hours(world_, 4, 4));
  EXPECT_EQ(runs_of(world_), 2U);
  world_.pass(seconds(5));
  EXPECT_EQ(runs_of(world_), 2U);
  finish_one(world_);
  world_.pass(seconds(2));
  EXPECT_EQ(runs_of(world_), 3U);
}

TEST(Marks, LetARunThatFailedFastGoOn) {
  EngineWorld world;
  const DagPtr dag = dag_of(R"(
name: d
fail_fast: finish
tasks:
  - {id: a, run: x}
  - {id: b, noop: true, depends_on: [a]}
  - {id: other, run: x, queue_timeout: 1h, resources: {cpu: 99}}
)");
  WorkerSide& worker = world.worker("w");
  const RunRequested wanted = world.request(dag);
  world.step({world.join(worker), wanted});
  world.step({world.finished(worker, worker.held.begin()->second, {.reason = Reason::kExitCode, .exit_code = 1})});
  ASSERT_EQ(world.state(wanted.id), "failed");
  world.step({world.mark(wanted.id, "a", TaskState::kSuccess)});
  EXPECT_EQ(world.state(wanted.id), "running");
  EXPECT_EQ(world.state(wanted.id, "b"), "queued");
  const Effects refused = world.step({world.mark(wanted.id, "other", TaskState::kSkipped)});
  EXPECT_TRUE(refused.replies.at(0).answer) << "what waits for a worker may be marked";
  world.step({world.finished(worker, worker.held.begin()->second)});
  EXPECT_EQ(world.state(wanted.id), "success");
}

TEST(Marks, AreForOneInstanceOrForAllOfAFanOut) {
  EngineWorld world;
  const DagPtr dag = dag_of(R"(
name: d
tasks:
  - {id: many, run: x, foreach: {items: [1, 2, 3], as: n, key: "${{ n }}"}}
  - {id: last, noop: true, depends_on: [many]}
)");
  const RunRequested wanted = world.request(dag);
  world.step({wanted});
  world.step({world.mark(wanted.id, "many[2]", TaskState::kSuccess)});
  EXPECT_EQ(world.state(wanted.id, "many[2]"), "success");
  EXPECT_EQ(world.state(wanted.id, "many[1]"), "none");
  world.step({world.mark(wanted.id, "many", TaskState::kSuccess)});
  world.step({world.mark(wanted.id, "last", TaskState::kSkipped)});
  EXPECT_EQ(world.state(wanted.id), "success");
  EXPECT_EQ(world.row(wanted.id).generation, 4U);
}

}  // namespace
}  // namespace chappe
