// When a DAG starts by itself, as its file says.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "dags/loader/loader.h"

namespace chappe {
namespace {

DagPtr load(const std::string& text) {
  const LoadedDag loaded = load_dag(text, "dag.yaml");
  for (const Diagnostic& one : loaded.diagnostics) ADD_FAILURE() << one.text();
  return loaded.dag;
}

DagPtr load_good() {
  std::ifstream in(CHAPPE_SOURCE_DIR "/tests/unit/dags/good/schedule.yaml");
  std::stringstream text;
  text << in.rdbuf();
  return load(text.str());
}

std::string utc(std::optional<WallTime> time) { return time ? to_iso8601(*time) : "never"; }

TEST(LoadedSchedule, HoldsAllThatTheFileSays) {
  const DagPtr dag = load_good();
  ASSERT_NE(dag, nullptr);
  const SchedulePlan& plan = dag->schedule;
  EXPECT_EQ(plan.text(),
            "@daily (Europe/Berlin), 30 3 * * MON-FRI (America/New_York), every 6h (Europe/Berlin), at "
            "2026-12-24T18:00 (Europe/Berlin)");
  EXPECT_EQ(to_iso8601(plan.start), "2025-12-31T23:00:00.000000Z");
  EXPECT_EQ(to_iso8601(plan.end), "2026-12-31T22:59:59.999999Z");
  EXPECT_TRUE(plan.paused);
  EXPECT_EQ(plan.catchup, Catchup::kAll);
  EXPECT_EQ(plan.catchup_window, std::chrono::hours(7 * 24));
  EXPECT_EQ(plan.max_catchup_runs, 20u);
  EXPECT_EQ(plan.lines[0].when.dst, (calendar::DstPolicy{calendar::Gap::kSkip, calendar::Fold::kTwice}));
  EXPECT_EQ(plan.lines[1].jitter, std::chrono::minutes(5));
  EXPECT_EQ(dag->on_limit, OnLimit::kLatest);
}

TEST(LoadedSchedule, HasTheTimesOfAllItsLinesWithinItsDates) {
  const DagPtr dag = load_good();
  const SchedulePlan& plan = dag->schedule;
  EXPECT_EQ(utc(plan.next({1})), "2025-12-31T23:00:00.000000Z");  // The first midnight, and where `every` is anchored.
  const WallTime eve = parse_iso8601("2026-12-24T17:00:00Z").value();
  EXPECT_EQ(utc(plan.next(WallTime{eve.us - 1})), to_iso8601(eve));
  EXPECT_EQ(utc(plan.next(eve)), "2026-12-24T23:00:00.000000Z");
  EXPECT_EQ(utc(plan.previous(eve)), "2026-12-24T11:00:00.000000Z");  // `every`.
  EXPECT_EQ(utc(plan.next(plan.end)), "never");
}

TEST(LoadedSchedule, JitterIsTheSameEachTimeAndDiffersFromDagToDag) {
  const DagPtr dag = load_good();
  const SchedulePlan& plan = dag->schedule;
  const WallTime jittered = parse_iso8601("2026-07-01T07:30:00Z").value();
  const Duration delay = plan.delay("a", jittered);
  EXPECT_EQ(plan.delay("a", jittered), delay);
  EXPECT_NE(plan.delay("b", jittered), delay);
  EXPECT_LT(delay, std::chrono::minutes(5));
  EXPECT_EQ(plan.delay("a", parse_iso8601("2026-07-01T22:00:00Z").value()), Duration{});  // Another line's.
}

TEST(LoadedSchedule, IsUtcAndCatchesUpWithTheLatestUnlessItSaysOtherwise) {
  const DagPtr dag = load("{name: d, schedule: '30 3 * * 1', tasks: [{id: t, noop: true}]}");
  EXPECT_EQ(dag->schedule.text(), "30 3 * * 1");
  EXPECT_EQ(dag->schedule.catchup, Catchup::kLatest);
  EXPECT_EQ(utc(dag->schedule.next(parse_iso8601("2026-11-20").value())), "2026-11-23T03:30:00.000000Z");
  EXPECT_FALSE(dag->schedule.paused);
  EXPECT_EQ(dag->on_limit, OnLimit::kQueue);
}

TEST(LoadedSchedule, WarnsOfWhatDoesNothingWithoutOne) {
  const LoadedDag loaded = load_dag("{name: d, catchup: none, tasks: [{id: t, noop: true}]}", "dag.yaml");
  ASSERT_NE(loaded.dag, nullptr);
  ASSERT_EQ(loaded.diagnostics.size(), 1u);
  EXPECT_EQ(loaded.diagnostics[0].text(), "dag.yaml:1:20: warning: 'catchup' does nothing without a 'schedule'");
}

TEST(LoadedSchedule, KnowsWhetherAnotherHasTheSameTimes) {
  const auto plan = [](const std::string& keys) {
    return load("{name: d, " + keys + ", tasks: [{id: t, noop: true}]}")->schedule;
  };
  const SchedulePlan daily = plan("schedule: '@daily'");
  EXPECT_TRUE(daily.same_times(plan("schedule: '@daily', catchup: all")));
  EXPECT_FALSE(daily.same_times(plan("schedule: '@daily', timezone: Europe/Paris")));
  EXPECT_FALSE(daily.same_times(plan("schedule: '@daily', dst: {gap: skip}")));
  EXPECT_FALSE(daily.same_times(plan("schedule: '@daily', start_date: 2026-01-01")));
  EXPECT_FALSE(daily.same_times(plan("schedule: '@hourly'")));
}

}  // namespace
}  // namespace chappe
