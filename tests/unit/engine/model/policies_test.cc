#include "engine/model/policies.h"

#include <gtest/gtest.h>

namespace chappe {
namespace {

constexpr std::uint64_t kGibibyte = std::uint64_t{1} << 30;
constexpr Resources kFirst{.cpu_milli = 1000, .memory_bytes = 4 * kGibibyte, .gpus = 2};

TEST(Scaled, MultipliesWithEachFailedTry) {
  const RetryScale scale{.cpu = 2, .memory = 1.5};
  EXPECT_EQ(scaled(kFirst, scale, 0), kFirst);
  EXPECT_EQ(scaled(kFirst, scale, 1), (Resources{.cpu_milli = 2000, .memory_bytes = 6 * kGibibyte, .gpus = 2}));
  EXPECT_EQ(scaled(kFirst, scale, 2), (Resources{.cpu_milli = 4000, .memory_bytes = 9 * kGibibyte, .gpus = 2}));
}

TEST(Scaled, LeavesAloneWhatHasNoFactorAndWhatWasNotAskedFor) {
  EXPECT_EQ(scaled(kFirst, {}, 1000), kFirst);
  EXPECT_EQ(scaled({.cpu_milli = 0}, {.cpu = 2, .memory = 2}, 3), (Resources{.cpu_milli = 0}));
  EXPECT_EQ(scaled(kFirst, {.memory = 2}, 1).cpu_milli, 1000U);
}

TEST(Scaled, EndsAtSoManyTimesTheFirst) {
  const RetryScale scale{.cpu = 2, .memory = 3};
  EXPECT_EQ(scaled(kFirst, scale, 3).cpu_milli, 8000U);
  EXPECT_EQ(scaled(kFirst, scale, 4).cpu_milli, 16'000U);
  EXPECT_EQ(scaled(kFirst, scale, 5).cpu_milli, 16'000U);
  EXPECT_EQ(scaled(kFirst, scale, 2).memory_bytes, 36 * kGibibyte);
  EXPECT_EQ(scaled(kFirst, scale, 3).memory_bytes, 64 * kGibibyte);
  EXPECT_EQ(scaled(kFirst, {.cpu = kRetryScaleMax}, 65'535).cpu_milli, 16'000U);
}

}  // namespace
}  // namespace chappe
