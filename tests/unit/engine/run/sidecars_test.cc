// Sidecars on their way to whoever runs them: a worker is told of them, a pod is made with them.
#include <gtest/gtest.h>

#include "engine/run/engine.h"
#include "tests/support/dag_builder.h"
#include "tests/support/engine_world.h"

namespace chappe {
namespace {

using support::dag_of;
using support::EngineWorld;
using support::WorkerSide;

constexpr const char* kDag = R"(
name: d
params: {tag: "16"}
image: debian
tasks:
  - id: a
    run: x
    resources: {cpu: 1, memory: 1Gi}
    sidecars:
      - name: db
        image: "postgres:${{ params.tag }}"
        args: ["--run=${{ run.id }}"]
        env: {TAG: "${{ params.tag }}"}
        port: 5432
        ready: {http: /up}
        ready_timeout: 1m
        resources: {cpu: 2, memory: 2Gi}
        container: {user: "999"}
)";

class SidecarsOfAnAttempt : public testing::Test {
 protected:
  void add_worker(const std::string& name, std::uint32_t cpu_milli) {
    WorkerSide& worker = world.worker(name);
    worker.hello.capacity = {.cpu_milli = cpu_milli, .memory_bytes = std::uint64_t{3} << 30};
    worker.hello.containers = true;
    world.step({world.join(worker)});
  }

  EngineWorld world;
};

TEST_F(SidecarsOfAnAttempt, AreToldWithTheTasksOwnResourcesBesideTheirsAndNeedRoomForBoth) {
  add_worker("small", 2999);
  world.step({world.request(dag_of(kDag), {{"tag", "16"}})});
  const RunId run = world.store().tables().runs.begin()->second.id;
  EXPECT_EQ(world.newest(run, "a"), nullptr);
  add_worker("large", 3000);
  ASSERT_NE(world.newest(run, "a"), nullptr);
  const Assignment what = *world.newest(run, "a");
  EXPECT_EQ(what.work->resources, (Resources{.cpu_milli = 1000, .memory_bytes = std::uint64_t{1} << 30}));
  ASSERT_EQ(what.work->sidecars.size(), 1U);
  Sidecar db{.name = "db", .image = "postgres:16", .args = {"--run=" + run.text()}, .env = {{"TAG", "16"}}};
  db.resources = {.cpu_milli = 2000, .memory_bytes = std::uint64_t{2} << 30};
  db.container.user = "999";
  db.port = 5432;
  db.ready_path = "/up";
  db.ready_timeout = std::chrono::minutes(1);
  EXPECT_EQ(what.work->sidecars[0], db);
}

}  // namespace
}  // namespace chappe
