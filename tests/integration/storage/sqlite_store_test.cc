// Everything a transaction can hold comes back as it went in, also from a store opened anew.
#include <fmt/format.h>

#include "tests/integration/storage/sqlite_fixture.h"

namespace chappe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

WorkerRow some_worker() {
  return {.seq = {1},
          .incarnation = std::string(32, 'b'),
          .name = "w1",
          .host = "h1",
          .cpu_milli = 2000,
          .memory_bytes = std::uint64_t{1} << 34,
          .joined_at = {51},
          .key = std::string(40, 'k'),
          .pod = "chappe-1"};
}
ArtifactRow some_artifact(const TaskRow& task) {
  return {.key = task.key,
          .attempt = task.attempt,
          .object = {.name = "model",
                     .key = "runs/k1",
                     .size = 61,
                     .sha256 = std::string(64, 'c'),
                     .packed = true,
                     .etag = "\"e\"",
                     .asset_uri = "s3://b/model",
                     .asset_name = "model",
                     .upload = "u-1"},
          .asset = {1}};
}
InputRow some_input(const TaskRow& task) {
  return {.key = task.key,
          .attempt = task.attempt,
          .object = {.name = "raw",
                     .path = "in/raw",
                     .key = "runs/k0",
                     .size = 71,
                     .sha256 = std::string(64, 'd'),
                     .packed = true,
                     .asset = {7},
                     .producer = {{1}, 3},
                     .producer_attempt = {0x100000009ULL},
                     .s3 = "s3://bucket/raw",
                     .etag = "e",
                     .store_version = "v"}};
}
ValueRow some_value(const TaskRow& task) {
  return {.key = task.key,
          .attempt = task.attempt,
          .value = {.name = "precision", .value = ValueMap{{"p", 0.1}, {"n", 3}, {"s", "\"\n"}}, .metric = true},
          .at = {81}};
}

using SqliteStore = SqliteStoreTest;

TEST_F(SqliteStore, IsEmptyAtFirstAndRaisesItsEpochWithEachOpening) {
  open();
  const std::uint32_t first = load().epoch;
  EXPECT_THAT(load().runs, IsEmpty());
  open();
  EXPECT_GT(load().epoch, first);
}

