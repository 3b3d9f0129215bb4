// `data` and `drift` of a check, and the `schema` of an output: what becomes of the keys.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dags/loader/loader.h"

namespace chappe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kMake = R"(name: data
tasks:
  - id: make
    run: echo
    outputs: {artifacts: [{name: rows, path: rows.csv.gz}, {name: blob, path: blob}]}
)";

LoadedDag load_with(const std::string& tasks) { return load_dag(std::string(kMake) + tasks, "data.yaml"); }

/// The task "it".
const Task& task_it(const LoadedDag& loaded) {
  for (const Diagnostic& diagnostic : loaded.diagnostics) ADD_FAILURE() << diagnostic.text();
  return loaded.dag->tasks.at(*loaded.dag->find("it"));
}

std::string first_complaint_of(const std::string& tasks) {
  const LoadedDag loaded = load_with(tasks);
  return loaded.diagnostics.empty() ? "" : loaded.diagnostics[0].text();
}

TEST(DataCheckKeys, BecomeAnAttemptThatReadsWhatItMeasures) {
  const LoadedDag loaded = load_with(R"(
  - id: it
    check:
      metric: {expr: "1 < 2"}
      data: {from: make.rows, rows: {min: 5}, columns: {a: {nulls: 0.1}, b: }, other_columns: refuse}
      drift: {current: make.rows, baseline: "asset:s3://x/y.jsonl@best", columns: [a], max: 0.2, optional: true}
    timeout: 5m
)");
  const Task& task = task_it(loaded);
  EXPECT_EQ(task.kind, TaskKind::kData);
  EXPECT_EQ(task.work->kind, TaskKind::kData);
  EXPECT_EQ(task.checks.size(), 1U);
  EXPECT_EQ(task.work->timeout, std::chrono::minutes(5));
  ASSERT_EQ(task.depends_on.size(), 1U);
  EXPECT_EQ(task.depends_on[0].task, 0U);
  ASSERT_EQ(task.work->inputs.size(), 2U);
  EXPECT_EQ(task.work->inputs[0].from_artifact, "rows");
  EXPECT_EQ(task.work->inputs[1].asset.text(), "s3://x/y.jsonl@best");
  EXPECT_FALSE(task.work->inputs[0].optional);
  EXPECT_TRUE(task.work->inputs[1].optional);
  const DataCheck& check = *task.work->check;
  EXPECT_THAT(check.sources, ElementsAre("make.rows", "asset:s3://x/y.jsonl@best"));
  const DataExpectations expected{
      .rows = {5, {}}, .columns = {{.name = "a", .nulls = {{}, 0.1}}, {.name = "b"}}, .other_columns = false};
  EXPECT_EQ(check.data.at(0).expected, expected);
  EXPECT_EQ(check.drift.at(0).baseline, 1U);
  std::vector<std::string> metrics;
  for (const OutputValue& value : task.work->values) metrics.push_back(value.name + (value.metric ? "" : "!"));
  EXPECT_THAT(metrics, ElementsAre("rows", "a_nulls", "a_psi", "figures!"));
}

TEST(DataCheckKeys, WithoutDataTheEngineDecidesAsBefore) {
  const LoadedDag loaded = load_with("  - {id: it, check: {metric: {expr: \"1 < 2\"}}}\n");
  EXPECT_EQ(task_it(loaded).kind, TaskKind::kCheck);
  EXPECT_EQ(task_it(loaded).work, nullptr);
}

TEST(DataCheckKeys, FiguresMayBeNamedByLaterTasks) {
  const LoadedDag loaded = load_with(R"(
  - {id: gate, check: {data: {from: make.rows, rows: {min: 1}}}}
  - {id: it, depends_on: [gate], run: echo, env: {ROWS: "${{ tasks.gate.outputs.rows }}"}}
)");
  (void)task_it(loaded);
}

TEST(Schema, TakesItsFormatFromThePath) {
  const LoadedDag loaded = load_with(R"(
  - id: it
    run: echo
    outputs: {artifacts: [{name: a, path: a.TSV, schema: {columns: {id: {unique: true}}}}]}
)");
  ASSERT_NE(task_it(loaded).work->outputs[0].schema, nullptr);
  const DataExpectations expected{.format = DataFormat::kTsv, .columns = {{.name = "id", .unique = true}}};
  EXPECT_EQ(*task_it(loaded).work->outputs[0].schema, expected);
}

TEST(DataCheckKeys, HaveBounds) {
  // Six figures of each column: more than a thousand in all.
  const std::string kSix = ": {nulls: 0, min: 0, max: 1, distinct: {max: 9}, mean: {max: 1}, median: {max: 1}}, ";
  const auto columns = [](std::size_t count) {
    std::string out = "  - {id: it, check: {data: {from: make.rows, columns: {";
    for (std::size_t i = 0; i < count; ++i) out += "c" + std::to_string(i) + ": {}, ";
    return out + "}}}}\n";
  };
  EXPECT_EQ(first_complaint_of(columns(kDataColumnsMax)), "");
  EXPECT_THAT(first_complaint_of(columns(kDataColumnsMax + 1)), HasSubstr("more than 100 columns"));
  const auto sets = [](std::size_t count) {
    std::string out = "  - {id: it, check: {data: [";
    for (std::size_t i = 0; i < count; ++i) out += "{from: make.rows, rows: {min: 1}}, ";
    return out + "]}}\n";
  };
  EXPECT_EQ(first_complaint_of(sets(kDataSetsMax)), "");
  EXPECT_THAT(first_complaint_of(sets(kDataSetsMax + 1)), HasSubstr("'data' has from 1 to 16 items"));
  std::string figures = "  - {id: it, check: {data: [";
  for (int set = 0; set < 2; ++set) {
    figures += "{from: make.rows, columns: {";
    for (int i = 0; i < 100; ++i) figures += "c" + std::to_string(i) + kSix;
    figures += "}}, ";
  }
  EXPECT_THAT(first_complaint_of(figures + "]}}\n"), HasSubstr("more than 1000 figures"));
}

}  // namespace
}  // namespace chappe
