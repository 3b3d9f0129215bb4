// Backfills, and the runs of their dates, on a real SQLite file.
#include "tests/integration/storage/sqlite_fixture.h"

namespace chappe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class SqliteBackfills : public SqliteStoreTest {
 protected:
  static BackfillRow row(std::uint32_t id = 1) {
    return {.id = {id},
            .dag = "nightly",
            .version = some_dag().version,
            .spec = {.from = {1},
                     .to = {2},
                     .reprocess = Reprocess::kFailed,
                     .newest_first = true,
                     .max_active = 3,
                     .tasks = {"load", "check"}},
            .params_json = R"({"year":2026})",
            .state = BackfillState::kPaused,
            .done = {4},
            .total = 9,
            .made = 5,
            .skipped = 1,
            .created_by = "anna",
            .created_at = {6},
            .ended_at = {7},
            .message = "it rests"};
  }
  static RunRow run(std::uint32_t seq, RunState state, std::int64_t time, std::uint32_t backfill = 0) {
    RunRow out = some_run(seq);
    out.state = state;
    out.logical_time = {time};
    out.backfill = {backfill};
    return out;
  }
};

TEST_F(SqliteBackfills, AreKeptWithTheTextOfTheirVersionUntilTheyAreOver) {
  open();
  BackfillRow other = row(2);
  other.dag = "weekly";
  other.spec.tasks.clear();
  commit({.dag_versions = {some_dag()}, .backfills = {row(), other}});
  open();
  const StoredState stored = load();
  ASSERT_THAT(stored.backfills, SizeIs(2));
  EXPECT_EQ(stored.backfills[0].row, row());
  EXPECT_EQ(stored.backfills[1].row, other);
  EXPECT_EQ(stored.backfills[0].dag_source, some_dag().source);
  EXPECT_EQ(stored.last_backfill, BackfillId{2});
  EXPECT_THAT(*reader()->backfills({}), ElementsAre(other, row()));
  EXPECT_THAT(*reader()->backfills({.dag = "nightly", .before = {}}), ElementsAre(row()));
  EXPECT_THAT(*reader()->backfills({.dag = "", .before = BackfillId{2}}), ElementsAre(row()));
  EXPECT_EQ(*reader()->backfill({2}), other);
  EXPECT_EQ(reader()->backfill({3}).error().code, ErrorCode::kNotFound);
  other.state = BackfillState::kCancelled;
  commit({.backfills = {other}});
  EXPECT_THAT(load().backfills, SizeIs(1));
  EXPECT_EQ(load().last_backfill, BackfillId{2});
}

TEST_F(SqliteBackfills, AreNotChangedOnceTheyAreOverNorGoBack) {
  open();
  BackfillRow over = row();
  over.state = BackfillState::kCompleted;
  commit({.dag_versions = {some_dag()}, .backfills = {row()}});
  BackfillRow back = row();
  --back.made;
  EXPECT_FALSE(store->commit({.backfills = {back}})) << "a guard";
  open();
  commit({.backfills = {over}});
  EXPECT_FALSE(store->commit({.backfills = {over}})) << "a guard";
}

TEST_F(SqliteBackfills, KnowTheRunsOfTheirDates) {
  open();
  using enum RunState;
  RunRow elsewhere = run(7, kRunning, 60);
  elsewhere.dag = "weekly";
  commit({.dag_versions = {some_dag()},
          .runs = {run(1, kSuccess, 10), run(2, kFailed, 10), run(3, kRunning, 20, 1), run(4, kSuccess, 20, 1),
                   run(5, kCancelled, 30, 1), run(6, kSuccess, 40, 2), elsewhere}});
  EXPECT_THAT(*reader()->newest_of_dates("nightly", {{10}, {20}, {30}, {50}, {60}}),
              ElementsAre(kFailed, kRunning, kCancelled, std::nullopt, std::nullopt));
  EXPECT_THAT(*reader()->run_counts({1}), ElementsAre(0, 1, 1, 0, 1));
  EXPECT_THAT(*reader()->run_counts({9}), ElementsAre(0, 0, 0, 0, 0));
  const auto of_two = *reader()->runs({.dag = "", .backfill = {2}});
  ASSERT_THAT(of_two, SizeIs(1));
  EXPECT_EQ(of_two[0], run(6, kSuccess, 40, 2));
  EXPECT_THAT(*reader()->runs({.dag = "", .backfill = {3}}), IsEmpty());
}

TEST_F(SqliteBackfills, KnowTheRunBeforeATimeAndHowATaskEndedThere) {
  open();
  using enum TaskState;
  RunRow elsewhere = run(9, RunState::kSuccess, 25);
  elsewhere.dag = "weekly";
  const auto task = [](std::uint32_t index, TaskState state, bool allowed = false) {
    return insertion({.key = {{2}, index}, .state = state, .allowed = allowed});
  };
  commit({.dag_versions = {some_dag()},
          .runs = {run(1, RunState::kSuccess, 20), run(2, RunState::kFailed, 20), run(3, RunState::kRunning, 10),
                   run(4, RunState::kSuccess, 30), elsewhere},
          .tasks = {task(0, kSuccess), task(1, kSkipped), task(2, kFailed, true), task(3, kFailed),
                    task(4, kUpstreamFailed), task(6, kSuccess)}});
  EXPECT_EQ((*reader()->newest_before("nightly", {30}))->seq, RunSeq{2}) << "of two for one time the last one made";
  EXPECT_EQ((*reader()->newest_before("nightly", {20}))->seq, RunSeq{3});
  EXPECT_EQ((*reader()->newest_before("nightly", {99}))->seq, RunSeq{4});
  EXPECT_FALSE(reader()->newest_before("nightly", {10})->has_value());
  EXPECT_EQ(*reader()->unwell({2}, 0, 3), std::nullopt);
  EXPECT_EQ(*reader()->unwell({2}, 0, 0), std::nullopt);
  EXPECT_EQ(*reader()->unwell({2}, 0, 5), kFailed);
  EXPECT_EQ(*reader()->unwell({2}, 4, 1), kUpstreamFailed);
  EXPECT_EQ(*reader()->unwell({2}, 5, 2), kCancelled) << "it has no row";
  EXPECT_EQ(*reader()->unwell({2}, 6, 1), std::nullopt);
}

TEST_F(SqliteBackfills, AVersionIsFoundByABeginningThatIsUnique) {
  open();
  commit({.dag_versions = {some_dag("aaaaaaaa11"), some_dag("aaaaaaaa22"), some_dag("bbbbbbbb33")}});
  EXPECT_EQ(reader()->dag_version("bbbbbbbb")->version, "bbbbbbbb33");
  EXPECT_THAT(reader()->dag_version("aaaaaaaa").error().message, HasSubstr("more than one DAG version aaaaaaaa"));
  EXPECT_THAT(reader()->dag_version("bbbbbbb").error().message, HasSubstr("no DAG version bbbbbbb"));
  EXPECT_EQ(reader()->dag_version("aaaaaaaa22")->version, "aaaaaaaa22");
}

}  // namespace
}  // namespace chappe