TEST_F(SqliteStore, HasAnEpochThatFollowsTheClockSoThatARestoredOneGoesOnPastAll) {
  open();
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto since_2026 = now - std::chrono::seconds(1'767'225'600);
  EXPECT_GE(load().epoch, since_2026 / std::chrono::minutes(5) - 1);
}

TEST_F(SqliteStore, GivesBackEveryFieldOfALiveRun) {
  open();
  Persist changes = first_changes();
  changes.runs[0].request_id = "request-1";
  changes.runs[0].message = "m";
  changes.runs[0].stop = Stop::kFailFast;
  changes.runs[0].generation = 3;
  TaskRow task = some_task();
  task.allowed = true;
  task.user_tries = 2;
  task.infra_tries = 3;
  task.retry_at = {23};
  task.end = some_end();
  changes.workers = {some_worker()};
  changes.tasks = {insertion(task)};
  changes.artifacts = {some_artifact(task)};
  changes.values = {some_value(task)};
  changes.fan_outs = {{task.key.run, 0, ValueList{"b", "a"}}, {task.key.run, 0, ValueList{}}};
  commit(changes);
  open();
  const StoredState state = load();
  ASSERT_THAT(state.runs, SizeIs(1));
  EXPECT_EQ(state.runs[0].row, changes.runs[0]);
  EXPECT_EQ(state.runs[0].dag_source, "name: nightly\n");
  EXPECT_EQ(state.runs[0].dag, nullptr);
  EXPECT_THAT(state.runs[0].tasks, ElementsAre(task));
  EXPECT_THAT(state.runs[0].artifacts, ElementsAre(some_artifact(task)));
  EXPECT_THAT(state.runs[0].values, ElementsAre(some_value(task)));
  EXPECT_EQ(state.runs[0].fan_outs, changes.fan_outs);
  EXPECT_THAT(state.workers, ElementsAre(some_worker()));
  EXPECT_EQ(state.last_run, RunSeq{1});
  EXPECT_EQ(state.last_worker, WorkerSeq{1});
}

TEST_F(SqliteStore, GivesBackEveryFieldThatOnlyReadersAskFor) {
  open();
  Persist changes = first_changes();
  const TaskRow task = some_task();
  const AttemptRow earlier{
      .key = task.key, .attempt = {9}, .attempt_no = 4, .worker = {1}, .queued_at = {91}, .end = some_end()};
  const AuditRow audit{.at = {92},
                       .principal = "anna",
                       .verb = "run.submit",
                       .object = "run 01J",
                       .detail = "{}",
                       .source = "192.0.2.7",
                       .result = "denied"};
  changes.tasks = {insertion(task)};
  changes.attempts = {earlier};
  changes.inputs = {some_input(task)};
  changes.datasets = {{task.key, {7}, true, "db://mart"}, {task.key, {7}, false, "db://mart"}};
  changes.audit = {audit};
  changes.workers = {some_worker()};
  commit(changes);
  const auto read = reader();
  EXPECT_EQ(read->attempts(task.key)->task, task);
  EXPECT_THAT(read->attempts(task.key)->earlier, ElementsAre(earlier));
  EXPECT_THAT(*read->inputs({1}, 0), ElementsAre(some_input(task)));
  EXPECT_EQ(*read->datasets({1}, 0), changes.datasets);
  EXPECT_THAT(*read->dataset_uses("db://mart", false, 10), ElementsAre(changes.datasets[1]));
  EXPECT_THAT(*read->dataset_uses("db://other", false, 10), IsEmpty());
  EXPECT_EQ(read->audit(10)->at(0).row, audit);
  EXPECT_THAT(*read->workers(10), ElementsAre(some_worker()));
  EXPECT_THAT(*read->dags(), ElementsAre(some_dag()));
}

TEST_F(SqliteStore, LearnsOnceWhoTheWorkerOfAPodIs) {
  open();
  WorkerRow worker = some_worker();
  worker.incarnation = worker.pod;
  worker.host.clear();
  commit({.workers = {worker}});
  commit({.workers = {some_worker()}});
  EXPECT_THAT(*reader()->workers(10), ElementsAre(some_worker()));
  worker.incarnation = std::string(32, 'c');
  EXPECT_FALSE(store->commit({.workers = {worker}}).has_value()) << "it is known already";
}

TEST_F(SqliteStore, UpdatesTheChangingFieldsOfRunsTasksAndWorkers) {
  open();
  Persist changes = first_changes();
  changes.tasks = {insertion(some_task())};
  changes.workers = {some_worker()};
  commit(changes);

  RunRow run = some_run();
  run.stop = Stop::kCancel;
  run.generation = 2;
  run.message = "again";
  run.started_at = {16};
  run.late_at = {18};
  run.ended_at = {17};
  TaskRow task = some_task();
  task.state = TaskState::kRunning;
  task.end = some_end();
  WorkerRow worker = some_worker();
  worker.name = "w1b";
  worker.cpu_milli = 1;
  worker.memory_bytes = 2;
  worker.lost_at = {52};
  commit({.run_changes = {{.row = run, .expect_state = RunState::kRunning}},
          .workers = {worker},
          .tasks = {change(some_task(), task)}});
  const StoredState state = load();
  EXPECT_EQ(state.runs.at(0).row, run);
  EXPECT_THAT(state.runs.at(0).tasks, ElementsAre(task));
  EXPECT_THAT(state.workers, ElementsAre(worker));
}

TEST_F(SqliteStore, AppliesSeveralChangesOfOneTaskInTheirOrder) {
  open();
  Persist changes = first_changes();
  TaskRow running = some_task();
  running.state = TaskState::kRunning;
  TaskRow done = running;
  done.state = TaskState::kSuccess;
  changes.tasks = {insertion(some_task()), change(some_task(), running), change(running, done)};
  commit(changes);
  EXPECT_THAT(load().runs.at(0).tasks, ElementsAre(done));
}

TEST_F(SqliteStore, KeepsAnAttemptThatEndedWhenTheNextOneTakesItsPlace) {
  open();
  Persist changes = first_changes();
  TaskRow resting = some_task();
  resting.state = TaskState::kUpForRetry;
  resting.end = some_end();
  TaskRow second = resting;
  second.state = TaskState::kQueued;
  second.attempt = {resting.attempt.value + 1};
  ++second.attempt_no;
  second.end = {};
  TaskRow third = second;  // The second one never ended: it was given back.
  third.attempt = {resting.attempt.value + 2};
  changes.tasks = {insertion(some_task()), change(some_task(), resting), change(resting, second),
                   change(second, third)};
  commit(changes);
  const AttemptRow first{resting.key,    resting.attempt,   resting.attempt_no,
                         resting.worker, resting.queued_at, resting.end};
  EXPECT_THAT(reader()->attempts(resting.key)->earlier, ElementsAre(first));
  EXPECT_EQ(reader()->attempts(resting.key)->task, third);
}

TEST_F(SqliteStore, AddsTheImageOfAPodWheneverItIsTold) {
  open();
  Persist changes = first_changes();
  TaskRow first = some_task();
  first.state = TaskState::kUpForRetry;
  first.end = some_end();
  first.end.image.clear();
  TaskRow second = first;
  second.state = TaskState::kRunning;
  second.attempt = {first.attempt.value + 1};
  ++second.attempt_no;
  second.end = {};
  changes.tasks = {insertion(some_task()), change(some_task(), first), change(first, second)};
  commit(changes);
  EXPECT_EQ(reader()->attempts(first.key)->task.end.image, "") << "its node has not said";
  Persist told;  // Of both at once, that of the first long after its end; a node may say it twice.
  told.attempt_images = {
      {first.attempt, "tasks@sha256:1"}, {second.attempt, "tasks@sha256:2"}, {first.attempt, "other@sha256:3"}};
  commit(told);
  const auto read = reader();
  const auto history = read->attempts(first.key);
  EXPECT_EQ(history->task.end.image, "tasks@sha256:2");
  ASSERT_EQ(history->earlier.size(), 1U);
  EXPECT_EQ(history->earlier[0].end.image, "tasks@sha256:1") << "the first word counts";
  EXPECT_EQ(read->tasks(first.key.run, {})->at(0).end.image, "tasks@sha256:2");
  EXPECT_EQ(read->earlier_attempts(first.key.run, 10)->at(0).end.image, "tasks@sha256:1");
}

TEST_F(SqliteStore, SaysTheImageOfItsEndWhereAWorkerToldIt) {
  open();
  Persist changes = first_changes();
  TaskRow task = some_task();
  task.state = TaskState::kSuccess;
  task.end = some_end();
  task.end.image = "worker@sha256:1";
  changes.tasks = {insertion(some_task()), change(some_task(), task)};
  changes.attempt_images = {{task.attempt, "node@sha256:2"}};
  commit(changes);
  EXPECT_EQ(reader()->attempts(task.key)->task.end.image, "worker@sha256:1");
}

TEST_F(SqliteStore, LoadsOnlyRunsThatAreNotFinalButAnyRunByItsId) {
  open();
  Persist changes = first_changes(4);
  changes.runs[0].state = RunState::kSuccess;
  changes.runs[1].state = RunState::kQueued;
  changes.runs[3].state = RunState::kCancelled;
  changes.tasks = {insertion(some_task(5, 1))};
  commit(changes);
  const StoredState state = load();
  ASSERT_THAT(state.runs, SizeIs(2));
  EXPECT_EQ(state.runs[0].row.seq, RunSeq{2});
  EXPECT_EQ(state.runs[1].row.seq, RunSeq{3});
  EXPECT_EQ(state.last_run, RunSeq{4});
  const auto from = reader();
  EXPECT_THAT(from->load_run(run_id(1))->tasks, ElementsAre(some_task(5, 1)));
  EXPECT_EQ(from->load_run(run_id(77)).error().code, ErrorCode::kNotFound);
}

TEST_F(SqliteStore, LoadsObjectsAndValuesOfTheLatestAttemptsOnly) {
  open();
  Persist changes = first_changes();
  TaskRow old = some_task();
  old.attempt = {5};
  changes.tasks = {insertion(some_task())};
  changes.artifacts = {some_artifact(old), some_artifact(some_task())};
  changes.values = {some_value(old), some_value(some_task())};
  commit(changes);
  const StoredState state = load();
  EXPECT_THAT(state.runs.at(0).artifacts, ElementsAre(some_artifact(some_task())));
  EXPECT_THAT(state.runs.at(0).values, ElementsAre(some_value(some_task())));
  EXPECT_THAT(*reader()->artifacts({1}, std::nullopt), SizeIs(2));
}

TEST_F(SqliteStore, LoadsTheNewestPublishedVersionOfEachUriAndThoseThatAliasesName) {
  open();
  Persist changes = first_changes();
  for (std::uint64_t id = 1; id <= 4; ++id) changes.asset_versions.push_back(some_version(id));
  changes.asset_versions.push_back(some_version(5, "s3://b/other"));
  changes.published = {{.id = {3}, .at = {95}, .etag = "e3", .store_version = "sv"}, {.id = {2}, .at = {96}}};
  const AliasRow first{.model = "model", .alias = "champion", .version = {2}, .by = "anna", .at = {97}};
  const AliasRow second{.model = "model",
                        .alias = "champion",
                        .version = {1},
                        .previous = {2},
                        .by_task = {{1}, 4},
                        .by_attempt = {6},
                        .by = "run X",
                        .at = {98}};
  changes.aliases = {first, second};
  commit(changes);
  const StoredState state = load();
  AssetVersion third = some_version(3);
  third.published_at = {95};
  third.etag = "e3";
  third.store_version = "sv";
  EXPECT_THAT(state.assets, ElementsAre(some_version(1), third));
  EXPECT_THAT(state.aliases, ElementsAre(second));
  EXPECT_EQ(state.last_asset_version, AssetVersionId{5});
}

TEST_F(SqliteStore, LoadsTheSameStateTwiceAndAfterARestart) {
  open();
  Persist changes = first_changes(2);
  for (std::uint32_t i = 0; i < 100; ++i) changes.tasks.push_back(insertion(some_task(i)));
  changes.workers = {some_worker()};
  commit(changes);
  const StoredState before = load();
  const StoredState again = load();
  open();
  const StoredState after = load();
  for (const StoredState* state : {&again, &after}) {
    ASSERT_EQ(state->runs.size(), before.runs.size());
    EXPECT_EQ(state->runs[0].row, before.runs[0].row);
    EXPECT_EQ(state->runs[0].tasks, before.runs[0].tasks);
    EXPECT_EQ(state->workers, before.workers);
  }
}

TEST_F(SqliteStore, KeepsADagVersionOnceAndMakesTheOneSubmittedLastTheNewest) {
  open();
  DagVersionRow second = some_dag("v2");
  second.created_at = {2'000'000};
  commit({.dag_versions = {some_dag(), second}});
  EXPECT_EQ(reader()->newest_dag_version("nightly")->version, "v2");
  DagVersionRow back = some_dag();
  back.created_at = {3'000'000};
  commit({.dag_versions = {back}});
  EXPECT_EQ(*reader()->newest_dag_version("nightly"), some_dag());
  EXPECT_EQ(ask("SELECT count(*) FROM dag_versions"), "2");
}

TEST_F(SqliteStore, KeepsTheFirstCommitThatIsKnownOfADagVersion) {
  open();
  DagVersionRow row = some_dag();
  commit({.dag_versions = {row}});
  for (const std::string commit_id : {"1111", "2222", ""}) {
    row.commit = commit_id;
    commit({.dag_versions = {row}});
    EXPECT_EQ(reader()->dag_version("v1")->commit, "1111");
  }
}

TEST_F(SqliteStore, ConfirmsThatItIsOursByACommitOfNothing) {
  open();
  EXPECT_TRUE(store->commit({}));
  ask("UPDATE store SET epoch = epoch + 1");
  const auto replaced = store->commit({});
  ASSERT_FALSE(replaced);
  EXPECT_EQ(replaced.error().code, ErrorCode::kConflict);
  EXPECT_THAT(replaced.error().message, HasSubstr("a newer scheduler has taken this store over"));
}

// ---- Guards -------------------------------------------------------------------------------------------------------

class SqliteGuards : public SqliteStoreTest {
 protected:
  void SetUp() override {
    SqliteStoreTest::SetUp();
    open();
    Persist changes = first_changes();
    changes.tasks = {insertion(some_task())};
    changes.workers = {some_worker()};
    commit(changes);
  }
  /// Commits `changes` beside a row that must not stay, and expects a conflict that tells `what`.
  void expect_conflict(Persist changes, const std::string& what) {
    changes.dag_versions.push_back(some_dag("must not stay"));
    const auto done = store->commit(changes);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::kConflict);
    EXPECT_THAT(done.error().message, HasSubstr(what));
    EXPECT_EQ(ask("SELECT count(*) FROM dag_versions"), "1");
    EXPECT_THAT(store->commit({}).error().message, HasSubstr("restart to go on"));
    EXPECT_FALSE(store->load());
    EXPECT_FALSE(store->checkpoint_if_due());
  }
  TaskRow running() {
    TaskRow row = some_task();
    row.state = TaskState::kRunning;
    return row;
  }
};

