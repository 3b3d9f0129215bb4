// Values that outlive runs: what an attempt is told, what it may leave, and who may not.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/dag_builder.h"
#include "tests/support/engine_world.h"

namespace chappe {
namespace {

using std::chrono::seconds;
using support::dag_of;
using support::EngineWorld;
using support::WorkerSide;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const std::string kLoads =
    "run: x, state: {c: {write: n, default: 0}}, outputs: {values: {n: {json: n, default: null}}}";

DagPtr loader(const std::string& name = "l", const std::string& task = kLoads, const std::string& more = "") {
  return dag_of(fmt::format("{{name: {}, {} concurrency: {{max_runs: 9}}, tasks: [{{id: t, {}}}]}}", name, more, task));
}

class States : public testing::Test {
 protected:
  void begin(EngineConfig config = {}) {
    world_.emplace(std::move(config));
    world_->step({world_->join(world_->worker("w"))});
  }
  WorkerSide& worker() { return world_->worker("w"); }
  /// A run whose attempt has begun.
  RunId start(const DagPtr& dag) {
    const RunRequested wanted = world_->request(dag);
    world_->step({wanted});
    return wanted.id;
  }
  /// What the newest attempt of `t` was told: "VALUE VERSION".
  std::string told(const RunId& run) const {
    std::string value = "-", version = "-";
    for (const auto& [name, text] : world_->newest(run, "t")->work->env) {
      if (name == "CHAPPE_STATE_C") value = text;
      if (name == "CHAPPE_STATE_C_VERSION") version = text;
    }
    return value + " " + version;
  }
  void finish(const RunId& run, std::optional<std::int64_t> value) {
    AttemptOutputs outputs;
    if (value) outputs.values.push_back({.name = "n", .value = Value(*value)});
    world_->step({world_->finished(worker(), *world_->newest(run, "t"), {}, std::move(outputs))});
  }
  std::optional<Error> set(const std::string& scope, Value value, std::optional<std::uint64_t> expected = {}) {
    const Effects effects = world_->step({StateSetRequested{.ticket = {1},
                                                            .scope = scope,
                                                            .name = "c",
                                                            .value = std::move(value),
                                                            .expect_version = expected,
                                                            .requested_by = "ann",
                                                            .source = ""}});
    return effects.replies.at(0).answer ? std::nullopt : std::optional(effects.replies.at(0).answer.error());
  }
  const support::StoredTables& tables() const { return world_->store().tables(); }
  std::string stands(const std::string& scope = "dag:l") const {
    const auto found = tables().states.find({scope, "c"});
    return found == tables().states.end() ? ""
                                          : fmt::format("{} v{}", to_json(found->second.value), found->second.version);
  }

