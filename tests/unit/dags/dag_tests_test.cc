// The `tests` of a DAG file, and the DAG that each of them runs. (What is wrong with some: broken/tests.yaml.)
#include "dags/loader/dag_tests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "dags/loader/loader.h"

namespace chappe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

LoadedDag load_whole(std::string_view text) {
  LoadedDag loaded = load_dag(text, "dag.yaml");
  for (const Diagnostic& diagnostic : loaded.diagnostics) ADD_FAILURE() << diagnostic.text();
  return loaded;
}

constexpr std::string_view kPipeline = R"(
name: pipeline
description: 'It''s 0x10'
params: {rows: {type: integer, default: 1}, version: {type: string, default: "1.10"}}
env: {VERSION: 1.10, OCTAL: 0o17}
image: debian
owner: ann@example.org
notify: [{on: [failure], email: [owner]}]
defaults: {worker_selector: {zone: north}, retries: 5, container: {user: "1000"}, resources: {cpu: 64}}
templates:
  fetch: {run: fetch it, group: sources, inputs: {artifacts: [{name: old, asset: "s3://silver/old", path: in/old}]}}
tasks:
  - {id: first, run: echo "$VERSION"}
  - id: fetched
    uses: fetch
    depends_on: [{task: first, on: [succeeded, skipped]}]
    trigger_rule: none_failed
    when: params.rows > 0
    tolerations: [gpu]
    allow_failure: {exit_codes: [3]}
    outputs:
      artifacts: [{name: raw, path: out/raw.csv, asset: {uri: "s3://bronze/${{ params.version }}", name: raw, immutable: true}}]
      values: {rows: {file: rows}, note: {file: note, default: "-"}}
      metrics: {rate: {json: m.json}}
  - id: ask
    depends_on: [sources]
    human: {prompt: "Go on?", form: {answer: {enum: [yes, no]}}}
  - id: each
    foreach: {items: [a, "b'c"], as: part}
    inputs: {artifacts: [{name: raw, from: fetched.raw, path: raw, optional: true}]}
    env: {PART: "${{ part }}"}
    command: [count, raw]
    outputs: {values: {n: {file: n}}}
  - {id: gate, depends_on: [ask], check: {metric: {expr: "tasks.ask.outputs.answer == 'yes'"}}}
  - {id: real, depends_on: [each, gate], run: echo, outputs: {artifacts: [{name: it, path: it, asset: "s3://gold/it"}]}}
handlers:
  init: {run: check disk}
  exit: {run: clean up}
)";

const LoadedDag& pipeline() {
  static const LoadedDag kLoaded = load_whole(kPipeline);
  return kLoaded;
}

/// The DAG of a test with these fixtures, as a run of it loads it.
DagPtr under_test(std::string_view fixtures) {
  const std::string text =
      std::string(kPipeline) + "tests: [{name: one, fixtures: {tasks: " + std::string(fixtures) + "}}]\n";
  const LoadedDag loaded = load_whole(text);
  if (loaded.tests.empty()) return nullptr;
  return load_whole(dag_under_test(text, *loaded.dag, loaded.tests[0], {.folder = "/fixtures"})).dag;
}

const Task& task_of(const DagPtr& dag, std::string_view id) { return dag->tasks[*dag->find(id)]; }

TEST(DagTests, ChangeNoVersion) {
  const LoadedDag with = load_whole(std::string(kPipeline) + "tests: [{name: it succeeds}]\n");
  EXPECT_EQ(with.dag->version, pipeline().dag->version);
  ASSERT_EQ(with.tests.size(), 1U);
  EXPECT_EQ(with.tests[0].state, RunState::kSuccess);
  EXPECT_EQ(with.tests[0].timeout, std::chrono::minutes(5));
}

TEST(DagTests, AreReadWithTheirPlaces) {
  const LoadedDag loaded = load_whole(R"(
name: small
params: {rows: 1}
tasks: [{id: a, run: echo, outputs: {values: {n: {file: n}}}}]
tests:
  - name: all of it
    params: {rows: 2}
    logical_time: 2026-03-01
    timeout: 10s
    fixtures: {assets: {raw@champion: text, "s3://b/k": {json: {a: 1}}}}
    expect:
      state: failed
      tasks:
        a: {state: failed, reason: exit_code, values: {n: 3}}
      conditions: [params.rows == 2]
)");
  ASSERT_EQ(loaded.tests.size(), 1U);
  const DagTest& test = loaded.tests[0];
  EXPECT_EQ(test.name, "all of it");
  EXPECT_EQ(to_json(Value(test.params)), R"({"rows":2})");
  EXPECT_EQ(to_iso8601(test.logical_time), "2026-03-01T00:00:00.000000Z");
  ASSERT_EQ(test.assets.size(), 2U);
  EXPECT_EQ(test.assets[0].asset + "|" + test.assets[0].alias, "raw|champion");
  EXPECT_EQ(test.assets[1].content.as, TestContent::As::kJson);
  EXPECT_EQ(test.state_place.line, 12U);
  ASSERT_EQ(test.expected.size(), 1U);
  EXPECT_EQ(test.expected[0].place.line, 14U);
  EXPECT_EQ(test.expected[0].reason, Reason::kExitCode);
  EXPECT_EQ(test.conditions[0].expression.text(), "params.rows == 2");
}

