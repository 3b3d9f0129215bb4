// When the lines of a log were written: noted, thinned, told and read again.
#include "engine/lineage/log_times.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chappe {
namespace {

using testing::ElementsAre;

LogTimes noted(std::initializer_list<LogMark> marks, std::size_t marks_max = LogTimes::kMarksMax) {
  LogTimes times(marks_max);
  for (const LogMark& mark : marks) times.note(mark.offset, mark.at_ms);
  return times;
}

TEST(LogTimes, AByteHasTheTimeOfTheMarkBeforeIt) {
  const LogTimes times = noted({{0, 1'000}, {10, 2'000}, {30, 5'000}});
  EXPECT_EQ(times.at(0), WallTime{1'000'000});
  EXPECT_EQ(times.at(9), WallTime{1'000'000});
  EXPECT_EQ(times.at(10), WallTime{2'000'000});
  EXPECT_EQ(times.at(1'000), WallTime{5'000'000});
  EXPECT_EQ(times.first_since(WallTime{1'500'000}), 10U);
  EXPECT_EQ(times.first_since(WallTime{5'000'001}), std::nullopt);
  EXPECT_EQ(LogTimes().at(0), std::nullopt);
}

TEST(LogTimes, WhatComesSoonAfterAMarkIsNotMarked) {
  EXPECT_THAT(noted({{0, 0}, {5, 19}, {6, 20}}).marks(), ElementsAre(LogMark{0, 0}, LogMark{6, 20}));
}

TEST(LogTimes, ALongLogIsToldMoreCoarselyAndItsPausesExactly) {
  LogTimes times(100);
  for (std::uint64_t i = 0; i < 10'000; ++i) times.note(i, static_cast<std::int64_t>(i) * 20);
  times.note(10'000, 9'000'000);
  EXPECT_LE(times.marks().size(), 100U);
  EXPECT_EQ(times.at(10'000), WallTime{9'000'000'000});
  const auto half = times.at(5'000);
  ASSERT_TRUE(half);
  EXPECT_NEAR(static_cast<double>(half->us), 100'000'000.0, 200'000'000.0 / 50);
}

TEST(LogTimes, ComesBackFromItsText) {
  const LogTimes times = noted({{0, 1'764'289'691'123}, {523, 1'764'289'692'573}, {600, 1'764'289'699'000}});
  EXPECT_EQ(times.to_text(), "0+1764289691123 523+1450 77+6427");
  const auto again = LogTimes::parse(times.to_text());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->marks(), times.marks());
  EXPECT_TRUE(LogTimes::parse("")->empty());
  for (const char* wrong : {"x", "1", "1+", "1+2,", "1+2 ", "-1+2", "1+-2", "99999999999999999999+1", "1+2  3+4"}) {
    EXPECT_FALSE(LogTimes::parse(wrong)) << wrong;
  }
}

TEST(LogTimes, TheMostMarksFitItsText) {
  LogTimes times;
  for (std::uint64_t i = 0; i < LogTimes::kMarksMax; ++i) {
    times.note(i << 30, 1'764'289'691'123 + static_cast<std::int64_t>(i) * 1'000'000'000);
  }
  EXPECT_LE(times.to_text().size(), LogTimes::kTextMax);
  EXPECT_TRUE(LogTimes::parse(times.to_text()));
  EXPECT_FALSE(LogTimes::parse(times.to_text() + " 1+1"));
}

TEST(LogTimes, FollowTheLogWhereItsMiddleIsLeftOut) {
  LogTimes times = noted({{0, 1'000}, {50, 2'000}, {120, 3'000}, {180, 4'000}, {250, 5'000}});
  times.cut(100, 200, 30);  // 70 bytes fewer behind the gap.
  EXPECT_THAT(times.marks(),
              ElementsAre(LogMark{0, 1'000}, LogMark{50, 2'000}, LogMark{130, 4'000}, LogMark{180, 5'000}));
}

TEST(LogTimes, ForgetWhatNobodyAsksFor) {
  LogTimes times = noted({{0, 1'000}, {50, 2'000}, {120, 3'000}});
  times.drop_before(60);
  EXPECT_THAT(times.marks(), ElementsAre(LogMark{50, 2'000}, LogMark{120, 3'000}));
}

}  // namespace
}  // namespace chappe
