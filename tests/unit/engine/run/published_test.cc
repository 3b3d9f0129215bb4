// What a run publishes: bounds, and what a restart makes of it. Stories are in tests/scenarios/run_outputs.txt.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/dag_builder.h"
#include "tests/support/engine_world.h"

namespace chappe {
namespace {

using support::dag_of;
using support::EngineWorld;
using testing::HasSubstr;

/// The row of a run whose task left this text as its value `n`.
RunRow row_of(EngineWorld& world, const DagPtr& dag, std::string left, bool restarted = false) {
  world.step({world.join(world.worker("w"))});
  const RunRequested wanted = world.request(dag);
  world.step({wanted});
  if (restarted) {
    world.restart();
    world.step({world.join(world.worker("w"))});
  }
  AttemptOutputs outputs;
  outputs.values.push_back({.name = "n", .value = Value(std::move(left))});
  world.step({world.finished(world.worker("w"), *world.newest(wanted.id, "t"), {}, std::move(outputs))});
  return world.row(wanted.id);
}

DagPtr publishing(const std::string& values) {
  return dag_of(
      fmt::format("{{name: d, outputs: {{values: {{{}}}}}, "
                  "tasks: [{{id: t, run: x, outputs: {{values: {{n: {{file: n}}}}}}}}]}}",
                  values));
}

TEST(Published, ValuesHaveABoundTogether) {
  const DagPtr dag = publishing("a: '${{ tasks.t.outputs.n }}', b: '${{ tasks.t.outputs.n }}', c: 1");
  EngineWorld small, large;
  const RunRow fits = row_of(small, dag, std::string(kRunOutputBytesMax / 2 - 3, 'x'));
  EXPECT_EQ(fits.outputs.find("values")->as_map()->size(), 3U);
  EXPECT_EQ(fits.outputs.find("absent")->as_map()->size(), 0U);
  const RunRow past = row_of(large, dag, std::string(kRunOutputBytesMax / 2 - 1, 'x'));
  EXPECT_EQ(past.state, RunState::kSuccess);
  EXPECT_EQ(past.outputs.find("values")->as_map()->size(), 2U);
  EXPECT_THAT(*past.outputs.find("absent")->find("b")->as_string(), HasSubstr("at most 64 KiB together"));
}

TEST(Published, IsTheSameAfterARestart) {
  EngineWorld before, after;
  const DagPtr dag = publishing("a: '${{ tasks.t.outputs.n }}', wrong: '${{ tasks.t.outputs.n * 2 }}'");
  EXPECT_EQ(row_of(before, dag, "x").outputs, row_of(after, dag, "x", true).outputs);
}

TEST(Published, WhyItIsAbsentIsCut) {
  EngineWorld world;
  const std::string name(200, 'k');
  const RunRow row = row_of(world, publishing(fmt::format("a: \"${{{{ tasks.t.outputs.n.{0}.{0} }}}}\"", name)), "x");
  EXPECT_LE(row.outputs.find("absent")->find("a")->as_string()->size(), 300U);
}

}  // namespace
}  // namespace chappe
