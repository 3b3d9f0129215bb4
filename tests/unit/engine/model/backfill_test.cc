// Which dates a backfill has, and which of them get a run.
#include "engine/model/backfill.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/dag_builder.h"

namespace chappe {
namespace {

using support::dag_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

WallTime utc_time(const std::string& text) { return *calendar::parse_local_time(text, *calendar::Zone::utc()); }

DagPtr dag_with(const std::string& keys) {
  return dag_of(fmt::format("{{name: d, {}, tasks: [{{id: t, noop: true}}]}}", keys));
}

std::vector<std::string> dates_of(const Dag& dag, const BackfillSpec& spec) {
  std::vector<std::string> out;
  for (auto time = spec.next(dag.schedule, {}); time; time = spec.next(dag.schedule, *time)) {
    out.push_back(to_iso8601(*time).substr(0, 16));
  }
  return out;
}

TEST(Backfill, HasTheTimesOfTheScheduleBothEndsIncludedInEitherOrder) {
  const DagPtr dag = dag_with("schedule: '30 3 * * *'");
  BackfillSpec spec{.from = utc_time("2027-01-01T03:30"), .to = utc_time("2027-01-03T03:30")};
  EXPECT_THAT(dates_of(*dag, spec), ElementsAre("2027-01-01T03:30", "2027-01-02T03:30", "2027-01-03T03:30"));
  spec.newest_first = true;
  EXPECT_THAT(dates_of(*dag, spec), ElementsAre("2027-01-03T03:30", "2027-01-02T03:30", "2027-01-01T03:30"));
  spec = {.from = utc_time("2027-01-01T03:31"), .to = utc_time("2027-01-03T03:29")};
  EXPECT_THAT(dates_of(*dag, spec), ElementsAre("2027-01-02T03:30"));
}

TEST(Backfill, StaysBetweenStartDateAndEndDate) {
  const DagPtr dag = dag_with("schedule: '@daily', start_date: 2027-01-02, end_date: 2027-01-03T00:00");
  BackfillSpec spec{.from = utc_time("2026-12-01"), .to = utc_time("2027-02-01")};
  EXPECT_THAT(dates_of(*dag, spec), ElementsAre("2027-01-02T00:00", "2027-01-03T00:00"));
  spec.newest_first = true;
  EXPECT_THAT(dates_of(*dag, spec), ElementsAre("2027-01-03T00:00", "2027-01-02T00:00"));
  const auto none = check_backfill(*dag, {.from = utc_time("2026-01-01"), .to = utc_time("2026-02-01")});
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("its start_date is 2027-01-02T00:00:00"));
}

TEST(Backfill, FollowsTheClockOnTheWallAcrossItsChange) {
  const DagPtr dag = dag_with("schedule: '30 2 * * *', timezone: Europe/Berlin");
  const BackfillSpec spec{.from = utc_time("2026-03-28"), .to = utc_time("2026-03-31")};
  EXPECT_THAT(dates_of(*dag, spec), ElementsAre("2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"));
}

TEST(Backfill, IsCountedUpToItsBound) {
  const DagPtr dag = dag_with("schedule: {every: 1m}");
  BackfillSpec spec{.from = utc_time("2027-01-01"), .to = utc_time("2027-01-01")};
  spec.to.us += std::int64_t{kBackfillDatesMax - 1} * 60'000'000;
  EXPECT_EQ(check_backfill(*dag, spec).value(), kBackfillDatesMax);
  spec.to.us += 60'000'000;
  const auto refused = check_backfill(*dag, spec);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("at most 10000 dates"));
}

