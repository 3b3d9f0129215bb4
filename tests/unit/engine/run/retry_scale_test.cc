// What a further try asks for, where it is told: workers, pods, and after a restart.
#include <gtest/gtest.h>

#include "engine/run/engine.h"
#include "tests/support/dag_builder.h"
#include "tests/support/engine_world.h"

namespace chappe {
namespace {

using support::dag_of;
using support::EngineWorld;
using support::WorkerSide;

constexpr std::uint64_t kOneGiB = std::uint64_t{1} << 30;

class RetryScaleOfWorkers : public testing::Test {
 protected:
  WorkerSide& add_worker(const std::string& name, std::uint64_t memory) {
    WorkerSide& worker = world.worker(name);
    worker.hello.capacity = {.cpu_milli = 8000, .memory_bytes = memory};
    world.step({world.join(worker)});
    return worker;
  }
  RunId submit(const char* yaml) {
    world.step({world.request(dag_of(yaml))});
    return world.store().tables().runs.begin()->second.id;
  }
  /// The newest attempt fails for memory.
  void run_out_of_memory(const RunId& run, const std::string& instance) {
    const Assignment what = *world.newest(run, instance);
    world.step({world.finished(*world.holder_of(what.attempt), what, {.reason = Reason::kOom})});
  }
  std::uint64_t told(const RunId& run, const std::string& instance) const {
    return world.newest(run, instance)->work->resources.memory_bytes;
  }

  EngineWorld world;
};

TEST_F(RetryScaleOfWorkers, TellsEachTryWhatItNeedsAndOthersWhatTheyDo) {
  add_worker("w", 64 * kOneGiB);
  const RunId run = submit(R"(
name: d
tasks:
  - {id: a, run: x, resources: {memory: 1Gi}, retry: {limit: 2, scale: {memory: 2}}}
  - {id: b, run: x, resources: {memory: 1Gi}}
  - {id: c, run: x, resources: {memory: 1Gi}, depends_on: [b]}
)");
  EXPECT_EQ(told(run, "a"), kOneGiB);
  run_out_of_memory(run, "a");
  EXPECT_EQ(told(run, "a"), 2 * kOneGiB);
  run_out_of_memory(run, "a");
  EXPECT_EQ(told(run, "a"), 4 * kOneGiB);
  EXPECT_EQ(told(run, "b"), kOneGiB) << "its work is the same, its tries are not";
}

TEST_F(RetryScaleOfWorkers, GivesBackAsMuchRoomAsTheTryTook) {
  WorkerSide& worker = add_worker("w", 4 * kOneGiB);
  const RunId run = submit(R"(
name: d
tasks: [{id: a, run: x, resources: {memory: 1Gi}, retry: {limit: 2, scale: {memory: 2}}}]
)");
  for (int i = 0; i < 2; ++i) run_out_of_memory(run, "a");
  const Assignment what = *world.newest(run, "a");
  EXPECT_EQ(what.work->resources.memory_bytes, 4 * kOneGiB);
  world.step({world.finished(worker, what, {})});
  world.step({world.request(dag_of("{name: e, tasks: [{id: all, run: x, resources: {memory: 4Gi}}]}"))});
  EXPECT_EQ(worker.held.size(), 1U) << "all of its memory is free again";
}

TEST_F(RetryScaleOfWorkers, KnowsAfterARestartWhichItemsFailedMoreOften) {
  add_worker("w", 2 * kOneGiB);
  const RunId run = submit(R"(
name: d
tasks:
  - id: a
    run: x
    foreach: {items: [i, j, k]}
    resources: {memory: 1Gi}
    retry: {limit: 2, scale: {memory: 2}}
)");
  run_out_of_memory(run, "a[i]");  // It waits for 2 GiB; k has its place.
  world.restart();
  add_worker("large", 4 * kOneGiB);
  EXPECT_EQ(told(run, "a[i]"), 2 * kOneGiB);
  EXPECT_EQ(told(run, "a[k]"), kOneGiB);
}

TEST(RetryScaleOfPods, OrdersAPodForWhatTheTryNeeds) {
  EngineWorld world(EngineConfig{.pods_max = 1});
  std::vector<PodOrder> orders;
  const auto note = [&](const Effects& effects) {
    orders.insert(orders.end(), effects.pods.begin(), effects.pods.end());
  };
  note(world.step({world.request(dag_of(R"(
name: d
tasks: [{id: a, run: x, executor: kubernetes, resources: {memory: 1Gi}, retry: {limit: 2, scale: {memory: 2}}}]
)"))}));
  ASSERT_EQ(orders.size(), 1U);
  EXPECT_EQ(orders[0].resources.memory_bytes, kOneGiB);
  note(world.step({PodSeen{orders[0].what.attempt, PodSeen::What::kEnded, Reason::kOom, "out of memory"}}));
  ASSERT_EQ(orders.back().attempt_no, 2);
  EXPECT_EQ(orders.back().resources.memory_bytes, 2 * kOneGiB);
}

}  // namespace
}  // namespace chappe
