#include "storage/sqlite/loader.h"

#include <fmt/format.h>

#include <set>

#include "storage/sqlite/expired.h"
#include "storage/sqlite/tables.h"

namespace chappe::sqlite {
namespace {

template <typename Row>
void read_into(Statement& statement, std::vector<Row>& rows) {
  while (statement.step()) read_row(statement, rows.emplace_back());
}

template <typename Row, typename... Values>
std::vector<Row> read_all(Connection& connection, std::string_view rest, const Values&... values) {
  std::vector<Row> rows;
  Statement statement(connection, select_sql<Row>(rest));
  read_into(statement.query(values...), rows);
  return rows;
}

template <typename Id>
Id last_id(Connection& connection, const char* sql) {
  Statement statement(connection, sql);
  statement.query().step();
  return statement.next<Id>();
}

/// Reads everything of a run but its row.
class RunLoader {
 public:
  explicit RunLoader(Connection& connection)
      : source_(connection, "SELECT source FROM dag_versions WHERE version = ?1"),
        fan_outs_(connection, select_sql<FanOutRow>("WHERE t.run = ?1 ORDER BY t.row")),
        tasks_(connection, select_sql<TaskRow>("WHERE t.id BETWEEN ?1 AND ?2 ORDER BY t.id")),
        artifacts_(connection, of_latest_attempts<ArtifactRow>()),
        values_(connection, of_latest_attempts<ValueRow>()),
        events_(connection, select_sql<TriggerEventRow>("WHERE t.run = ?1 ORDER BY t.id")),
        cached_(connection, select_sql<CacheUseRow>("JOIN tasks k ON k.id = t.task AND k.attempt = t.attempt AND "
                                                    "k.state IN (2, 3, 4) WHERE t.task BETWEEN ?1 AND ?2 ORDER BY "
                                                    "t.task")) {}

  void load(StoredRun& run) {
    if (!source_.query(run.row.dag_version).step()) {
      throw Failed{{ErrorCode::kCorrupt, fmt::format("run {}: its DAG version {} is not in the store",
                                                     run.row.id.text(), run.row.dag_version)}};
    }
    source_.read(run.dag_source);
    source_.reset();
    const RowRange range = rows_of(run.row.seq);
    run.tasks.reserve(run.row.instances);
    read_into(fan_outs_.query(run.row.seq), run.fan_outs);
    read_into(tasks_.query(range.first, range.last), run.tasks);
    read_into(artifacts_.query(range.first, range.last), run.artifacts);
    read_into(values_.query(range.first, range.last), run.values);
    read_into(events_.query(run.row.seq), run.events);
    read_into(cached_.query(range.first, range.last), run.cached);
  }

