#include "scheduler/app/patience.h"

#include <gtest/gtest.h>

namespace chappe {
namespace {

using namespace std::chrono_literals;

constexpr MonoTime kBegin{1'000'000};

TEST(Patience, RestsLongerEachTimeUpToABound) {
  Patience patience;
  EXPECT_FALSE(patience.rests(kBegin));
  MonoTime now = kBegin;
  for (const Duration rest : {Duration(1s), Duration(2s), Duration(4s), Duration(8s), Duration(16s), Duration(32s),
                              Duration(1min), Duration(1min)}) {
    (void)patience.failed(now);
    EXPECT_TRUE(patience.rests(now + rest + Duration(-1)));
    now = now + rest;
    EXPECT_FALSE(patience.rests(now));
  }
}

TEST(Patience, SaysSoOnceAMinuteHoweverOftenItFails) {
  Patience patience;
  int said = 0;
  for (MonoTime now = kBegin; now < kBegin + 10min; now = now + 1s) {
    if (patience.failed(now)) ++said;
    if (now.us % 2'000'000 == 0) patience.went_well();
  }
  EXPECT_EQ(said, 10);
}

TEST(Patience, BeginsAnewAfterItWentWell) {
  Patience patience;
  for (int i = 0; i < 5; ++i) (void)patience.failed(kBegin);
  patience.went_well();
  EXPECT_FALSE(patience.rests(kBegin));
  (void)patience.failed(kBegin);
  EXPECT_FALSE(patience.rests(kBegin + 1s));
}

TEST(Patience, WakesWhoWaitsInTime) {
  Patience patience;
  EXPECT_EQ(patience.until(kBegin + 1h), kBegin + 1h);
  (void)patience.failed(kBegin);
  EXPECT_EQ(patience.until(kBegin + 1h), kBegin + 1s);
  EXPECT_EQ(patience.until(kBegin), kBegin);
}

}  // namespace
}  // namespace chappe
