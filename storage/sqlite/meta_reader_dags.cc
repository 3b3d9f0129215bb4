// Answers about events, states, deployments, backfills, DAGs, workers, notifications and the audit log.
#include <fmt/format.h>

#include <algorithm>

#include "storage/sqlite/audit_chain.h"
#include "storage/sqlite/meta_reader_query.h"
#include "storage/sqlite/unwell.h"

namespace chappe::sqlite {
namespace {

constexpr std::size_t kVersionPrefixMin = 8;

}  // namespace

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

Result<std::vector<AuditEntry>> SqliteMetaReader::audit(std::size_t limit, std::uint64_t before, const TimeRange& at) {
  const std::size_t rows = std::min(limit, kAnswerRowsMax);
  const std::uint64_t end = before == 0 ? INT64_MAX : before;
  if (!at.is_set()) {
    return call("list audit",
                [&] { return all<AuditEntry>("WHERE t.row < ?2 ORDER BY t.row DESC LIMIT ?1", rows, end); });
  }
  std::string where = "WHERE t.at_us >= ?3 AND t.at_us < ?4";
  if (before != 0) where += " AND (t.at_us, t.row) < (SELECT at_us, row FROM audit WHERE row = ?2)";
  return call("list audit", [&] {
    return all<AuditEntry>(where + " ORDER BY t.at_us DESC, t.row DESC LIMIT ?1", rows, end, at.since, end_of(at));
  });
}

Result<AuditVerdict> SqliteMetaReader::verify_audit(std::uint64_t after, std::size_t limit) {
  return call("verify the audit log", [&] { return follow_chain(connection_, after, limit); });
}

}  // namespace chappe::sqlite
