#include "cli/plan_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dags/loader/loader.h"

namespace chappe::cli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> plan(const std::string& keys, const char* now) {
  const LoadedDag loaded = load_dag("{name: d, " + keys + ", tasks: [{id: t, noop: true}]}", "d.yaml");
  std::vector<std::string> out;
  for (const PlannedTime& each : planned_times(loaded.dag->schedule, parse_iso8601(now).value())) {
    out.push_back(each.text + (each.note.empty() ? "" : " " + each.note));
  }
  return out;
}

TEST(PlannedTimes, ShowTheNextOnesAndThoseAroundTheNextChangeOfClocks) {
  EXPECT_THAT(plan("schedule: '30 2 * * *', timezone: Europe/Berlin", "2026-11-20"),
              ElementsAre("2026-11-20T02:30:00+01:00", "2026-11-21T02:30:00+01:00", "2026-11-22T02:30:00+01:00",
                          "2027-03-27T02:30:00+01:00", "2027-03-28T03:00:00+02:00 clocks of Europe/Berlin change",
                          "2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"));
}

TEST(PlannedTimes, AreTheNextOnesOnlyWhereClocksNeverChange) {
  EXPECT_THAT(plan("schedule: '@daily'", "2026-11-20"),
              ElementsAre("2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"));
  EXPECT_THAT(plan("schedule: {at: 2026-01-01}", "2026-11-20"), IsEmpty());
  EXPECT_THAT(plan("owner: me", "2026-11-20"), IsEmpty());
}

}  // namespace
}  // namespace chappe::cli
