#include "scheduler/api/allowances.h"

#include <gtest/gtest.h>

namespace chappe::api {
namespace {

using namespace std::chrono_literals;

MonoTime at(Duration time) { return {time.count()}; }

TEST(Allowances, GiveABurstAndThenOneMoreEachInterval) {
  Allowances allowances({.burst = 3, .one_more = 10s});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(allowances.take("a", at(0s)));
  EXPECT_FALSE(allowances.take("a", at(0s)));
  EXPECT_FALSE(allowances.take("a", at(9s)));
  EXPECT_TRUE(allowances.take("a", at(10s)));
  EXPECT_FALSE(allowances.take("a", at(19s)));
  EXPECT_TRUE(allowances.take("a", at(21s)));
}

TEST(Allowances, HoldNoMoreThanTheBurstHoweverLongTheRest) {
  Allowances allowances({.burst = 2, .one_more = 1s});
  EXPECT_TRUE(allowances.take("a", at(0s)));
  EXPECT_TRUE(allowances.take("a", at(1h)));
  EXPECT_TRUE(allowances.take("a", at(1h)));
  EXPECT_FALSE(allowances.take("a", at(1h)));
}

TEST(Allowances, AreKeptApartByKey) {
  Allowances allowances({.burst = 1, .one_more = 1s});
  EXPECT_TRUE(allowances.take("a", at(0s)));
  EXPECT_TRUE(allowances.take("b", at(0s)));
  EXPECT_FALSE(allowances.take("a", at(0s)));
}

TEST(Allowances, OfStrangersAreOneWhereTheTableIsFull) {
  Allowances allowances({.burst = 1, .one_more = 1h, .keys_max = 100});
  for (int i = 0; i < 1'000; ++i) (void)allowances.take(std::to_string(i), at(0s));
  EXPECT_LE(allowances.keys(), 101U);
  EXPECT_FALSE(allowances.take("another", at(0s)));
  EXPECT_TRUE(allowances.take("another", at(2h))) << "those at rest made room";
}

}  // namespace
}  // namespace chappe::api
