#include "storage/sqlite/sqlite_meta_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "storage/sqlite/audit_chain.h"
#include "storage/sqlite/expired.h"
#include "storage/sqlite/loader.h"
#include "storage/sqlite/schema.h"
#include "storage/sqlite/tables.h"
#include "storage/sqlite/unwell.h"

namespace chappe::sqlite {
namespace {

constexpr std::size_t kPrefixMin = 4;
constexpr std::size_t kVersionPrefixMin = 8;
constexpr std::size_t kRunsMax = 1'000;
constexpr std::size_t kTasksPageMax = 10'000;
constexpr int kStepsBetweenLooks = 10'000;  // Of SQLite's machine, between two looks at the clock: well under 1 ms.

[[noreturn]] void not_found(std::string what) { throw Failed{{ErrorCode::kNotFound, std::move(what)}}; }

template <typename Row>
Row found(std::optional<Row> row, const std::string& what) {
  if (!row) not_found("no " + what);
  return std::move(*row);
}

}  // namespace

SqliteMetaReader::SqliteMetaReader(const std::filesystem::path& path, Duration read_time_max)
    : connection_(path, SQLITE_OPEN_READONLY), read_time_max_(read_time_max), deadline_(Clock::now() + read_time_max) {
  sqlite3_db_config(connection_.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  connection_.execute("PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY");
  if (needs_migration(connection_, migrations())) {
    throw Failed{{ErrorCode::kInvalidInput, "there is no store of this version yet: start the scheduler once"}};
  }
  sqlite3_progress_handler(
      connection_.handle(), kStepsBetweenLooks,
      [](void* self) { return Clock::now() > static_cast<SqliteMetaReader*>(self)->deadline_ ? 1 : 0; }, this);
}

template <typename Work>
auto SqliteMetaReader::call(std::string_view what, Work work) -> Result<std::invoke_result_t<Work>> {
  deadline_ = Clock::now() + read_time_max_;
  return catching(what, [&] {
    Transaction snapshot(connection_, "BEGIN");
    return work();
  });
}

Statement& SqliteMetaReader::prepared(const std::string& sql) {
  const auto known = statements_.find(sql);
  return known != statements_.end() ? known->second
                                    : statements_.emplace(sql, Statement(connection_, sql)).first->second;
}

template <typename Row, typename... Values>
std::vector<Row> SqliteMetaReader::all(std::string_view rest, const Values&... values) {
  std::vector<Row> rows;
  Statement& statement = prepared(select_sql<Row>(rest)).query(values...);
  while (statement.step()) {
    if (rows.size() == kAnswerRowsMax) {
      statement.reset();
      throw Failed{
          {ErrorCode::kInvalidInput, fmt::format("more than {} rows: ask for one task at a time", kAnswerRowsMax)}};
    }
    read_row(statement, rows.emplace_back());
  }
  return rows;
}

template <typename Row, typename... Values>
std::optional<Row> SqliteMetaReader::first(std::string_view rest, const Values&... values) {
  Statement& statement = prepared(select_sql<Row>(rest)).query(values...);
  if (!statement.step()) return std::nullopt;
  Row row;
  read_row(statement, row);
  statement.reset();
  return row;
}

template <typename Row>
Result<std::vector<Row>> SqliteMetaReader::of_instances(std::string_view what, RunSeq run,
                                                        std::optional<std::uint32_t> index) {
  RowRange range = rows_of(run);
  if (index) range.first = range.last = InstanceKey{run, *index}.row();
  return call(
      what, [&] { return all<Row>("WHERE t.task BETWEEN ?1 AND ?2 ORDER BY t.task, t.row", range.first, range.last); });
}

Result<ExpiredLooked> SqliteMetaReader::expired(const ExpiredQuery& query) {
  return call("find what may be collected", [&] { return find_expired(connection_, query); });
}

// ---- Runs and tasks -----------------------------------------------------------------------------------------------

Result<std::vector<RunRow>> SqliteMetaReader::runs(const RunFilter& filter) {
  const std::size_t limit = std::min(filter.limit, kRunsMax);
  const RunSeq before = filter.before.value_or(RunSeq{0xffffffffU});
  const RunState state = filter.state.value_or(RunState::kQueued);
  std::string where = "WHERE t.seq < ?1";
  if (filter.state) where += " AND t.state = ?2";
  if (!filter.dag.empty()) where += " AND t.dag = ?3";
  if (filter.backfill) where += " AND t.backfill = ?4 AND t.backfill <> 0";
  return call("list runs", [&] {
    return all<RunRow>(where + " ORDER BY t.seq DESC LIMIT ?5", before, state, filter.dag, filter.backfill, limit);
  });
}

Result<RunRow> SqliteMetaReader::run(const std::string& id_or_prefix) {
  return call("find run", [&] {
    const std::optional<RunId> id = RunId::parse(id_or_prefix);
    if (id) return found(first<RunRow>("WHERE t.id = ?1", *id), "run " + id_or_prefix);
    return run_by_prefix(id_or_prefix);
  });
}

RunRow SqliteMetaReader::run_by_prefix(std::string prefix) {
  std::transform(prefix.begin(), prefix.end(), prefix.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (prefix.size() < kPrefixMin) {
    throw Failed{{ErrorCode::kInvalidInput, fmt::format("\"{}\" is too short: a run is named by at least {} characters "
                                                        "of its id",
                                                        prefix, kPrefixMin)}};
  }
  // "~" sorts behind every character of an id.
  std::vector<RunRow> rows = all<RunRow>("WHERE t.id >= ?1 AND t.id < ?2 ORDER BY t.id LIMIT 2", prefix, prefix + "~");
  if (rows.empty()) not_found("no run " + prefix);
  if (rows.size() > 1) {
    throw Failed{{ErrorCode::kInvalidInput, fmt::format("several runs begin with {}, among them {} and {}", prefix,
                                                        rows[0].id.text(), rows[1].id.text())}};
  }
  return std::move(rows.front());
}

Result<RunRow> SqliteMetaReader::run_by_seq(RunSeq seq) {
  return call("find run",
              [&] { return found(first<RunRow>("WHERE t.seq = ?1", seq), fmt::format("run {}", seq.value)); });
}

Result<StoredRun> SqliteMetaReader::load_run(const RunId& run) {
  return call("load run", [&] { return sqlite::load_run(connection_, run); });
}

Result<std::optional<RunRow>> SqliteMetaReader::run_by_request(const std::string& request_id) {
  return call("find run", [&] { return first<RunRow>("WHERE t.request_id = ?1 AND t.request_id <> ''", request_id); });
}

Result<std::vector<FanOutRow>> SqliteMetaReader::fan_outs(RunSeq run) {
  return call("list fan-outs", [&] { return all<FanOutRow>("WHERE t.run = ?1 ORDER BY t.row", run); });
}

Result<std::array<std::uint64_t, kTaskStates>> SqliteMetaReader::state_counts(const RunRow& run) {
  return call("count tasks", [&] {
    std::array<std::uint64_t, kTaskStates> counts{};
    std::uint64_t rows = 0;
    const RowRange range = rows_of(run.seq);
    Statement& statement = prepared("SELECT state, count(*) FROM tasks WHERE id BETWEEN ?1 AND ?2 GROUP BY state");
    statement.query(range.first, range.last);
    while (statement.step()) {
      const auto state = statement.next<TaskState>();
      rows += counts[static_cast<std::size_t>(state)] = statement.next<std::uint64_t>();
    }
    counts[0] += run.instances - std::min<std::uint64_t>(rows, run.instances);
    return counts;
  });
}

/// That of a pod is a row of its own: its node tells it in its own time.
void SqliteMetaReader::add_image(AttemptId attempt, AttemptEnd& end) {
  if (!attempt || !end.image.empty()) return;
  if (auto row = first<AttemptImage>("WHERE t.attempt = ?1", attempt)) end.image = std::move(row->image);
}

Result<std::vector<TaskRow>> SqliteMetaReader::tasks(RunSeq run, const TaskFilter& filter) {
  const std::size_t limit = std::min(filter.limit, kTasksPageMax);
  const std::int64_t from = InstanceKey{run, filter.index_from}.row();
  const std::string where =
      filter.state ? "WHERE t.id BETWEEN ?1 AND ?2 AND t.state = ?4" : "WHERE t.id BETWEEN ?1 AND ?2";
  return call("list tasks", [&] {
    const std::string sql = where + " ORDER BY t.id LIMIT ?3";
    auto rows = filter.state ? all<TaskRow>(sql, from, rows_of(run).last, limit, *filter.state)
                             : all<TaskRow>(sql, from, rows_of(run).last, limit);
    for (TaskRow& row : rows) add_image(row.attempt, row.end);
    return rows;
  });
}

Result<AttemptHistory> SqliteMetaReader::attempts(InstanceKey key) {
  return call("list attempts", [&] {
    AttemptHistory history{found(first<TaskRow>("WHERE t.id = ?1", key), fmt::format("task instance {}", key.index)),
                           all<AttemptRow>("WHERE t.task = ?1 ORDER BY t.attempt DESC", key)};
    add_image(history.task.attempt, history.task.end);
    for (AttemptRow& row : history.earlier) add_image(row.attempt, row.end);
    return history;
  });
}

Result<std::vector<AttemptRow>> SqliteMetaReader::earlier_attempts(RunSeq run, std::size_t limit) {
  return call("list attempts", [&] {
    const RowRange range = rows_of(run);
    auto rows = all<AttemptRow>("WHERE t.task BETWEEN ?1 AND ?2 ORDER BY t.task, t.attempt LIMIT ?3", range.first,
                                range.last, std::min(limit, kAnswerRowsMax));
    for (AttemptRow& row : rows) add_image(row.attempt, row.end);
    return rows;
  });
}

Result<std::vector<ArtifactRow>> SqliteMetaReader::artifacts(RunSeq run, std::optional<std::uint32_t> index) {
  return of_instances<ArtifactRow>("list artifacts", run, index);
}
Result<std::vector<InputRow>> SqliteMetaReader::inputs(RunSeq run, std::optional<std::uint32_t> index) {
  return of_instances<InputRow>("list inputs", run, index);
}
Result<std::vector<DatasetRow>> SqliteMetaReader::datasets(RunSeq run, std::optional<std::uint32_t> index) {
  return of_instances<DatasetRow>("list datasets", run, index);
}
Result<std::vector<DatasetRow>> SqliteMetaReader::dataset_uses(const std::string& uri, bool written,
                                                               std::size_t limit) {
  return call("list uses of a dataset", [&] {
    return all<DatasetRow>("WHERE t.uri = ?1 AND t.written = ?2 ORDER BY t.row DESC LIMIT ?3", uri, written,
                           std::min(limit, kAnswerRowsMax));
  });
}
Result<std::vector<ValueRow>> SqliteMetaReader::values(RunSeq run, std::optional<std::uint32_t> index) {
  return of_instances<ValueRow>("list values", run, index);
}

// ---- Results that may be used again -------------------------------------------------------------------------------

Result<std::vector<CacheUseRow>> SqliteMetaReader::cache_uses(RunSeq run, std::optional<std::uint32_t> index) {
  RowRange range = rows_of(run);
  if (index) range.first = range.last = InstanceKey{run, *index}.row();
  return call("list cache uses", [&] {
    return all<CacheUseRow>("WHERE t.task BETWEEN ?1 AND ?2 ORDER BY t.task", range.first, range.last);
  });
}

Result<std::optional<CacheEntryRow>> SqliteMetaReader::cache_entry(const CacheKey& key) {
  return call("find a result",
              [&] { return first<CacheEntryRow>("WHERE t.scope = ?1 AND t.sha256 = ?2", key.scope, key.sha256); });
}

Result<std::vector<CacheEntryRow>> SqliteMetaReader::cache_entries(const std::string& scope, const std::string& task,
                                                                   const std::string& map_key, std::size_t limit) {
  return call("list results", [&] {
    const std::size_t rows = std::min(limit, kRunsMax);
    auto found =
        all<CacheEntryRow>("WHERE t.scope = ?1 AND t.task = ?2 AND t.map_key = ?3 ORDER BY t.used_at_us DESC LIMIT ?4",
                           scope, task, map_key, rows);
    if (!found.empty()) return found;
    return all<CacheEntryRow>("WHERE t.scope = ?1 AND t.task = ?2 ORDER BY t.used_at_us DESC LIMIT ?3", scope, task,
                              rows);
  });
}

// ---- Assets, lineage, aliases -------------------------------------------------------------------------------------

Result<std::vector<AssetVersion>> SqliteMetaReader::assets(const AssetFilter& filter) {
  const std::size_t limit = std::min(filter.limit, kRunsMax);
  return call("list assets",
              [&] { return filter.newest_only ? newest_assets(filter, limit) : all_assets(filter, limit); });
}

/// The newest published version of each URI.
std::vector<AssetVersion> SqliteMetaReader::newest_assets(const AssetFilter& filter, std::size_t limit) {
  const AssetVersionId before = filter.before.value_or(AssetVersionId{INT64_MAX});
  constexpr std::string_view kOrder = "n.id < ?1 ORDER BY n.id DESC LIMIT ?2";
  const std::string join = "JOIN newest_asset_versions n ON n.id = t.id WHERE ";
  if (filter.uri.empty()) return all<AssetVersion>(join + std::string(kOrder), before, limit);
  auto by_uri = all<AssetVersion>(join + "n.uri = ?3 AND " + std::string(kOrder), before, limit, filter.uri);
  if (!by_uri.empty()) return by_uri;
  return all<AssetVersion>(join + "t.name = ?3 AND t.name <> '' AND " + std::string(kOrder), before, limit, filter.uri);
}

/// Every version, those that are not published yet included.
std::vector<AssetVersion> SqliteMetaReader::all_assets(const AssetFilter& filter, std::size_t limit) {
  const AssetVersionId before = filter.before.value_or(AssetVersionId{INT64_MAX});
  constexpr std::string_view kOrder = "t.id < ?1 ORDER BY t.id DESC LIMIT ?2";
  if (filter.uri.empty()) return all<AssetVersion>("WHERE " + std::string(kOrder), before, limit);
  auto by_uri = all<AssetVersion>("WHERE t.uri = ?3 AND " + std::string(kOrder), before, limit, filter.uri);
  if (!by_uri.empty()) return by_uri;
  return all<AssetVersion>("WHERE t.name = ?3 AND t.name <> '' AND " + std::string(kOrder), before, limit, filter.uri);
}

Result<AssetVersion> SqliteMetaReader::asset_version(AssetVersionId id) {
  return call("find asset version", [&] {
    return found(first<AssetVersion>("WHERE t.id = ?1", id), fmt::format("asset version {}", id.value));
  });
}

Result<ArtifactRow> SqliteMetaReader::artifact_by_key(const std::string& key) {
  return call("find artifact", [&] {
    return found(first<ArtifactRow>("WHERE t.object_key = ?1 ORDER BY t.collected_at_us, t.row LIMIT 1", key),
                 "artifact " + key);
  });
}

Result<std::vector<InputRow>> SqliteMetaReader::consumers(const std::string& key, std::size_t limit) {
  return call("list consumers", [&] {
    return all<InputRow>("WHERE t.object_key = ?1 ORDER BY t.row DESC LIMIT ?2", key, std::min(limit, kAnswerRowsMax));
  });
}

Result<std::vector<AliasRow>> SqliteMetaReader::aliases(const std::string& model) {
  const std::string newest = std::string(model.empty() ? "WHERE" : "WHERE t.model = ?1 AND") +
                             " t.row = (SELECT max(n.row) FROM alias_moves n WHERE n.model = t.model AND n.alias = "
                             "t.alias) ORDER BY t.model, t.alias";
  return call("list aliases", [&] { return model.empty() ? all<AliasRow>(newest) : all<AliasRow>(newest, model); });
}

Result<std::vector<AliasRow>> SqliteMetaReader::alias_history(const std::string& model, const std::string& alias) {
  return call("list alias history",
              [&] { return all<AliasRow>("WHERE t.model = ?1 AND t.alias = ?2 ORDER BY t.row DESC", model, alias); });
}

Result<AssetVersion> SqliteMetaReader::resolve_alias(const std::string& model, const std::string& alias) {
  return call("resolve alias", [&] {
    return found(first<AssetVersion>("WHERE t.id = (SELECT a.asset_version FROM alias_moves a WHERE a.model = ?1 AND "
                                     "a.alias = ?2 ORDER BY a.row DESC LIMIT 1)",
                                     model, alias),
                 fmt::format("alias {}@{}", model, alias));
  });
}

Result<std::vector<AliasRow>> SqliteMetaReader::alias_moves_of(RunSeq run) {
  return call("list alias moves", [&] {
    const RowRange range = rows_of(run);
    return all<AliasRow>("WHERE t.by_task BETWEEN ?1 AND ?2 AND t.by_task <> 0 ORDER BY t.row", range.first,
                         range.last);
  });
}

// ---- DAGs, workers, audit -----------------------------------------------------------------------------------------

Result<std::vector<TriggerEventRow>> SqliteMetaReader::events_of(RunSeq run) {
  return call("read events", [&] { return all<TriggerEventRow>("WHERE t.run = ?1 ORDER BY t.id", run); });
}

Result<std::optional<TriggerEventRow>> SqliteMetaReader::event_by_key(const std::string& dag, const EventSource& source,
                                                                      const std::string& key) {
  return call("find an event", [&] {
    return first<TriggerEventRow>("WHERE t.dag = ?1 AND t.kind = ?2 AND t.source = ?3 AND t.key = ?4 AND t.key <> ''",
                                  dag, source.kind, source.name, key);
  });
}

Result<std::vector<StateRow>> SqliteMetaReader::states(const std::string& scope, const std::string& name,
                                                       std::size_t limit) {
  return call("list states", [&] {
    return all<StateRow>("WHERE (t.scope, t.name) > (?1, ?2) ORDER BY t.scope, t.name LIMIT ?3", scope, name, limit);
  });
}

Result<StateRow> SqliteMetaReader::state(const std::string& scope, const std::string& name) {
  return call("find a state", [&] {
    return found(first<StateRow>("WHERE t.scope = ?1 AND t.name = ?2", scope, name),
                 fmt::format("state {} {}", scope, name));
  });
}

Result<std::vector<DeploymentRow>> SqliteMetaReader::deployments(const std::string& dag) {
  return call("list deployed DAGs", [&] {
    return all<DeploymentRow>("WHERE t.removed = 0 AND (?1 = '' OR t.dag = ?1) ORDER BY t.dag", dag);
  });
}

Result<std::vector<BackfillRow>> SqliteMetaReader::backfills(const BackfillFilter& filter) {
  const std::size_t limit = std::min(filter.limit, kRunsMax);
  const BackfillId before = filter.before.value_or(BackfillId{0xffffffffU});
  const std::string where = filter.dag.empty() ? "WHERE t.id < ?1" : "WHERE t.id < ?1 AND t.dag = ?3";
  return call("list backfills",
              [&] { return all<BackfillRow>(where + " ORDER BY t.id DESC LIMIT ?2", before, limit, filter.dag); });
}

Result<BackfillRow> SqliteMetaReader::backfill(BackfillId id) {
  return call("find backfill",
              [&] { return found(first<BackfillRow>("WHERE t.id = ?1", id), fmt::format("backfill {}", id.value)); });
}

Result<std::array<std::uint64_t, kRunStates>> SqliteMetaReader::run_counts(BackfillId backfill) {
  return call("count runs", [&] {
    std::array<std::uint64_t, kRunStates> counts{};
    Statement& statement =
        prepared("SELECT state, count(*) FROM runs WHERE backfill = ?1 AND backfill <> 0 GROUP BY state");
    statement.query(backfill);
    while (statement.step()) {
      const auto state = statement.next<RunState>();
      counts[static_cast<std::size_t>(state)] = statement.next<std::uint64_t>();
    }
    return counts;
  });
}

Result<std::vector<std::optional<RunState>>> SqliteMetaReader::newest_of_dates(const std::string& dag,
                                                                               const std::vector<WallTime>& times) {
  return call("find runs by time", [&] {
    std::vector<std::optional<RunState>> newest(times.size());
    Statement& statement = prepared("SELECT state FROM runs WHERE dag = ?1 AND logical_time_us = ?2 ORDER BY seq DESC");
    for (std::size_t i = 0; i < times.size(); ++i) {
      statement.query(dag, times[i]);
      while (statement.step()) {
        const auto state = statement.next<RunState>();
        if (!newest[i] || !is_final(state)) newest[i] = state;
      }
    }
    return newest;
  });
}

Result<std::optional<RunRow>> SqliteMetaReader::newest_before(const std::string& dag, WallTime before) {
  return call("find the run before", [&] {
    return first<RunRow>(
        "WHERE t.dag = ?1 AND t.logical_time_us < ?2 ORDER BY t.logical_time_us DESC, t.seq DESC LIMIT 1", dag, before);
  });
}

Result<std::optional<TaskState>> SqliteMetaReader::unwell(RunSeq run, std::uint32_t first, std::uint32_t count) {
  return call("look how a task ended", [&] { return find_unwell(connection_, run, first, count); });
}

Result<std::vector<RunRow>> SqliteMetaReader::newest_runs() {
  return call("list newest runs", [&] {
    return all<RunRow>(
        "WHERE t.seq IN (SELECT (SELECT max(r.seq) FROM runs r WHERE r.dag = d.dag) FROM (SELECT DISTINCT dag FROM "
        "dag_versions) d) ORDER BY t.dag");
  });
}

Result<std::vector<DagVersionRow>> SqliteMetaReader::dags() {
  return call("list DAGs", [&] {
    return all<DagVersionRow>(
        "WHERE t.rowid = (SELECT n.rowid FROM dag_versions n WHERE n.dag = t.dag ORDER BY n.submitted_at_us DESC, "
        "n.rowid DESC LIMIT 1) ORDER BY t.dag");
  });
}

Result<DagVersionRow> SqliteMetaReader::dag_version(const std::string& version) {
  return call("find DAG version", [&] {
    if (auto row = first<DagVersionRow>("WHERE t.version = ?1", version)) return *std::move(row);
    // "g" sorts behind every digit of a hash.
    auto rows = version.size() < kVersionPrefixMin
                    ? std::vector<DagVersionRow>()
                    : all<DagVersionRow>("WHERE t.version >= ?1 AND t.version < ?2 LIMIT 2", version, version + "g");
    if (rows.size() != 1) not_found(fmt::format("{} DAG version {}", rows.empty() ? "no" : "more than one", version));
    return std::move(rows.front());
  });
}

Result<DagVersionRow> SqliteMetaReader::newest_dag_version(const std::string& dag) {
  return call("find DAG", [&] {
    return found(first<DagVersionRow>("WHERE t.dag = ?1 ORDER BY t.submitted_at_us DESC, t.rowid DESC LIMIT 1", dag),
                 "DAG " + dag);
  });
}

Result<std::vector<WorkerRow>> SqliteMetaReader::workers(std::size_t limit) {
  return call("list workers",
              [&] { return all<WorkerRow>("ORDER BY t.seq DESC LIMIT ?1", std::min(limit, kAnswerRowsMax)); });
}

Result<std::optional<WorkerRow>> SqliteMetaReader::worker(WorkerSeq seq) {
  return call("find worker", [&] { return first<WorkerRow>("WHERE t.seq = ?1", seq); });
}

Result<std::vector<NotificationRow>> SqliteMetaReader::notifications(std::optional<NotificationState> state,
                                                                     std::uint64_t before, std::size_t limit) {
  return call("list notifications", [&] {
    const std::size_t rows = std::min(limit, kRunsMax);
    const std::uint64_t end = before == 0 ? INT64_MAX : before;
    return state
               ? all<NotificationRow>("WHERE t.id < ?1 AND t.state = ?3 ORDER BY t.id DESC LIMIT ?2", end, rows, *state)
               : all<NotificationRow>("WHERE t.id < ?1 ORDER BY t.id DESC LIMIT ?2", end, rows);
  });
}

Result<std::vector<NotificationRow>> SqliteMetaReader::pending_notifications(std::uint64_t after, std::size_t limit) {
  return call("list pending notifications", [&] {
    return all<NotificationRow>("WHERE t.state = 0 AND t.id > ?1 ORDER BY t.id LIMIT ?2", after,
                                std::min(limit, kRunsMax));
  });
}

Result<std::vector<AuditEntry>> SqliteMetaReader::audit(std::size_t limit, std::uint64_t before) {
  return call("list audit", [&] {
    const std::size_t rows = std::min(limit, kAnswerRowsMax);
    return before == 0 ? all<AuditEntry>("ORDER BY t.row DESC LIMIT ?1", rows)
                       : all<AuditEntry>("WHERE t.row < ?2 ORDER BY t.row DESC LIMIT ?1", rows, before);
  });
}

Result<AuditVerdict> SqliteMetaReader::verify_audit(std::uint64_t after, std::size_t limit) {
  return call("verify the audit log", [&] { return follow_chain(connection_, after, limit); });
}

std::map<std::string, std::string> SqliteMetaReader::plans() {
  std::map<std::string, std::string> plans;
  for (const auto& [sql, statement] : statements_) {
    Statement explain(connection_, "EXPLAIN QUERY PLAN " + sql);
    explain.query();
    while (explain.step()) {
      explain.next<std::int64_t>(), explain.next<std::int64_t>(), explain.next<std::int64_t>();
      plans[sql] += explain.next<std::string>() + "\n";
    }
  }
  return plans;
}

}  // namespace chappe::sqlite
