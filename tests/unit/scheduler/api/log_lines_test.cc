// Which lines of a log are shown, and the times in front of them.
#include "scheduler/api/log_lines.h"

#include <gtest/gtest.h>

namespace chappe::api {
namespace {

constexpr std::int64_t kThreeOClock = 1'764'298'800'000;  // 2025-11-28T03:00:00Z

LogBytes bytes_of(const std::string& text, std::uint64_t first = 0) {
  return {
      .first = first, .end = first + text.size(), .read = [text, first](std::uint64_t offset, std::uint64_t length) {
        return text.substr(offset - first, length);
      }};
}

TEST(LogLines, TheLastOnes) {
  const LogBytes log = bytes_of("one\ntwo\nthree\n");
  EXPECT_EQ(last_lines(log, 0), 14U);
  EXPECT_EQ(last_lines(log, 1), 8U);
  EXPECT_EQ(last_lines(log, 2), 4U);
  EXPECT_EQ(last_lines(log, 3), 0U);
  EXPECT_EQ(last_lines(log, 4), 0U);
  EXPECT_EQ(last_lines(bytes_of(""), 5), 0U);
}

TEST(LogLines, ALineWithoutItsEndIsALine) {
  EXPECT_EQ(last_lines(bytes_of("one\ntwo"), 1), 4U);
  EXPECT_EQ(last_lines(bytes_of("one\n\n"), 1), 4U);
}

TEST(LogLines, AreFoundAcrossBlocks) {
  const std::string log = "a\n" + std::string(200'000, 'x') + "\nb\n";
  EXPECT_EQ(last_lines(bytes_of(log), 1), 200'003U);
  EXPECT_EQ(last_lines(bytes_of(log), 2), 2U);
  EXPECT_EQ(last_lines(bytes_of(log, 1'000), 3), 1'000U);
}

TEST(LogLines, SinceATimeTheyAreWhole) {
  const LogBytes log = bytes_of("one\ntwo\nthree\n");
  LogTimes times;
  times.note(0, kThreeOClock);
  times.note(4, kThreeOClock + 1'000);
  times.note(9, kThreeOClock + 2'000);  // Within the third line.
  EXPECT_EQ(lines_since(log, times, WallTime{(kThreeOClock - 1) * 1'000}), 0U);
  EXPECT_EQ(lines_since(log, times, WallTime{(kThreeOClock + 500) * 1'000}), 4U);
  EXPECT_EQ(lines_since(log, times, WallTime{(kThreeOClock + 1'500) * 1'000}), 14U);
  EXPECT_EQ(lines_since(log, times, WallTime{(kThreeOClock + 9'000) * 1'000}), 14U);
  EXPECT_EQ(lines_since(log, LogTimes(), WallTime{kThreeOClock * 1'000}), 0U);
}

TEST(LogLines, EachBeginsWithItsTime) {
  LogTimes times;
  times.note(4, kThreeOClock);
  times.note(8, kThreeOClock + 1'234);
  LineStamps stamps(WallTime{(kThreeOClock - 60'000) * 1'000});
  EXPECT_EQ(stamps.stamp("one\ntw", 0, times), "2025-11-28T02:59:00.000Z one\n2025-11-28T03:00:00.000Z tw");
  EXPECT_EQ(stamps.stamp("o\n\nx", 6, times), "o\n2025-11-28T03:00:01.234Z \n2025-11-28T03:00:01.234Z x");
}

}  // namespace
}  // namespace chappe::api