TEST(Backfill, RefusesWhatCannotBeMeant) {
  const auto why = [](const std::string& keys, const BackfillSpec& spec) {
    const auto checked = check_backfill(*dag_with(keys), spec);
    return checked ? std::string() : checked.error().message;
  };
  BackfillSpec spec{.from = utc_time("2027-01-02"), .to = utc_time("2027-01-01")};
  EXPECT_THAT(why("description: no schedule", spec), HasSubstr("DAG d has no schedule"));
  EXPECT_THAT(why("schedule: '@daily'", spec), HasSubstr("before it begins at 2027-01-02"));
  spec.to = utc_time("2027-01-03");
  EXPECT_EQ(why("schedule: '@daily'", spec), "");
  for (const std::uint32_t most : {0U, kBackfillActiveMax + 1}) {
    spec.max_active = most;
    EXPECT_THAT(why("schedule: '@daily'", spec), HasSubstr("max_active is 1 to 1000"));
  }
}

TEST(Backfill, DecidesByTheRunThatADateHas) {
  using enum RunState;
  const auto gets_one = [](Reprocess reprocess) {
    std::vector<bool> out{why_no_run(reprocess, std::nullopt).empty()};
    for (const RunState state : {kSuccess, kFailed, kCancelled, kQueued, kRunning}) {
      out.push_back(why_no_run(reprocess, state).empty());
    }
    return out;
  };
  EXPECT_THAT(gets_one(Reprocess::kNone), ElementsAre(true, false, false, false, false, false));
  EXPECT_THAT(gets_one(Reprocess::kFailed), ElementsAre(true, false, true, true, false, false));
  EXPECT_THAT(gets_one(Reprocess::kCompleted), ElementsAre(true, true, true, true, false, false));
  for (const std::string_view name : {"none", "failed", "completed"}) EXPECT_EQ(name_of(*parse_reprocess(name)), name);
  EXPECT_FALSE(parse_reprocess("all"));
}

TEST(LeftOut, IsWhatWasNotNamedUnlessSomethingNeedsIt) {
  const DagPtr dag = dag_of(R"(
name: d
tasks:
  - {id: load, run: x, outputs: {artifacts: [{name: raw, path: raw}], values: {n: {file: n}}}}
  - {id: file, run: x, inputs: {artifacts: [{name: raw, path: in, from: load.raw}]}}
  - {id: maybe, run: x, inputs: {artifacts: [{name: raw, path: in, from: load.raw, optional: true}]}}
  - {id: number, run: x, depends_on: [load], env: {N: "${{ tasks.load.outputs.n }}"}}
  - {id: guarded, run: x, depends_on: [load], env: {N: "${{ tasks.load.outputs.n ?? 0 }}"}}
  - {id: gate, depends_on: [load], check: {metric: {expr: "tasks.load.outputs.n > 1"}}}
  - {id: many, run: x, depends_on: [load], foreach: {items: "${{ tasks.load.outputs.n }}"}}
  - {id: plain, run: x, depends_on: [load]}
handlers: {exit: {noop: {}}}
)");
  ASSERT_NE(dag, nullptr);
  const auto why = [&](const std::string& task) {
    const auto out = left_out(*dag, {task});
    return out ? std::string() : out.error().message;
  };
  EXPECT_THAT(why("file"), HasSubstr("task 'file' needs load.raw, whose task would be left out"));
  for (const char* task : {"number", "gate", "many"}) {
    EXPECT_THAT(why(task), HasSubstr("needs tasks.load.outputs.n, whose task")) << task;
  }
  for (const char* task : {"maybe", "guarded", "plain", "load"}) EXPECT_THAT(why(task), IsEmpty()) << task;
  EXPECT_THAT(why("plains"), HasSubstr("did you mean 'plain'?"));
  EXPECT_THAT(why("on_exit"), HasSubstr("has no task 'on_exit'"));
  EXPECT_THAT(*left_out(*dag, {"load", "file"}), ElementsAre(false, false, true, true, true, true, true, true, false));
  EXPECT_THAT(*left_out(*dag, {}), SizeIs(9));
  EXPECT_FALSE(left_out(*dag, {})->at(0));
}

}  // namespace
}  // namespace chappe
