#include "worker/container/gpu_pool.h"

#include <gtest/gtest.h>

namespace chappe::container {
namespace {

using Devices = std::vector<std::string>;

TEST(GpuPool, GivesEachDeviceToOneAttemptAtATime) {
  GpuPool pool({"a/gpu=0", "a/gpu=1", "a/gpu=2"});
  EXPECT_EQ(pool.take({1}, 2).value(), (Devices{"a/gpu=0", "a/gpu=1"}));
  EXPECT_EQ(pool.take({2}, 1).value(), (Devices{"a/gpu=2"}));
  pool.give_back({1});
  EXPECT_EQ(pool.take({3}, 1).value(), (Devices{"a/gpu=0"}));
}

TEST(GpuPool, GivesAllThatAreAskedForOrNone) {
  GpuPool pool({"a/gpu=0", "a/gpu=1"});
  ASSERT_TRUE(pool.take({1}, 1).has_value());
  const auto refused = pool.take({2}, 2);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(refused.error().message, "2 GPUs are wanted, 1 of this worker's 2 are free");
  EXPECT_EQ(pool.take({3}, 1).value(), (Devices{"a/gpu=1"}));
}

TEST(GpuPool, TakesNothingBackTwice) {
  GpuPool pool({"a/gpu=0"});
  ASSERT_TRUE(pool.take({1}, 1).has_value());
  pool.give_back({1});
  ASSERT_TRUE(pool.take({2}, 1).has_value());
  pool.give_back({1});
  EXPECT_FALSE(pool.take({3}, 1).has_value());
}

TEST(GpuNames, AreThoseOfTheContainerDeviceInterface) {
  EXPECT_EQ(usual_gpus(2), (Devices{"nvidia.com/gpu=0", "nvidia.com/gpu=1"}));
  for (const char* good : {"nvidia.com/gpu=0", "nvidia.com/gpu=GPU-1a2b", "amd.com/gpu=all"}) {
    EXPECT_TRUE(check_gpu_name(good).has_value()) << good;
  }
  for (const char* bad : {"", "0", "gpu=0", "nvidia.com/gpu", "nvidia.com/gpu=", "/gpu=0", "nvidia.com/=0", "a=b/c"}) {
    EXPECT_FALSE(check_gpu_name(bad).has_value()) << bad;
  }
}

TEST(Runtimes, BeforePodman5HandNoGpusOver) {
  EXPECT_EQ(why_no_gpus("Podman Engine 4.3.1"),
            "Podman Engine 4.3.1 hands no GPUs to containers through its API: Podman 5.0 and newer do, and Docker");
  EXPECT_EQ(why_no_gpus("Podman Engine 5.0.0"), "");
  EXPECT_EQ(why_no_gpus("Podman Engine 10.1.0"), "");
  EXPECT_EQ(why_no_gpus("Docker 24.0.7"), "") << "it refuses a driver that it does not know";
}

}  // namespace
}  // namespace chappe::container
