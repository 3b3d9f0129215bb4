// What the loader makes of services, and of inputs that are objects of S3.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dags/loader/loader.h"

namespace chappe {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

DagPtr dag_with(const std::string& tasks) {
  const LoadedDag loaded = load_dag("name: d\nparams: {day: monday}\ntasks:\n" + tasks, "d.yaml");
  for (const Diagnostic& diagnostic : loaded.diagnostics) ADD_FAILURE() << diagnostic.text();
  return loaded.dag;
}

std::vector<std::uint32_t> upstream(const Task& task) {
  std::vector<std::uint32_t> out;
  for (const Dependency& edge : task.depends_on) out.push_back(edge.task);
  return out;
}

TEST(Services, AreReadyAtTheirPortUnlessTheySayOtherwise) {
  const DagPtr dag = dag_with(R"(
  - {id: plain, run: echo, service: {}}
  - {id: web, run: echo, service: {ready: {http: /health}, port: 8080, ready_timeout: 10m}}
  - {id: slow, run: echo, service: {ready: {file: up}}}
  - {id: reader, depends_on: [plain, web, slow], run: echo}
)");
  ASSERT_NE(dag, nullptr);
  EXPECT_THAT(dag->services, ElementsAre(0, 1, 2));
  EXPECT_EQ(*dag->tasks[0].work->service, ServiceSpec{});
  const ServiceSpec web{.ready = ServiceSpec::Ready::kHttp,
                        .ready_at = "/health",
                        .port = 8080,
                        .ready_timeout = std::chrono::minutes(10)};
  EXPECT_EQ(*dag->tasks[1].work->service, web);
  EXPECT_EQ(dag->tasks[2].work->service->ready_at, "up");
  EXPECT_TRUE(dag->consumes(3, 0));
}

TEST(Services, AreCertainForWhoeverDependsOnThemWhateverTheRule) {
  const DagPtr dag = dag_with(R"(
  - {id: first, run: echo}
  - {id: db, run: echo, service: {}}
  - {id: reader, depends_on: [first, db], trigger_rule: all_done, env: {DB: "${{ tasks.db.outputs.address }}"}, run: echo}
)");
  EXPECT_NE(dag, nullptr);
}

TEST(Services, AreNeededByTheItemsOfAFanOutOverObjectsNotByItsListing) {
  const DagPtr dag = dag_with(R"(
  - {id: db, run: echo, service: {}}
  - {id: first, run: echo}
  - {id: each, depends_on: [db, first], foreach: {s3_list: in/}, run: echo}
)");
  ASSERT_NE(dag, nullptr);
  EXPECT_EQ(dag->tasks[2].id, "each_list");
  EXPECT_THAT(upstream(dag->tasks[2]), ElementsAre(1));
  EXPECT_THAT(upstream(dag->tasks[3]), ElementsAre(2, 0));
}

TEST(Services, EndBeforeATeardownThatDependsOnThem) {
  const DagPtr dag = dag_with(R"(
  - {id: make, run: echo, setup: true}
  - {id: db, depends_on: [make], run: echo, service: {}}
  - {id: reader, depends_on: [db], run: echo}
  - {id: remove, teardown_of: make, run: echo}
)");
  ASSERT_NE(dag, nullptr);
  EXPECT_THAT(upstream(dag->tasks[3]), testing::Contains(1));
  EXPECT_FALSE(dag->consumes(3, 1));
}

TEST(ObjectInputs, AreNamedByBucketAndKeyOrByKeyAlone) {
  const DagPtr dag = dag_with(R"(
  - id: read
    run: echo
    inputs:
      artifacts:
        - {name: a, path: a, s3: "s3://bucket/in/${{ params.day }}.csv", optional: true, mode: 0o700}
        - {name: b, path: b, s3: in/b.tar.zst, unpack: true}
)");
  ASSERT_NE(dag, nullptr);
  const auto& inputs = dag->tasks[0].work->inputs;
  EXPECT_EQ(inputs[0].s3.text(), "s3://bucket/in/${{ params.day }}.csv");
  EXPECT_TRUE(inputs[0].asset.text().empty());
  EXPECT_EQ(inputs[1].s3.text(), "in/b.tar.zst");
}

TEST(ObjectInputs, AreCachedByAKeyThatSaysWhichContentAndByNoOther) {
  const std::string task = R"(
  - id: each
    foreach: {s3_list: in/}
    run: echo
    inputs: {artifacts: [{name: raw, path: raw, s3: "${{ item.key }}"}]}
    cache: )";
  const DagPtr dag = dag_with(task + "{key: \"${{ item.etag }}\"}\n");
  ASSERT_NE(dag, nullptr);
  EXPECT_TRUE(dag->tasks[1].cache.has_value());
  EXPECT_THAT(load_dag("name: d\ntasks:\n" + task + "auto\n", "d.yaml").diagnostics, testing::SizeIs(1));
  // What is meant for all tasks leaves it alone.
  const DagPtr other = load_dag(
                           "name: d\ndefaults: {cache: auto}\ntasks: [{id: a, run: echo, inputs: {artifacts: "
                           "[{name: raw, path: raw, s3: a}]}}]\n",
                           "d.yaml")
                           .dag;
  ASSERT_NE(other, nullptr);
  EXPECT_FALSE(other->tasks[0].cache.has_value());
}

TEST(ObjectInputs, HaveABoundForEachTask) {
  std::string inputs;
  for (std::size_t i = 0; i < kObjectInputsMax; ++i) {
    inputs += "{name: n" + std::to_string(i) + ", path: p" + std::to_string(i) + ", s3: a}, ";
  }
  const auto with = [&](const std::string& more) {
    const std::string list = inputs + more;
    return load_dag("name: d\ntasks: [{id: a, run: echo, inputs: {artifacts: [" + list + "]}}]\n", "d.yaml");
  };
  EXPECT_THAT(with("").diagnostics, IsEmpty());
  EXPECT_THAT(with("{name: more, path: more, s3: a}").diagnostics, testing::SizeIs(1));
}

}  // namespace
}  // namespace chappe
