// Runs that events start: what is kept, what is taken, and what is told of the rest.
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

DagPtr listener(const std::string& keys, const std::string& task = "wait: {for: 10s}") {
  return dag_of(fmt::format("{{name: l, {}, tasks: [{{id: t, {}}}]}}", keys, task));
}

/// Publishes versions of assets, one a run.
class Triggers : public testing::Test {
 protected:
  void begin(EngineConfig config = {}) {
    world_.emplace(std::move(config));
    world_->step({world_->join(world_->worker("w"))});
  }

  void publish(const std::string& asset) {
    const DagPtr dag = dag_of(fmt::format(
        "{{name: p, tasks: [{{id: t, run: x, outputs: {{artifacts: [{{name: o, path: o, asset: {}}}]}}}}]}}", asset));
    const RunRequested wanted = world_->request(dag);
    world_->step({wanted});
    const Assignment what = *world_->newest(wanted.id, "t");
    OutputObject object{.name = "o", .size = 1, .sha256 = std::string(64, 'a'), .asset_uri = asset, .upload = "u"};
    object.key = attempt_prefix("p", wanted.id, "t", "", what.attempt) + "o";
    AttemptOutputs outputs;
    outputs.objects.push_back(std::move(object));
    world_->step({world_->finished(world_->worker("w"), what, {}, std::move(outputs))});
    const AssetVersionId id = world_->store().tables().asset_versions.rbegin()->first;
    world_->step({AssetsPublished{what.key, what.attempt, {{.id = id, .at = {}, .etag = "e", .store_version = ""}}}});
  }

  /// Of the runs of the listener, which versions each took.
  std::vector<std::vector<std::int64_t>> taken() const {
    std::vector<std::vector<std::int64_t>> out;
    for (const auto& [seq, row] : world_->store().tables().runs) {
      if (row.dag != "l") continue;
      out.emplace_back();
      for (const auto& [id, event] : world_->store().tables().events) {
        if (event.run == seq) out.back().push_back(*event.detail.find("version")->as_int());
      }
    }
    return out;
  }

  DeploymentRow row() const { return world_->store().tables().deployments.at("l"); }

  std::optional<EngineWorld> world_;
};

TEST_F(Triggers, EachTakesOneEventOfEverySourceThatIsNeededAndTheOldestOfAlternatives) {
  begin();
  world_->step({world_->deployed(
      listener("triggers: [{asset: {all: [a, {any: [b, c]}]}, mode: each}], concurrency: {max_runs: 5}"))});
  publish("c");  // 1
  publish("b");  // 2
  publish("a");  // 3
  publish("a");  // 4
  EXPECT_THAT(taken(), ElementsAre(ElementsAre(1, 3), ElementsAre(2, 4)));
  EXPECT_EQ(row().waits_for, "asset a and (asset b or asset c)");
}

TEST_F(Triggers, WhatNoRunWasThereForIsGivenUpOldestFirstAndTold) {
  begin({.events_max = 2});
  world_->step({world_->deployed(listener("triggers: [{asset: a}], paused: true"))});
  for (int i = 0; i < 3; ++i) publish("a");
  EXPECT_THAT(row().message, HasSubstr("more than 2 events of asset a wait"));
  world_->restart();
  world_->step({DagPauseRequested{.dag = "l", .paused = false, .requested_by = "ann"}});
  EXPECT_THAT(taken(), ElementsAre(ElementsAre(2, 3)));
  EXPECT_EQ(row().message, "");
}

TEST_F(Triggers, ManyDagsThatListenGetTheirRunsInBoundedSteps) {
  begin({.fires_max = 2});
  for (int i = 0; i < 5; ++i) {
    world_->step({world_->deployed(
        dag_of(fmt::format("{{name: l{}, triggers: [{{asset: a}}], tasks: [{{id: t, wait: {{for: 10s}}}}]}}", i)))});
  }
  publish("a");
  const auto begun = [&] { return world_->store().tables().runs.size() - 1; };
  EXPECT_EQ(begun(), 2U);
  const Effects next = world_->step();
  EXPECT_EQ(begun(), 4U);
  EXPECT_EQ(next.wake_at, world_->now.mono) << "there is more to do at once";
  world_->step();
  EXPECT_EQ(begun(), 5U);
}

