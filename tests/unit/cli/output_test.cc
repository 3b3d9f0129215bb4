#include "cli/output.h"

#include <gtest/gtest.h>

namespace chappe::cli {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Table, AlignsColumnsAndLeavesNothingBehindTheLast) {
  EXPECT_EQ(table({"A", "LONG", "C"}, {{"wide cell", "1", ""}, {"x", "", ""}}),
            "A          LONG  C\n"
            "wide cell  1\n"
            "x\n");
}

TEST(Table, CountsNeitherColoursNorContinuationBytes) {
  EXPECT_EQ(table({"A", "B"}, {{coloured_state("success", true), "1"}, {"t\xc3\xa9st", "2"}}),
            "A        B\n"
            "\x1b[32msuccess\x1b[0m  1\n"
            "t\xc3\xa9st     2\n");
}

TEST(ShortDuration, ShowsWhatMatters) {
  EXPECT_EQ(short_duration(milliseconds(1'240)), "1.2s");
  EXPECT_EQ(short_duration(seconds(42)), "42s");
  EXPECT_EQ(short_duration(seconds(192)), "3m12s");
  EXPECT_EQ(short_duration(seconds(3'900)), "1h05m");
  EXPECT_EQ(short_duration(microseconds(-5)), "0s");
}

TEST(DurationBetween, GoesOnWhileThereIsNoEnd) {
  const Value start("2026-11-20T03:00:00Z"), end("2026-11-20T03:00:20Z"), none;
  const WallTime now = *parse_iso8601("2026-11-20T03:00:45Z");
  EXPECT_EQ(duration_between(&start, &end, now), "20s");
  EXPECT_EQ(duration_between(&start, &none, now), "45s");
  EXPECT_EQ(duration_between(&none, &end, now), "");
  EXPECT_EQ(duration_between(nullptr, nullptr, now), "");
}

TEST(ZonedTime, SaysOfWhichZoneItIs) {
  ::setenv("TZ", "Europe/Paris", 1);
  ::tzset();
  const Value winter("2026-11-20T03:00:05.5Z");
  const Value summer("2026-07-20T03:00:05.5Z");
  EXPECT_EQ(local_time(&winter), "2026-11-20 04:00:05 +01:00");
  EXPECT_EQ(local_time(&summer), "2026-07-20 05:00:05 +02:00");
  EXPECT_EQ(local_time(nullptr), "");
  EXPECT_EQ(local_stamp("2026-11-20T03:00:05.123Z "), "2026-11-20 04:00:05.123 +01:00 ");
  EXPECT_EQ(with_local_times("waits until 2026-11-20T03:00:05.000000Z, or 2026-07-20T03:00:05Z"),
            "waits until 2026-11-20 04:00:05 +01:00, or 2026-07-20 05:00:05 +02:00");
  EXPECT_EQ(with_local_times("Task T of 2026-11-20T03:00:05+01:00 T"), "Task T of 2026-11-20T03:00:05+01:00 T");
  ::unsetenv("TZ");
  ::tzset();
}

TEST(ShortSize, UsesBinaryUnits) {
  EXPECT_EQ(short_size(512), "512 B");
  EXPECT_EQ(short_size(1'536), "1.5 KiB");
  EXPECT_EQ(short_size(std::int64_t{3} << 30), "3.0 GiB");
}

}  // namespace
}  // namespace chappe::cli
