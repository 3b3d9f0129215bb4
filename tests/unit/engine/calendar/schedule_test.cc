#include "engine/calendar/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chappe::calendar {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

ZonePtr zone_of(const char* name) {
  auto zone = Zone::find(name);
  EXPECT_TRUE(zone) << zone.error().message;
  return zone.value_or(Zone::utc());
}

Schedule cron(const char* text, const char* zone = "UTC", DstPolicy dst = {}) {
  auto parsed = parse_cron(text);
  EXPECT_TRUE(parsed) << text << ": " << parsed.error().message;
  return {parsed.value_or(Cron{}), zone_of(zone), dst, text};
}

/// The first `count` times after `from` (local to the schedule's zone).
std::vector<std::string> fires(const Schedule& schedule, const char* from, int count) {
  std::vector<std::string> out;
  std::optional<WallTime> at = parse_local_time(from, *schedule.zone).value();
  for (int i = 0; i < count; ++i) {
    at = next_fire(schedule, *at);
    if (!at) break;
    out.push_back(to_iso8601(*at, *schedule.zone));
  }
  return out;
}

std::string complaint(const char* text) {
  const auto parsed = parse_cron(text);
  return parsed ? "" : parsed.error().message;
}

TEST(Cron, ReadsNamesRangesStepsAndLists) {
  EXPECT_THAT(fires(cron("30 3 * * MON"), "2026-11-20", 2),
              ElementsAre("2026-11-23T03:30:00Z", "2026-11-30T03:30:00Z"));
  EXPECT_THAT(fires(cron("*/20 22-23 * jan,Mar *"), "2026-02-01", 3),
              ElementsAre("2026-03-01T22:00:00Z", "2026-03-01T22:20:00Z", "2026-03-01T22:40:00Z"));
  EXPECT_THAT(fires(cron("0 12 * * fri-sun"), "2026-11-20T12:00", 3),
              ElementsAre("2026-11-21T12:00:00Z", "2026-11-22T12:00:00Z", "2026-11-27T12:00:00Z"));
  EXPECT_THAT(
      fires(cron("10-30/10 0 1 1 *"), "2026-06-01", 4),
      ElementsAre("2027-01-01T00:10:00Z", "2027-01-01T00:20:00Z", "2027-01-01T00:30:00Z", "2028-01-01T00:10:00Z"));
}

TEST(Cron, SundayIsZeroAndSeven) {
  const auto zero = parse_cron("0 0 * * 0"), seven = parse_cron("0 0 * * 7"), name = parse_cron("0 0 * * sun");
  EXPECT_EQ(*zero, *seven);
  EXPECT_EQ(*zero, *name);
  EXPECT_EQ(*parse_cron("0 0 * * 5-7"), *parse_cron("0 0 * * 0,5,6"));
}

TEST(Cron, KnowsItsNicknames) {
  EXPECT_EQ(*parse_cron("@hourly"), *parse_cron("0 * * * *"));
  EXPECT_EQ(*parse_cron("@daily"), *parse_cron("0 0 * * *"));
  EXPECT_EQ(*parse_cron("@weekly"), *parse_cron("0 0 * * 0"));
  EXPECT_EQ(*parse_cron("@monthly"), *parse_cron("0 0 1 * *"));
  EXPECT_EQ(*parse_cron("@yearly"), *parse_cron("0 0 1 1 *"));
}

TEST(Cron, TakesEitherDayWhereBothAreRestrictedAndBothWhereOneBeginsWithAStar) {
  EXPECT_THAT(fires(cron("0 0 13 * fri"), "2026-11-05", 3),
              ElementsAre("2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z"));
  EXPECT_THAT(fires(cron("0 0 */2 * fri"), "2026-11-05", 2),
              ElementsAre("2026-11-13T00:00:00Z", "2026-11-27T00:00:00Z"));
}