TEST_F(Triggers, AnEventThatGivesNoParametersIsNotKeptAndTheReasonIsTold) {
  begin();
  world_->step(
      {world_->deployed(listener("params: {v: 1}, triggers: [{asset: a, params: {v: '${{ event.nothing + 1 }}'}}]"))});
  publish("a");
  EXPECT_THAT(row().message, HasSubstr("asset a started no run: params.v"));
  EXPECT_THAT(world_->store().tables().events, IsEmpty());
}

TEST_F(Triggers, ARunKnowsItsEventsAndTheTimeTheyAreAboutAlsoAfterARestart) {
  begin();
  world_->step({world_->deployed(
      listener("triggers: [{asset: a}]",
               "loop: {until: 'false', max_iterations: 2}, run: x, env: {V: '${{ run.events[0].version "
               "}} ${{ len(run.events) }} ${{ run.trigger }}'}"))});
  publish("a");
  const auto env = [&] { return world_->assigned().back().work->env.back().second; };
  EXPECT_EQ(env(), "1 1 asset");
  EXPECT_EQ(world_->assigned().back().run->logical_time, world_->store().tables().runs.begin()->second.logical_time);
  WorkerSide& worker = world_->worker("w");
  const Assignment first = world_->assigned().back();
  world_->step({world_->finished(worker, first)});
  world_->restart();
  world_->step({world_->join(worker)});
  world_->pass(seconds(61));
  EXPECT_NE(world_->assigned().back().attempt, first.attempt);
  EXPECT_EQ(env(), "1 1 asset");
}

TEST_F(Triggers, WhatADagDoesNotListenToAnyMoreIsForgottenWhenItIsDeployedAnew) {
  begin();
  world_->step({world_->deployed(listener("triggers: [{asset: {all: [a, b]}}]"))});
  publish("a");
  world_->step({world_->deployed(listener("triggers: [{asset: {all: [b, c]}}]"))});
  EXPECT_THAT(world_->store().tables().events, IsEmpty());
  publish("a");
  EXPECT_THAT(world_->store().tables().events, IsEmpty());
  publish("b");
  world_->step({world_->deployed(listener("triggers: [{asset: b}]"))});
  EXPECT_THAT(taken(), ElementsAre(ElementsAre(3))) << "what it has is enough now";
}

TEST_F(Triggers, WaitForAPlaceWhateverOnLimitSaysButReplaceTakesIt) {
  for (const char* on_limit : {"queue", "skip", "latest"}) {
    begin();
    world_->step({world_->deployed(
        listener(fmt::format("triggers: [{{asset: a, mode: each}}], concurrency: {{on_limit: {}}}", on_limit)))});
    publish("a");
    publish("a");
    EXPECT_THAT(taken(), SizeIs(1)) << on_limit;
    world_->pass(seconds(11));
    EXPECT_THAT(taken(), ElementsAre(ElementsAre(1), ElementsAre(2))) << on_limit;
  }
  begin();
  world_->step({world_->deployed(listener("triggers: [{asset: a}], concurrency: {on_limit: replace}"))});
  publish("a");
  publish("a");
  EXPECT_THAT(taken(), ElementsAre(ElementsAre(1), ElementsAre(2)));
}

/// Each run starts the other DAG's: it ends, and says so.
TEST_F(Triggers, AChainOfRunsThatStartEachOtherEnds) {
  begin();
  const auto after = [](const std::string& name, const std::string& other) {
    return dag_of(
        fmt::format("{{name: {}, triggers: [{{dag: {}}}], tasks: [{{id: t, wait: {{for: 1s}}}}]}}", name, other));
  };
  const DagPtr ping = after("ping", "pong");
  world_->step({world_->deployed(ping)});
  world_->step({world_->deployed(after("pong", "ping"))});
  const auto message = [&](const std::string& dag) { return world_->store().tables().deployments.at(dag).message; };
  EXPECT_EQ(message("pong"), "DAGs start each other in a circle (pong, ping, pong): after 100 runs it ends");
  world_->step({world_->request(ping)});
  for (std::int64_t i = 0; i < kTriggerChainMax; ++i) {
    if (i == kTriggerChainMax / 2) world_->restart();
    world_->pass(seconds(2));
  }
  EXPECT_THAT(world_->store().tables().runs, SizeIs(kTriggerChainMax + 1));
  world_->pass(seconds(10));
  EXPECT_THAT(world_->store().tables().runs, SizeIs(kTriggerChainMax + 1));
  EXPECT_THAT(message("pong"), HasSubstr("is the last of 100 that started one another"));
}

}  // namespace
}  // namespace chappe
