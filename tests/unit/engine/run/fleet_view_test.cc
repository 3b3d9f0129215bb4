// What a fleet carries, as the engine sees it, and who of it gets no more work.
#include <gtest/gtest.h>

#include "engine/run/engine.h"
#include "tests/support/dag_builder.h"
#include "tests/support/engine_world.h"

namespace chappe {
namespace {

using support::all_of;
using support::DagBuilder;
using support::EngineWorld;
using support::process;
using support::WorkerSide;

/// A worker in a pod of its own name.
WorkerSide& add_pod(EngineWorld& world, const std::string& pod) {
  WorkerSide& worker = world.worker(pod);
  worker.hello.host = pod;
  world.step({world.join(worker)});
  return worker;
}

const DagPtr& five_tasks() {
  static const DagPtr kDag = [] {
    DagBuilder dag("d");
    for (const char* id : {"a", "b", "c", "d", "e"}) dag.task(id, {}, process());
    return dag.build();
  }();
  return kDag;
}

TEST(FleetView, CountsWhatItsWorkersHaveAndWhatWaits) {
  EngineWorld world;
  add_pod(world, "p1");
  add_pod(world, "elsewhere");
  world.step({world.request(five_tasks())});  // Two on each, one waits.
  const FleetView view = world.engine().fleet({"p1", "p2"});
  ASSERT_EQ(view.members.size(), 2U);
  EXPECT_EQ(view.members[0].pod, "p1");
  EXPECT_EQ(view.members[0].attempts, 2U);
  EXPECT_TRUE(view.members[0].joined);
  EXPECT_FALSE(view.members[1].joined) << "its worker has not said hello";
  EXPECT_EQ(view.load.tasks, 3U);
  EXPECT_EQ(view.load.cpu_milli, 3000U);
  EXPECT_EQ(view.load.each.cpu_milli, 2000U);
}

TEST(FleetView, CountsAllThatWaitsWhereNoneHasJoined) {
  EngineWorld world;
  world.step({world.request(five_tasks())});
  const FleetView view = world.engine().fleet({});
  EXPECT_EQ(view.load.tasks, 5U);
  EXPECT_EQ(view.load.each.cpu_milli, 0U);
}

TEST(FleetView, CountsNothingThatItsWorkersCouldNotTake) {
  EngineWorld world({.pools = {{"small", 3}}});
  WorkerSide& worker = add_pod(world, "p1");
  world.step({WorkerDraining{worker.connection}});  // So that all of it waits.
  DagBuilder dag("d");
  const auto in_pool = [](Task& task) { task.pool = "small"; };
  const auto in_the_north = [](Task& task) { task.where.labels = {{"zone", "north"}}; };
  for (const char* id : {"a", "b", "c", "d"}) dag.task(id, {}, all_of({process(), in_pool}));
  dag.task("north", {}, all_of({process(), in_the_north}));
  world.step({world.request(dag.build())});
  EXPECT_EQ(world.engine().fleet({"p1"}).load.tasks, 3U) << "as many as the pool has slots, and not the one elsewhere";
}

TEST(FleetView, GivesThoseThatRestNothing) {
  EngineWorld world;
  add_pod(world, "p1");
  world.step({FleetResting{{"p1", "p2"}}});
  add_pod(world, "p2");  // It joins when it is to rest already.
  const RunRequested request = world.request(DagBuilder("d").task("a", {}, process()).build());
  world.step({request});
  EXPECT_NE(world.state(request.id, "a"), "queued");
  world.step({FleetResting{{"p2"}}});
  EXPECT_EQ(world.state(request.id, "a"), "queued");
  EXPECT_EQ(world.engine().fleet({"p1"}).members[0].attempts, 1U);
}

TEST(FleetView, LetsAWorkerThatDrainsByItselfDrainOn) {
  EngineWorld world;
  WorkerSide& worker = add_pod(world, "p1");
  world.step({FleetResting{{"p1"}}});
  world.step({WorkerDraining{worker.connection}});
  world.step({FleetResting{}});
  const RunRequested request = world.request(DagBuilder("d").task("a", {}, process()).build());
  world.step({request});
  EXPECT_NE(world.state(request.id, "a"), "queued");
}

}  // namespace
}  // namespace chappe
