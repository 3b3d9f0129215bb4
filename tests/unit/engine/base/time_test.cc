#include "engine/base/time.h"

#include <gtest/gtest.h>

#include <limits>

namespace chappe {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

Duration duration(std::string_view text) {
  const auto parsed = parse_duration(text);
  EXPECT_TRUE(parsed) << text << ": " << parsed.error().message;
  return parsed.value_or(Duration(-1));
}

TEST(Duration, ReadsUnitsAndIso8601) {
  EXPECT_EQ(duration("90s"), seconds(90));
  EXPECT_EQ(duration("2h30m"), hours(2) + minutes(30));
  EXPECT_EQ(duration("1d"), hours(24));
  EXPECT_EQ(duration("250ms"), microseconds(250'000));
  EXPECT_EQ(duration("0s"), Duration(0));
  EXPECT_EQ(duration("PT15M"), minutes(15));
  EXPECT_EQ(duration("P1DT2H"), hours(26));
}

TEST(Duration, RefusesWhatEverySystemReadsDifferently) {
  for (const char* text :
       {"", "90", "1.5", "-5s", "5 s", "s", "5x", "1mo", "P1M", "P1Y", "PT", "P", "1h1h", "99999999999d"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Duration, IsWrittenInTheShortestFormThatReadsBackEqual) {
  EXPECT_EQ(to_text(Duration(0)), "0s");
  EXPECT_EQ(to_text(minutes(90)), "1h30m");
  EXPECT_EQ(to_text(microseconds(250'000)), "250ms");
  for (const std::int64_t us : {1LL, 999LL, 1'000LL, 61'000'001LL, 86'400'000'000LL, 90'061'001'001LL}) {
    EXPECT_EQ(duration(to_text(microseconds(us))), microseconds(us)) << to_text(microseconds(us));
  }
}

TEST(WallTime, IsWrittenInUtcWithMicroseconds) {
  EXPECT_EQ(to_iso8601({}), "");
  EXPECT_EQ(to_iso8601({1'763'607'600'000'000}), "2025-11-20T03:00:00.000000Z");
  EXPECT_EQ(to_iso8601({951'782'400'000'001}), "2000-02-29T00:00:00.000001Z");
  EXPECT_EQ(to_iso8601({-1}), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(to_iso8601({std::numeric_limits<std::int64_t>::max()}), "9999-12-31T23:59:59.999999Z");
  EXPECT_EQ(to_iso8601({std::numeric_limits<std::int64_t>::min() + 1}), "0001-01-01T00:00:00.000000Z");
  for (std::int64_t us = -62'000'000'000'000'000; us < 250'000'000'000'000'000; us += 1'234'567'890'123'457) {
    EXPECT_EQ(parse_iso8601(to_iso8601({us})).value().us, us);
  }
}

TEST(WallTime, ReadsDatesOffsetsAndDecimals) {
  const auto us = [](std::string_view text) { return parse_iso8601(text).value_or(WallTime{-1}).us; };
  EXPECT_EQ(us("2025-11-20"), 1'763'596'800'000'000);
  EXPECT_EQ(us("2025-11-20T03:00:00Z"), 1'763'607'600'000'000);
  EXPECT_EQ(us("2025-11-20T04:00:00+01:00"), 1'763'607'600'000'000);
  EXPECT_EQ(us("2025-11-20T03:00:00.25Z"), 1'763'607'600'250'000);
}

TEST(WallTime, RefusesDatesThatAreNone) {
  for (const char* text :
       {"", "2025", "2025-13-01", "2025-02-29", "2025-11-20T24:30:00Z", "2025-11-20T03:60:00Z", "2025-11-20T03:00:00Zx",
        "20 November 2025", "0001-01-01T00:00:00+01:00", "9999-12-31T23:30:00-01:00"}) {
    EXPECT_FALSE(parse_iso8601(text)) << text;
  }
  EXPECT_EQ(parse_iso8601("2026-11-26T03:00:00").error().message,
            "'2026-11-26T03:00:00': the zone is missing: write 2026-11-26T03:00:00Z or 2026-11-26T03:00:00+01:00");
}

}  // namespace
}  // namespace chappe
