#include "engine/calendar/posix_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/calendar/zone.h"

namespace chappe::calendar {
namespace {

using testing::ElementsAre;

/// Where clocks change in a year, and by what: "2040-03-25T01:00:00Z -3600".
std::vector<std::string> changes(const char* text, int year) {
  const auto rule = PosixRule::parse(text);
  EXPECT_TRUE(rule) << text;
  std::vector<std::string> out;
  const std::int64_t begin = parse_iso8601(std::to_string(year) + "-01-01T00:00:00Z")->us / 1'000'000;
  const std::int64_t end = parse_iso8601(std::to_string(year + 1) + "-01-01T00:00:00Z")->us / 1'000'000;
  for (std::int64_t at = rule.value().at(begin).end; at < end; at = rule.value().at(at).end) {
    EXPECT_EQ(rule.value().at(at).begin, at);
    EXPECT_EQ(rule.value().at(at - 1).end, at);
    const std::string when = to_iso8601(WallTime{at * 1'000'000}).substr(0, 19);
    out.push_back(when + "Z " + std::to_string(rule.value().at(at).offset));
  }
  return out;
}

// What is expected here is what Python's zoneinfo says.

TEST(PosixRule, ReadsDaysOfTheWeek) {
  EXPECT_THAT(changes("CET-1CEST,M3.5.0,M10.5.0/3", 2040),
              ElementsAre("2040-03-25T01:00:00Z 7200", "2040-10-28T01:00:00Z 3600"));
  EXPECT_THAT(changes("NZST-12NZDT,M9.5.0,M4.1.0/3", 2040),
              ElementsAre("2040-03-31T14:00:00Z 43200", "2040-09-29T14:00:00Z 46800"));
}

TEST(PosixRule, ReadsHoursBeforeMidnightAndOfLaterDays) {
  EXPECT_THAT(changes("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 2040),
              ElementsAre("2040-03-25T01:00:00Z -3600", "2040-10-28T01:00:00Z -7200"));
  EXPECT_THAT(changes("EET-2EEST,M3.4.4/50,M10.4.4/50", 2040),
              ElementsAre("2040-03-24T00:00:00Z 10800", "2040-10-26T23:00:00Z 7200"));
}

TEST(PosixRule, ReadsSummerThatIsTheStandard) {
  EXPECT_THAT(changes("IST-1GMT0,M10.5.0,M3.5.0/1", 2040),
              ElementsAre("2040-03-25T01:00:00Z 3600", "2040-10-28T01:00:00Z 0"));
}

TEST(PosixRule, ReadsDaysOfTheYear) {
  EXPECT_THAT(changes("A3B,J60/0,J300/0", 2040),  // 1 March and 27 October, in leap years, too.
              ElementsAre("2040-03-01T03:00:00Z -7200", "2040-10-27T02:00:00Z -10800"));
  EXPECT_THAT(changes("A3B,59/0,299/0", 2040),
              ElementsAre("2040-02-29T03:00:00Z -7200", "2040-10-26T02:00:00Z -10800"));
}

TEST(PosixRule, TakesNothingElse) {
  for (const char* text : {"", "CET", "CET-1", "UTC0", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0",
                           "CET-1CEST,M3.5.0,M10.5.0/168", "CET-1CEST,M3.5.0,M10.5.0x", "<+01-1<+02>,J1,J2",
                           "CET-1CEST,M3.5.0/-,M10.5.0", "CET--1CEST,M3.5.0,M10.5.0"}) {
    EXPECT_FALSE(PosixRule::parse(text)) << text;
  }
}

TEST(PosixRule, GreenlandGoesOnAfterTheTable) {
  for (const char* name : {"America/Nuuk", "America/Godthab", "America/Scoresbysund"}) {
    const auto zone = Zone::find(name);
    ASSERT_TRUE(zone) << name;
    const std::int64_t summer = parse_iso8601("2060-07-01T00:00:00Z")->us / 1'000'000;
    const std::int64_t winter = parse_iso8601("2061-01-01T00:00:00Z")->us / 1'000'000;
    EXPECT_EQ((*zone)->at(summer).offset, -3600) << name;
    EXPECT_EQ((*zone)->at(winter).offset, -7200) << name;
  }
}

}  // namespace
}  // namespace chappe::calendar
