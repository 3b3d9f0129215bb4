#include "engine/placement/fleet.h"

#include <gtest/gtest.h>

namespace chappe {
namespace {

using namespace std::chrono_literals;

constexpr Resources kTwoCores{.cpu_milli = 2000, .memory_bytes = std::uint64_t{4} << 30};
const FleetBounds kBounds{.least = 1, .most = 5, .shrink_after = 5min};

MonoTime at(Duration time) { return MonoTime{0} + time; }

FleetLoad cores(std::uint64_t count) { return {.tasks = count, .cpu_milli = count * 1000, .each = kTwoCores}; }

std::vector<FleetMember> members(std::vector<std::size_t> attempts) {
  std::vector<FleetMember> out;
  for (std::size_t i = 0; i < attempts.size(); ++i) out.push_back({"w" + std::to_string(i), attempts[i], true});
  return out;
}

using Hosts = std::set<std::string>;

TEST(Fleet, IsAsLargeAsWhatWaitsAndRunsNeeds) {
  const Fleet fleet(kBounds);
  EXPECT_EQ(fleet.need_of({}), 1U) << "never fewer than the least";
  EXPECT_EQ(fleet.need_of(cores(4)), 2U);
  EXPECT_EQ(fleet.need_of(cores(5)), 3U);
  EXPECT_EQ(fleet.need_of(cores(1'000'000)), 5U) << "never more than the most";
  FleetLoad load = cores(1);
  load.memory_bytes = std::uint64_t{13} << 30;
  EXPECT_EQ(fleet.need_of(load), 4U) << "what is scarcest counts";
}

TEST(Fleet, BeginsWithOneWhereItsWorkersAreNotKnown) {
  const Fleet fleet({.least = 0, .most = 5});
  EXPECT_EQ(fleet.need_of({}), 0U);
  EXPECT_EQ(fleet.need_of({.tasks = 900, .cpu_milli = 900'000}), 1U);
  EXPECT_EQ(fleet.need_of({.tasks = 3, .each = kTwoCores}), 1U) << "tasks that need no core need a worker";
  FleetLoad load = cores(1);
  load.gpus = 2;
  EXPECT_EQ(fleet.need_of(load), 1U) << "no size of it brings what none of its workers has";
}

TEST(Fleet, GrowsAtOnce) {
  Fleet fleet(kBounds);
  EXPECT_EQ(fleet.decide(1, cores(9), members({2}), at(0s)), (FleetOrder{.size = 5}));
}

TEST(Fleet, ShrinksWhenItHasBeenTooLargeForAWhile) {
  Fleet fleet(kBounds);
  const auto idle = members({0, 0, 0});
  EXPECT_EQ(fleet.decide(3, cores(2), idle, at(0s)), (FleetOrder{.size = 3}));
  EXPECT_EQ(fleet.decide(3, cores(2), idle, at(5min - 1us)), (FleetOrder{.size = 3}));
  EXPECT_EQ(fleet.decide(3, cores(2), idle, at(5min)), (FleetOrder{3, Hosts{"w0", "w1"}, Hosts{}}))
      << "first they get no more work";
  EXPECT_EQ(fleet.decide(3, cores(2), idle, at(5min + 5s)), (FleetOrder{1, Hosts{"w0", "w1"}, Hosts{"w0", "w1"}}));
}

TEST(Fleet, LetsNobodyGoWhoHoldsSomething) {
  Fleet fleet(kBounds);
  (void)fleet.decide(3, cores(2), members({2, 1, 0}), at(0s));
  EXPECT_EQ(fleet.decide(3, cores(2), members({2, 1, 0}), at(5min)).resting, (Hosts{"w1", "w2"}));
  EXPECT_EQ(fleet.decide(3, cores(2), members({2, 1, 1}), at(6min)), (FleetOrder{3, Hosts{"w1", "w2"}, Hosts{}}))
      << "one got work before it heard that it should rest";
  EXPECT_EQ(fleet.decide(3, cores(2), members({2, 1, 0}), at(7min)), (FleetOrder{2, Hosts{"w1", "w2"}, Hosts{"w2"}}));
  EXPECT_EQ(fleet.decide(2, cores(2), members({2, 1}), at(8min)), (FleetOrder{2, Hosts{"w1"}, Hosts{}}));
  EXPECT_EQ(fleet.decide(2, cores(2), members({2, 0}), at(9min)), (FleetOrder{1, Hosts{"w1"}, Hosts{"w1"}}));
}

TEST(Fleet, GivesWorkAgainToThoseThatRestWhenThereIsSome) {
  Fleet fleet(kBounds);
  (void)fleet.decide(3, cores(2), members({0, 0, 0}), at(0s));
  EXPECT_FALSE(fleet.decide(3, cores(2), members({0, 0, 0}), at(5min)).resting.empty());
  EXPECT_EQ(fleet.decide(3, cores(6), members({0, 0, 0}), at(6min)), (FleetOrder{.size = 3}));
  EXPECT_EQ(fleet.decide(3, cores(2), members({0, 0, 0}), at(7min)), (FleetOrder{.size = 3}))
      << "and the wait begins anew";
}

TEST(Fleet, KeepsWhatTheBusiestMomentOfTheWaitNeeded) {
  Fleet fleet(kBounds);
  (void)fleet.decide(5, cores(2), members({0, 0, 0, 0, 0}), at(0s));
  (void)fleet.decide(5, cores(7), members({2, 2, 2, 1, 0}), at(2min));
  EXPECT_EQ(fleet.decide(5, cores(2), members({2, 0, 0, 0, 0}), at(5min)).resting, (Hosts{"w1"}));
}

TEST(Fleet, ForgetsABusyMomentInTime) {
  Fleet fleet(kBounds);
  (void)fleet.decide(3, cores(5), members({2, 2, 1}), at(0s));
  (void)fleet.decide(3, cores(4), members({2, 2, 0}), at(1min));  // Too large since now, ...
  (void)fleet.decide(3, cores(4), members({2, 2, 0}), at(6min));
  EXPECT_EQ(fleet.decide(3, cores(4), members({2, 2, 0}), at(7min)).size, 2U);
  EXPECT_EQ(fleet.decide(2, cores(1), members({1, 0}), at(8min)).resting, Hosts{}) << "... and it was as busy as this";
  EXPECT_EQ(fleet.decide(2, cores(1), members({1, 0}), at(13min)).resting, (Hosts{"w1"}));
}

TEST(Fleet, PrefersThoseThatHaveNotEvenJoined) {
  Fleet fleet(kBounds);
  auto some = members({0, 0});
  some.push_back({"new", 0, false});
  (void)fleet.decide(3, cores(4), some, at(0s));
  EXPECT_EQ(fleet.decide(3, cores(4), some, at(5min)).resting, (Hosts{"new"}));
}

TEST(Fleet, ComesDownToABoundThatWasLowered) {
  Fleet fleet({.least = 0, .most = 2, .shrink_after = 0s});
  const auto busy = members({1, 1, 1});
  EXPECT_EQ(fleet.decide(3, cores(6), busy, at(0s)), (FleetOrder{3, Hosts{"w0"}, Hosts{}}));
  EXPECT_EQ(fleet.decide(3, cores(6), members({0, 1, 1}), at(1s)), (FleetOrder{2, Hosts{"w0"}, Hosts{"w0"}}));
}

}  // namespace
}  // namespace chappe
