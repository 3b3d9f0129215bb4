// What may be collected, and what is doomed, on a real SQLite file.
#include "tests/integration/storage/sqlite_fixture.h"

namespace chappe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class SqliteRetention : public SqliteStoreTest {
 protected:
  void SetUp() override {
    SqliteStoreTest::SetUp();
    open();
    commit({.dag_versions = {some_dag()}});
  }

  static RunRow run(std::uint32_t seq, std::int64_t due, RunState state = RunState::kSuccess) {
    RunRow out = some_run(seq);
    out.state = state;
    out.ended_at = {20};
    out.retention = {.due = {due}, .keep = Duration(5), .keep_last = 2, .collected = 3};
    return out;
  }

  static ArtifactRow artifact(std::uint32_t run, std::uint32_t index, const std::string& key) {
    ArtifactRow row{.key = {{run}, index}, .attempt = {1}};
    row.object.name = "out";
    row.object.key = key;
    row.retention = Duration(9);
    return row;
  }

  ExpiredLooked expired(std::int64_t now, RunSeq run = {}, ArtifactPlace after = {}) {
    const auto found = reader()->expired({.now = {now}, .run = run, .after = after});
    EXPECT_TRUE(found) << found.error().message;
    return found.value_or(ExpiredLooked{});
  }
};

TEST_F(SqliteRetention, FindsTheRunThatIsDueFirstAndSaysWhenTheNextOneIs) {
  EXPECT_FALSE(expired(100).next);
  commit({.runs = {run(1, 50), run(2, 40), run(3, 0)}});
  EXPECT_EQ(*expired(100).run, run(2, 40));
  EXPECT_FALSE(expired(39).run);
  EXPECT_EQ(expired(39).next, WallTime{40});
  EXPECT_EQ(*expired(1, {3}).run, run(3, 0)) << "one that is being gone through is what it is by now";
  open();
  EXPECT_EQ(load().next_due, WallTime{40});
}

TEST_F(SqliteRetention, CountsNewerRunsOfTheSameEnd) {
  commit({.runs = {run(1, 50), run(2, 0, RunState::kFailed), run(3, 0), run(4, 0, RunState::kCancelled)}});
  EXPECT_EQ(expired(100).newer, 1U);
  commit({.runs = {run(5, 0), run(6, 0)}});
  EXPECT_EQ(expired(100).newer, 2U) << "no more than are asked for";
}

TEST_F(SqliteRetention, HandsOutARunsArtifactsInBatchesWithWhoElseHasThem) {
  Persist changes{.runs = {run(1, 50), run(2, 0)}};
  for (std::uint32_t i = 0; i < kCollectMax + 3; ++i) changes.artifacts.push_back(artifact(1, i, std::to_string(i)));
  changes.artifacts.push_back(artifact(2, 0, "7"));
  commit(changes);
  const ExpiredLooked first = expired(100);
  ASSERT_THAT(first.artifacts, SizeIs(kCollectMax));
  EXPECT_FALSE(first.last);
  EXPECT_EQ(first.artifacts[7].row, artifact(1, 7, "7"));
  EXPECT_EQ(first.artifacts[7].holders, 2U);
  EXPECT_EQ(first.artifacts[8].holders, 1U);
  const ExpiredLooked rest = expired(100, {1}, first.end);
  EXPECT_THAT(rest.artifacts, SizeIs(3));
  EXPECT_TRUE(rest.last);
  EXPECT_EQ(rest.artifacts[0].row.key.index, kCollectMax);
}

TEST_F(SqliteRetention, CountsNoFurtherThanABatch) {
  Persist changes{.runs = {run(1, 50)}};
  for (std::uint32_t i = 0; i < kCollectMax + 9; ++i) changes.artifacts.push_back(artifact(1, i, "same"));
  commit(changes);
  EXPECT_EQ(expired(100).artifacts[0].holders, kCollectMax + 1);
}

TEST_F(SqliteRetention, KeepsMarksAndDoomedObjects) {
  commit({.runs = {run(1, 50)}, .artifacts = {artifact(1, 0, "a"), artifact(1, 1, "b")}});
  RunRow after = run(1, 0);
  after.retention.collected = 4;
  commit({.run_changes = {{after, RunState::kSuccess}},
          .collected = {{{{1}, 0}, {1}, "out", {60}}},
          .doomed = {"a", "c"}});
  open();
  EXPECT_THAT(load().doomed, ElementsAre("a", "c"));
  EXPECT_EQ(*reader()->run_by_seq({1}), after);
  EXPECT_EQ(reader()->artifact_by_key("a")->collected_at, WallTime{60});
  ASSERT_THAT(expired(100, {1}).artifacts, SizeIs(1));
  commit({.removed = {"a", "c", "never there"}});
  open();
  EXPECT_THAT(load().doomed, IsEmpty());
}

TEST_F(SqliteRetention, MarksNothingTwice) {
  commit({.runs = {run(1, 50)}, .artifacts = {artifact(1, 0, "a")}});
  const ArtifactCollected mark{{{1}, 0}, {1}, "out", {60}};
  commit({.collected = {mark}});
  const auto refused = store->commit({.collected = {mark}});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("one that is not collected"));
}

TEST_F(SqliteRetention, ShowsAnObjectAsThereWhileSomeRunHasIt) {
  commit({.runs = {run(1, 50), run(2, 50)}, .artifacts = {artifact(1, 0, "a"), artifact(2, 0, "a")}});
  commit({.collected = {{{{1}, 0}, {1}, "out", {60}}}});
  EXPECT_FALSE(reader()->artifact_by_key("a")->collected_at.is_set());
  commit({.collected = {{{{2}, 0}, {1}, "out", {61}}}});
  EXPECT_TRUE(reader()->artifact_by_key("a")->collected_at.is_set());
}

TEST_F(SqliteRetention, GoesByItsIndexes) {
  const auto plan = [&](const std::string& sql) {
    sqlite::Connection connection(path, SQLITE_OPEN_READWRITE);
    sqlite::Statement statement(connection, "EXPLAIN QUERY PLAN " + sql);
    std::string out;
    for (statement.query(); statement.step();) {
      (void)statement.next<std::int64_t>(), (void)statement.next<std::int64_t>(), (void)statement.next<std::int64_t>();
      out += statement.next<std::string>() + "; ";
    }
    return out;
  };
  EXPECT_THAT(plan("SELECT * FROM runs t WHERE t.retention_due_us > 0 AND t.retention_due_us <= 9 ORDER BY "
                   "t.retention_due_us LIMIT 1"),
              HasSubstr("runs_by_retention"));
  EXPECT_THAT(plan("SELECT * FROM artifacts t WHERE t.task BETWEEN 1 AND 2 AND (t.task > 1 OR t.row > 3) ORDER BY "
                   "t.task, t.row LIMIT 4"),
              AllOf(HasSubstr("artifacts_by_task"), testing::Not(HasSubstr("TEMP B-TREE"))));
}

}  // namespace
}  // namespace chappe