TEST_F(SqliteGuards, RefuseATaskInAnotherState) {
  TaskRow expected = some_task();
  expected.state = TaskState::kCommitting;
  expect_conflict({.tasks = {change(expected, running())}},
                  "task instance 0 of run 1: expected committing with attempt 0000000100000001, found queued with "
                  "attempt 0000000100000001");
}

TEST_F(SqliteGuards, RefuseATaskOfAnotherAttempt) {
  TaskRow expected = some_task();
  expected.attempt = {2};
  expect_conflict({.tasks = {change(expected, running())}}, "expected queued with attempt 0000000000000002");
}

TEST_F(SqliteGuards, RefuseToChangeATaskThatIsNotThere) {
  expect_conflict({.tasks = {change(some_task(7), some_task(7))}}, "task instance 7 of run 1");
}

TEST_F(SqliteGuards, RefuseToInsertATaskThatIsThere) {
  expect_conflict({.tasks = {insertion(running())}}, "expected no row, found queued");
}

TEST_F(SqliteGuards, RefuseARunInAnotherState) {
  expect_conflict({.run_changes = {{.row = some_run(), .expect_state = RunState::kQueued}}},
                  "expected queued, found running");
}

TEST_F(SqliteGuards, RefuseARunOfAnotherName) {
  RunRow other = some_run();
  other.id = run_id(99);
  expect_conflict({.run_changes = {{.row = other, .expect_state = RunState::kRunning}}}, "found no row");
}

