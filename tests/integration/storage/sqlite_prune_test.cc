// Which runs may go, why the others stay, and what is left of those that went, on a real SQLite file.
#include "engine/run/prune.h"
#include "tests/integration/storage/sqlite_fixture.h"

namespace chappe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

class SqlitePrune : public SqliteStoreTest {
 protected:
  void SetUp() override {
    SqliteStoreTest::SetUp();
    open();
    commit({.dag_versions = {some_dag()}});
    // The newest of the DAG in every respect, which stays whatever is told of the others.
    commit({.runs = {run(200)}});
  }

  static RunRow run(std::uint32_t seq, std::int64_t ended = 0) {
    RunRow out = some_run(seq);
    out.state = RunState::kSuccess;
    out.logical_time = {seq * 1'000};
    out.ended_at = {ended == 0 ? seq * 10 : ended};
    out.created_at = {seq * 10 - 5};
    out.rerun_of = {};
    out.instances = 2;
    return out;
  }

  static ArtifactRow artifact(std::uint32_t run, const std::string& key) {
    ArtifactRow row{.key = {{run}, 0}, .attempt = {run}};
    row.object.name = "out";
    row.object.key = key;
    return row;
  }

  static InputRow input(std::uint32_t run, const std::string& key, std::uint32_t producer) {
    InputRow row{.key = {{run}, 1}, .attempt = {run + 100}};
    row.object.key = key;
    row.object.producer = {{producer}, 0};
    return row;
  }

  static RunPruned pruned(std::uint32_t seq) {
    return {{seq}, run_id(static_cast<std::uint8_t>(seq)), RunState::kSuccess, 1, {5'000}};
  }

  PruneLooked look(PruneQuery query = {.before = {1'000}}) {
    const auto found = reader()->prunable(query);
    EXPECT_TRUE(found) << found.error().message;
    return found.value_or(PruneLooked{});
  }

  Kept kept(std::uint32_t seq) {
    for (const PruneCandidate& each : look().runs) {
      if (each.row.seq.value == seq) return each.kept;
    }
    ADD_FAILURE() << "run " << seq << " is no candidate";
    return Kept::kNot;
  }
};

TEST_F(SqlitePrune, FindsWhatEndedBeforeATimeThoseThatEndedLastFirst) {
  commit({.runs = {run(1), run(2), run(3, 7)}});
  const PruneLooked all = look();
  ASSERT_THAT(all.runs, SizeIs(3));
  EXPECT_EQ(all.runs[0].row, run(2));
  EXPECT_EQ(all.runs[1].row, run(1));
  EXPECT_EQ(all.runs[2].row, run(3, 7));
  EXPECT_TRUE(all.last);
  EXPECT_EQ(all.end, (PrunePlace{{7}, {3}}));
  EXPECT_THAT(look({.before = {20}}).runs, SizeIs(2)) << "the end is not before itself";
  EXPECT_THAT(look({.before = {1'000}, .after = {{10}, {1}}}).runs, SizeIs(1));
  EXPECT_THAT(look({.before = {1'000}, .dag = "other"}).runs, IsEmpty());
  EXPECT_THAT(look({}).runs, IsEmpty());
}

TEST_F(SqlitePrune, GoesOnWhereALookWasFull) {
  Persist changes;
  for (std::uint32_t seq = 1; seq <= kPruneLooksMax + 2; ++seq) changes.runs.push_back(run(seq));
  commit(changes);
  const PruneLooked first = look();
  EXPECT_THAT(first.runs, SizeIs(kPruneLooksMax));
  EXPECT_FALSE(first.last);
  const PruneLooked rest = look({.before = {1'000}, .after = first.end});
  EXPECT_THAT(rest.runs, SizeIs(2));
  EXPECT_TRUE(rest.last);
}

TEST_F(SqlitePrune, GoesThroughALargeRunPieceByPiece) {
  RunRow large = run(1);
  large.instances = kPruneInstancesMax + 1;
  ArtifactRow last = artifact(1, "k");
  last.key.index = kPruneInstancesMax;
  commit({.runs = {large, run(2)}, .inputs = {input(2, "k", 1)}, .artifacts = {last}});
  commit({.pruned = {pruned(2)}});
  commit({.prune_rows = {{2}}});
  PruneLooked looked = look();
  ASSERT_THAT(looked.runs, SizeIs(1));
  EXPECT_EQ(looked.runs[0].next, kPruneInstancesMax);
  EXPECT_FALSE(looked.last);
  looked = look({.before = {1'000}, .from = kPruneInstancesMax});
  EXPECT_EQ(looked.runs[0].next, 0U);
  EXPECT_EQ(looked.runs[0].kept, Kept::kNot);
}

TEST_F(SqlitePrune, KeepsTheNewestOfADag) {
  RunRow failed = run(3);
  failed.state = RunState::kFailed;
  RunRow later = run(1);
  later.logical_time = {900'000};
  RunRow other = run(2);
  other.dag = "alone";
  commit({.runs = {later, other, failed, run(4)}});
  EXPECT_EQ(kept(1), Kept::kNewest);
  EXPECT_EQ(kept(2), Kept::kNewest);
  EXPECT_EQ(kept(3), Kept::kNot);
  EXPECT_EQ(kept(4), Kept::kNot);
}

TEST_F(SqlitePrune, KeepsWhatRunsThatAreNotOverMayDependOn) {
  RunRow live = run(3);
  live.state = RunState::kRunning;
  live.ended_at = {};
  commit({.runs = {run(1), run(2), live}});
  EXPECT_EQ(kept(1), Kept::kNot);
  EXPECT_EQ(kept(2), Kept::kPast) << "it is the last before one that runs";
  BackfillRow backfill{.id = {1}, .dag = "nightly", .version = "v1"};
  commit({.backfills = {backfill}});
  EXPECT_EQ(kept(1), Kept::kPast);
}

TEST_F(SqlitePrune, KeepsRunsThatTasksStartedAsLongAsWhoStartedThem) {
  RunRow child = run(2);
  child.parent = {{{1}, 0}, {1}};
  RunRow grandchild = run(3);
  grandchild.parent = {{{2}, 0}, {1}};
  ArtifactRow asset = artifact(3, "k");
  commit({.runs = {run(1), child, grandchild}, .artifacts = {asset}});
  EXPECT_EQ(kept(1), Kept::kNot);
  EXPECT_EQ(kept(2), Kept::kParent);
  EXPECT_EQ(kept(3), Kept::kParent);
  asset.asset = {1};
  asset.object.key = "k2";
  commit({.asset_versions = {some_version(1)}, .artifacts = {asset}});
  EXPECT_EQ(kept(1), Kept::kChild);
}

TEST_F(SqlitePrune, KeepsWhatWaitsToBeTold) {
  NotificationRow notice{.id = 1, .run = {1}};
  TriggerEventRow event{.id = {1}, .dag = "after", .source = {EventSource::Kind::kDag, "nightly"}};
  event.key = run_id(2).text() + " 1";
  event.detail = event.params = ValueMap{};
  commit({.runs = {run(1), run(2)}, .events = {event}, .notifications = {notice}});
  EXPECT_EQ(kept(1), Kept::kNotice);
  EXPECT_EQ(kept(2), Kept::kEvent);
  commit(
      {.taken = {{.id = {1}, .run = {200}}}, .notification_changes = {{.id = 1, .state = NotificationState::kSent}}});
  EXPECT_EQ(kept(1), Kept::kNot);
  EXPECT_EQ(kept(2), Kept::kNot);
}

TEST_F(SqlitePrune, KeepsWhatOutlivesRuns) {
  AliasRow alias{.model = "m", .alias = "champion", .version = {1}, .by_task = {{1}, 0}, .by_attempt = {1}};
  StateRow state{.scope = "dag nightly", .name = "cursor", .value = std::int64_t{7}, .version = 1};
  state.by_task = {{2}, 1};
  state.by_attempt = {9};
  RunRow due = run(3);
  due.retention.due = {900};
  ArtifactRow asset = artifact(4, "k");
  asset.asset = {1};
  ArtifactRow forever = artifact(5, "k5");
  forever.retention = kForever;
  commit({.runs = {run(1), run(2), due, run(4), run(5)},
          .asset_versions = {some_version(1)},
          .artifacts = {asset, forever},
          .aliases = {alias},
          .states = {state}});
  EXPECT_EQ(kept(1), Kept::kAlias);
  EXPECT_EQ(kept(2), Kept::kState);
  EXPECT_EQ(kept(3), Kept::kRetention);
  EXPECT_EQ(kept(4), Kept::kAsset);
  EXPECT_EQ(kept(5), Kept::kRetention) << "its DAG says that an artifact is kept for ever";
}

TEST_F(SqlitePrune, KeepsWhatAnotherRunWasHandedAndNotWhatOneHandsItself) {
  commit({.runs = {run(1), run(2), run(3)},
          .inputs = {input(1, "own", 1), input(3, "of 2", 2)},
          .artifacts = {artifact(1, "own"), artifact(2, "of 2")}});
  EXPECT_EQ(kept(1), Kept::kNot);
  EXPECT_EQ(kept(2), Kept::kUsed);
  EXPECT_EQ(kept(3), Kept::kNot);
}

TEST_F(SqlitePrune, KeepsWhatIsUsedAgainAndLetsGoWhoUsesIt) {
  ArtifactRow borrowed = artifact(2, "of 1");
  borrowed.made_by = {{1}, 0};
  borrowed.made_by_attempt = {1};
  TaskRow maker = some_task(0, 3);
  maker.attempt = {77};
  CacheUseRow use{.key = {{4}, 0},
                  .attempt = {78},
                  .cache = {.scope = "dag nightly", .sha256 = "ab", .parts = {}},
                  .from = {77},
                  .told = ""};
  commit({.runs = {run(1), run(2), run(3), run(4)},
          .tasks = {insertion(maker)},
          .artifacts = {artifact(1, "of 1"), borrowed},
          .cache_uses = {use}});
  EXPECT_EQ(kept(1), Kept::kUsed);
  EXPECT_EQ(kept(2), Kept::kNot);
  EXPECT_EQ(kept(3), Kept::kUsed) << "of its result there may be values alone";
  EXPECT_EQ(kept(4), Kept::kNot);
}

TEST_F(SqlitePrune, KeepsTheLastWriterOfADatasetOutside) {
  const auto writes = [](std::uint32_t run) { return DatasetRow{{{run}, 0}, {run}, true, "postgres://db/t"}; };
  commit({.runs = {run(1), run(2)}, .datasets = {writes(1), writes(2)}});
  EXPECT_EQ(kept(1), Kept::kNot);
  EXPECT_EQ(kept(2), Kept::kDataset);
}

TEST_F(SqlitePrune, LeavesOneRowOfARunAndRemembersWhatItWasAskedBy) {
  Persist changes{.runs = {run(1)}, .fan_outs = {{{1}, 0, Value(ValueList{})}}};
  changes.runs[0].request_id = "once";
  TaskRow task = some_task(0, 1);
  changes.tasks = {insertion(task), insertion(some_task(1, 1))};
  changes.attempts = {{.key = {{1}, 0}, .attempt = {5}}};
  changes.attempt_images = {{{5}, "a"}, {task.attempt, "b"}};
  changes.artifacts = {artifact(1, "a")};
  changes.inputs = {input(1, "a", 1)};
  changes.values = {{.key = {{1}, 0}, .attempt = {1}}};
  CacheKey cache{.scope = "dag nightly", .sha256 = "ab", .parts = {}};
  changes.cache_uses = {{.key = {{1}, 0}, .attempt = {1}, .cache = cache, .from = {}, .told = ""}};
  changes.cache_entries = {
      {.cache = cache, .task = "t", .map_key = "", .run = run_id(1), .producer = {{1}, 0}, .attempt = {1}}};
  commit(changes);
  commit({.pruned = {pruned(1)}});
  open();
  ASSERT_THAT(load().pruning, SizeIs(1));
  EXPECT_EQ(load().pruning[0].pruned_at, WallTime{5'000});
  EXPECT_THAT(look({.marked = {{1}}}).emptied, IsEmpty());
  commit({.prune_rows = {{1}}});
  EXPECT_THAT(look({.marked = {{1}}}).emptied, ElementsAre(RunSeq{1}));
  commit({.prune_ended = {{1}}});
  open();
  EXPECT_THAT(load().pruning, IsEmpty());
  for (const char* table : {"tasks", "earlier_attempts", "artifacts", "inputs", "task_values", "fan_outs", "cache_uses",
                            "cache_entries", "attempt_images"}) {
    EXPECT_EQ(ask(std::string("SELECT count(*) FROM ") + table), "0") << table;
  }
  const RunRow left = *reader()->run_by_seq({1});
  EXPECT_EQ(left.pruned_at, WallTime{5'000});
  EXPECT_EQ(left.params_json, "{}");
  EXPECT_EQ(left.dag_version, "v1");
  EXPECT_EQ((*reader()->run_by_request("once"))->seq, RunSeq{1}) << "the same request makes no second run";
  EXPECT_THAT(*reader()->runs({}), SizeIs(1)) << "lists leave it out";
  EXPECT_THAT(look().runs, IsEmpty());
}

TEST_F(SqlitePrune, DeletesNoMoreRowsAtATimeThanItMay) {
  RunRow large = run(1);
  large.instances = kPruneRowsMax + 10;
  Persist changes{.runs = {large}};
  for (std::uint32_t i = 0; i < large.instances; ++i) changes.tasks.push_back(insertion(some_task(i, 1)));
  commit(changes);
  commit({.pruned = {pruned(1)}, .prune_rows = {{1}}});
  EXPECT_EQ(ask("SELECT count(*) FROM tasks"), "10");
  commit({.prune_rows = {{1}}});
  EXPECT_EQ(ask("SELECT count(*) FROM tasks"), "0");
}

TEST_F(SqlitePrune, MarksNothingThatChangedMeanwhile) {
  commit({.runs = {run(1), run(2)}});
  RunPruned older = pruned(1);
  older.expect_generation = 2;
  const auto refused = store->commit({.pruned = {older}});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("one that is over and not pruned"));
}

TEST_F(SqlitePrune, LetsNothingChangeARunThatIsPruned) {
  commit({.runs = {run(1)}});
  commit({.pruned = {pruned(1)}});
  RunRow again = run(1);
  again.state = RunState::kRunning;
  EXPECT_FALSE(store->commit({.run_changes = {{again, RunState::kSuccess}}}));
}

TEST_F(SqlitePrune, ReusesTheRoomOfWhatWent) {
  const auto fill = [&](std::uint32_t first) {
    for (std::uint32_t seq = first; seq < first + 20; ++seq) {
      Persist changes{.runs = {run(seq)}};
      changes.runs[0].instances = 50;
      for (std::uint32_t i = 0; i < 50; ++i) changes.tasks.push_back(insertion(some_task(i, seq)));
      commit(changes);
    }
  };
  fill(1);
  const std::string before = ask("PRAGMA page_count");
  Persist changes;
  for (std::uint32_t seq = 1; seq <= 20; ++seq)
    changes.pruned.push_back(pruned(seq)), changes.prune_rows.push_back({seq});
  commit(changes);
  fill(21);
  EXPECT_LE(std::stoul(ask("PRAGMA page_count")), std::stoul(before) + 8);
}

TEST_F(SqlitePrune, ListsWhatWasMadeInAStretchOfTimePageByPage) {
  commit({.runs = {run(1), run(2), run(3), run(4)}});  // Made at 5, 15, 25 and 35.
  const auto seqs = [&](RunFilter filter) {
    std::vector<std::uint32_t> out;
    const std::vector<RunRow> rows = *reader()->runs(filter);
    for (const RunRow& row : rows) out.push_back(row.seq.value);
    return out;
  };
  EXPECT_THAT(seqs({.created = {{15}, {35}}}), ElementsAre(3, 2)) << "the beginning is in it, the end is not";
  EXPECT_THAT(seqs({.created = {{}, {26}}, .limit = 2}), ElementsAre(3, 2));
  EXPECT_THAT(seqs({.created = {{}, {26}}, .before = RunSeq{2}}), ElementsAre(1));
  EXPECT_THAT(seqs({.dag = "nightly", .state = RunState::kSuccess, .created = {{30}, {}}, .limit = 1}),
              ElementsAre(200));
}

TEST_F(SqlitePrune, ListsTheAuditLogOfAStretchOfTime) {
  commit({.audit = {{.at = {10}, .verb = "a"}, {.at = {20}, .verb = "b"}, {.at = {30}, .verb = "c"}}});
  const auto rows = *reader()->audit(10, 0, {{10}, {30}});
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[0].row.verb, "b");
  EXPECT_EQ(reader()->audit(10, 2, {{5}, {}})->front().row.verb, "a");
}

TEST_F(SqlitePrune, GoesByItsIndexes) {
  const std::vector<std::pair<std::string, std::string>> expected{
      {"SELECT * FROM runs t WHERE t.pruned_at_us = 0 AND t.ended_at_us > 0 AND (t.ended_at_us, t.seq) < (9, 9) ORDER "
       "BY t.ended_at_us DESC, t.seq DESC LIMIT 9",
       "runs_by_end"},
      {"SELECT 1 FROM inputs i WHERE i.object_key = 'k' AND i.task < 3", "inputs_by_key"},
      {"SELECT 1 FROM artifacts WHERE task BETWEEN 1 AND 2 AND asset_version <> 0 LIMIT 1", "artifacts_of_assets"},
      {"SELECT * FROM runs t WHERE t.pruned_at_us = 0 AND t.created_at_us >= 1 AND t.created_at_us < 9 ORDER BY "
       "t.created_at_us DESC, t.seq DESC LIMIT 9",
       "runs_by_creation"}};
  sqlite::Connection connection(path, SQLITE_OPEN_READWRITE);
  for (const auto& [sql, index] : expected) {
    sqlite::Statement statement(connection, "EXPLAIN QUERY PLAN " + sql);
    std::string plan;
    for (statement.query(); statement.step();) {
      (void)statement.next<std::int64_t>(), (void)statement.next<std::int64_t>(), (void)statement.next<std::int64_t>();
      plan += statement.next<std::string>() + "; ";
    }
    EXPECT_THAT(plan, HasSubstr(index)) << sql;
    EXPECT_THAT(plan, testing::Not(HasSubstr("TEMP B-TREE"))) << sql;
  }
}

}  // namespace
}  // namespace chappe
