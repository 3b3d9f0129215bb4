#include "engine/placement/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chappe {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

WorkerRoom room(std::uint32_t worker, std::uint32_t cpu_milli, std::uint64_t memory = 8 * kGiB) {
  WorkerRoom out{.worker = {worker}, .capacity = {.cpu_milli = cpu_milli, .memory_bytes = memory}};
  out.noop_depth = 4;
  return out;
}

Need need(std::uint32_t cpu_milli, std::uint64_t memory = 0) {
  return {.resources = {.cpu_milli = cpu_milli, .memory_bytes = memory}};
}

TEST(Placement, AnEmptyWorkerHasAllOfItsCoresFree) {
  EXPECT_EQ(room_for(room(1, 1000), need(1000), 10), 1u);
  EXPECT_EQ(room_for(room(1, 2000), need(500), 10), 4u);
}

TEST(Placement, TheScarcestResourceDecides) {
  EXPECT_EQ(room_for(room(1, 8000, 4 * kGiB), need(1000, 2 * kGiB), 10), 2u);
  WorkerRoom gpus = room(1, 8000);
  gpus.capacity.gpus = 1;
  EXPECT_EQ(room_for(gpus, {.resources = {.cpu_milli = 0, .gpus = 1}}, 10), 1u);
}

TEST(Placement, OnlyShortWorkIsTakenAheadAndOnlyCores) {
  WorkerRoom full = room(1, 1000, 2 * kGiB);
  full.taken = {.cpu_milli = 1000, .memory_bytes = kGiB};
  full.prefetch = 2;
  EXPECT_EQ(room_for(full, need(1000), 10), 0u);
  Need ahead = need(1000);
  ahead.ahead = 5;
  EXPECT_EQ(room_for(full, ahead, 10), 2u);
  ahead.resources.memory_bytes = kGiB;
  EXPECT_EQ(room_for(full, ahead, 10), 1u);
}

TEST(Placement, AsMuchIsTakenAheadAsTheNeedSaysForEachThatRuns) {
  WorkerRoom full = room(1, 2000);
  full.taken = {.cpu_milli = 2000};
  full.prefetch = 100;
  Need ahead = need(500);
  ahead.ahead = 3;
  EXPECT_EQ(room_for(full, ahead, 50), 12u);
}

TEST(Placement, AContainerGoesWhereContainersAreRun) {
  const Whereabouts boxed{.labels = {}, .tolerations = {}, .container = true};
  Need one = need(1000);
  one.where = &boxed;
  std::vector<WorkerRoom> rooms{room(1, 8000), room(2, 2000)};
  EXPECT_EQ(pick_worker(rooms, one), std::nullopt);
  EXPECT_EQ(refusal_of(rooms[0], one), Refusal::kElsewhere);
  EXPECT_EQ(explain_refusal(rooms[0], "w1", one), "w1 runs no containers");
  rooms[1].containers = true;
  EXPECT_EQ(pick_worker(rooms, one), 1U);
  EXPECT_EQ(pick_worker(rooms, need(1000)), 0U);
}

TEST(Placement, WhatAWorkerIsTooOldToKnowGoesElsewhere) {
  std::vector<WorkerRoom> rooms{room(1, 4000), room(2, 1000)};
  rooms[0].features = {};
  Need request = need(1000);
  request.features.add(Feature::kHttp);
  EXPECT_EQ(pick_worker(rooms, request), 1U);
  EXPECT_EQ(refusal_of(rooms[0], request), Refusal::kElsewhere);
  EXPECT_EQ(explain_refusal(rooms[0], "w1", request), "w1 is of an older version, which does not know http");
  EXPECT_EQ(pick_worker(rooms, need(1000)), 0U);
}

TEST(Placement, TheWorkerWithTheLargestFreeShareIsChosenAndTiesGoToTheSmallerId) {
  std::vector<WorkerRoom> rooms{room(3, 2000), room(1, 4000), room(2, 4000)};
  EXPECT_EQ(pick_worker(rooms, need(1000)), 1u);
  rooms[1].taken.cpu_milli = 1000;
  EXPECT_EQ(pick_worker(rooms, need(1000)), 2u);
  rooms[2].draining = true;
  EXPECT_EQ(pick_worker(rooms, need(1000)), 0u);
}

TEST(Placement, AnAvoidedWorkerIsTakenOnlyWhereNoOtherFits) {
  std::vector<WorkerRoom> rooms{room(1, 4000), room(2, 1000)};
  EXPECT_EQ(pick_worker(rooms, need(1000), {1}), 1u);
  EXPECT_EQ(pick_worker(rooms, need(2000), {1}), 0u);
}

TEST(Placement, NoopsTakeDepthAndNothingElse) {
  WorkerRoom busy = room(1, 1000);
  busy.taken.cpu_milli = 1000;
  busy.noops = 1;
  EXPECT_EQ(room_for(busy, {.noop = true}, 10), 3u);
  busy.noops = 9;  // It came back with a smaller depth than it holds.
  EXPECT_EQ(room_for(busy, {.noop = true}, 10), 0u);
}

TEST(Placement, EveryRefusalHasItsReason) {
  WorkerRoom one = room(1, 2000);
  EXPECT_EQ(refusal_of(one, need(2000)), Refusal::kNone);
  EXPECT_EQ(refusal_of(one, need(3000)), Refusal::kNeverFits);
  EXPECT_THAT(explain_refusal(one, "w1", need(3000)), testing::HasSubstr("it will never fit there"));
  one.taken.cpu_milli = 500;
  EXPECT_EQ(refusal_of(one, need(2000)), Refusal::kBusy);
  EXPECT_EQ(explain_refusal(one, "w1", need(2000, kGiB)),
            "needs 2 cpus, 1.0 GiB; w1 has 1.5 cpus free of 2, 8.0 GiB free of 8.0 GiB");
  one.draining = true;
  EXPECT_EQ(refusal_of(one, need(100)), Refusal::kDraining);
}

}  // namespace
}  // namespace chappe
