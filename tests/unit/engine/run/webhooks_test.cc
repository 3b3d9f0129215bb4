// Calls of webhooks: one event a delivery, and an answer that says what became of it.
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
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

DagPtr hooked(const std::string& more = "", const std::string& trigger = "webhook: push") {
  return dag_of(
      fmt::format("{{name: h, {} triggers: [{{{}}}], tasks: [{{id: t, wait: {{for: 10s}}}}]}}", more, trigger));
}

class Webhooks : public testing::Test {
 protected:
  void begin(EngineConfig config = {}) { world_.emplace(std::move(config)); }

  WebhookCalled call(const std::string& delivery, ValueMap body = {}) {
    return {.ticket = {++tickets_},
            .dag = "h",
            .webhook = "push",
            .delivery = delivery,
            .type = "push",
            .body = Value(std::move(body)),
            .requested_by = "webhook h/push",
            .source = ""};
  }
  /// "started", "waiting", "duplicate", or why not; of each call.
  std::vector<std::string> told(std::vector<Event> calls) {
    std::vector<std::string> out;
    for (const Reply& reply : world_->step(std::move(calls)).replies) {
      out.push_back(reply.answer ? to_text(*reply.answer->find("state")) : reply.answer.error().message);
      last_ = reply.answer ? *reply.answer : Value();
    }
    return out;
  }
  const support::StoredTables& tables() const { return world_->store().tables(); }

  std::optional<EngineWorld> world_;
  std::uint64_t tickets_ = 0;
  Value last_;
};

TEST_F(Webhooks, ACallStartsARunAndIsToldWhich) {
  begin();
  world_->step(
      {world_->deployed(hooked("params: {ref: none},", "webhook: push, params: {ref: '${{ event.body.ref }}'}"))});
  EXPECT_THAT(told({call("d1", {{"ref", "main"}})}), testing::ElementsAre("started"));
  ASSERT_THAT(tables().runs, SizeIs(1));
  const RunRow& run = tables().runs.begin()->second;
  EXPECT_EQ(to_text(*last_.find("run")), run.id.text());
  EXPECT_EQ(run.trigger, "webhook");
  EXPECT_THAT(run.params_json, HasSubstr("main"));
}

TEST_F(Webhooks, ADeliveryThatComesTwiceIsOneEventInOneStepOrWhileItWaits) {
  begin();
  world_->step({world_->deployed(hooked())});
  EXPECT_THAT(told({call("d1"), call("d1")}), testing::UnorderedElementsAre("started", "duplicate"));
  EXPECT_THAT(told({call("d2")}), testing::ElementsAre("waiting")) << "one run at a time";
  EXPECT_TRUE(last_.find("run")->is_null());
  world_->restart();
  EXPECT_THAT(told({call("d2")}), testing::ElementsAre("duplicate"));
  EXPECT_THAT(tables().events, SizeIs(2));
}

TEST_F(Webhooks, CallsWithoutAnIdAreAllDifferent) {
  begin();
  world_->step({world_->deployed(hooked("concurrency: {max_runs: 5},", "webhook: push, mode: each"))});
  told({call(""), call("")});
  world_->step();
  EXPECT_THAT(tables().runs, SizeIs(2));
}

TEST_F(Webhooks, WhatGivesNoParametersOrDoesNotFitIsRefusedAndNotKept) {
  begin();
  world_->step({world_->deployed(hooked("params: {n: {type: integer, maximum: 3, default: 1}},",
                                        "webhook: push, params: {n: '${{ event.body.n }}'}"))});
  EXPECT_THAT(told({call("d1", {{"n", 4}})}).at(0), HasSubstr("must be at most 3"));
  EXPECT_THAT(told({call("d2")}).at(0), HasSubstr("started no run"));
  EXPECT_THAT(tables().events, IsEmpty());
  EXPECT_THAT(tables().runs, IsEmpty());
  EXPECT_THAT(told({call("d1", {{"n", 3}})}), testing::ElementsAre("started")) << "it was not taken before";
}

TEST_F(Webhooks, AtTheBoundCallsAreRefusedAndNoneIsGivenUp) {
  begin({.events_max = 2});
  world_->step({world_->deployed(hooked("paused: true,"))});
  EXPECT_THAT(told({call("d1"), call("d2"), call("d3")}),
              testing::UnorderedElementsAre("waiting", "waiting", "2 calls wait for a run of DAG h already"));
  EXPECT_THAT(tables().events, SizeIs(2));
}

TEST_F(Webhooks, WhoCallsWhatIsNotThereIsTold) {
  begin();
  EXPECT_THAT(told({call("d1")}), testing::ElementsAre("no deployed DAG 'h' has a webhook 'push'"));
  world_->step({world_->deployed(hooked())});
  world_->step({world_->deployed(dag_of("{name: other, triggers: [{webhook: pull}], tasks: [{id: t, noop: {}}]}"))});
  WebhookCalled wrong = call("d1");
  wrong.webhook = "pull";
  EXPECT_THAT(told({wrong}).at(0), HasSubstr("no deployed DAG 'h' has a webhook 'pull'"));
}

TEST_F(Webhooks, TwoDagsMayHaveOneOfTheSameName) {
  begin();
  world_->step({world_->deployed(hooked())});
  world_->step({world_->deployed(dag_of("{name: other, triggers: [{webhook: push}], tasks: [{id: t, noop: {}}]}"))});
  EXPECT_THAT(told({call("d1")}), testing::ElementsAre("started"));
  ASSERT_THAT(tables().runs, SizeIs(1));
  EXPECT_EQ(tables().runs.begin()->second.dag, "h");
}

}  // namespace
}  // namespace chappe
