#include "engine/run/ready_queue.h"

#include <gtest/gtest.h>

#include <string>

namespace chappe {
namespace {

constexpr DagShare kDag{.id = 1};
constexpr DagShare kOther{.id = 2};

std::vector<InstanceKey> drain(ReadyQueue& queue) {
  std::vector<InstanceKey> out;
  while (const auto key = queue.pop()) out.push_back(*key);
  return out;
}

TEST(ReadyQueue, HandsOutARunsInstancesInTheOrderTheyCame) {
  ReadyQueue queue;
  queue.push({1}, kDag, {0, 2});
  queue.push({1}, kDag, {2, 3});
  queue.push({1}, kDag, {7, 8});
  EXPECT_EQ(queue.size(), 4u);
  EXPECT_EQ(drain(queue), (std::vector<InstanceKey>{{{1}, 0}, {{1}, 1}, {{1}, 2}, {{1}, 7}}));
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.size(), 0u);
}

TEST(ReadyQueue, RunsTakeTurnsSoThatALongOneDoesNotHideAShortOne) {
  ReadyQueue queue;
  queue.push({1}, kDag, {0, 1'000});
  queue.push({2}, kDag, {0, 1});
  const std::vector<InstanceKey> order = drain(queue);
  EXPECT_EQ(order.size(), 1'001u);
  EXPECT_EQ(order[64], (InstanceKey{{2}, 0}));
}

TEST(ReadyQueue, ADagWithManyRunsDoesNotHideOneWithASingleRun) {
  ReadyQueue queue;
  for (std::uint32_t run = 10; run < 110; ++run) queue.push({run}, kDag, {0, 100});
  queue.push({1}, kOther, {0, 3});
  const std::vector<InstanceKey> order = drain(queue);
  EXPECT_EQ(order.size(), 10'003u);
  for (const std::size_t turn : {1u, 3u, 5u}) EXPECT_EQ(order[turn].run, RunSeq{1}) << turn;
}

TEST(ReadyQueue, ADagGetsAsManyInItsTurnAsItsWeightSays) {
  ReadyQueue queue;
  queue.push({1}, {.id = 1, .weight = 3}, {0, 10});
  queue.push({2}, kOther, {0, 10});
  std::string turns;
  for (int i = 0; i < 8; ++i) turns += std::to_string(queue.pop()->run.value);
  EXPECT_EQ(turns, "11121112");
}

TEST(ReadyQueue, WhatIsPutBackComesNext) {
  ReadyQueue queue;
  queue.push({1}, kDag, {0, 2});
  queue.push({2}, kDag, {5, 6});
  for (int i = 0; i < 200; ++i) {  // A class that finds no room is asked again and again.
    const auto key = queue.pop();
    ASSERT_TRUE(key);
    queue.push_front(*key, kDag);
    EXPECT_EQ(queue.size(), 3u);
  }
  EXPECT_EQ(drain(queue).size(), 3u);
}

TEST(ReadyQueue, WhatGoesAheadGoesInTheOrderOfTheItemsAndTheNewestStepFirst) {
  ReadyQueue queue;
  queue.push({1}, kDag, {0, 2});
  for (const std::uint32_t item : {12u, 10u, 11u, 11u}) queue.push({1}, kDag, {item, item + 1}, 7);
  queue.push({1}, kDag, {20, 22}, 8);
  EXPECT_EQ(queue.size(), 7u);
  queue.push_front(*queue.pop(), kDag);
  EXPECT_EQ(queue.size(), 7u);
  std::vector<std::uint32_t> order;
  for (const InstanceKey& key : drain(queue)) order.push_back(key.index);
  EXPECT_EQ(order, (std::vector<std::uint32_t>{20, 21, 10, 11, 12, 0, 1}));
  EXPECT_TRUE(queue.empty());
}

TEST(ReadyQueue, PuttingTheLastOneBackKeepsItsRun) {
  ReadyQueue queue;
  queue.push({3}, kDag, {4, 5});
  queue.push_front(*queue.pop(), kDag);
  EXPECT_EQ(drain(queue), (std::vector<InstanceKey>{{{3}, 4}}));
}

}  // namespace
}  // namespace chappe
