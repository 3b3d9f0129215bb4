// Runs that time starts, and what becomes of times that nobody was there for. It is 2027-01-15T08:00:00Z.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "tests/support/dag_builder.h"
#include "tests/support/engine_world.h"

namespace chappe {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using support::dag_of;
using support::EngineWorld;
using support::WorkerSide;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

DagPtr dag(const std::string& keys, const std::string& name = "d") {
  return dag_of(fmt::format("{{name: {}, {}, tasks: [{{id: t, noop: true}}]}}", name, keys));
}

/// Logical times of the runs that its schedule made, "08:01:00".
std::vector<std::string> times(const EngineWorld& world) {
  std::vector<std::string> out;
  for (const auto& [seq, row] : world.store().tables().runs) {
    if (row.trigger == "schedule") out.push_back(to_iso8601(row.logical_time).substr(11, 8));
  }
  return out;
}

DeploymentRow row(const EngineWorld& world, const std::string& name = "d") {
  return world.store().tables().deployments.at(name);
}

/// A machine that sleeps: only the wall clock goes on.
void set_clock(EngineWorld& world, Duration by) { world.now.wall = world.now.wall + by; }

/// Whatever it is given ends at once.
void finish_all(EngineWorld& world) {
  WorkerSide& worker = world.worker("w");
  for (int i = 0; i < 1'000 && !worker.held.empty(); ++i) {
    world.step({world.finished(worker, worker.held.begin()->second)});
  }
}

TEST(Schedules, EachTimeMakesOneRunThatKnowsItsInterval) {
  EngineWorld world;
  world.step({world.deployed(dag("schedule: '* * * * *', concurrency: {max_runs: 9}"))});
  EXPECT_THAT(times(world), IsEmpty()) << "what was before it was deployed is not missed";
  world.pass(minutes(3));
  EXPECT_THAT(times(world), ElementsAre("08:01:00", "08:02:00", "08:03:00"));
  const RunRow& run = world.store().tables().runs.begin()->second;
  EXPECT_EQ(run.requested_by, "schedule");
  EXPECT_EQ(run.interval_end, run.logical_time);
  EXPECT_EQ(run.interval_start, run.logical_time + -minutes(1));
  EXPECT_EQ(run.state, RunState::kRunning);
}

TEST(Schedules, ATaskForTheLatestTimeIsNotSkippedInARunThatSomebodyAskedFor) {
  EngineWorld world;
  const DagPtr only =
      dag_of("{name: d, schedule: '@hourly', tasks: [{id: t, noop: true}, {id: late, noop: true, latest_only: true}]}");
  const auto ends_in = [&](const std::string& trigger, WallTime time) {
    RunRequested run = world.request(only);
    run.trigger = trigger;
    run.logical_time = time;
    world.step({run});
    const std::string state = world.state(run.id, "late");
    world.step({CancelRequested{.ticket = {1}, .run = run.id, .requested_by = "ann"}});
    return state;
  };
  const WallTime now = world.now.wall;
  for (const std::string trigger : {"manual", "rerun", "dag", "asset"}) {
    EXPECT_EQ(ends_in(trigger, now + -hours(9)), "none") << trigger;
  }
  EXPECT_EQ(ends_in("schedule", now + -hours(1)), "skipped") << "the time that comes next is this very moment";
  EXPECT_EQ(ends_in("schedule", now), "scheduled");
  EXPECT_EQ(ends_in("backfill", now + -hours(9)), "skipped");
}

TEST(Schedules, ATaskForTheLatestTimeWaitsAsLongAsTheRunOfTheNextOneDoes) {
  EngineWorld world;
  const DagPtr only =
      dag_of("{name: d, schedule: {cron: '@hourly', jitter: 50m}, tasks: [{id: t, noop: true, latest_only: true}]}");
  const Duration delay = only->schedule.delay("d", world.now.wall);
  ASSERT_GT(delay, minutes(1));
  const auto state_after = [&](Duration passed) {
    EngineWorld other;
    other.now.wall = other.now.wall + passed;
    RunRequested run = other.request(only);
    run.trigger = "schedule";
    run.logical_time = world.now.wall + -hours(1);
    other.step({run});
    return other.state(run.id, "t");
  };
  EXPECT_EQ(state_after(delay - seconds(1)), "scheduled");
  EXPECT_EQ(state_after(delay), "skipped");
}

TEST(Schedules, MakeNoTimeTwiceWhereverTheProcessDies) {
  EngineWorld world;
  world.step({world.deployed(dag("schedule: '* * * * *', concurrency: {max_runs: 9}"))});
  set_clock(world, minutes(1));
  world.die_before_committing({});
  world.die_before_sending({});
  world.restart();
  world.step();
  EXPECT_THAT(times(world), ElementsAre("08:01:00"));
  world.restart();
  world.pass(minutes(1));
  EXPECT_THAT(times(world), ElementsAre("08:01:00", "08:02:00"));
}

TEST(Schedules, AClockThatIsSetBackMakesNothingTwice) {
  EngineWorld world;
  world.step({world.deployed(dag("schedule: '* * * * *', concurrency: {max_runs: 9}"))});
  world.pass(minutes(2));
  set_clock(world, -minutes(2));
  world.pass(minutes(2));
  EXPECT_THAT(times(world), ElementsAre("08:01:00", "08:02:00"));
  world.restart();
  world.pass(minutes(1));
  EXPECT_THAT(times(world), ElementsAre("08:01:00", "08:02:00", "08:03:00"));
}

TEST(Schedules, AClockThatIsSetForwardIsNoticedSoon) {
  EngineWorld world;
  world.step({world.deployed(dag("schedule: '0 12 * * *'"))});
  set_clock(world, hours(5));
  world.pass(seconds(31));
  EXPECT_THAT(times(world), ElementsAre("12:00:00"));
}

TEST(Schedules, ATimeThatAPersonAsksForHasTheIntervalThatItWouldHaveHad) {
  EngineWorld world;
  const DagPtr nightly = dag("schedule: '0 3 * * *', start_date: 2027-01-02, concurrency: {max_runs: 9}");
  const auto interval_of = [&](const char* logical_time) {
    RunRequested wanted = world.request(nightly);
    wanted.logical_time = parse_iso8601(logical_time).value();
    world.step({wanted});
    const RunRow& run = world.store().tables().runs.rbegin()->second;
    EXPECT_EQ(run.interval_end, run.logical_time);
    return to_iso8601(run.interval_start).substr(0, 16);
  };
  EXPECT_EQ(interval_of("2027-01-14T03:00:00Z"), "2027-01-13T03:00");
  EXPECT_EQ(interval_of("2027-01-02T03:00:00Z"), "2027-01-01T03:00") << "the first one, as the schedule's";
  EXPECT_EQ(interval_of("2027-01-14T03:00:01Z"), "2027-01-14T03:00") << "another time is a moment";
  EXPECT_EQ(interval_of("2027-01-01T03:00:00Z"), "2027-01-01T03:00") << "before the first one";
}

TEST(Schedules, OfMissedTimesTheLatestIsMade) {
  EngineWorld world;
  world.step({world.deployed(dag("schedule: '*/10 * * * *', concurrency: {max_runs: 9}"))});
  set_clock(world, hours(2) + minutes(5));
  world.step();
  world.pass(seconds(1));
  EXPECT_THAT(times(world), ElementsAre("10:00:00"));
  EXPECT_EQ(world.store().tables().runs.begin()->second.interval_start, parse_iso8601("2027-01-15T09:50:00Z").value());
  EXPECT_EQ(to_iso8601(row(world).next_at), "2027-01-15T10:10:00.000000Z");
}

TEST(Schedules, NoMissedTimeIsMadeWhereCatchupIsNone) {
  EngineWorld world;
  world.step({world.deployed(dag("schedule: '*/10 * * * *', catchup: none, concurrency: {max_runs: 9}"))});
  set_clock(world, hours(2) + minutes(5));
  world.step();
  EXPECT_THAT(times(world), IsEmpty());
  EXPECT_THAT(row(world).message, HasSubstr("10:00:00.000000Z was missed, and catchup is none"));
  set_clock(world, minutes(5) + seconds(30));  // Half a minute late is not missed.
  world.step();
  EXPECT_THAT(times(world), ElementsAre("10:10:00"));
  EXPECT_EQ(row(world).message, "");
}

TEST(Schedules, AllMissedTimesAreMadeOldestFirstUpToABound) {
  EngineWorld world;
  world.step(
      {world.deployed(dag("schedule: '*/10 * * * *', catchup: all, max_catchup_runs: 3, concurrency: {max_runs: 9}"))});
  set_clock(world, hours(2) + minutes(5));
  world.pass(seconds(31));
  EXPECT_THAT(times(world), ElementsAre("09:40:00", "09:50:00", "10:00:00"));
  world.pass(minutes(10));
  EXPECT_THAT(times(world), ElementsAre("09:40:00", "09:50:00", "10:00:00", "10:10:00"));
}

TEST(Schedules, TimesBeforeTheWindowAreGivenUp) {
  EngineWorld world;
  world.step(
      {world.deployed(dag("schedule: '*/10 * * * *', catchup: all, catchup_window: 26m, concurrency: {max_runs: 9}")),
       world.deployed(dag("schedule: '0 9 * * *', catchup_window: 25m", "late"))});
  set_clock(world, hours(2) + minutes(5));
  world.pass(seconds(31));
  EXPECT_THAT(times(world), ElementsAre("09:40:00", "09:50:00", "10:00:00"));
  EXPECT_THAT(row(world, "late").message, HasSubstr("longer ago than its catchup_window of 25m"));
}

TEST(Schedules, AStartDateInThePastIsCaughtUpWithWhereCatchupIsAll) {
  EngineWorld world;
  world.step({world.deployed(
      dag("schedule: '0 * * * *', start_date: 2027-01-15T06:00:00Z, catchup: all, concurrency: {max_runs: 9}"))});
  world.pass(seconds(1));
  EXPECT_THAT(times(world), ElementsAre("06:00:00", "07:00:00", "08:00:00"));
}

TEST(Schedules, EndWithTheirEndDate) {
  EngineWorld world;
  world.step(
      {world.deployed(dag("schedule: '* * * * *', end_date: 2027-01-15T08:02:00Z, concurrency: {max_runs: 9}"))});
  world.pass(minutes(5));
  EXPECT_THAT(times(world), ElementsAre("08:01:00", "08:02:00"));
  EXPECT_FALSE(row(world).next_at.is_set());
}

TEST(Schedules, JitterDelaysTheRunAndNotItsLogicalTime) {
  EngineWorld world;
  const DagPtr jittered = dag("schedule: {cron: '*/10 * * * *', jitter: 5m}");
  world.step({world.deployed(jittered)});
  const WallTime time = parse_iso8601("2027-01-15T08:10:00Z").value();
  const Duration delay = jittered->schedule.delay("d", time);
  ASSERT_GT(delay, seconds(1));
  world.pass(minutes(10) + delay - seconds(1));
  EXPECT_THAT(times(world), IsEmpty());
  world.pass(seconds(2));
  EXPECT_THAT(times(world), ElementsAre("08:10:00"));
}

TEST(Schedules, RestWhilePausedAndCatchUpAfterwards) {
  EngineWorld world;
  world.step({world.deployed(dag("schedule: '* * * * *', concurrency: {max_runs: 9}, paused: true"))});
  EXPECT_FALSE(row(world).next_at.is_set());
  world.pass(minutes(2));
  EXPECT_THAT(times(world), IsEmpty());
  world.restart();
  world.pass(minutes(1));
  const Effects goes_on = world.step({DagPauseRequested{{1}, "d", false, "ann", "192.0.2.7"}});
  EXPECT_EQ(goes_on.persist.audit.at(0).verb, "dag.unpause");
  world.pass(seconds(1));
  EXPECT_THAT(times(world), ElementsAre("08:03:00"));
  world.step({DagPauseRequested{{1}, "d", true, "ann", ""}});
  world.pass(minutes(2));
  EXPECT_THAT(times(world), SizeIs(1));
  // A new version with the same `paused` does not undo what a person asked for; another `paused` does.
  world.step({world.deployed(dag("schedule: '* * * * *', concurrency: {max_runs: 8}, paused: true"))});
  EXPECT_TRUE(row(world).paused);
  world.step({world.deployed(dag("schedule: '* * * * *', concurrency: {max_runs: 8}"))});
  EXPECT_FALSE(row(world).paused);
}

TEST(Schedules, ANewVersionIsWhatTheNextTimeStarts) {
  EngineWorld world;
  const DagPtr first = dag("schedule: '* * * * *', concurrency: {max_runs: 9}");
  const DagPtr second = dag("schedule: '* * * * *', concurrency: {max_runs: 9}, description: better");
  world.step({world.deployed(first)});
  world.pass(minutes(1));
  const Effects deployed = world.step({world.deployed(second)});
  EXPECT_EQ(deployed.replies.at(0).answer->find("state")->as_string()->c_str(), std::string("changed"));
  EXPECT_EQ(deployed.persist.audit.at(0).detail,
            fmt::format(R"({{"before":"{}","after":"{}"}})", first->version, second->version));
  set_clock(world, minutes(1));  // The same times: what is missed since is missed.
  world.step();
  std::vector<std::string> versions;
  for (const auto& [seq, run] : world.store().tables().runs) versions.push_back(run.dag_version);
  EXPECT_THAT(versions, ElementsAre(first->version, second->version));
  const Effects same = world.step({world.deployed(second)});
  EXPECT_TRUE(same.persist.empty());
  EXPECT_EQ(*same.replies.at(0).answer->find("state")->as_string(), "unchanged");
}

TEST(Schedules, OtherTimesBeginWhenTheyAreDeployed) {
  EngineWorld world;
  world.step({world.deployed(dag("schedule: '0 9 * * *'"))});
  set_clock(world, hours(4));
  world.step({world.deployed(dag("schedule: '0 10 * * *'"))});
  world.pass(minutes(1));
  EXPECT_THAT(times(world), IsEmpty());
  EXPECT_EQ(to_iso8601(row(world).next_at), "2027-01-16T10:00:00.000000Z");
}

TEST(Schedules, AnUndeployedDagStartsNothingAndItsTimesNeverComeAgain) {
  EngineWorld world;
  const DagPtr each_minute = dag("schedule: '* * * * *', concurrency: {max_runs: 9}");
  world.step({world.deployed(each_minute)});
  world.pass(minutes(2));
  const Effects removed = world.step({DagRemoved{{1}, "d", "", "ann", ""}});
  EXPECT_EQ(removed.persist.audit.at(0).verb, "dag.undeploy");
  world.pass(minutes(2));
  EXPECT_THAT(times(world), SizeIs(2));
  world.restart();
  set_clock(world, -minutes(4));
  world.step({world.deployed(each_minute)});
  world.pass(minutes(3));
  EXPECT_THAT(times(world), ElementsAre("08:01:00", "08:02:00", "08:03:00"));
  EXPECT_EQ(world.step({DagRemoved{{1}, "nobody", "", "ann", ""}}).replies.at(0).answer.error().code,
            ErrorCode::kNotFound);
}

TEST(Schedules, WhatComesFromAFileIsChangedThere) {
  EngineWorld world;
  world.step({world.deployed(dag("schedule: '@daily'"), "dags/d.yaml")});
  const Effects refused = world.step({world.deployed(dag("schedule: '@hourly'"))});
  EXPECT_THAT(refused.replies.at(0).answer.error().message, HasSubstr("comes from the file dags/d.yaml"));
  EXPECT_FALSE(world.step({DagRemoved{{1}, "d", "", "ann", ""}}).replies.at(0).answer);
  EXPECT_FALSE(world.step({DagRemoved{{1}, "d", "dags/other.yaml", "", ""}}).replies.at(0).answer);
  EXPECT_TRUE(world.step({DagRemoved{{1}, "d", "dags/d.yaml", "", ""}}).replies.at(0).answer);
}

TEST(Schedules, ADagThatNeedsToBeAskedIsNotDeployed) {
  EngineWorld world;
  const DagPtr asks =
      support::DagBuilder("d")
          .task("t")
          .change([](Dag& dag) {
            dag.params.push_back({.name = "year", .required = true});
            dag.schedule.lines.push_back({{calendar::Every{minutes(1), {}}, calendar::Zone::utc(), {}, ""}});
          })
          .build();
  EXPECT_THAT(world.step({world.deployed(asks)}).replies.at(0).answer.error().message, HasSubstr("year"));
}

TEST(Schedules, OneDagHasItsBoundOfQueuedRunsAndGoesOnWhenOneBegins) {
  EngineWorld world({.fires_queued_max = 2});
  world.step({world.deployed(dag("schedule: '* * * * *'"))});
  world.pass(minutes(6));
  EXPECT_THAT(times(world), ElementsAre("08:01:00", "08:02:00", "08:03:00")) << "one runs, two are queued";
  world.step({world.join(world.worker("w"))});
  world.step({world.finished(world.worker("w"), world.worker("w").held.begin()->second)});
  world.pass(milliseconds(1));
  EXPECT_THAT(times(world), ElementsAre("08:01:00", "08:02:00", "08:03:00", "08:06:00")) << "catchup is latest";
}

TEST(Schedules, TenThousandDagsWithAYearMissedAreServedInTurnAndInBoundedSteps) {
  constexpr std::uint32_t kDags = 10'000, kStep = 100;
  EngineConfig config{.fires_max = kStep};
  const WallTime wall = EngineWorld().now.wall;
  Engine engine = Engine::restore({.epoch = 1}, config, {wall, {1}}).value();
  for (std::uint32_t i = 0; i < kDags; ++i) {
    const DagPtr each = support::DagBuilder(fmt::format("d{}", i))
                            .task("t")
                            .change([](Dag& dag) {
                              dag.schedule.lines.push_back(
                                  {{calendar::parse_cron("* * * * *").value(), calendar::Zone::utc(), {}, ""}});
                              dag.schedule.catchup = Catchup::kAll;
                            })
                            .build();
    (void)engine.step(std::vector<Event>{DagDeployed{.dag = each}}, {wall, {1}});
  }
  const WallTime later = wall + hours(24 * 365);
  std::map<std::string, int> made;
  MonoTime mono{2};
  for (std::uint32_t step = 0; step < 3 * kDags / kStep; ++step) {
    const Effects effects = engine.step({}, {later, mono});
    ASSERT_EQ(effects.persist.runs.size(), kStep);
    ASSERT_EQ(effects.wake_at, mono) << "there is more to do";
    for (const RunRow& run : effects.persist.runs) ++made[run.dag];
    ++mono.us;
  }
  ASSERT_EQ(made.size(), kDags);
  for (const auto& [name, count] : made) ASSERT_EQ(count, 3) << name;
}

TEST(Schedules, RestoredEqualsLive) {
  EngineWorld world({.fires_queued_max = 1});
  world.step({world.deployed(dag("schedule: '* * * * *'")),
              world.deployed(dag("schedule: {every: 90s, jitter: 20s}", "jittered"), "dags/j.yaml"),
              world.deployed(dag("schedule: '@daily', paused: true", "paused")),
              world.deployed(dag("schedule: '@daily'", "removed"))});
  world.step({DagRemoved{{1}, "removed", "", "ann", ""}});
  world.pass(minutes(5));
  const std::string before = world.engine().dump_json();
  world.restart();
  std::string after = world.engine().dump_json();
  after.replace(after.find("\"epoch\":2"), 9, "\"epoch\":1");
  EXPECT_EQ(before, after);
}

// ---- Runs that their DAG has no place for ----

TEST(OnLimit, SkipMakesNoRunAndSaysSo) {
  EngineWorld world;
  world.step({world.deployed(dag("schedule: '* * * * *', concurrency: {on_limit: skip}"))});
  world.pass(minutes(3));
  EXPECT_THAT(times(world), ElementsAre("08:01:00"));
  EXPECT_THAT(row(world).message, HasSubstr("08:03:00.000000Z made no run"));
  const DagPtr again = dag("concurrency: {on_limit: skip}");
  const Effects refused = world.step({world.request(again)});
  EXPECT_TRUE(refused.persist.empty());
}

TEST(OnLimit, ReplaceCancelsWhatRuns) {
  EngineWorld world;
  world.step({world.join(world.worker("w"))});
  world.step({world.deployed(dag("schedule: '* * * * *', concurrency: {on_limit: replace}"))});
  world.pass(minutes(2));
  const auto& runs = world.store().tables().runs;
  EXPECT_EQ(runs.at({1}).stop, Stop::kCancel);
  EXPECT_THAT(runs.at({1}).message, HasSubstr("took its place (on_limit: replace)"));
  EXPECT_EQ(runs.at({2}).state, RunState::kQueued);
  const WorkerSide& worker = world.worker("w");
  const Assignment what = worker.held.begin()->second;
  EXPECT_TRUE(worker.asked_to_cancel.contains(what.attempt));
  world.step({world.finished(worker, what, {.reason = Reason::kCancelled})});
  EXPECT_EQ(runs.at({1}).state, RunState::kCancelled);
  EXPECT_EQ(runs.at({2}).state, RunState::kRunning);
}

TEST(OnLimit, LatestKeepsTheNewestOfThoseThatWait) {
  EngineWorld world;
  world.step({world.join(world.worker("w"))});
  world.step({world.deployed(dag("schedule: '* * * * *', concurrency: {on_limit: latest}"))});
  world.pass(minutes(4));
  std::vector<RunState> states;
  for (const auto& [seq, run] : world.store().tables().runs) states.push_back(run.state);
  EXPECT_THAT(states, ElementsAre(RunState::kRunning, RunState::kCancelled, RunState::kCancelled, RunState::kQueued));
  finish_all(world);
  EXPECT_EQ(world.store().tables().runs.at({4}).state, RunState::kSuccess);
}

}  // namespace
}  // namespace chappe
