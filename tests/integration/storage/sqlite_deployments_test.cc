// Deployed DAGs on a real SQLite file.
#include "tests/integration/storage/sqlite_fixture.h"

namespace chappe {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class SqliteDeployments : public SqliteStoreTest {
 protected:
  static DeploymentRow row(std::int64_t fired_to) {
    return {.dag = "nightly",
            .version = some_dag().version,
            .schedule = "@daily",
            .origin = "dags/demo.yaml",
            .paused = true,
            .fired_to = {fired_to},
            .next_at = {fired_to + 1},
            .deployed_by = "anna",
            .deployed_at = {3},
            .message = "it made no run",
            .triggers = "asset a and asset b",
            .sources = ValueList{"asset a", "asset b"},
            .waits_for = "asset b; there is asset a"};
  }
};

TEST_F(SqliteDeployments, AreKeptWithTheTextOfTheirVersion) {
  open();
  commit({.dag_versions = {some_dag()}, .deployments = {row(10)}});
  commit({.deployments = {row(20)}});
  open();
  const auto stored = load().deployments;
  ASSERT_EQ(stored.size(), 1U);
  EXPECT_EQ(stored[0].row, row(20));
  EXPECT_EQ(stored[0].dag_source, some_dag().source);
  EXPECT_THAT(*reader()->deployments(""), ElementsAre(row(20)));
  EXPECT_THAT(*reader()->deployments("nightly"), ElementsAre(row(20)));
  EXPECT_THAT(*reader()->deployments("other"), IsEmpty());
}

TEST_F(SqliteDeployments, KeepTheirTimeWhenTheyAreRemovedAndNeverGoBack) {
  open();
  DeploymentRow removed = row(20);
  removed.removed = true;
  commit({.dag_versions = {some_dag()}, .deployments = {removed}});
  EXPECT_THAT(*reader()->deployments(""), IsEmpty());
  ASSERT_EQ(load().deployments.size(), 1U);
  EXPECT_EQ(load().deployments[0].row.fired_to, WallTime{20});
  EXPECT_FALSE(store->commit({.deployments = {row(19)}})) << "a guard";
}

TEST_F(SqliteDeployments, ATimeHasOneScheduledRunWhateverTheEngineSays) {
  open();
  RunRow first = some_run(1);
  first.trigger = "schedule";
  RunRow second = some_run(2);
  second.trigger = "schedule";
  second.logical_time = first.logical_time;
  RunRow by_hand = second;
  by_hand.trigger = "manual";
  commit({.dag_versions = {some_dag()}, .runs = {first}});
  commit({.runs = {by_hand}});
  EXPECT_THAT(*reader()->newest_runs(), ElementsAre(by_hand));
  second.seq = {3};
  EXPECT_FALSE(store->commit({.runs = {second}}));
}

TEST_F(SqliteDeployments, EventsWaitUntilARunTakesThemOnceOrTheyAreGivenUp) {
  open();
  const auto event = [](std::uint64_t id, std::string key) {
    return TriggerEventRow{.id = {id},
                           .dag = "nightly",
                           .source = {EventSource::Kind::kAsset, "a"},
                           .key = std::move(key),
                           .detail = ValueMap{{"version", 7}},
                           .params = ValueMap{{"year", 2026}},
                           .logical_time = {1},
                           .interval_start = {2},
                           .interval_end = {3},
                           .at = {4}};
  };
  commit({.events = {event(1, "v1"), event(2, "v2"), event(3, "")}});
  EXPECT_EQ(load().last_event, EventId{3});
  EXPECT_THAT(load().events, ElementsAre(event(1, "v1"), event(2, "v2"), event(3, "")));
  commit({.dag_versions = {some_dag()}, .runs = {some_run(1)}, .taken = {{{1}, {1}}, {{2}, {}}}});
  EXPECT_THAT(load().events, ElementsAre(event(3, "")));
  TriggerEventRow taken = event(1, "v1");
  taken.run = {1};
  EXPECT_THAT(*reader()->events_of({1}), ElementsAre(taken));
  EXPECT_THAT(load().runs.at(0).events, ElementsAre(taken));
  EXPECT_FALSE(store->commit({.taken = {{{1}, {1}}}})) << "it was taken";
}

TEST_F(SqliteDeployments, WhatWasSeenIsKnownAfterARestartAndEachChangeNamesWhatStoodThere) {
  open();
  const auto row = [](std::string object, std::string stamp) {
    return SightingRow{.dag = "d", .source = "in/", .object = std::move(object), .stamp = std::move(stamp)};
  };
  commit({.sightings = {{row("", "looked"), "", false}, {row("in/a", "1"), "", false}, {row("in/b", "1"), "", false}}});
  commit({.sightings = {{row("in/a", "2"), "1", false}, {row("in/b", ""), "1", true}}});
  EXPECT_THAT(load().sightings, ElementsAre(row("", "looked"), row("in/a", "2")));
  EXPECT_FALSE(store->commit({.sightings = {{row("in/a", "3"), "1", false}}})) << "another one stands there";
  open();
  EXPECT_FALSE(store->commit({.sightings = {{row("in/a", "3"), "", false}}})) << "it was seen";
  open();
  EXPECT_FALSE(store->commit({.sightings = {{row("in/a", ""), "1", true}}})) << "another one goes";
  open();
  commit({.sightings = {{row("", ""), "looked", true}}});
  EXPECT_THAT(load().sightings, IsEmpty());
}

TEST_F(SqliteDeployments, AStateGoesFromVersionToVersionAndNoEarlierAttemptMovesIt) {
  open();
  const auto row = [](std::uint64_t version, std::uint64_t attempt, std::uint64_t fence) {
    return StateRow{.scope = "dag:d",
                    .name = "cursor",
                    .value = ValueMap{{"at", static_cast<std::int64_t>(version)}},
                    .version = version,
                    .fence = {fence},
                    .by_task = {{1}, 2},
                    .by_attempt = {attempt},
                    .by = "run r t",
                    .at = {9}};
  };
  commit({.states = {row(1, 5, 7), row(2, 8, 9)}});
  EXPECT_THAT(load().states, ElementsAre(row(2, 8, 9)));
  EXPECT_EQ(*reader()->state("dag:d", "cursor"), row(2, 8, 9));
  EXPECT_THAT(*reader()->states("", "", 10), ElementsAre(row(2, 8, 9)));
  EXPECT_THAT(*reader()->states("dag:d", "cursor", 10), IsEmpty());
  EXPECT_EQ(reader()->state("dag:d", "other").error().code, ErrorCode::kNotFound);
  for (const StateRow& wrong : {row(1, 20, 20), row(2, 20, 20), row(4, 20, 20), row(3, 9, 20)}) {
    open();
    EXPECT_FALSE(store->commit({.states = {wrong}})) << wrong.version << " " << wrong.by_attempt.value;
  }
  open();
  commit({.states = {row(3, 0, 20)}});
  EXPECT_THAT(load().states, ElementsAre(row(3, 0, 20)));
}

TEST_F(SqliteDeployments, ADeliveryIsFoundByItsKey) {
  open();
  const TriggerEventRow event{.id = {1},
                              .dag = "d",
                              .source = {EventSource::Kind::kHook, "push"},
                              .key = "delivery",
                              .detail = ValueMap{},
                              .params = ValueMap{}};
  commit({.events = {event}});
  EXPECT_EQ(*reader()->event_by_key("d", event.source, "delivery"), event);
  EXPECT_EQ(*reader()->event_by_key("d", event.source, "other"), std::nullopt);
  EXPECT_EQ(*reader()->event_by_key("d", {EventSource::Kind::kHook, "pull"}, "delivery"), std::nullopt);
  EXPECT_EQ(*reader()->event_by_key("e", event.source, "delivery"), std::nullopt);
}

TEST_F(SqliteDeployments, NoEventOfOneKeyComesTwice) {
  open();
  const TriggerEventRow event{.id = {1},
                              .dag = "d",
                              .source = {EventSource::Kind::kDag, "up"},
                              .key = "r 1",
                              .detail = ValueMap{},
                              .params = ValueMap{}};
  commit({.events = {event}});
  TriggerEventRow again = event;
  again.id = {2};
  EXPECT_FALSE(store->commit({.events = {again}}));
}

}  // namespace
}  // namespace chappe
