// Values in objects: how much of them a run may have, and what may not be one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/dag_builder.h"
#include "tests/support/engine_world.h"

namespace chappe {
namespace {

using support::dag_of;
using support::EngineWorld;
using testing::HasSubstr;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

/// A task with a fan-out, each item of which leaves a value of some size.
class LargeValues : public testing::Test {
 protected:
  void begin(const std::string& yaml) {
    support::WorkerSide& worker = world_.worker("w");
    worker.hello.capacity.cpu_milli = 100'000;
    worker.hello.capacity.memory_bytes = std::uint64_t{1} << 40;
    world_.step({world_.join(worker)});
    const RunRequested wanted = world_.request(dag_of(yaml));
    run_ = wanted.id;
    world_.step({wanted});
  }

  /// How the attempt ends: its state, and why.
  std::string leave(const std::string& task, std::uint64_t size, const std::string& name = "values.v") {
    const Assignment what = *world_.newest(run_, task);
    OutputObject object{.name = name, .size = size, .sha256 = std::string(64, 'a')};
    object.key = attempt_prefix(what.run->dag, run_, what.task, what.map_key, what.attempt) + name;
    AttemptOutputs outputs;
    outputs.objects.push_back(std::move(object));
    world_.step({world_.finished(world_.worker("w"), what, {}, std::move(outputs))});
    const TaskRow row = world_.row(run_, task);
    return std::string(name_of(row.state)) + ": " + row.end.message;
  }

  EngineWorld world_;
  RunId run_;
};

const std::string kItems =
    "{name: d, tasks: [{id: t, run: x, foreach: {sequence: {start: 0, count: 9}}, outputs: {values: {v: {file: v}}}}]}";

TEST_F(LargeValues, OneHasAtMostEightMebibytes) {
  begin(kItems);
  EXPECT_EQ(leave("t[0]", kValueMax), "committing: ");
  EXPECT_EQ(leave("t[1]", kValueMax + 1), "failed: value 'v' is larger than 8 MiB; make it an artifact");
}

TEST_F(LargeValues, ThoseOfARunHaveAtMostSixtyFour) {
  begin(kItems);
  for (int item = 0; item < 7; ++item) {
    EXPECT_EQ(leave("t[" + std::to_string(item) + "]", 8 * kMiB), "committing: ");
  }
  EXPECT_THAT(leave("t[7]", 8 * kMiB), "committing: ");
  EXPECT_THAT(leave("t[8]", 1), HasSubstr("take over 64 MiB"));
}

TEST_F(LargeValues, WhatTheTaskDoesNotDeclareIsRefused) {
  begin(kItems);
  EXPECT_THAT(leave("t[0]", 70'000, "values.w"), HasSubstr("an output that the task does not declare so"));
}

TEST_F(LargeValues, AStateHoldsNone) {
  begin("{name: d, tasks: [{id: t, run: x, outputs: {values: {v: {file: v}}}, state: {c: {write: v}}}]}");
  EXPECT_EQ(leave("t", 70'000), "failed: state 'c' holds 64 KiB, and value 'v' is larger");
}

TEST_F(LargeValues, TheConditionOfALoopIsAboutNone) {
  begin(
      "{name: d, tasks: [{id: t, run: x, outputs: {values: {v: {file: v}}}, loop: {until: outputs.v == 'x', "
      "max_iterations: 3}}]}");
  EXPECT_THAT(leave("t", 70'000), HasSubstr("failed: until: value 'v' is larger than 64 KiB"));
}

}  // namespace
}  // namespace chappe
