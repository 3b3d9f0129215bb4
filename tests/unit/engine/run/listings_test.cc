// Triggers on objects: what is news, what is remembered, and how much of it.
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
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

const LookTarget kTarget{LookTarget::Kind::kListing, "in/", 0};

DagPtr watcher(const std::string& name, const std::string& trigger, const std::string& more = "") {
  return dag_of(
      fmt::format("{{name: {}, triggers: [{}], {} tasks: [{{id: t, wait: {{for: 10s}}}}]}}", name, trigger, more));
}

LookReported listed(const std::vector<std::pair<std::string, std::string>>& objects) {
  LookReported report{.target = kTarget, .what = LookReported::What::kListed, .found = {}, .message = ""};
  for (const auto& [key, etag] : objects) {
    report.objects.push_back({.key = key, .uri = "s3://b/" + key, .etag = etag, .version = "", .modified_at = {}});
  }
  return report;
}

/// How often the listing is to be looked at from now on; nullopt: nothing was said of it.
std::optional<std::optional<Duration>> ordered(const Effects& effects) {
  std::optional<std::optional<Duration>> out;
  for (const LookOrder& order : effects.looks) {
    if (order.target == kTarget) out = order.every;
  }
  return out;
}

class Listings : public testing::Test {
 protected:
  void begin(EngineConfig config = {}) { world_.emplace(std::move(config)); }

  /// Of the runs of the DAG, the objects that each took.
  std::vector<std::vector<std::string>> taken(const std::string& dag = "l") const {
    std::vector<std::vector<std::string>> out;
    for (const auto& [seq, row] : world_->store().tables().runs) {
      if (row.dag != dag) continue;
      out.emplace_back();
      for (const auto& [id, event] : world_->store().tables().events) {
        if (event.run == seq) out.back().push_back(*event.detail.find("key")->as_string());
      }
    }
    return out;
  }

  DeploymentRow row() const { return world_->store().tables().deployments.at("l"); }

  std::optional<EngineWorld> world_;
};

TEST_F(Listings, ANewListenerHasAFirstLookOfItsOwnAndTheMostImpatientSaysHowOften) {
  begin();
  EXPECT_EQ(ordered(world_->step({world_->deployed(watcher("l", "{s3: {key: in/, every: 1m}}"))})), seconds(60));
  world_->step({listed({{"in/a", "1"}})});
  EXPECT_EQ(ordered(world_->step({world_->deployed(watcher("m", "{s3: {key: in/, every: 10s, existing: true}}"))})),
            seconds(10));
  world_->step({listed({{"in/a", "1"}})});
  EXPECT_THAT(taken("l"), IsEmpty());
  EXPECT_THAT(taken("m"), ElementsAre(ElementsAre("in/a")));
  const DagRemoved gone{.ticket = {}, .dag = "m", .origin = "", .requested_by = "ann", .source = ""};
  EXPECT_EQ(ordered(world_->step({gone})), seconds(60));
}

TEST_F(Listings, AnEmptyFirstLookCounts) {
  begin();
  world_->step({world_->deployed(watcher("l", "{s3: in/}"))});
  world_->step({listed({})});
  world_->restart();
  world_->step({listed({{"in/a", "1"}})});
  EXPECT_THAT(taken(), ElementsAre(ElementsAre("in/a")));
}

TEST_F(Listings, ACommitThatNeverHappenedIsLookedAtAgainAndMakesOneRun) {
  begin();
  world_->step({world_->deployed(watcher("l", "{s3: in/}"))});
  world_->step({listed({})});
  world_->die_before_committing({listed({{"in/a", "1"}})});
  EXPECT_THAT(taken(), IsEmpty());
  world_->die_before_sending({listed({{"in/a", "1"}})});
  world_->step({listed({{"in/a", "1"}})});
  EXPECT_THAT(taken(), ElementsAre(ElementsAre("in/a")));
}