TEST(Cron, SaysWhichFieldIsWrongAndWhatIsRight) {
  EXPECT_THAT(complaint("60 * * * *"), HasSubstr("the minute of the cron expression is 0 to 59, not '60'"));
  EXPECT_THAT(complaint("0 24 * * *"), HasSubstr("the hour of the cron expression is 0 to 23, not '24'"));
  EXPECT_THAT(complaint("0 0 0 * *"), HasSubstr("day of month of the cron expression is 1 to 31"));
  EXPECT_THAT(complaint("0 0 * foo *"), HasSubstr("month of the cron expression is 1 to 12 or jan to dec, not 'foo'"));
  EXPECT_THAT(complaint("0 0 * * 8"), HasSubstr("day of week of the cron expression is 0 to 7 or sun to sat"));
  EXPECT_THAT(complaint("50-10 * * * *"), HasSubstr("write 50-59,0-10"));
  EXPECT_THAT(complaint("5/15 * * * *"), HasSubstr("write 5-59/STEP"));
  EXPECT_THAT(complaint("*/0 * * * *"), HasSubstr("a step is 1 to 59"));
  EXPECT_THAT(complaint("0,,5 * * * *"), HasSubstr("a comma too many"));
  EXPECT_THAT(complaint("0 0 ? * *"), HasSubstr("Quartz"));
  EXPECT_THAT(complaint("0 0 3 * * 1"), HasSubstr("5 fields"));
  EXPECT_THAT(complaint("0 3 * *"), HasSubstr("not 4"));
  EXPECT_THAT(complaint("@every 1h"), HasSubstr("{every: 1h}"));
  EXPECT_THAT(complaint("@reboot"), HasSubstr("no '@reboot' in cron"));
  EXPECT_NE(complaint(std::string(2000, '*').c_str()), "");
}

TEST(Cron, SaysThatThirtiethOfFebruaryNeverComesAndFindsTheTwentyNinth) {
  EXPECT_THAT(complaint("0 0 30 2 *"), HasSubstr("no month of '2' has a day 30"));
  EXPECT_THAT(complaint("0 0 31 feb,jun *"), HasSubstr("never comes"));
  EXPECT_EQ(complaint("0 0 30 2 1"), "");  // Mondays of February.
  EXPECT_THAT(fires(cron("0 0 29 2 *"), "2097-01-01", 1), ElementsAre("2104-02-29T00:00:00Z"));
  EXPECT_THAT(fires(cron("0 0 29 2 */7"), "2026-01-01", 2),
              ElementsAre("2032-02-29T00:00:00Z", "2060-02-29T00:00:00Z"));
}

TEST(Dst, AGapShiftsFixedTimesToItsEndOnce) {
  EXPECT_THAT(fires(cron("*/15 2 * * *", "Europe/Berlin"), "2026-03-28T02:30", 3),
              ElementsAre("2026-03-28T02:45:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"));
  EXPECT_THAT(fires(cron("30 2,3 * * *", "Europe/Berlin", {.gap = Gap::kSkip}), "2026-03-28T04:00", 2),
              ElementsAre("2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"));
  EXPECT_THAT(fires(cron("0 0 * * *", "America/Sao_Paulo"), "2018-11-03T12:00", 2),
              ElementsAre("2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"));
}

TEST(Dst, AFoldRunsFixedTimesOnceUnlessTwiceIsAskedFor) {
  EXPECT_THAT(fires(cron("30 2 * * *", "Europe/Berlin"), "2026-10-24T12:00", 2),
              ElementsAre("2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"));
  EXPECT_THAT(fires(cron("30 2 * * *", "Europe/Berlin", {.fold = Fold::kTwice}), "2026-10-24T12:00", 2),
              ElementsAre("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"));
}

TEST(Dst, AWildcardHourFollowsElapsedTime) {
  EXPECT_THAT(fires(cron("0 * * * *", "Europe/Berlin"), "2026-03-29T00:30", 3),
              ElementsAre("2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"));
  EXPECT_THAT(fires(cron("0 * * * *", "Europe/Berlin"), "2026-10-25T01:30", 3),
              ElementsAre("2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"));
}

TEST(Dst, OddZonesAreRight) {
  // Half an hour.
  EXPECT_THAT(fires(cron("15 2 * * *", "Australia/Lord_Howe"), "2026-10-03T12:00", 2),
              ElementsAre("2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"));
  EXPECT_THAT(fires(cron("45 1 * * *", "Australia/Lord_Howe", {.fold = Fold::kTwice}), "2026-04-04T12:00", 2),
              ElementsAre("2026-04-05T01:45:00+11:00", "2026-04-05T01:45:00+10:30"));
  // Two hours.
  EXPECT_THAT(fires(cron("0,30 1-2 * * *", "Antarctica/Troll"), "2026-03-29T00:00", 2),
              ElementsAre("2026-03-29T03:00:00+02:00", "2026-03-30T01:00:00+02:00"));
  // A whole day.
  EXPECT_THAT(fires(cron("0 9 * * *", "Pacific/Apia"), "2011-12-29T08:00", 3),
              ElementsAre("2011-12-29T09:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T09:00:00+14:00"));
  EXPECT_THAT(fires(cron("0 9 30 12 *", "Pacific/Apia", {.gap = Gap::kSkip}), "2011-06-01", 1),
              ElementsAre("2012-12-30T09:00:00+14:00"));
}

