// Which part of a list is asked for.
#include "cli/list_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chappe::cli {
namespace {

constexpr WallTime kToday{1'800'000'000'000'000};  // 2027-01-15T08:00:00Z

TEST(ListOptions, TakeATimeOrAnAge) {
  EXPECT_EQ(time_or_age("2026-11-20", kToday), "2026-11-20T00:00:00.000000Z");
  EXPECT_EQ(time_or_age("2026-11-20T03:00:00+01:00", kToday), "2026-11-20T02:00:00.000000Z");
  EXPECT_EQ(time_or_age("1d", kToday), "2027-01-14T08:00:00.000000Z");
  EXPECT_EQ(time_or_age("0s", kToday), "2027-01-15T08:00:00.000000Z");
}

TEST(ListOptions, SayWhatIsNeither) {
  EXPECT_THAT(time_or_age("yesterday", kToday).error().message, testing::HasSubstr("neither a time"));
  EXPECT_THAT(time_or_age("30000d", kToday).error().message, testing::HasSubstr("too long ago"));
  const auto query = page_query({.until = "soon"}, kToday);
  ASSERT_FALSE(query);
  EXPECT_THAT(query.error().message, testing::StartsWith("--until: "));
}

TEST(ListOptions, BecomeAQuery) {
  EXPECT_EQ(page_query({}, kToday), "limit=20");
  EXPECT_EQ(page_query({.since = "1d", .after = "7", .limit = 5}, kToday),
            "limit=5&after=7&since=2027-01-14T08%3A00%3A00.000000Z");
}

}  // namespace
}  // namespace chappe::cli
