#include "engine/run/ready_queue.h"

#include <gtest/gtest.h>

namespace chappe {
namespace {

std::vector<InstanceKey> drain(ReadyQueue& queue) {
  std::vector<InstanceKey> out;
  while (const auto key = queue.pop()) out.push_back(*key);
  return out;
}

TEST(ReadyQueue, HandsOutARunsInstancesInTheOrderTheyCame) {
  ReadyQueue queue;
  queue.push({1}, {0, 2});
  queue.push({1}, {2, 3});
  queue.push({1}, {7, 8});
  EXPECT_EQ(queue.size(), 4u);
  EXPECT_EQ(drain(queue), (std::vector<InstanceKey>{{{1}, 0}, {{1}, 1}, {{1}, 2}, {{1}, 7}}));
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.size(), 0u);
}

TEST(ReadyQueue, RunsTakeTurnsSoThatALongOneDoesNotHideAShortOne) {
  ReadyQueue queue;
  queue.push({1}, {0, 1'000});
  queue.push({2}, {0, 1});
  const std::vector<InstanceKey> order = drain(queue);
  EXPECT_EQ(order.size(), 1'001u);
  EXPECT_EQ(order[64], (InstanceKey{{2}, 0}));
}

TEST(ReadyQueue, WhatIsPutBackComesNext) {
  ReadyQueue queue;
  queue.push({1}, {0, 2});
  queue.push({2}, {5, 6});
  for (int i = 0; i < 200; ++i) {  // A class that finds no room is asked again and again.
    const auto key = queue.pop();
    ASSERT_TRUE(key);
    queue.push_front(*key);
    EXPECT_EQ(queue.size(), 3u);
  }
  EXPECT_EQ(drain(queue).size(), 3u);
}

TEST(ReadyQueue, PuttingTheLastOneBackKeepsItsRun) {
  ReadyQueue queue;
  queue.push({3}, {4, 5});
  queue.push_front(*queue.pop());
  EXPECT_EQ(drain(queue), (std::vector<InstanceKey>{{{3}, 4}}));
}

}  // namespace
}  // namespace chappe
