// Batches, fences and bounds of what is collected. The stories of it are in tests/scenarios/retention.txt.
#include "engine/run/collector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/dag_builder.h"

namespace chappe {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using namespace std::chrono_literals;

constexpr WallTime kNoon{1'800'000'000'000'000};
constexpr MonoTime kBegin{1};

RunRow ended(Duration ago = 2h) {
  RunRow row{.seq = {7}, .state = RunState::kSuccess, .ended_at = kNoon + -ago};
  row.retention = {.due = row.ended_at + 1h, .keep = 1h};
  return row;
}

ExpiredArtifact artifact(const std::string& name, const std::string& key, std::uint32_t holders = 1) {
  ExpiredArtifact out{.row = {.key = {{7}, 0}, .attempt = {1}}, .holders = holders};
  out.row.object.name = name;
  out.row.object.key = key;
  return out;
}

class CollectorTest : public testing::Test {
 protected:
  CollectorTest() {
    Effects none;
    collector_.adopt({}, kNoon, none);
  }

  /// What the engine asks the store for, if anything.
  std::optional<ExpiredQuery> asked(WallTime now = kNoon) { return asks(kBegin, now).expired; }

  Effects asks(MonoTime at, WallTime now = kNoon) {
    Effects out;
    collector_.ask({now, at}, out);
    return out;
  }

  /// `lookups`: those that are under way.
  Effects hears(ExpiredLooked looked, std::set<std::uint64_t> lookups = {}, bool live = false) {
    Effects out;
    collector_.take(looked, live, kNoon, lookups, out);
    return out;
  }

  Effects removed(std::vector<std::string> keys, std::vector<std::string> refused = {}, MonoTime at = kBegin) {
    Effects out;
    collector_.take(ObjectsRemoved{std::move(keys), std::move(refused)}, at, out);
    return out;
  }

  static CacheLooked hit(std::uint64_t serial) {
    CacheLooked looked{.key = {}, .serial = serial, .hit = CacheHit{}, .lost = {}, .told = ""};
    looked.hit->entry.producer = {{7}, 0};
    return looked;
  }

  Collector collector_;
};

TEST_F(CollectorTest, AsksOnceAndWaitsForTheEndOfARemoval) {
  ASSERT_TRUE(asked());
  EXPECT_FALSE(asked());
  const Effects out = hears({.run = ended(), .artifacts = {artifact("a", "k/a")}});
  EXPECT_THAT(out.persist.doomed, ElementsAre("k/a"));
  ASSERT_TRUE(out.remove);
  EXPECT_FALSE(asked());
  EXPECT_THAT(removed({"k/a"}).persist.removed, ElementsAre("k/a"));
  EXPECT_TRUE(asked());
}

TEST_F(CollectorTest, GoesThroughARunInBatches) {
  ASSERT_FALSE(asked()->run);
  const ArtifactPlace end{{{7}, 3}, 40};
  const Effects first = hears({.run = ended(), .artifacts = {artifact("a", "k/a", 2)}, .end = end, .last = false});
  EXPECT_THAT(first.persist.run_changes, SizeIs(1));
  EXPECT_TRUE(first.persist.run_changes[0].row.retention.due.is_set());
  const auto next = asked();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->run, RunSeq{7});
  EXPECT_EQ(next->after, end);
  const Effects last = hears({.run = first.persist.run_changes[0].row});
  EXPECT_FALSE(last.persist.run_changes.at(0).row.retention.due.is_set());
  EXPECT_EQ(last.persist.run_changes[0].row.retention.collected, 1U);
}

TEST_F(CollectorTest, RemovesAnObjectThatSeveralOfOneBatchHaveOnceAndOneThatAnotherRunHasNotAtAll) {
  ASSERT_TRUE(asked());
  const Effects out =
      hears({.run = ended(), .artifacts = {artifact("a", "k/a", 2), artifact("b", "k/a", 2), artifact("c", "k/c", 2)}});
  EXPECT_THAT(out.persist.collected, SizeIs(3));
  EXPECT_THAT(out.persist.doomed, ElementsAre("k/a"));
}

TEST_F(CollectorTest, LeavesAssetsValuesAndWhatIsKeptForEver) {
  ASSERT_TRUE(asked());
  ExpiredArtifact asset = artifact("a", "k/a"), kept = artifact("b", "k/b");
  asset.row.asset = {9};
  kept.row.retention = kForever;
  const Effects out = hears({.run = ended(), .artifacts = {asset, kept, artifact(value_object_name("v"), "k/v")}});
  EXPECT_THAT(out.persist.collected, IsEmpty());
  EXPECT_FALSE(out.persist.run_changes.at(0).row.retention.due.is_set());
}

TEST_F(CollectorTest, ComesBackForWhatIsKeptLonger) {
  ASSERT_TRUE(asked());
  ExpiredArtifact longer = artifact("b", "k/b");
  longer.row.retention = 5h;
  const Effects out = hears({.run = ended(), .artifacts = {artifact("a", "k/a"), longer}});
  EXPECT_THAT(out.persist.collected, SizeIs(1));
  EXPECT_EQ(out.persist.run_changes.at(0).row.retention.due, ended().ended_at + 5h);
}

TEST_F(CollectorTest, LooksAgainLaterAtARunThatIsAmongTheNewest) {
  ASSERT_TRUE(asked());
  RunRow run = ended();
  run.retention.keep_last = 2;
  const Effects out = hears({.run = run, .newer = 1, .artifacts = {artifact("a", "k/a")}});
  EXPECT_THAT(out.persist.collected, IsEmpty());
  EXPECT_EQ(out.persist.run_changes.at(0).row.retention.due, kNoon + 1h);
}

TEST_F(CollectorTest, TouchesNoRunThatIsLiveAgain) {
  ASSERT_TRUE(asked());
  EXPECT_TRUE(hears({.run = ended(), .artifacts = {artifact("a", "k/a")}}, {}, true).persist.empty());
}

TEST_F(CollectorTest, TakesNoAnswerThatItDidNotAskFor) {
  EXPECT_TRUE(hears({.run = ended(), .artifacts = {artifact("a", "k/a")}}).persist.empty());
}

TEST_F(CollectorTest, DoubtsWhatWasLookedUpBeforeTheMarkAndNothingElse) {
  ASSERT_TRUE(asked());
  (void)hears({.run = ended(), .artifacts = {artifact("a", "k/a")}}, {4, 5});
  EXPECT_TRUE(collector_.outdates(hit(5)));
  EXPECT_FALSE(collector_.outdates(hit(6)));
  collector_.looked_up({5, 6});
  EXPECT_TRUE(collector_.outdates(hit(5)));
  collector_.looked_up({6, 7});
  EXPECT_FALSE(collector_.outdates(hit(5)));
}

TEST_F(CollectorTest, MarksARunForTheLengthOfAStep) {
  ASSERT_TRUE(asked());
  (void)hears({.run = ended(), .artifacts = {artifact("a", "k/a", 2)}});
  EXPECT_TRUE(collector_.is_marking({7}));
  (void)asked();
  EXPECT_FALSE(collector_.is_marking({7}));
}

TEST_F(CollectorTest, RestsWhileTooManyRunsAreFenced) {
  for (std::uint32_t i = 1; i <= Collector::kFencesMax; ++i) {
    ASSERT_TRUE(asked()) << i;
    RunRow run = ended();
    run.seq = {i};
    (void)hears({.run = run, .artifacts = {artifact("a", "k/a", 2)}}, {i});
  }
  EXPECT_FALSE(asked());
  // New lookups begin all the time: it is enough that those have ended that were under way.
  collector_.looked_up({Collector::kFencesMax, Collector::kFencesMax + 1});
  EXPECT_TRUE(asked());
}

TEST_F(CollectorTest, KeepsDoomedWhatTheStoreDoesNotLetGoAndGoesOnWithTheRest) {
  ASSERT_TRUE(asked());
  (void)hears({.run = ended(), .artifacts = {artifact("a", "k/a"), artifact("b", "k/b")}});
  EXPECT_THAT(removed({"k/a", "k/b"}, {"k/a"}).persist.removed, ElementsAre("k/b"));
  EXPECT_EQ(collector_.refused(), 1U);
  EXPECT_TRUE(asked());
}

TEST_F(CollectorTest, TriesWhatWasRefusedAgainAfterARestThatGrowsToAnHour) {
  ASSERT_TRUE(asked());
  (void)hears({.run = ended(), .artifacts = {artifact("a", "k/a")}});
  (void)removed({"k/a"}, {"k/a"});
  (void)asked();
  (void)hears({});  // Nothing else is due.
  MonoTime now = kBegin;
  for (const Duration rest : {Duration(1min), Duration(2min), Duration(4min), Duration(8min), Duration(16min),
                              Duration(32min), Duration(1h), Duration(1h)}) {
    const Effects waits = asks(now + rest + Duration(-1));
    EXPECT_FALSE(waits.remove);
    EXPECT_EQ(waits.wake_at, now + rest);
    now = now + rest;
    const Effects again = asks(now);
    ASSERT_TRUE(again.remove);
    EXPECT_THAT(again.remove->keys, ElementsAre("k/a"));
    EXPECT_THAT(removed({"k/a"}, {"k/a"}, now).persist.removed, IsEmpty());
  }
  (void)asks(now + 1h);
  EXPECT_THAT(removed({"k/a"}, {}, now + 1h).persist.removed, ElementsAre("k/a"));
  EXPECT_EQ(collector_.refused(), 0U);
  EXPECT_FALSE(asks(now + 2h).remove);
}

TEST_F(CollectorTest, MarksNothingMoreWhereTheStoreLetsGoOfNothing) {
  std::size_t kept = 0;
  for (std::uint32_t run = 1; kept < Collector::kRefusedMax; ++run) {
    ASSERT_TRUE(asked()) << kept;
    ExpiredLooked looked{.run = ended()};
    looked.run->seq = {run};
    std::vector<std::string> keys;
    for (std::uint32_t i = 0; i < kCollectMax; ++i) {
      keys.push_back(std::to_string(run) + "/" + std::to_string(i));
      looked.artifacts.push_back(artifact("a", keys.back()));
    }
    (void)hears(looked);
    (void)removed(keys, keys);
    kept = collector_.refused();
  }
  EXPECT_LT(kept, Collector::kRefusedMax + kCollectMax);
  EXPECT_FALSE(asked());
  // Let go again, they are removed batch by batch without a rest.
  MonoTime now = kBegin + 1min;
  while (collector_.refused() > 0) {
    const Effects again = asks(now);
    ASSERT_TRUE(again.remove);
    EXPECT_LE(again.remove->keys.size(), kCollectMax);
    (void)removed(again.remove->keys, {}, now);
  }
  EXPECT_TRUE(asks(now).expired);
}

TEST_F(CollectorTest, RemovesAgainWhatWasDoomedBeforeARestart) {
  Effects out;
  collector_.adopt({"k/a"}, std::nullopt, out);
  ASSERT_TRUE(out.remove);
  EXPECT_THAT(out.remove->keys, ElementsAre("k/a"));
}

TEST_F(CollectorTest, PlansByTheEndOfTheRunAndByTheShortestOfItsOutputs) {
  const DagPtr dag = support::dag_of(R"(
name: d
artifacts: {retention: {on_success: 2h}}
tasks: [{id: a, run: x, outputs: {artifacts: [{name: o, path: o, retention: 1h}]}}, {id: b, run: x}]
)");
  RunRow row{.state = RunState::kSuccess, .ended_at = kNoon};
  collector_.plan(row, *dag);
  EXPECT_EQ(row.retention.due, kNoon + 1h);
  EXPECT_EQ(row.retention.keep, 2h);
  row.state = RunState::kCancelled;
  collector_.plan(row, *dag);
  EXPECT_EQ(row.retention.keep, kForever);
  EXPECT_EQ(row.retention.due, kNoon + 1h);
  row.state = RunState::kRunning;
  collector_.plan(row, *dag);
  EXPECT_FALSE(row.retention.due.is_set());
  row.state = RunState::kSuccess;
  collector_.plan(row, *support::dag_of("{name: e, tasks: [{id: a, run: x}]}"));
  EXPECT_FALSE(row.retention.due.is_set());
}

}  // namespace
}  // namespace chappe
