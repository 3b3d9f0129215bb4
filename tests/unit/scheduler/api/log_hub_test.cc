#include "scheduler/api/log_hub.h"

#include <gtest/gtest.h>

namespace chappe::api {
namespace {

constexpr AttemptId kOne{1}, kTwo{2}, kThree{3};

std::string all_of(const LogHub& hub, AttemptId attempt) {
  const auto piece = hub.read(attempt, 0, LogHub::kTailMax);
  return piece ? piece->data : "unknown";
}

const WallTime kReceived{1'764'000'000'000'000};

TEST(LogHub, JoinsPiecesByTheirOffset) {
  LogHub hub;
  hub.append(kOne, 0, "abc", kReceived);
  hub.append(kOne, 3, "def", kReceived);
  EXPECT_EQ(all_of(hub, kOne), "abcdef");
  EXPECT_EQ(hub.read(kOne, 4)->data, "ef");
}

TEST(LogHub, TakesNothingTwice) {
  LogHub hub;
  hub.append(kOne, 0, "abc", kReceived);
  hub.append(kOne, 0, "abc", kReceived);
  hub.append(kOne, 2, "cd", kReceived);
  EXPECT_EQ(all_of(hub, kOne), "abcd");
}

TEST(LogHub, SaysWhereItGoesOnAfterAGap) {
  LogHub hub;
  hub.append(kOne, 0, "abc", kReceived);
  hub.append(kOne, 10, "xyz", kReceived);
  const auto piece = hub.read(kOne, 3);
  EXPECT_EQ(piece->offset, 10U);
  EXPECT_EQ(piece->data, "xyz");
}

TEST(LogHub, KeepsTheTailOfALongLog) {
  LogHub hub;
  for (std::uint64_t i = 0; i < 10; ++i)
    hub.append(kOne, i * 60'000, std::string(60'000, static_cast<char>('0' + i)), kReceived);
  EXPECT_EQ(hub.total_bytes(), LogHub::kTailMax);
  const auto piece = hub.read(kOne, 0, 1);
  EXPECT_EQ(piece->offset, 600'000 - LogHub::kTailMax);
  EXPECT_EQ(all_of(hub, kOne).back(), '9');
}

TEST(LogHub, KeepsTheTailOfOneHugePiece) {
  LogHub hub;
  hub.append(kOne, 5, std::string(LogHub::kTailMax, 'a') + "end", kReceived);
  EXPECT_EQ(hub.total_bytes(), LogHub::kTailMax);
  EXPECT_EQ(hub.read(kOne, 0, 1)->offset, 8U);
}

TEST(LogHub, StaysSmallWhenALogComesByteForByte) {
  LogHub hub;
  const std::string text(10'000, 'x');
  for (std::uint64_t i = 0; i < text.size(); ++i) hub.append(kOne, i, "x", kReceived);
  EXPECT_EQ(all_of(hub, kOne), text);
}

TEST(LogHub, EndsOnlyWhenAllIsRead) {
  LogHub hub;
  hub.append(kOne, 0, "abc", kReceived);
  EXPECT_FALSE(hub.read(kOne, 3)->ended);
  hub.finish(kOne);
  EXPECT_FALSE(hub.read(kOne, 0, 2)->ended);
  EXPECT_TRUE(hub.read(kOne, 2)->ended);
  hub.append(kOne, 3, "late", kReceived);
  EXPECT_EQ(all_of(hub, kOne), "abc");
}

TEST(LogHub, DropsEndedAttemptsFirstThenTheQuietest) {
  LogHub hub(10);
  hub.append(kOne, 0, "1111", kReceived);
  hub.append(kTwo, 0, "2222", kReceived);
  hub.finish(kTwo);
  hub.append(kThree, 0, "3333", kReceived);
  EXPECT_EQ(all_of(hub, kTwo), "unknown");
  EXPECT_EQ(all_of(hub, kOne), "1111");
  hub.append(kThree, 4, "333", kReceived);
  EXPECT_EQ(all_of(hub, kOne), "unknown");
  EXPECT_EQ(hub.total_bytes(), 7U);
}

TEST(LogHub, KnowsNoAttemptThatSaidNothing) {
  LogHub hub;
  hub.finish(kOne);
  EXPECT_FALSE(hub.read(kOne, 0).has_value());
}

TEST(LogHub, KnowsWhenWhatItHasCame) {
  LogHub hub;
  EXPECT_TRUE(hub.times(kOne).empty());
  hub.append(kOne, 0, "abc\n", kReceived);
  hub.append(kOne, 4, "def\n", WallTime{kReceived.us + 1'000'000});
  EXPECT_EQ(hub.times(kOne).at(3), kReceived);
  EXPECT_EQ(hub.times(kOne).at(4), (WallTime{kReceived.us + 1'000'000}));
  hub.append(kOne, 8, std::string(LogHub::kTailMax, 'x'), WallTime{kReceived.us + 2'000'000});
  EXPECT_EQ(hub.times(kOne).at(4), std::nullopt);  // Those bytes are gone.
}

}  // namespace
}  // namespace chappe::api