TEST_F(SqliteGuards, RefuseASecondRunWithTheSameRequestId) {
  RunRow second = some_run(2);
  second.request_id = "r";
  RunRow third = some_run(3);
  third.request_id = "r";
  expect_conflict({.runs = {second, third}}, "runs.request_id");
}

TEST_F(SqliteGuards, RefuseASecondRunWithTheSameId) {
  RunRow second = some_run(2);
  second.id = run_id(1);
  expect_conflict({.runs = {second}}, "runs.id");
}

TEST_F(SqliteGuards, RefuseARunOfADagVersionThatNobodyStored) {
  RunRow second = some_run(2);
  second.dag_version = "unknown";
  expect_conflict({.runs = {second}}, "FOREIGN KEY");
}

TEST_F(SqliteGuards, RefuseAWorkerThatTakesTheNumberOfAnother) {
  WorkerRow other = some_worker();
  other.incarnation = std::string(32, 'e');
  expect_conflict({.workers = {other}}, "worker 1");
}

TEST_F(SqliteGuards, RefuseToPublishAnUnknownAssetVersion) {
  expect_conflict({.published = {{.id = {12}, .at = {1}}}}, "asset version 12");
}

TEST_F(SqliteGuards, FenceAWriterOnceAnotherHasOpenedTheStore) {
  // Somebody removed the lock file, so that the second one gets in.
  std::filesystem::remove(directory / "lock");
  auto second = SqliteMetaStore::open(path);
  ASSERT_TRUE(second) << second.error().message;
  const std::uint32_t newer = (*second)->load()->epoch;
  expect_conflict({.tasks = {change(some_task(), running())}},
                  fmt::format("its epoch is {}, ours is {}", newer, newer - 1));
  EXPECT_TRUE((*second)->commit({.tasks = {change(some_task(), running())}}));
}

}  // namespace
}  // namespace chappe
