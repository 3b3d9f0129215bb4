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
  std::optional<ExpiredQuery> asked(WallTime now = kNoon) {
    Effects out;
    collector_.ask({now, {1}}, out);
    return out.expired;
  }

  Effects hears(ExpiredLooked looked, bool under_way = false, bool live = false) {
    Effects out;
    collector_.take(looked, live, kNoon, 5, under_way, out);
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
  Effects after;
  collector_.take(ObjectsRemoved{{"k/a"}}, after);
  EXPECT_THAT(after.persist.removed, ElementsAre("k/a"));
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
  EXPECT_TRUE(hears({.run = ended(), .artifacts = {artifact("a", "k/a")}}, false, true).persist.empty());
}

TEST_F(CollectorTest, TakesNoAnswerThatItDidNotAskFor) {
  EXPECT_TRUE(hears({.run = ended(), .artifacts = {artifact("a", "k/a")}}).persist.empty());
}

TEST_F(CollectorTest, DoubtsWhatWasLookedUpBeforeTheMarkAndNothingElse) {
  ASSERT_TRUE(asked());
  (void)hears({.run = ended(), .artifacts = {artifact("a", "k/a")}}, true);
  EXPECT_TRUE(collector_.outdates(hit(5)));
  EXPECT_FALSE(collector_.outdates(hit(6)));
  collector_.all_looked_up();
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
    (void)hears({.run = run, .artifacts = {artifact("a", "k/a", 2)}}, true);
  }
  EXPECT_FALSE(asked());
  collector_.all_looked_up();
  EXPECT_TRUE(asked());
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