TEST_F(Listings, WhatIsMoreThanMayWaitStaysUnreadUntilThereIsRoom) {
  begin({.events_max = 2});
  world_->step({world_->deployed(watcher("l", "{s3: {key: in/, existing: true}, mode: each}"))});
  const LookReported four = listed({{"in/a", "1"}, {"in/b", "1"}, {"in/c", "1"}, {"in/d", "1"}});
  EXPECT_EQ(ordered(world_->step({four})), seconds(30)) << "the first run made room: it is looked at once more";
  EXPECT_EQ(row().message, "") << "nothing was given up";
  for (int i = 0; i < 4; ++i) {
    world_->step({four});
    world_->pass(seconds(11));
  }
  EXPECT_THAT(taken(), ElementsAre(ElementsAre("in/a"), ElementsAre("in/b"), ElementsAre("in/c"), ElementsAre("in/d")));
}

TEST_F(Listings, PausedItRemembersWhatComes) {
  begin();
  world_->step({world_->deployed(watcher("l", "{s3: in/}", "paused: true,"))});
  world_->step({listed({})});
  world_->step({listed({{"in/a", "1"}})});
  world_->step({listed({{"in/a", "2"}})});
  EXPECT_THAT(taken(), IsEmpty());
  world_->step({DagPauseRequested{.dag = "l", .paused = false, .requested_by = "ann"}});
  EXPECT_THAT(taken(), ElementsAre(ElementsAre("in/a", "in/a")));
}

TEST_F(Listings, ADeploymentThatKeepsTheTriggerKeepsWhatWasSeen) {
  begin();
  world_->step({world_->deployed(watcher("l", "{s3: {key: in/, existing: true}}"))});
  world_->step({listed({{"in/a", "1"}})});
  world_->step({world_->deployed(watcher("l", "{s3: {key: in/, existing: true}}", "description: new,"))});
  world_->step({listed({{"in/a", "1"}})});
  EXPECT_THAT(taken(), SizeIs(1));
  world_->step({world_->deployed(watcher("l", "{s3: {key: out/}}"))});
  EXPECT_THAT(world_->store().tables().sightings, IsEmpty());
}

TEST_F(Listings, ALookThatFailsIsToldUntilOneDoesNot) {
  begin();
  world_->step({world_->deployed(watcher("l", "{s3: in/}"))});
  LookReported failed{.target = kTarget, .found = {}, .message = "access denied"};
  world_->step({failed});
  EXPECT_EQ(row().waits_for, "s3 in/; last look at in/: access denied");
  world_->restart();
  world_->step({listed({})});
  EXPECT_EQ(row().waits_for, "s3 in/");
}

TEST_F(Listings, NoMoreIsLookedAtThanMayBe) {
  begin({.looks_max = 2});
  const auto deploy = [&](const std::string& name, const std::string& key) {
    DagDeployed event = world_->deployed(watcher(name, fmt::format("{{s3: {}/}}", key)));
    event.ticket = {1};
    const Effects effects = world_->step({event});
    return effects.replies.at(0).answer ? "" : effects.replies.at(0).answer.error().message;
  };
  EXPECT_EQ(deploy("l", "in"), "");
  EXPECT_EQ(deploy("m", "out"), "");
  EXPECT_EQ(deploy("n", "in"), "") << "one look serves both";
  EXPECT_THAT(deploy("o", "other"), HasSubstr("2 different things outside are looked at already"));
}

TEST_F(Listings, LateNewsOfAListingThatNobodyWantsStopsTheLooks) {
  begin();
  const auto order = ordered(world_->step({listed({{"in/a", "1"}})}));
  ASSERT_TRUE(order);
  EXPECT_EQ(*order, std::nullopt);
}

TEST_F(Listings, ParametersAndEventsTellWhichObjectAndVersion) {
  begin();
  world_->step({world_->deployed(
      watcher("l", "{s3: in/, params: {what: '${{ event.uri }} ${{ event.etag }} ${{ event.size }}'}}",
              "params: {what: x},"))});
  world_->step({listed({})});
  world_->step({listed({{"in/a", "7"}})});
  const auto& runs = world_->store().tables().runs;
  ASSERT_THAT(runs, SizeIs(1));
  EXPECT_THAT(runs.begin()->second.params_json, HasSubstr("s3://b/in/a 7 0"));
  EXPECT_EQ(runs.begin()->second.trigger, "s3");
  EXPECT_THAT(runs.begin()->second.logical_time.us, Not(0));
}

}  // namespace
}  // namespace chappe
