#include "storage/sqlite/sqlite_meta_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "storage/sqlite/expired.h"
#include "storage/sqlite/loader.h"
#include "storage/sqlite/meta_reader_query.h"
#include "storage/sqlite/prunable.h"
#include "storage/sqlite/schema.h"
#include "storage/sqlite/tables.h"

namespace chappe::sqlite {
namespace {

constexpr std::size_t kPrefixMin = 4;
constexpr std::size_t kTasksPageMax = 10'000;
constexpr int kStepsBetweenLooks = 10'000;  // Of SQLite's machine, between two looks at the clock: well under 1 ms.

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

Statement& SqliteMetaReader::prepared(const std::string& sql) {
  const auto known = statements_.find(sql);
  return known != statements_.end() ? known->second
                                    : statements_.emplace(sql, Statement(connection_, sql)).first->second;
}

Result<ExpiredLooked> SqliteMetaReader::expired(const ExpiredQuery& query) {
  return call("find what may be collected", [&] { return find_expired(connection_, query); });
}

Result<PruneLooked> SqliteMetaReader::prunable(const PruneQuery& query) {
  return call("find runs that may go", [&] { return find_prunable(connection_, query); });
}

// ---- Runs and tasks -----------------------------------------------------------------------------------------------

Result<std::vector<RunRow>> SqliteMetaReader::runs(const RunFilter& filter) {
  const std::size_t limit = std::min(filter.limit, kRunsMax);
  const RunSeq before = filter.before.value_or(RunSeq{0xffffffffU});
  const RunState state = filter.state.value_or(RunState::kQueued);
  std::string where = "WHERE t.pruned_at_us = 0";
  if (filter.state) where += " AND t.state = ?2";
  if (!filter.dag.empty()) where += " AND t.dag = ?3";
  if (filter.backfill) where += " AND t.backfill = ?4 AND t.backfill <> 0";
  if (!filter.created.is_set()) {
    return call("list runs", [&] {
      return all<RunRow>(where + " AND t.seq < ?1 ORDER BY t.seq DESC LIMIT ?5", before, state, filter.dag,
                         filter.backfill, limit);
    });
  }
  // By the index of times; where the clock was set back that is not the order of their numbers.
  where += " AND t.created_at_us >= ?6 AND t.created_at_us < ?7";
  if (filter.before) {
    where += " AND (t.created_at_us, t.seq) < (SELECT created_at_us, seq FROM runs WHERE seq = ?1)";
  }
  return call("list runs", [&] {
    return all<RunRow>(where + " ORDER BY t.created_at_us DESC, t.seq DESC LIMIT ?5", before, state, filter.dag,
                       filter.backfill, limit, filter.created.since, end_of(filter.created));
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
  const WallTime since = filter.created.since, until = end_of(filter.created);
  constexpr std::string_view kOrder =
      "t.created_at_us >= ?3 AND t.created_at_us < ?4 AND n.id < ?1 ORDER BY n.id DESC LIMIT ?2";
  const std::string join = "JOIN newest_asset_versions n ON n.id = t.id WHERE ";
  if (filter.uri.empty()) return all<AssetVersion>(join + std::string(kOrder), before, limit, since, until);
  auto by_uri =
      all<AssetVersion>(join + "n.uri = ?5 AND " + std::string(kOrder), before, limit, since, until, filter.uri);
  if (!by_uri.empty()) return by_uri;
  return all<AssetVersion>(join + "t.name = ?5 AND t.name <> '' AND " + std::string(kOrder), before, limit, since,
                           until, filter.uri);
}

/// Every version, those that are not published yet included.
std::vector<AssetVersion> SqliteMetaReader::all_assets(const AssetFilter& filter, std::size_t limit) {
  const AssetVersionId before = filter.before.value_or(AssetVersionId{INT64_MAX});
  const WallTime since = filter.created.since, until = end_of(filter.created);
  constexpr std::string_view kOrder =
      "t.created_at_us >= ?3 AND t.created_at_us < ?4 AND t.id < ?1 ORDER BY t.id DESC LIMIT ?2";
  if (filter.uri.empty()) return all<AssetVersion>("WHERE " + std::string(kOrder), before, limit, since, until);
  auto by_uri =
      all<AssetVersion>("WHERE t.uri = ?5 AND " + std::string(kOrder), before, limit, since, until, filter.uri);
  if (!by_uri.empty()) return by_uri;
  return all<AssetVersion>("WHERE t.name = ?5 AND t.name <> '' AND " + std::string(kOrder), before, limit, since, until,
                           filter.uri);
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
    return all<InputRow>("WHERE t.object_key = ?1 ORDER BY t.task DESC LIMIT ?2", key, std::min(limit, kAnswerRowsMax));
  });
}

Result<std::vector<InputRow>> SqliteMetaReader::object_readers(const std::string& uri, std::size_t limit) {
  return call("list readers of an object", [&] {
    return all<InputRow>("WHERE t.s3 = ?1 AND t.s3 != '' ORDER BY t.row DESC LIMIT ?2", uri,
                         std::min(limit, kAnswerRowsMax));
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
