// What the loader makes of sidecars.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dags/loader/loader.h"
#include "engine/model/features.h"

namespace chappe {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

DagPtr dag_of(const std::string& text) {
  const LoadedDag loaded = load_dag("name: d\n" + text, "d.yaml");
  for (const Diagnostic& diagnostic : loaded.diagnostics) ADD_FAILURE() << diagnostic.text();
  return loaded.dag;
}

TEST(Sidecars, AreReadAsTheyStand) {
  const DagPtr dag = dag_of(R"(
image: debian
tasks:
  - id: a
    run: echo
    sidecars:
      - {name: db, image: postgres, command: [postgres], args: [-c, x], env: {A: b}, port: 5432, ready_timeout: 1m,
         resources: {memory: 512Mi}, container: {user: "999", read_only: false}}
      - {name: web-1, image: nginx, port: 80, ready: {http: /up}, resources: {cpu: 2}}
)");
  ASSERT_NE(dag, nullptr);
  const std::vector<SidecarSpec>& sidecars = dag->tasks[0].work->sidecars;
  ASSERT_EQ(sidecars.size(), 2U);
  EXPECT_EQ(sidecars[0].image.literal_text(), "postgres");
  EXPECT_EQ(sidecars[0].args.size(), 2U);
  EXPECT_EQ(sidecars[0].port, 5432);
  EXPECT_EQ(sidecars[0].ready_timeout, std::chrono::minutes(1));
  EXPECT_EQ(sidecars[0].resources, (Resources{.cpu_milli = 0, .memory_bytes = 512 << 20}));
  EXPECT_FALSE(sidecars[0].container.read_only);
  EXPECT_EQ(sidecars[1].ready_path, "/up");
  EXPECT_EQ(with_sidecars(dag->tasks[0].work->resources, sidecars),
            (Resources{.cpu_milli = 3000, .memory_bytes = 512 << 20}));
  EXPECT_TRUE(needed_by(dag->tasks[0]).has(Feature::kSidecars));
}

TEST(Sidecars, OfDefaultsAreThoseOfTasksWithAnImage) {
  const DagPtr dag = dag_of(R"(
defaults: {image: debian, sidecars: [{name: db, image: postgres}]}
templates: {own: {run: echo, sidecars: [{name: web, image: nginx}]}}
tasks:
  - {id: a, run: echo}
  - {id: b, image: "", run: echo}
  - {id: c, run: echo, sidecars: []}
  - {id: d, uses: own}
  - {id: e, noop: {}}
)");
  ASSERT_NE(dag, nullptr);
  std::vector<std::string> names;
  for (const Task& task : dag->tasks) {
    names.push_back(task.work == nullptr || task.work->sidecars.empty() ? "" : task.work->sidecars[0].name);
  }
  EXPECT_THAT(names, ElementsAre("db", "", "", "web", ""));
}

TEST(Sidecars, MakeAnotherVersion) {
  const std::string head = "image: a\ntasks: [{id: a, run: echo, sidecars: [{name: db, image: ";
  EXPECT_NE(dag_of(head + "x}]}]\n")->version, dag_of(head + "y}]}]\n")->version);
}

}  // namespace
}  // namespace chappe
