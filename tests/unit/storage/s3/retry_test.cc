#include "storage/s3/retry.h"

#include <gtest/gtest.h>

#include "storage/s3/part_sizes.h"

namespace chappe::s3 {
namespace {

using namespace std::chrono_literals;

constexpr double kAlmostOne = 0.999999;
const RetryPolicy kPolicy{.backoff_min = 100ms, .backoff_max = 1s};

TEST(Retry, RestsAnywhereBelowADoublingCeiling) {
  EXPECT_EQ(rest_before(2, kPolicy, 0, {}), 0ms);
  EXPECT_EQ(rest_before(2, kPolicy, 0.5, {}), 50ms);
  EXPECT_EQ(rest_before(4, kPolicy, 0.5, {}), 200ms);
  EXPECT_LE(rest_before(9, kPolicy, kAlmostOne, {}), 1s);
  EXPECT_LE(rest_before(4'000'000'000, kPolicy, kAlmostOne, {}), 1s);
}

TEST(Retry, RestsAtLeastAsLongAsTheServerSays) {
  EXPECT_EQ(rest_before(2, kPolicy, 0, 700ms), 700ms);
  EXPECT_EQ(rest_before(2, kPolicy, 0, 3600s), 1s);
}

TEST(Retry, RepeatsOnlyWhatMayPass) {
  for (const int status : {408, 429, 500, 502, 503, 504}) EXPECT_TRUE(is_passing(status, "")) << status;
  for (const int status : {200, 301, 400, 403, 404, 409, 412, 501}) EXPECT_FALSE(is_passing(status, "")) << status;
  EXPECT_TRUE(is_passing(409, "ConditionalRequestConflict"));
  EXPECT_TRUE(is_passing(400, "RequestTimeout"));
  EXPECT_FALSE(is_passing(409, "BucketAlreadyExists"));
}

TEST(Retry, SpendsNoMoreThanATenthInTheLongRun) {
  RetryBudget budget;
  int spent = 0;
  for (int request = 0; request < 10'000; ++request) {
    budget.earn();
    while (budget.spend()) ++spent;
  }
  EXPECT_GE(spent, 1'000);
  EXPECT_LE(spent, 1'051);  // What was there at first, and a tenth.
}

TEST(PartSizes, HoldAnyObjectInTenThousandParts) {
  constexpr std::uint64_t kTebibyte = std::uint64_t{1} << 40;
  for (const std::uint64_t size : {std::uint64_t{1}, kTebibyte / 1024, kTebibyte, 5 * kTebibyte}) {
    EXPECT_GE(part_bytes(1, size) * std::uint64_t{kPartsMax}, size);
    EXPECT_GE(part_bytes(1, size), kPartBytesMin);
  }
  std::uint64_t unknown = 0;
  for (std::uint32_t number = 1; number <= kPartsMax; ++number) unknown += part_bytes(number, 0);
  EXPECT_GT(unknown, 2 * kTebibyte);
}

TEST(PartSizes, KeepBuffersWithinTheirBound) {
  EXPECT_EQ(parts_in_flight(kPartBytesMin), 2U);
  EXPECT_EQ(parts_in_flight(std::size_t{1} << 30), 1U);
}

}  // namespace
}  // namespace chappe::s3
