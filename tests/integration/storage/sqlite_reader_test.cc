// Readers: what they find, page by page, by which index, and that they hold nobody up.
#include <cstdint>
#include <string>
#include <vector>

#include "storage/sqlite/schema.h"
#include "storage/sqlite/sqlite_meta_reader.h"
#include "tests/integration/storage/sqlite_fixture.h"

namespace chappe {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class SqliteReader : public SqliteStoreTest {
 protected:
  void SetUp() override {
    SqliteStoreTest::SetUp();
    open();
  }
  static std::vector<std::uint32_t> seqs(const std::vector<RunRow>& runs) {
    std::vector<std::uint32_t> seqs;
    for (const RunRow& run : runs) seqs.push_back(run.seq.value);
    return seqs;
  }
  static std::vector<std::uint64_t> ids(const std::vector<AssetVersion>& versions) {
    std::vector<std::uint64_t> ids;
    for (const AssetVersion& version : versions) ids.push_back(version.id.value);
    return ids;
  }
  static std::vector<std::uint32_t> indexes(const std::vector<TaskRow>& tasks) {
    std::vector<std::uint32_t> indexes;
    for (const TaskRow& task : tasks) indexes.push_back(task.key.index);
    return indexes;
  }
};

TEST_F(SqliteReader, ListsRunsNewestFirstByDagStateAndPage) {
  Persist changes = first_changes(6);
  changes.runs[1].dag = "weekly";
  changes.runs[2].state = RunState::kFailed;
  changes.runs[4].state = RunState::kFailed;
  commit(changes);
  const auto read = reader();
  EXPECT_THAT(seqs(*read->runs({})), ElementsAre(6, 5, 4, 3, 2, 1));
  EXPECT_THAT(seqs(*read->runs({.before = RunSeq{4}, .limit = 2})), ElementsAre(3, 2));
  EXPECT_THAT(seqs(*read->runs({.dag = "weekly"})), ElementsAre(2));
  EXPECT_THAT(seqs(*read->runs({.state = RunState::kFailed})), ElementsAre(5, 3));
  EXPECT_THAT(seqs(*read->runs({.dag = "nightly", .state = RunState::kFailed, .before = RunSeq{5}})), ElementsAre(3));
}

TEST_F(SqliteReader, GivesAtMostAThousandRunsAPage) {
  Persist changes{.dag_versions = {some_dag()}};
  for (std::uint32_t seq = 1; seq <= 1001; ++seq) {
    changes.runs.push_back(some_run(seq));
    changes.runs.back().id = RunId::make({1}, {static_cast<std::uint8_t>(seq), static_cast<std::uint8_t>(seq >> 8)});
  }
  commit(changes);
  EXPECT_THAT(*reader()->runs({.limit = 5000}), SizeIs(1000));
}

TEST_F(SqliteReader, FindsARunByItsIdOrAPrefixThatIsUnique) {
  commit(first_changes(2));
  const auto read = reader();
  const std::string id = run_id(1).text();
  std::string lower = id.substr(0, 9);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  EXPECT_EQ(read->run(id)->seq, RunSeq{1});
  EXPECT_EQ(read->run(lower)->seq, RunSeq{1});
  EXPECT_THAT(read->run(id.substr(0, 4)).error().message, HasSubstr("several runs begin with"));
  EXPECT_EQ(read->run(id.substr(0, 3)).error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(read->run("ZZZZ").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(read->run("%%%%").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(read->run_by_seq({2})->id, run_id(2));
  EXPECT_EQ(read->run_by_seq({3}).error().code, ErrorCode::kNotFound);
}

TEST_F(SqliteReader, FindsARunByTheRequestThatMadeIt) {
  Persist changes = first_changes(2);
  changes.runs[1].request_id = "r";
  commit(changes);
  EXPECT_EQ((*reader()->run_by_request("r"))->seq, RunSeq{2});
  EXPECT_EQ(*reader()->run_by_request("other"), std::nullopt);
  EXPECT_EQ(*reader()->run_by_request(""), std::nullopt);
}

TEST_F(SqliteReader, CountsTasksByStateAndThoseWithoutARowAsNone) {
  Persist changes = first_changes(2);
  TaskRow failed = some_task(1);
  failed.state = TaskState::kFailed;
  changes.tasks = {insertion(some_task(0)), insertion(failed), insertion(some_task(0, 2))};
  commit(changes);
  const auto counts = *reader()->state_counts(some_run());
  EXPECT_EQ(counts[static_cast<std::size_t>(TaskState::kNone)], 8U);
  EXPECT_EQ(counts[static_cast<std::size_t>(TaskState::kQueued)], 1U);
  EXPECT_EQ(counts[static_cast<std::size_t>(TaskState::kFailed)], 1U);
}

TEST_F(SqliteReader, PagesThroughTheTasksOfOneRunOnly) {
  Persist changes = first_changes(3);
  for (std::uint32_t run = 1; run <= 3; ++run) {
    for (std::uint32_t i = 0; i < 5; ++i) {
      TaskRow task = some_task(i, run);
      if (i % 2 == 1) task.state = TaskState::kFailed;
      changes.tasks.push_back(insertion(task));
    }
  }
  commit(changes);
  const auto read = reader();
  EXPECT_THAT(indexes(*read->tasks({2}, {})), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(indexes(*read->tasks({2}, {.index_from = 1, .limit = 2})), ElementsAre(1, 2));
  EXPECT_THAT(indexes(*read->tasks({2}, {.state = TaskState::kFailed, .index_from = 2})), ElementsAre(3));
  EXPECT_THAT(*read->tasks({4}, {}), IsEmpty());
  EXPECT_EQ(read->attempts({{2}, 9}).error().code, ErrorCode::kNotFound);
}

TEST_F(SqliteReader, ListsEarlierAttemptsOfARunAndOfATask) {
  Persist changes = first_changes();
  changes.tasks = {insertion(some_task(0)), insertion(some_task(1))};
  const AttemptRow a1{.key = {{1}, 0}, .attempt = {1}, .attempt_no = 1};
  const AttemptRow a2{.key = {{1}, 0}, .attempt = {2}, .attempt_no = 2};
  const AttemptRow b1{.key = {{1}, 1}, .attempt = {3}, .attempt_no = 1};
  changes.attempts = {b1, a1, a2};
  commit(changes);
  EXPECT_THAT(*reader()->earlier_attempts({1}, 10), ElementsAre(a1, a2, b1));
  EXPECT_THAT(*reader()->earlier_attempts({1}, 2), ElementsAre(a1, a2));
  EXPECT_THAT(reader()->attempts({{1}, 0})->earlier, ElementsAre(a2, a1));
}

TEST_F(SqliteReader, ListsAssetsByUriNameAndAge) {
  Persist changes = first_changes();
  for (std::uint64_t id = 1; id <= 3; ++id) changes.asset_versions.push_back(some_version(id));
  changes.asset_versions.push_back(some_version(4, "s3://b/raw"));
  changes.asset_versions[3].name = "raw";
  changes.published = {{.id = {1}, .at = {1}}, {.id = {2}, .at = {2}}, {.id = {4}, .at = {3}}};
  commit(changes);
  const auto read = reader();
  EXPECT_THAT(ids(*read->assets({})), ElementsAre(4, 2));  // Version 3 is not published yet.
  EXPECT_THAT(ids(*read->assets({.before = AssetVersionId{4}})), ElementsAre(2));
  EXPECT_THAT(ids(*read->assets({.limit = 1})), ElementsAre(4));
  EXPECT_THAT(ids(*read->assets({.uri = "s3://b/model"})), ElementsAre(2));
  EXPECT_THAT(ids(*read->assets({.uri = "raw"})), ElementsAre(4));
  EXPECT_THAT(ids(*read->assets({.uri = "model", .newest_only = false})), ElementsAre(3, 2, 1));
  EXPECT_THAT(ids(*read->assets({.uri = "s3://b/model", .newest_only = false, .before = AssetVersionId{3}})),
              ElementsAre(2, 1));
  EXPECT_THAT(ids(*read->assets({.newest_only = false})), ElementsAre(4, 3, 2, 1));
  EXPECT_THAT(*read->assets({.uri = "unknown"}), IsEmpty());
  EXPECT_EQ(*read->asset_version({3}), some_version(3));
  EXPECT_EQ(read->asset_version({9}).error().code, ErrorCode::kNotFound);
}

TEST_F(SqliteReader, KeepsTheNewestVersionWhenAnOlderOneIsPublishedLater) {
  Persist changes = first_changes();
  changes.asset_versions = {some_version(1), some_version(2)};
  changes.published = {{.id = {2}, .at = {1}}};
  commit(changes);
  commit({.published = {{.id = {1}, .at = {2}}}});
  EXPECT_THAT(ids(*reader()->assets({})), ElementsAre(2));
}

TEST_F(SqliteReader, FollowsAnObjectToThoseWhoReadIt) {
  Persist changes = first_changes();
  for (std::uint32_t i = 0; i < 3; ++i) {
    changes.inputs.push_back({.key = {{1}, i}, .attempt = {i + 1}, .object = {.name = "in", .key = "runs/k1"}});
  }
  changes.artifacts = {{.key = {{1}, 9}, .attempt = {9}, .object = {.name = "out", .key = "runs/k1"}}};
  commit(changes);
  const auto read = reader();
  EXPECT_THAT(*read->consumers("runs/k1", 2), ElementsAre(changes.inputs[2], changes.inputs[1]));
  EXPECT_THAT(*read->consumers("runs/k2", 2), IsEmpty());
  EXPECT_EQ(*read->artifact_by_key("runs/k1"), changes.artifacts[0]);
  EXPECT_EQ(read->artifact_by_key("runs/k2").error().code, ErrorCode::kNotFound);
  EXPECT_THAT(*read->inputs({1}, 1), ElementsAre(changes.inputs[1]));
  EXPECT_THAT(*read->inputs({1}, std::nullopt), SizeIs(3));
}

TEST_F(SqliteReader, FindsWhoReadAnObject) {
  Persist changes;
  const auto read_of = [](std::uint32_t index, const std::string& uri) {
    InputRow row{.key = {{1}, index}, .attempt = {index}, .object = {.name = "raw", .path = "raw"}};
    row.object.s3 = uri;
    return row;
  };
  changes.inputs = {read_of(1, "s3://b/k"), read_of(2, "s3://b/k2"), read_of(3, "s3://b/k")};
  commit(changes);
  const auto read = reader();
  EXPECT_THAT(*read->object_readers("s3://b/k", 2), ElementsAre(changes.inputs[2], changes.inputs[0]));
  EXPECT_THAT(*read->object_readers("", 2), IsEmpty());
}

TEST_F(SqliteReader, ResolvesAnAliasThroughPromotionRollbackAndRemoval) {
  const auto moved = [](std::uint64_t to, std::uint64_t from, InstanceKey task = {}) {
    return AliasRow{
        .model = "m", .alias = "champion", .version = {to}, .previous = {from}, .by_task = task, .by = "a", .at = {1}};
  };
  Persist changes = first_changes();
  changes.asset_versions = {some_version(1), some_version(2)};
  changes.aliases = {moved(1, 0), moved(2, 1, {{1}, 3}), moved(1, 2)};
  commit(changes);
  const auto read = reader();
  EXPECT_EQ(read->resolve_alias("m", "champion")->id, AssetVersionId{1});
  EXPECT_THAT(*read->aliases(""), ElementsAre(moved(1, 2)));
  EXPECT_THAT(*read->aliases("m"), ElementsAre(moved(1, 2)));
  EXPECT_THAT(*read->aliases("other"), IsEmpty());
  EXPECT_THAT(*read->alias_history("m", "champion"), ElementsAre(moved(1, 2), moved(2, 1, {{1}, 3}), moved(1, 0)));
  EXPECT_THAT(*read->alias_moves_of({1}), ElementsAre(moved(2, 1, {{1}, 3})));
  commit({.aliases = {moved(0, 1)}});
  EXPECT_EQ(read->resolve_alias("m", "champion").error().code, ErrorCode::kNotFound);
  EXPECT_THAT(*read->aliases(""), ElementsAre(moved(0, 1)));
}

TEST_F(SqliteReader, FindsDagsWorkersAndAudit) {
  DagVersionRow other = some_dag("w1");
  other.dag = "weekly";
  commit({.dag_versions = {some_dag(), other},
          .workers = {{.seq = {1}, .incarnation = "i1"}, {.seq = {2}, .incarnation = "i2"}},
          .audit = {{.at = {1}, .verb = "a"}, {.at = {2}, .verb = "b"}}});
  const auto read = reader();
  EXPECT_THAT(*read->dags(), ElementsAre(some_dag(), other));
  EXPECT_EQ(*read->dag_version("w1"), other);
  EXPECT_EQ(read->dag_version("x").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(read->newest_dag_version("x").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(read->workers(1)->at(0).seq, WorkerSeq{2});
  EXPECT_EQ((*read->worker({1}))->incarnation, "i1");
  EXPECT_EQ(*read->worker({3}), std::nullopt);
  EXPECT_EQ(read->audit(1)->at(0).row.verb, "b");
  EXPECT_EQ(read->audit(10, 2)->at(0).row.verb, "a");
}

TEST_F(SqliteReader, WalksNoTableFromEndToEndForAPage) {
  commit(first_changes());
  sqlite::SqliteMetaReader read(path, std::chrono::seconds(10));
  (void)read.runs({.dag = "nightly", .before = RunSeq{5}});
  (void)read.runs({.state = RunState::kFailed});
  (void)read.runs({.dag = "nightly", .state = RunState::kFailed});
  (void)read.run(run_id(1).text());
  (void)read.run("01HF");
  (void)read.run_by_request("r");
  (void)read.state_counts(some_run());
  (void)read.tasks({1}, {});
  (void)read.tasks({1}, {.state = TaskState::kFailed});
  (void)read.attempts({{1}, 0});
  (void)read.earlier_attempts({1}, 10);
  (void)read.artifacts({1}, 0);
  (void)read.inputs({1}, std::nullopt);
  (void)read.values({1}, 0);
  (void)read.fan_outs({1});
  (void)read.cache_uses({1}, std::nullopt);
  (void)read.cache_entry({.scope = "dag a", .sha256 = "b"});
  (void)read.cache_entries("dag a", "t", "", 10);
  for (const bool newest : {false, true}) {
    (void)read.assets({.newest_only = newest, .before = AssetVersionId{9}});
    (void)read.assets({.uri = "model", .newest_only = newest});
  }
  (void)read.artifact_by_key("k");
  (void)read.consumers("k", 10);
  (void)read.object_readers("s3://b/k", 10);
  (void)read.alias_history("m", "a");
  (void)read.resolve_alias("m", "a");
  (void)read.alias_moves_of({1});
  (void)read.dag_version("v1");
  (void)read.dag_version("aaaaaaaa");
  (void)read.backfills({.dag = "nightly"});
  (void)read.backfill({1});
  (void)read.run_counts({1});
  (void)read.newest_of_dates("nightly", {{1}});
  (void)read.newest_before("nightly", {1});
  (void)read.runs({.backfill = {1}});
  (void)read.newest_dag_version("nightly");
  const auto plans = read.plans();
  EXPECT_THAT(plans, SizeIs(testing::Ge(25U)));
  for (const auto& [sql, plan] : plans) EXPECT_THAT(plan, Not(HasSubstr("SCAN"))) << sql;
}

TEST_F(SqliteReader, OrdersPagesByTheirKeyWithoutSorting) {
  sqlite::SqliteMetaReader read(path, std::chrono::seconds(10));
  (void)read.runs({});
  (void)read.runs({.dag = "nightly", .state = RunState::kFailed});
  (void)read.tasks({1}, {.state = TaskState::kFailed});
  (void)read.consumers("k", 10);
  (void)read.object_readers("s3://b/k", 10);
  (void)read.newest_of_dates("nightly", {{1}});
  (void)read.newest_before("nightly", {1});
  (void)read.cache_entries("dag a", "t", "", 10);
  (void)read.assets({.uri = "model", .newest_only = false});
  for (const auto& [sql, plan] : read.plans()) EXPECT_THAT(plan, Not(HasSubstr("TEMP B-TREE"))) << sql;
}

TEST_F(SqliteReader, EndsAReadThatTakesTooLongAndServesTheNext) {
  Persist changes = first_changes();
  for (std::uint32_t i = 0; i < 20'000; ++i) changes.tasks.push_back(insertion(some_task(i)));
  commit(changes);
  sqlite::SqliteMetaReader read(path, std::chrono::microseconds(0));
  const auto counts = read.state_counts(some_run());
  ASSERT_FALSE(counts);
  EXPECT_EQ(counts.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(counts.error().message, HasSubstr("took too long"));
  EXPECT_TRUE(read.run_by_seq({1}));
}

TEST_F(SqliteReader, CannotWrite) {
  sqlite::Connection connection(path, SQLITE_OPEN_READONLY);
  EXPECT_THROW(connection.execute("UPDATE store SET epoch = 7"), sqlite::Failed);
}

TEST_F(SqliteReader, SeesEachCommitAtOnceAndNoSnapshotOutlivesACall) {
  commit(first_changes());
  const auto read = reader();
  for (std::uint32_t i = 0; i < 50; ++i) {
    commit({.tasks = {insertion(some_task(i))}});
    EXPECT_THAT(*read->tasks({1}, {}), SizeIs(i + 1));
  }
}

TEST_F(SqliteReader, ComesAndGoesWhileTheLogIsMovedAndStartedAnew) {
  open({.checkpoint_bytes = 1 << 16, .log_bytes_max = 1 << 18});
  commit(first_changes());
  const auto read = reader();
  for (std::uint32_t batch = 0; batch < 100; ++batch) {
    Persist changes;
    for (std::uint32_t i = 0; i < 100; ++i) changes.tasks.push_back(insertion(some_task(batch * 100 + i)));
    commit(changes);
    ASSERT_TRUE(store->checkpoint_if_due());
    ASSERT_THAT(*read->tasks({1}, {.limit = 10'000}), SizeIs((batch + 1) * 100));
  }
  EXPECT_LT(std::filesystem::file_size(path.native() + "-wal"), std::uint64_t{1} << 19);
  EXPECT_EQ(ask("PRAGMA integrity_check"), "ok");
}

TEST_F(SqliteReader, ThatHoldsASnapshotNeitherStopsCommitsNorKeepsTheLogLongForEver) {
  open({.checkpoint_bytes = 1 << 16, .log_bytes_max = 1 << 16});
  commit(first_changes());
  sqlite::Connection holder(path, SQLITE_OPEN_READONLY);
  holder.execute("BEGIN; SELECT count(*) FROM tasks");
  std::uint32_t next = 0;
  const auto commit_some = [&] {
    for (std::uint32_t last = next + 300; next < last; ++next) commit({.tasks = {insertion(some_task(next))}});
  };
  commit_some();
  const auto log_size = [&] { return std::filesystem::file_size(path.native() + "-wal"); };
  EXPECT_GT(log_size(), std::uint64_t{1} << 20);
  holder.execute("COMMIT");
  commit_some();
  const auto released = log_size();
  commit_some();
  EXPECT_EQ(log_size(), released);  // It is written from its beginning again and again.
}

TEST_F(SqliteReader, ShowsPeopleNamesAndTimesInViews) {
  Persist changes = first_changes();
  TaskRow task = some_task();
  task.state = TaskState::kFailed;
  task.end = some_end();
  task.end.ended_at = {1'700'000'000'500'000};
  changes.tasks = {insertion(task)};
  changes.attempts = {{.key = task.key, .attempt = {7}, .attempt_no = 1, .worker = {1}}};
  changes.workers = {{.seq = {1}, .incarnation = "i", .name = "w1", .host = "h1"}};
  changes.asset_versions = {some_version(1)};
  changes.aliases = {{.model = "m", .alias = "champion", .version = {1}, .by = "anna", .at = {1}}};
  commit(changes);
  EXPECT_EQ(ask("SELECT state || ' ' || reason || ' ' || worker || ' ' || ended_at FROM task_list"),
            "failed exit_code w1 2023-11-14T22:13:20.500Z");
  EXPECT_EQ(ask("SELECT group_concat(attempt || ' ' || state, ', ') FROM (SELECT * FROM attempts ORDER BY attempt)"),
            "0000000000000007 success, 0000000100000001 failed");
  EXPECT_EQ(ask("SELECT state || ' ' || requested_by FROM run_list"), "running anna");
  EXPECT_EQ(ask("SELECT uri FROM aliases"), "s3://b/model");
}

TEST_F(SqliteReader, NamesStatesAndReasonsAsTheEngineDoes) {
  for (int i = 0; i < static_cast<int>(kTaskStates); ++i) {
    EXPECT_EQ(ask("SELECT name FROM task_states WHERE id = " + std::to_string(i)), name_of(static_cast<TaskState>(i)));
  }
  EXPECT_EQ(ask("SELECT count(*) FROM task_states"), std::to_string(kTaskStates));
  for (int i = 0; i <= static_cast<int>(Reason::kUpstream); ++i) {
    EXPECT_EQ(ask("SELECT name FROM reasons WHERE id = " + std::to_string(i)), name_of(static_cast<Reason>(i)));
  }
  for (int i = 0; i <= static_cast<int>(RunState::kCancelled); ++i) {
    EXPECT_EQ(ask("SELECT name FROM run_states WHERE id = " + std::to_string(i)), name_of(static_cast<RunState>(i)));
  }
}

}  // namespace
}  // namespace chappe
