#include "storage/sqlite/expired.h"

#include "storage/sqlite/loader.h"
#include "storage/sqlite/tables.h"

namespace chappe::sqlite {
namespace {

std::optional<RunRow> run_of(Connection& connection, const ExpiredQuery& query) {
  Statement named(connection, select_sql<RunRow>("WHERE t.seq = ?1"));
  Statement first(connection, select_sql<RunRow>("WHERE t.retention_due_us > 0 AND t.retention_due_us <= ?1 ORDER BY "
                                                 "t.retention_due_us LIMIT 1"));
  Statement& statement = query.run ? named.query(query.run) : first.query(query.now);
  if (!statement.step()) return std::nullopt;
  RunRow row;
  read_row(statement, row);
  return row;
}

std::uint32_t newer_runs(Connection& connection, const RunRow& run) {
  const bool success = run.state == RunState::kSuccess;
  Statement statement(connection, fmt::format("SELECT count(*) FROM (SELECT 1 FROM runs WHERE dag = ?1 AND state IN "
                                              "({}) AND seq > ?2 LIMIT ?3)",
                                              success ? "2" : "3, 4"));
  statement.query(run.dag, run.seq, run.retention.keep_last).step();
  return statement.next<std::uint32_t>();
}

void read_artifacts(Connection& connection, const ExpiredQuery& query, ExpiredLooked& looked) {
  const RowRange range = rows_of(looked.run->seq);
  const std::int64_t first = std::max(range.first, query.after.key.row());
  std::string sql = select_sql<ArtifactRow>(
      "WHERE t.task BETWEEN ?1 AND ?2 AND (t.task > ?1 OR t.row > ?3) ORDER BY t.task, t.row LIMIT ?4");
  Statement statement(connection, sql.replace(0, std::string_view("SELECT").size(), "SELECT t.row,"));
  Statement holders(connection,
                    "SELECT count(*) FROM (SELECT 1 FROM artifacts WHERE object_key = ?1 AND collected_at_us = 0 LIMIT "
                    "?2)");
  std::uint32_t seen = 0;
  statement.query(first, range.last, query.after.row, kCollectMax);
  while (statement.step()) {
    ++seen;
    ExpiredArtifact artifact;
    looked.end.row = statement.next<std::int64_t>();
    read_row(statement, artifact.row);
    looked.end.key = artifact.row.key;
    if (artifact.row.collected_at.is_set()) continue;
    holders.query(artifact.row.object.key, kCollectMax + 1).step();
    holders.read(artifact.holders);
    looked.artifacts.push_back(std::move(artifact));
  }
  looked.last = seen < kCollectMax;
}

}  // namespace

std::optional<WallTime> next_due(Connection& connection) {
  Statement statement(connection, "SELECT coalesce(min(retention_due_us), 0) FROM runs WHERE retention_due_us > 0");
  statement.query().step();
  const auto due = statement.next<WallTime>();
  return due.is_set() ? std::optional(due) : std::nullopt;
}

ExpiredLooked find_expired(Connection& connection, const ExpiredQuery& query) {
  ExpiredLooked looked;
  looked.run = run_of(connection, query);
  if (!looked.run) {
    looked.next = next_due(connection);
    return looked;
  }
  if (looked.run->retention.keep_last > 0) looked.newer = newer_runs(connection, *looked.run);
  read_artifacts(connection, query, looked);
  return looked;
}

}  // namespace chappe::sqlite
