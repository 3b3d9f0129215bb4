// How runs of long ago go: in passes, in bounded steps, and from where a restart finds them. Which of them may go the
// store says: tests/integration/storage/sqlite_prune_test.cc.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/run/engine_pruner.h"
#include "tests/support/dag_builder.h"
#include "tests/support/engine_world.h"

namespace chappe {
namespace {

using support::DagBuilder;
using support::EngineWorld;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using namespace std::chrono_literals;

class PrunerTest : public testing::Test {
 protected:
  explicit PrunerTest(EngineConfig config = {}) : world_(std::move(config)) {
    world_.step({world_.join(world_.worker("w"))});
  }

  /// A run that succeeds at once.
  RunId run() {
    const RunRequested request = world_.request(dag_);
    world_.step({request});
    for (const auto& [attempt, what] : std::map(world_.worker("w").held)) {
      world_.step({world_.started(world_.worker("w"), what), world_.finished(world_.worker("w"), what)});
    }
    EXPECT_EQ(world_.state(request.id), "success");
    world_.now.wall = world_.now.wall + 1s;
    return request.id;
  }

  /// Everything that is asked for, and what it was answered.
  std::vector<Value> prune(PruneRequested asked) {
    asked.ticket = {++tickets_};
    std::vector<Event> events{asked};
    return carry_on(std::move(events));
  }

  std::vector<Value> carry_on(std::vector<Event> events = {}) {
    std::vector<Value> answers;
    for (int steps = 0; steps < 1'000; ++steps) {
      const Effects out = world_.step(std::exchange(events, {}));
      for (const Reply& reply : out.replies) answers.push_back(reply.answer.value_or(Value()));
      for (const RemoveRunObjects& remove : out.remove_runs) {
        removed_.push_back(remove.prefix);
        if (store_answers_) events.emplace_back(RunObjectsRemoved{remove.run});
      }
      world_.now.mono = world_.now.mono + 10ms;
      const bool rests = events.empty() && !out.prune && out.persist.empty() && steps > 3;
      if (rests) return answers;
    }
    ADD_FAILURE() << "it never rests";
    return answers;
  }

  PruneRequested all() const { return {.before = world_.now.wall, .requested_by = "ann"}; }
  const support::StoredTables& tables() const { return world_.store().tables(); }
  std::size_t pruned() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(tables().runs, [](const auto& each) { return each.second.pruned_at.is_set(); }));
  }

  EngineWorld world_;
  DagPtr dag_ = DagBuilder("d").task("a", {}, support::process()).build();
  std::uint64_t tickets_ = 0;
  bool store_answers_ = true;
  std::vector<std::string> removed_;
};

TEST_F(PrunerTest, LeavesOneRowOfARunAndSaysWhatItKeptAndWhy) {
  const RunId first = run(), second = run();
  const auto answers = prune(all());
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_EQ(to_json(answers[0]), R"({"pruned":1,"kept":{"newest":1},"next":null})");
  EXPECT_TRUE(world_.row(first).pruned_at.is_set());
  EXPECT_FALSE(world_.row(second).pruned_at.is_set());
  EXPECT_THAT(removed_, testing::ElementsAre("runs/d/" + first.text() + "/"));
  EXPECT_THAT(tables().tasks, SizeIs(1));
  EXPECT_THAT(tables().pruning, IsEmpty());
  const AuditRow& told = tables().audit.back();
  EXPECT_EQ(told.verb, "run.prune");
  EXPECT_EQ(told.principal, "ann");
  EXPECT_THAT(told.detail, HasSubstr(first.text()));
}