  std::optional<EngineWorld> world_;
};

TEST_F(States, ASuccessMovesItAndTheNextAttemptIsToldAlsoAfterARestart) {
  begin();
  const RunId first = start(loader());
  EXPECT_EQ(told(first), "0 0");
  finish(first, 5);
  EXPECT_EQ(stands(), "5 v1");
  world_->restart();
  world_->step({world_->join(worker())});
  EXPECT_EQ(told(start(loader())), "5 1");
}

TEST_F(States, AnAttemptThatBeganBeforeTheLastChangeMovesNothingWhicheverEpochItIsOf) {
  begin();
  const RunId slow = start(loader());
  const RunId fast = start(loader());
  finish(fast, 5);
  world_->restart();
  world_->step({world_->join(worker())});
  finish(slow, 3);
  EXPECT_EQ(stands(), "5 v1");
  const TaskRow row = world_->row(slow, "t");
  EXPECT_EQ(row.state, TaskState::kFailed);
  EXPECT_EQ(row.end.reason, Reason::kInvalidOutput);
  EXPECT_THAT(row.end.message, HasSubstr("state 'c' was changed while the attempt ran: it has version 1 now"));
}

TEST_F(States, AnAttemptOfAnEarlierEpochThatKnowsTheNewestValueMovesIt) {
  begin();
  finish(start(loader()), 1);
  const RunId run = start(loader());
  world_->restart();
  world_->step({world_->join(worker())});
  finish(run, 2);
  EXPECT_EQ(stands(), "2 v2");
}

TEST_F(States, FailureWritesNothingAndTheNextTrySeesTheOldValue) {
  begin();
  const RunId run = start(loader("l", kLoads + ", retry: {limit: 1}"));
  AttemptOutputs outputs;
  outputs.values.push_back({.name = "n", .value = Value(9)});
  world_->step({world_->finished(worker(), *world_->newest(run, "t"), {.reason = Reason::kExitCode, .exit_code = 1},
                                 std::move(outputs))});
  EXPECT_THAT(tables().states, IsEmpty());
  world_->pass(seconds(61));
  EXPECT_EQ(told(run), "0 0");
}

TEST_F(States, WhatAnAttemptDoesNotLeaveIsNotWritten) {
  begin();
  const RunId run = start(loader());
  finish(run, std::nullopt);
  EXPECT_EQ(world_->state(run, "t"), "success");
  EXPECT_THAT(tables().states, IsEmpty());
}

TEST_F(States, ANamespaceSharesItAndADagDoesNot) {
  begin();
  const std::string shared = "run: x, state: {c: {write: n, scope: namespace}}, outputs: {values: {n: {json: n}}}";
  finish(start(loader("l", shared)), 5);
  EXPECT_EQ(stands("namespace:default"), "5 v1");
  const auto told_to = [&](const DagPtr& dag) {
    const RunId run = start(dag);
    const std::string what = told(run);
    finish(run, std::nullopt);
    return what;
  };
  EXPECT_EQ(told_to(loader("m", shared)), "5 1");
  EXPECT_EQ(told_to(loader("m", shared, "namespace: other,")), "- 0") << "there is none, and no default";
  EXPECT_EQ(told_to(loader("m")), "0 0");
}

TEST_F(States, ExpressionsMayNameIt) {
  begin();
  const RunId run = start(loader("l", kLoads + ", env: {NEXT: '${{ state.c + 1 }}'}"));
  EXPECT_EQ(world_->newest(run, "t")->work->env.at(0).second, "1");
}

TEST_F(States, APersonSetsItWithTheVersionThatTheyKnowAndTheAuditLogTellsOfIt) {
  begin();
  EXPECT_EQ(set("dag:l", 1, 0), std::nullopt);
  const std::optional<Error> refused = set("dag:l", 2, 0);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, ErrorCode::kConflict);
  EXPECT_EQ(refused->message, "state 'c' of dag:l has version 1, not 0");
  EXPECT_EQ(set("dag:l", 3, 1), std::nullopt);
  EXPECT_EQ(set("dag:l", Value(ValueList{1, 2})), std::nullopt) << "whatever stands there";
  EXPECT_EQ(stands(), "[1,2] v3");
  ASSERT_THAT(tables().audit, SizeIs(3));
  EXPECT_EQ(tables().audit.back().verb, "state.set");
  EXPECT_EQ(tables().audit.back().detail, R"({"before":3,"after":[1,2],"version":3})");
}

TEST_F(States, NobodyMovesBackWhatAPersonSetMeanwhile) {
  begin();
  const RunId run = start(loader());
  EXPECT_EQ(set("dag:l", 100), std::nullopt);
  finish(run, 5);
  EXPECT_EQ(stands(), "100 v1");
  EXPECT_EQ(world_->state(run, "t"), "failed");
}

TEST_F(States, NullIsAsIfThereWasNone) {
  begin();
  finish(start(loader()), 5);
  EXPECT_EQ(set("dag:l", Value()), std::nullopt);
  EXPECT_EQ(told(start(loader())), "0 2");
}

TEST_F(States, ThereAreSoManyAndNoMore) {
  begin({.states_max = 1});
  EXPECT_EQ(set("dag:l", 1), std::nullopt);
  ASSERT_TRUE(set("dag:m", 1));
  EXPECT_EQ(set("dag:l", 2), std::nullopt);
}

TEST_F(States, ARunOfABackfillReadsItAndMovesNothing) {
  begin();
  const DagPtr dag = loader("l", kLoads, "schedule: '@daily',");
  world_->step({world_->deployed(dag)});
  const WallTime day{1'799'971'200'000'000 - std::int64_t{86'400} * 1'000'000};
  world_->step({world_->backfill(dag, {.from = day, .to = day})});
  world_->step();
  const RunId run = tables().runs.rbegin()->second.id;
  EXPECT_EQ(told(run), "0 0");
  finish(run, 5);
  EXPECT_EQ(world_->state(run, "t"), "success");
  EXPECT_THAT(tables().states, IsEmpty());
}

TEST_F(States, EachIterationOfALoopMovesItButNotTheOneThatFails) {
  begin();
  const RunId run = start(loader("l", kLoads + ", loop: {until: 'outputs.n >= 20', max_iterations: 3, interval: 1s}"));
  finish(run, 10);
  EXPECT_EQ(stands(), "10 v1");
  world_->pass(seconds(2));
  EXPECT_EQ(told(run), "10 1");
  finish(run, 11);
  world_->pass(seconds(2));
  finish(run, 12);
  EXPECT_EQ(world_->state(run, "t"), "failed") << "three iterations are not enough";
  EXPECT_EQ(stands(), "11 v2");
}

TEST_F(States, WithAnAssetItMovesOnceThatIsVisibleAndNobodyMovesItMeanwhile) {
  for (const bool restarted : {false, true}) {
    begin();
    const RunId run = start(loader("l",
                                   "run: x, state: {c: {write: n}}, outputs: {values: {n: {json: n}}, artifacts: "
                                   "[{name: o, path: o, asset: a}]}"));
    const Assignment what = *world_->newest(run, "t");
    OutputObject object{.name = "o", .size = 1, .sha256 = std::string(64, 'a'), .asset_uri = "a", .upload = "u"};
    object.key = attempt_prefix("l", run, "t", "", what.attempt) + "o";
    AttemptOutputs outputs;
    outputs.objects.push_back(std::move(object));
    outputs.values.push_back({.name = "n", .value = Value(5)});
    world_->step({world_->finished(worker(), what, {}, std::move(outputs))});
    EXPECT_EQ(stands(), "");
    if (restarted) world_->restart();
    const auto refused = set("dag:l", 100);
    ASSERT_TRUE(refused);
    EXPECT_THAT(refused->message, HasSubstr("an attempt that moves it is publishing its assets; ask again"));
    world_->step({AssetsPublished{what.key, what.attempt, {{.id = {1}, .at = {}, .etag = "e", .store_version = ""}}}});
    EXPECT_EQ(world_->state(run, "t"), "success");
    EXPECT_EQ(stands(), "5 v1");
    EXPECT_EQ(set("dag:l", 100), std::nullopt);
  }
}

}  // namespace
}  // namespace chappe