 private:
  template <typename Row>
  static std::string of_latest_attempts() {
    return select_sql<Row>(
        "JOIN tasks k ON k.id = t.task AND k.attempt = t.attempt WHERE t.task BETWEEN ?1 AND ?2 ORDER BY t.task, "
        "t.row");
  }
  Statement source_;
  Statement fan_outs_;
  Statement tasks_;
  Statement artifacts_;
  Statement values_;
  Statement events_;
  Statement cached_;
};

std::vector<WorkerRow> workers_of(Connection& connection, const std::vector<StoredRun>& runs) {
  std::set<WorkerSeq> seqs;
  for (const StoredRun& run : runs) {
    for (const TaskRow& task : run.tasks) {
      if (task.worker && holds_attempt(task.state)) seqs.insert(task.worker);
    }
  }
  std::vector<WorkerRow> workers;
  Statement statement(connection, select_sql<WorkerRow>("WHERE t.seq = ?1"));
  for (const WorkerSeq seq : seqs) read_into(statement.query(seq), workers);
  return workers;
}

std::vector<StoredDeployment> load_deployments(Connection& connection) {
  std::vector<StoredDeployment> out;
  Statement source(connection, "SELECT source FROM dag_versions WHERE version = ?1");
  for (DeploymentRow& row : read_all<DeploymentRow>(connection, "ORDER BY t.dag")) {
    StoredDeployment& deployment = out.emplace_back(StoredDeployment{.row = std::move(row)});
    if (deployment.row.removed) continue;
    if (source.query(deployment.row.version).step()) source.read(deployment.dag_source);
    source.reset();
  }
  return out;
}

std::vector<StoredBackfill> load_backfills(Connection& connection) {
  std::vector<StoredBackfill> out;
  Statement source(connection, "SELECT source FROM dag_versions WHERE version = ?1");
  for (BackfillRow& row : read_all<BackfillRow>(connection, "WHERE t.state < 2 ORDER BY t.id")) {
    StoredBackfill& backfill = out.emplace_back(StoredBackfill{.row = std::move(row)});
    if (source.query(backfill.row.version).step()) source.read(backfill.dag_source);
    source.reset();
  }
  return out;
}

/// By the newest failed and the newest successful run of each DAG, which an index knows.
std::vector<std::pair<std::string, LastEnd>> failed_dags(Connection& connection) {
  std::vector<std::pair<std::string, LastEnd>> dags;
  Statement statement(connection,
                      "SELECT dag, failed FROM (SELECT d.dag, (SELECT max(seq) FROM runs WHERE dag = d.dag AND state = "
                      "3) AS failed, (SELECT max(seq) FROM runs WHERE dag = d.dag AND state = 2) AS succeeded FROM "
                      "(SELECT DISTINCT dag FROM dag_versions) d) WHERE failed > coalesce(succeeded, 0)");
  statement.query();
  while (statement.step()) {
    auto& [dag, end] = dags.emplace_back();
    statement.read(dag, end.run);
    end.failed = true;
  }
  return dags;
}

constexpr char kNewestAliases[] =
    "WHERE t.row = (SELECT max(n.row) FROM alias_moves n WHERE n.model = t.model AND n.alias = t.alias) "
    "ORDER BY t.model, t.alias";

}  // namespace

StoredState load_state(Connection& connection) {
  StoredState state;
  state.epoch = last_id<std::uint32_t>(connection, "SELECT epoch FROM store");
  state.last_run = last_id<RunSeq>(connection, "SELECT coalesce(max(seq), 0) FROM runs");
  state.last_worker = last_id<WorkerSeq>(connection, "SELECT coalesce(max(seq), 0) FROM workers");
  state.last_asset_version = last_id<AssetVersionId>(connection, "SELECT coalesce(max(id), 0) FROM asset_versions");
  state.last_notification = last_id<std::uint64_t>(connection, "SELECT coalesce(max(id), 0) FROM notifications");
  state.notifications_pending =
      last_id<std::uint32_t>(connection, "SELECT count(*) FROM notifications WHERE state = 0");
  state.failed_dags = failed_dags(connection);
  Statement doomed(connection, "SELECT object_key FROM doomed_objects ORDER BY object_key");
  while (doomed.step()) state.doomed.push_back(doomed.next<std::string>());
  state.next_due = next_due(connection);
  state.pruning = read_all<RunRow>(connection, "JOIN pruning p ON p.run = t.seq ORDER BY t.seq");
  RunLoader loader(connection);
  for (RunRow& row : read_all<RunRow>(connection, "WHERE t.state IN (0, 1) ORDER BY t.seq")) {
    loader.load(state.runs.emplace_back(StoredRun{.row = std::move(row)}));
  }
  state.workers = workers_of(connection, state.runs);
  state.assets = read_all<AssetVersion>(
      connection,
      "WHERE t.id IN (SELECT id FROM newest_asset_versions UNION SELECT asset_version FROM alias_moves a WHERE a.row = "
      "(SELECT max(n.row) FROM alias_moves n WHERE n.model = a.model AND n.alias = a.alias)) ORDER BY t.id");
  state.aliases = read_all<AliasRow>(connection, kNewestAliases);
  state.deployments = load_deployments(connection);
  state.last_event = last_id<EventId>(connection, "SELECT coalesce(max(id), 0) FROM trigger_events");
  state.events = read_all<TriggerEventRow>(connection, "WHERE t.run = 0 ORDER BY t.id");
  state.states = read_all<StateRow>(connection, "ORDER BY t.scope, t.name");
  state.sightings = read_all<SightingRow>(connection, "ORDER BY t.dag, t.source, t.object");
  state.last_backfill = last_id<BackfillId>(connection, "SELECT coalesce(max(id), 0) FROM backfills");
  state.backfills = load_backfills(connection);
  state.tokens = read_all<TokenRow>(connection, "ORDER BY t.name");
  return state;
}

StoredRun load_run(Connection& connection, const RunId& id) {
  std::vector<RunRow> rows = read_all<RunRow>(connection, "WHERE t.id = ?1", id);
  if (rows.empty()) throw Failed{{ErrorCode::kNotFound, fmt::format("run {}", id.text())}};
  StoredRun run{.row = std::move(rows.front())};
  RunLoader(connection).load(run);
  return run;
}

}  // namespace chappe::sqlite
