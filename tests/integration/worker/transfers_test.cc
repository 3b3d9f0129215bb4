#include "worker/artifacts/transfers.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <thread>

namespace chappe::artifacts {
namespace {

bool wait_for(const Transfers& transfers) {
  pollfd fd{transfers.fd(), POLLIN, 0};
  return ::poll(&fd, 1, 20'000) == 1;
}

TEST(Transfers, RunElsewhereAndAreHandedBackHere) {
  Transfers transfers(2);
  const std::thread::id here = std::this_thread::get_id();
  std::thread::id ran, handed_back;
  ASSERT_TRUE(transfers.submit([&] {
    ran = std::this_thread::get_id();
    return [&] { handed_back = std::this_thread::get_id(); };
  }));
  ASSERT_TRUE(wait_for(transfers));
  EXPECT_EQ(handed_back, std::thread::id());
  transfers.hand_back();
  EXPECT_NE(ran, here);
  EXPECT_EQ(handed_back, here);
  EXPECT_EQ(transfers.pending(), 0U);
}

TEST(Transfers, RefuseMoreThanTheirBound) {
  Transfers transfers(1);
  std::atomic<bool> go = false;
  std::size_t done = 0;
  const auto transfer = [&] {
    go.wait(false);
    return [&] { ++done; };
  };
  for (std::size_t i = 0; i < kTransfersMax; ++i) ASSERT_TRUE(transfers.submit(transfer));
  EXPECT_FALSE(transfers.submit(transfer));
  go = true;
  go.notify_all();
  while (done < kTransfersMax && wait_for(transfers)) transfers.hand_back();
  EXPECT_EQ(done, kTransfersMax);
  EXPECT_TRUE(transfers.submit(transfer));
}

TEST(Transfers, MaySubmitMoreFromTheirCompletion) {
  Transfers transfers(1);
  bool second = false;
  ASSERT_TRUE(
      transfers.submit([&] { return [&] { EXPECT_TRUE(transfers.submit([&] { return [&] { second = true; }; })); }; }));
  while (!second && wait_for(transfers)) transfers.hand_back();
  EXPECT_TRUE(second);
}

}  // namespace
}  // namespace chappe::artifacts
