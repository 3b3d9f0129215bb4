#include "storage/sqlite/writer.h"

#include <set>
#include <string_view>
#include <utility>

#include "engine/base/assert.h"
#include "storage/sqlite/tables.h"

namespace chappe::sqlite {
namespace {

/// "UPDATE tasks SET state = ?2, ... WHERE id = ?1 AND state = ?21 AND attempt = ?22"
std::string guarded_task_update() {
  std::string sql = "UPDATE tasks SET ";
  std::string_view columns = Table<TaskRow>::kColumns;
  columns.remove_prefix(columns.find(' ') + 1);  // Without the id.
  for (int position = 2; !columns.empty(); ++position) {
    const std::string_view column = columns.substr(0, columns.find(','));
    sql += fmt::format("{}{} = ?{}", position == 2 ? "" : ", ", column, position);
    columns.remove_prefix(std::min(columns.size(), column.size() + 2));
  }
  constexpr int kLast = columns_of<TaskRow>();
  return sql + fmt::format(" WHERE id = ?1 AND state = ?{} AND attempt = ?{}", kLast + 1, kLast + 2);
}

std::string name_of_row(InstanceKey key) { return fmt::format("task instance {} of run {}", key.index, key.run.value); }

[[noreturn]] void raise_conflict(std::string_view row, std::string_view expected, std::string_view found) {
  throw Failed{{ErrorCode::kConflict, fmt::format("{}: expected {}, found {} (another scheduler wrote to this store)",
                                                  row, expected, found)}};
}

/// The latest attempt of a task instance, if it ended, as a row of its history.
std::string kept_attempt() {
  const std::string columns(Table<AttemptRow>::kColumns);
  return "INSERT INTO earlier_attempts (" + columns + ") SELECT id" + columns.substr(columns.find(',')) +
         " FROM tasks WHERE id = ?1 AND attempt = ?2 AND ended_at_us <> 0";
}

}  // namespace

Writer::Writer(const Connection& connection)
    : connection_(connection),
      dag_version_(connection,
                   "INSERT INTO dag_versions (version, dag, source, created_at_us, git_commit, submitted_at_us) "
                   "VALUES (?1, ?2, ?3, ?4, ?5, ?4) ON CONFLICT (version) DO UPDATE SET submitted_at_us = "
                   "max(submitted_at_us, excluded.submitted_at_us), git_commit = CASE git_commit WHEN '' THEN "
                   "excluded.git_commit ELSE git_commit END WHERE excluded.submitted_at_us > submitted_at_us OR "
                   "(git_commit = '' AND excluded.git_commit <> '')"),
      run_(connection, insert_sql<RunRow>()),
      run_change_(connection,
                  "UPDATE runs SET state = ?3, stop = ?4, generation = ?5, instances = ?6, started_at_us = ?7, "
                  "ended_at_us = ?8, message = ?9, late_at_us = ?11, retention_due_us = ?12, retention_keep_us = ?13, "
                  "retention_keep_last = ?14, collected = ?15, outputs = ?16 WHERE seq = ?1 AND id = ?2 AND state = "
                  "?10 AND pruned_at_us = 0"),
      worker_(connection,
              insert_sql<WorkerRow>() +
                  " ON CONFLICT (seq) DO UPDATE SET name = excluded.name, cpu_milli = excluded.cpu_milli, "
                  "memory_bytes = excluded.memory_bytes, lost_at_us = excluded.lost_at_us, key = excluded.key, "
                  "incarnation = excluded.incarnation, host = excluded.host WHERE incarnation = excluded.incarnation "
                  "OR incarnation = pod"),
      task_(connection, insert_sql<TaskRow>() + " ON CONFLICT (id) DO NOTHING"),
      task_change_(connection, guarded_task_update()),
      attempt_(connection, insert_sql<AttemptRow>()),
      keep_attempt_(connection, kept_attempt()),
      attempt_image_(connection, insert_sql<AttemptImage>() + " ON CONFLICT DO NOTHING"),
      input_(connection, insert_sql<InputRow>()),
      dataset_(connection, insert_sql<DatasetRow>()),
      fan_out_(connection, insert_sql<FanOutRow>()),
      asset_version_(connection, insert_sql<AssetVersion>()),
      artifact_(connection, insert_sql<ArtifactRow>()),
      collected_(connection,
                 "UPDATE artifacts SET collected_at_us = ?4 WHERE task = ?1 AND attempt = ?2 AND name = ?3 AND "
                 "collected_at_us = 0"),
      doomed_(connection, "INSERT INTO doomed_objects VALUES (?1) ON CONFLICT DO NOTHING"),
      removed_(connection, "DELETE FROM doomed_objects WHERE object_key = ?1"),
      value_(connection, insert_sql<ValueRow>()),
      published_(connection,
                 "UPDATE asset_versions SET published_at_us = ?2, etag = ?3, store_version = ?4 WHERE id = ?1"),
      newest_(connection,
              "INSERT INTO newest_asset_versions (uri, id) SELECT uri, id FROM asset_versions WHERE id = ?1 AND "
              "published_at_us <> 0 ON CONFLICT (uri) DO UPDATE SET id = excluded.id WHERE excluded.id > id"),
      alias_(connection, insert_sql<AliasRow>()),
      token_(connection, insert_sql<TokenRow>()),
      revoke_(connection, "DELETE FROM tokens WHERE name = ?1 AND sha256 = ?2"),
      deployment_(connection,
                  insert_sql<DeploymentRow>() +
                      " ON CONFLICT (dag) DO UPDATE SET dag_version = excluded.dag_version, schedule = "
                      "excluded.schedule, origin = excluded.origin, paused = excluded.paused, removed = "
                      "excluded.removed, fired_to_us = excluded.fired_to_us, next_at_us = excluded.next_at_us, "
                      "deployed_by = excluded.deployed_by, deployed_at_us = excluded.deployed_at_us, message = "
                      "excluded.message, triggers = excluded.triggers, sources = excluded.sources, waits_for = "
                      "excluded.waits_for WHERE excluded.fired_to_us >= fired_to_us"),
      event_(connection, insert_sql<TriggerEventRow>()),
      take_event_(connection, "UPDATE trigger_events SET run = ?2 WHERE id = ?1 AND run = 0"),
      give_up_event_(connection, "DELETE FROM trigger_events WHERE id = ?1 AND run = 0"),
      sighting_(connection, insert_sql<SightingRow>() + " ON CONFLICT DO NOTHING"),
      sighting_change_(connection,
                       "UPDATE sightings SET stamp = ?4 WHERE dag = ?1 AND source = ?2 AND object = ?3 AND stamp = ?5"),
      sighting_gone_(connection, "DELETE FROM sightings WHERE dag = ?1 AND source = ?2 AND object = ?3 AND stamp = ?4"),
      sightings_gone_(connection, "DELETE FROM sightings WHERE dag = ?1 AND source = ?2"),
      state_(connection, insert_sql<StateRow>() + " ON CONFLICT DO NOTHING"),
      state_change_(connection,
                    "UPDATE states SET value = ?3, version = ?4, fence = ?5, by_task = ?6, by_attempt = ?7, changed_by "
                    "= ?8, at_us = ?9 WHERE scope = ?1 AND name = ?2 AND version = ?4 - 1 AND (?7 = 0 OR ?7 > fence)"),
      backfill_(connection,
                insert_sql<BackfillRow>() +
                    " ON CONFLICT (id) DO UPDATE SET state = excluded.state, done_us = excluded.done_us, made = "
                    "excluded.made, skipped = excluded.skipped, ended_at_us = excluded.ended_at_us, message = "
                    "excluded.message WHERE state < 2 AND excluded.made + excluded.skipped >= made + skipped"),
      notification_(connection, insert_sql<NotificationRow>() + " ON CONFLICT DO NOTHING"),
      notification_change_(connection,
                           "UPDATE notifications SET state = ?2, tries = ?3, ended_at_us = ?4, told = ?5 WHERE id = "
                           "?1 AND state = 0"),
      notification_trim_(connection, "DELETE FROM notifications WHERE id <= ?1 AND state <> 0"),
      cache_use_(connection,
                 insert_sql<CacheUseRow>() +
                     " ON CONFLICT (task) DO UPDATE SET attempt = excluded.attempt, scope = excluded.scope, sha256 = "
                     "excluded.sha256, parts = excluded.parts, from_attempt = excluded.from_attempt, told = CASE "
                     "excluded.told WHEN '' THEN told ELSE excluded.told END"),
      cache_forget_(connection,
                    "DELETE FROM cache_entries WHERE (scope, sha256) IN (SELECT scope, sha256 FROM cache_uses WHERE "
                    "task = ?1)"),
      cache_drop_(connection, "DELETE FROM cache_entries WHERE scope = ?1 AND sha256 = ?2 AND attempt = ?3"),
      cache_entry_(connection, replace_sql<CacheEntryRow>()),
      cache_count_(connection, "SELECT count(*) FROM cache_entries WHERE scope = ?1 AND task = ?2"),
      cache_trim_(connection,
                  "DELETE FROM cache_entries WHERE (scope, sha256) IN (SELECT scope, sha256 FROM cache_entries WHERE "
                  "scope = ?1 AND task = ?2 ORDER BY used_at_us LIMIT ?3)"),
      audit_(connection, insert_sql<AuditEntry>()),
      task_now_(connection, "SELECT state, attempt FROM tasks WHERE id = ?1"),
      run_now_(connection, "SELECT state FROM runs WHERE seq = ?1 AND id = ?2"),
      audit_end_(end_of_audit(connection)),
      eraser_(connection) {}

void Writer::write(const Persist& changes) {
  for (const DagVersionRow& row : changes.dag_versions) write(row);
  for (const RunRow& row : changes.runs) write_row(run_, row);
  for (const RunChange& change : changes.run_changes) write(change);
  for (const WorkerRow& row : changes.workers) write(row);
  for (const FanOutRow& row : changes.fan_outs) write_row(fan_out_, row);
  for (const TaskChange& change : changes.tasks) write(change);
  for (const AttemptRow& row : changes.attempts) write_row(attempt_, row);
  for (const AttemptImage& row : changes.attempt_images) write_row(attempt_image_, row);
  for (const InputRow& row : changes.inputs) write_row(input_, row);
  for (const DatasetRow& row : changes.datasets) write_row(dataset_, row);
  for (const AssetVersion& row : changes.asset_versions) write(row);
  for (const ArtifactRow& row : changes.artifacts) write_row(artifact_, row);
  for (const ArtifactCollected& collected : changes.collected) write(collected);
  for (const std::string& key : changes.doomed) doomed_.run(key);
  for (const std::string& key : changes.removed) removed_.run(key);
  for (const ValueRow& row : changes.values) write_row(value_, row);
  for (const AssetPublished& published : changes.published) write(published);
  for (const AliasRow& row : changes.aliases) write_row(alias_, row);
  for (const TokenChange& change : changes.tokens) write(change);
  for (const DeploymentRow& row : changes.deployments) write(row);
  for (const TriggerEventRow& row : changes.events) write_row(event_, row);
  for (const TriggerEventTaken& taken : changes.taken) write(taken);
  for (const SightingChange& change : changes.sightings) write(change);
  for (const StateRow& row : changes.states) write(row);
  for (const BackfillRow& row : changes.backfills) write(row);
  write_cache(changes);
  write_notifications(changes);
  eraser_.write(changes);
  for (const AuditRow& row : changes.audit) write(row);
}

void Writer::write_notifications(const Persist& changes) {
  for (const NotificationRow& row : changes.notifications) write_row(notification_, row);
  for (const NotificationChange& change : changes.notification_changes) {
    notification_change_.run(change.id, change.state, change.tries, change.ended_at, change.told);
  }
  const std::uint64_t newest = changes.notifications.empty() ? 0 : changes.notifications.back().id;
  if (newest > kNotificationsKept) notification_trim_.run(newest - kNotificationsKept);
}

/// Of each task that got entries, those that were used longest ago make room for them.
void Writer::write_cache(const Persist& changes) {
  for (const CacheUseRow& row : changes.cache_uses) write_row(cache_use_, row);
  for (const InstanceKey& key : changes.cache_forgets) cache_forget_.run(key);
  for (const CacheEntryRow& row : changes.cache_drops) cache_drop_.run(row.cache.scope, row.cache.sha256, row.attempt);
  std::set<std::pair<std::string_view, std::string_view>> grown;
  for (const CacheEntryRow& row : changes.cache_entries) {
    write_row(cache_entry_, row);
    grown.emplace(row.cache.scope, row.task);
  }
  for (const auto& [scope, task] : grown) {
    CHAPPE_ASSERT(cache_count_.query(scope, task).step());
    const auto entries = cache_count_.next<std::size_t>();
    cache_count_.reset();
    if (entries > kCacheEntriesMax) cache_trim_.run(scope, task, entries - kCacheEntriesMax);
  }
}

void Writer::write(const DagVersionRow& row) { write_row(dag_version_, row); }

void Writer::write(const RunChange& change) {
  const RunRow& row = change.row;
  run_change_.run(row.seq, row.id, row.state, row.stop, row.generation, row.instances, row.started_at, row.ended_at,
                  row.message, change.expect_state, row.late_at, row.retention.due, row.retention.keep,
                  row.retention.keep_last, row.retention.collected, row.outputs);
  if (connection_.changes() != 1) conflict(change);
}

void Writer::write(const WorkerRow& row) {
  write_row(worker_, row);
  if (connection_.changes() != 1) {
    raise_conflict(fmt::format("worker {}", row.seq.value), "incarnation " + row.incarnation, "another incarnation");
  }
}

void Writer::write(const TaskChange& change) {
  if (change.expect_row) {
    const bool replaced = change.expect_attempt && change.row.attempt != change.expect_attempt;
    if (replaced) keep_attempt_.run(change.row.key, change.expect_attempt);
    write_row(task_change_, change.row, change.expect_state, change.expect_attempt);
    if (connection_.changes() != 1) conflict(change);
    return;
  }
  CHAPPE_ASSERT(change.expect_state == TaskState::kNone && !change.expect_attempt);
  write_row(task_, change.row);
  if (connection_.changes() != 1) conflict(change);
}

void Writer::write(const AssetVersion& row) {
  write_row(asset_version_, row);
  if (row.published_at.is_set()) newest_.run(row.id);
}

void Writer::write(const AssetPublished& published) {
  published_.run(published.id, published.at, published.etag, published.store_version);
  if (connection_.changes() != 1) {
    raise_conflict(fmt::format("asset version {}", published.id.value), "a row", "none");
  }
  newest_.run(published.id);
}

void Writer::write(const ArtifactCollected& collected) {
  collected_.run(collected.key, collected.attempt, collected.name, collected.at);
  if (connection_.changes() == 1) return;
  raise_conflict(fmt::format("artifact '{}' of {}", collected.name, name_of_row(collected.key)),
                 "one that is not collected", "none, or one that is");
}

void Writer::write(const TokenChange& change) {
  if (!change.revoked) return write_row(token_, change.row);
  revoke_.run(change.row.name, change.row.sha256);
  if (connection_.changes() != 1) raise_conflict("token " + change.row.name, "a row", "none, or another token");
}

void Writer::write(const DeploymentRow& row) {
  write_row(deployment_, row);
  if (connection_.changes() != 1) raise_conflict("deployed DAG " + row.dag, "an earlier time", "a later one");
}

void Writer::write(const TriggerEventTaken& taken) {
  if (taken.run) {
    take_event_.run(taken.id, taken.run);
  } else {
    give_up_event_.run(taken.id);
  }
  if (connection_.changes() != 1) {
    raise_conflict(fmt::format("event {}", taken.id.value), "one that waits", "none, or one that a run took");
  }
}

void Writer::write(const SightingChange& change) {
  const SightingRow& row = change.row;
  if (change.gone && row.object.empty()) return sightings_gone_.run(row.dag, row.source);
  if (change.gone) {
    sighting_gone_.run(row.dag, row.source, row.object, change.before);
  } else if (change.before.empty()) {
    write_row(sighting_, row);
  } else {
    write_row(sighting_change_, row, change.before);
  }
  if (connection_.changes() == 1) return;
  raise_conflict(fmt::format("object '{}' of DAG {}", row.object, row.dag),
                 change.before.empty() ? "one not seen" : change.before, "another");
}

void Writer::write(const StateRow& row) {
  write_row(row.version == 1 ? state_ : state_change_, row);
  if (connection_.changes() == 1) return;
  raise_conflict(fmt::format("state {} {}", row.scope, row.name), fmt::format("version {}", row.version - 1),
                 "another, or one that the attempt does not know");
}

void Writer::write(const BackfillRow& row) {
  write_row(backfill_, row);
  if (connection_.changes() != 1) {
    raise_conflict(fmt::format("backfill {}", row.id.value), "one that is not over, at an earlier date", "another");
  }
}

/// What is kept of the end here is not undone with the transaction: a store whose commit failed writes nothing more.
void Writer::write(const AuditRow& row) {
  const std::uint64_t number = audit_end_.number + 1;
  audit_end_ = {number, chain_hash(audit_end_.hash, number, row)};
  write_row(audit_, AuditEntry{number, row, audit_end_.hash});
}

void Writer::conflict(const TaskChange& change) {
  const auto described = [](TaskState state, AttemptId attempt) {
    return fmt::format("{} with attempt {}", name_of(state), to_text(attempt));
  };
  std::string found = "no row";
  if (task_now_.query(change.row.key).step()) {
    const auto state = task_now_.next<TaskState>();
    found = described(state, task_now_.next<AttemptId>());
    task_now_.reset();
  }
  raise_conflict(name_of_row(change.row.key),
                 change.expect_row ? described(change.expect_state, change.expect_attempt) : "no row", found);
}

void Writer::conflict(const RunChange& change) {
  std::string found = "no row";
  if (run_now_.query(change.row.seq, change.row.id).step()) {
    found = name_of(run_now_.next<RunState>());
    run_now_.reset();
  }
  raise_conflict(fmt::format("run {} ({})", change.row.seq.value, change.row.id.text()), name_of(change.expect_state),
                 found);
}

}  // namespace chappe::sqlite