TEST(DagUnderTest, IsTheDagWhereNothingStandsIn) {
  const DagPtr dag = under_test("{}");
  const DagPtr before = pipeline().dag;
  ASSERT_EQ(dag->tasks.size(), before->tasks.size());
  for (std::size_t i = 0; i < dag->tasks.size(); ++i) {
    EXPECT_EQ(dag->tasks[i].id, before->tasks[i].id);
    EXPECT_EQ(dag->tasks[i].depends_on, before->tasks[i].depends_on);
  }
  EXPECT_EQ(dag->env[0].second.text(), "1.10") << "numbers keep their spelling";
  EXPECT_EQ(dag->env[1].second.text(), "0o17");
  EXPECT_EQ(task_of(dag, "first").work->image.text(), "debian");
  EXPECT_EQ(task_of(dag, "each").work->command[0].text(), "count");
}

TEST(DagUnderTest, RunsInOnePlaceAndTellsNobody) {
  const DagPtr dag = under_test("{}");
  EXPECT_THAT(dag->notify, IsEmpty());
  EXPECT_TRUE(task_of(dag, "first").where.labels.empty());
  EXPECT_TRUE(task_of(dag, "fetched").where.tolerations.empty());
}

TEST(DagUnderTest, WritesNothingToS3) {
  const DagPtr dag = under_test("{}");
  EXPECT_EQ(task_of(dag, "real").work->outputs[0].asset.text(), "s3/gold/it");
  EXPECT_EQ(task_of(dag, "fetched").work->outputs[0].asset.text(), "s3/bronze/${{ params.version }}");
  EXPECT_EQ(task_of(dag, "fetched").work->inputs[0].asset.text(), "s3/silver/old");
}

TEST(DagUnderTest, LetsAFixtureStandInForATask) {
  const DagPtr dag = under_test("{fetched: {values: {rows: 3, rate: 0.5}, artifacts: {raw: 'a,b'}}}");
  const Task& task = task_of(dag, "fetched");
  EXPECT_EQ(task.depends_on, task_of(pipeline().dag, "fetched").depends_on);
  EXPECT_EQ(task.trigger_rule, TriggerRule::kNoneFailed);
  EXPECT_EQ(task.when.text(), "params.rows > 0");
  EXPECT_EQ(task.group, "sources");
  EXPECT_EQ(task.retry.limit, 0);
  EXPECT_THAT(task.allow_failure.exit_codes, ElementsAre(3));
  EXPECT_EQ(task.work->image.text(), "");
  EXPECT_LT(task.work->resources.cpu_milli, 1000U);
  EXPECT_THAT(task.work->inputs, IsEmpty());
  EXPECT_THAT(task.work->script.text(), Not(HasSubstr("fetch it")));
  EXPECT_THAT(task.work->script.text(), HasSubstr("mkdir -p 'out'\ncp -R '/fixtures/task0/artifact0' 'out/raw.csv'"));
  ASSERT_EQ(task.work->outputs.size(), 1U);
  EXPECT_EQ(task.work->outputs[0].asset_name, "raw");
  EXPECT_TRUE(task.work->outputs[0].immutable);
  ASSERT_EQ(task.work->values.size(), 3U);
  EXPECT_EQ(task.work->values[2].name, "rate");
  EXPECT_TRUE(task.work->values[2].metric);
}

TEST(DagUnderTest, LetsEachInstanceHaveItsOwn) {
  const DagPtr dag = under_test("{'each[b''c]': {values: {n: 2}}, each: {state: failed, exit_code: 75}}");
  const std::string script = task_of(dag, "each").work->script.text();
  EXPECT_THAT(script, HasSubstr("'b'\\''c')\nmkdir -p .fixture\ncp '/fixtures/task0/values.json'"));
  EXPECT_THAT(script,
              HasSubstr("*)\nmkdir -p .fixture\ncp '/fixtures/task1/values.json' .fixture/values.json\nexit 75"));
  EXPECT_EQ(task_of(dag, "each").foreach->as, "part");
  EXPECT_EQ(task_of(dag, "each").depends_on, task_of(pipeline().dag, "each").depends_on) << "also what it read";
}

TEST(DagUnderTest, LetsAFixtureStandInForPeopleAndGates) {
  const DagPtr dag = under_test("{ask: {values: {answer: yes}}, gate: {state: skipped}}");
  EXPECT_EQ(task_of(dag, "ask").kind, TaskKind::kRun);
  EXPECT_EQ(task_of(dag, "ask").work->values.size(), 3U) << "who answered and when may be left open";
  EXPECT_EQ(task_of(dag, "gate").when.text(), "false");
}

TEST(DagUnderTest, LetsFixturesStandInForHandlers) {
  const DagPtr dag = under_test("{on_init: {}, on_exit: {state: failed}}");
  EXPECT_THAT(task_of(dag, "on_init").work->script.text(), HasSubstr("/fixtures/task0"));
  EXPECT_EQ(task_of(dag, "on_exit").handler, Handler::kExit);
  EXPECT_THAT(task_of(dag, "on_exit").work->script.text(), HasSubstr("exit 1"));
}

TEST(DagOfAssets, PublishesThem) {
  DagTest test;
  EXPECT_EQ(dag_of_assets(test, {.folder = "/f"}), "");
  test.assets = {{.asset = "s3://bronze/income", .alias = "", .content = {}},
                 {.asset = "coder", .alias = "champion", .content = {}}};
  const LoadedDag loaded = load_whole(dag_of_assets(test, {.folder = "/f"}));
  ASSERT_EQ(loaded.dag->tasks.size(), 2U);
  EXPECT_EQ(loaded.dag->tasks[0].work->outputs[0].asset.text(), "s3/bronze/income");
  EXPECT_EQ(loaded.dag->tasks[1].work->outputs[0].asset.text(), "coder");
  EXPECT_EQ(loaded.dag->tasks[1].work->outputs[0].asset_name, "coder");
}

}  // namespace
}  // namespace chappe