TEST(Dst, ChangesGoOnAfterTheTableEnds) {
  EXPECT_THAT(fires(cron("0 12 1 1,7 *", "Europe/Paris"), "2050-01-02", 2),
              ElementsAre("2050-07-01T12:00:00+02:00", "2051-01-01T12:00:00+01:00"));
  EXPECT_THAT(fires(cron("0 12 1 1,7 *", "America/Santiago"), "2045-01-02", 2),
              ElementsAre("2045-07-01T12:00:00-04:00", "2046-01-01T12:00:00-03:00"));
  EXPECT_THAT(fires(cron("30 2 * * *", "Europe/Dublin"), "2050-03-26T12:00", 1),
              ElementsAre("2050-03-27T02:30:00+01:00"));
}

TEST(Schedule, EveryIsAnchoredAndAtComesOnce) {
  const WallTime anchor = parse_iso8601("2026-01-01T00:10:00Z").value();
  const Schedule every{Every{minutes(25), anchor}, Zone::utc(), {}, "every 25m"};
  EXPECT_EQ(next_fire(every, anchor), anchor + minutes(25));
  EXPECT_EQ(next_fire(every, anchor + seconds(1)), anchor + minutes(25));
  EXPECT_EQ(next_fire(every, anchor + -hours(1)), anchor + -minutes(50));
  const Schedule at{At{anchor}, Zone::utc(), {}, "at"};
  EXPECT_EQ(next_fire(at, anchor + -hours(1)), anchor);
  EXPECT_EQ(next_fire(at, anchor), std::nullopt);
  EXPECT_EQ(previous_fire(at, anchor), std::nullopt);
  EXPECT_EQ(previous_fire(at, anchor + seconds(1)), anchor);
}

TEST(Schedule, ThePreviousFireIsTheOneBefore) {
  const Schedule daily = cron("30 2 * * *", "Europe/Berlin");
  WallTime fire = parse_iso8601("2020-01-01").value();
  for (int i = 0; i < 800; ++i) {
    const WallTime next = *next_fire(daily, fire);
    if (i > 0) {
      ASSERT_EQ(previous_fire(daily, next), fire);
    }
    fire = next;
  }
  EXPECT_EQ(previous_fire(cron("0 0 29 2 *"), parse_iso8601("2104-02-29").value()),
            parse_iso8601("2096-02-29").value());
  const Schedule dense = cron("* * * 1 *");
  EXPECT_EQ(previous_fire(dense, parse_iso8601("2026-12-01").value()), parse_iso8601("2026-01-31T23:59:00Z").value());
}

TEST(Zone, NamesTheNearestRightOne) {
  const auto zone = Zone::find("Europe/Pariss");
  ASSERT_FALSE(zone);
  EXPECT_THAT(zone.error().message, HasSubstr("did you mean 'Europe/Paris'?"));
  EXPECT_FALSE(Zone::find("../../etc/passwd"));
  EXPECT_FALSE(Zone::find(""));
}

TEST(Zone, ReadsTimesAsItsClocksShowThem) {
  const ZonePtr berlin = zone_of("Europe/Berlin");
  const auto utc = [&](const char* text) { return to_iso8601(parse_local_time(text, *berlin).value(), *Zone::utc()); };
  EXPECT_EQ(utc("2026-11-20"), "2026-11-19T23:00:00Z");
  EXPECT_EQ(utc("2026-03-29T02:30"), "2026-03-29T01:00:00Z");  // In the gap.
  EXPECT_EQ(utc("2026-10-25T02:30"), "2026-10-25T00:30:00Z");  // In the fold: the first.
  EXPECT_EQ(utc("2026-10-25T02:30:00+01:00"), "2026-10-25T01:30:00Z");
  EXPECT_FALSE(parse_local_time("noon", *berlin));
}

}  // namespace
}  // namespace chappe::calendar