TEST_F(PrunerTest, MarksNoMoreThanAFewInOneStep) {
  for (std::uint32_t i = 0; i < kPruneRunsMax * 2 + 3; ++i) run();
  std::size_t most = 0;
  PruneRequested asked = all();
  asked.ticket = {1};
  std::vector<Event> events{asked};
  for (int steps = 0; steps < 200; ++steps) {
    const Effects out = world_.step(std::exchange(events, {}));
    most = std::max(most, out.persist.pruned.size());
    for (const RemoveRunObjects& remove : out.remove_runs) events.emplace_back(RunObjectsRemoved{remove.run});
    world_.now.mono = world_.now.mono + 10ms;
  }
  EXPECT_LE(most, kPruneRunsMax);
  EXPECT_EQ(pruned(), kPruneRunsMax * 2 + 2);
}

TEST_F(PrunerTest, WaitsForTheObjectStoreBeforeItMarksMore) {
  for (std::size_t i = 0; i < EnginePruner::kMarkedMax + kPruneRunsMax + 5; ++i) run();
  store_answers_ = false;
  EXPECT_THAT(prune(all()), IsEmpty());
  EXPECT_LE(pruned(), EnginePruner::kMarkedMax);
  EXPECT_EQ(tables().pruning.size(), pruned()) << "their objects may be there yet";
}

TEST_F(PrunerTest, GoesOnWithWhatWasMarkedAfterARestart) {
  const RunId first = run();
  run();
  store_answers_ = false;
  prune(all());
  EXPECT_THAT(tables().pruning, SizeIs(1));
  removed_.clear();
  store_answers_ = true;
  world_.restart();
  carry_on();
  EXPECT_THAT(removed_, testing::ElementsAre("runs/d/" + first.text() + "/"));
  EXPECT_THAT(tables().pruning, IsEmpty());
}

TEST_F(PrunerTest, RunsNothingAgainThatIsGone) {
  const RunId first = run();
  run();
  prune(all());
  RetryRequested retry = world_.retry(first, {"a"});
  retry.ticket = {77};
  const Effects out = world_.step({retry});
  ASSERT_THAT(out.replies, SizeIs(1));
  ASSERT_FALSE(out.replies[0].answer);
  EXPECT_THAT(out.replies[0].answer.error().message, HasSubstr("was pruned on 20"));
}

TEST_F(PrunerTest, RunsNothingAgainInTheStepThatMarksIt) {
  const RunId first = run();
  run();
  PruneRequested asked = all();
  asked.ticket = {1};
  world_.step({asked});
  RetryRequested retry = world_.retry(first, {"a"});
  retry.ticket = {77};
  const Effects out = world_.step({retry});
  ASSERT_THAT(out.persist.pruned, SizeIs(1));
  ASSERT_THAT(out.replies, testing::Not(IsEmpty()));
  EXPECT_FALSE(out.replies.back().answer);
}

TEST_F(PrunerTest, RefusesMoreRequestsThanItKeeps) {
  std::vector<Event> events;
  for (std::uint64_t i = 1; i <= EnginePruner::kRequestsMax + 1; ++i) {
    PruneRequested asked = all();
    asked.ticket = {i};
    events.emplace_back(asked);
  }
  const Effects out = world_.step(std::move(events));
  ASSERT_THAT(out.replies, SizeIs(1));
  EXPECT_EQ(out.replies[0].ticket, Ticket{EnginePruner::kRequestsMax + 1});
  EXPECT_EQ(out.replies[0].answer.error().code, ErrorCode::kUnavailable);
}

class PrunerByItself : public PrunerTest {
 protected:
  PrunerByItself() : PrunerTest({.run_retention = 1h}) {}
};

TEST_F(PrunerByItself, TakesThoseWhoseRetentionHasPassed) {
  const RunId first = run();
  world_.pass(2h);
  run();
  const RunId newest = run();
  world_.pass(2h);
  EXPECT_TRUE(world_.row(first).pruned_at.is_set());
  EXPECT_FALSE(world_.row(newest).pruned_at.is_set());
  for (const auto& [seq, row] : tables().runs) {
    EXPECT_TRUE(!row.pruned_at.is_set() || row.pruned_at - row.ended_at >= 1h) << seq.value;
  }
  EXPECT_EQ(tables().audit.back().principal, "scheduler");
}

}  // namespace
}  // namespace chappe
