#include "storage/sqlite/run_eraser.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "engine/run/prune.h"
#include "storage/sqlite/loader.h"

namespace chappe::sqlite {
namespace {

/// A table with rows of runs: its key, and the column that says of which.
struct ErasedTable {
  std::string_view table;
  std::string_view key;
  std::string_view task;  ///< Of a task instance.
};

// Instances go last: others are found by them. Notifications have a bound of their own.
constexpr std::array kErasedTables{
    ErasedTable{"artifacts", "row", "task"},   ErasedTable{"inputs", "row", "task"},
    ErasedTable{"task_values", "row", "task"}, ErasedTable{"datasets", "row", "task"},
    ErasedTable{"cache_uses", "task", "task"}, ErasedTable{"earlier_attempts", "task, attempt", "task"},
    ErasedTable{"tasks", "id", "id"}};

/// The next rows of a run, ?1 to ?2, at most ?3 of them.
std::string next_rows(const ErasedTable& table, std::string_view columns) {
  return fmt::format("SELECT {} FROM {} WHERE {} BETWEEN ?1 AND ?2 LIMIT ?3", columns, table.table, table.task);
}

}  // namespace

std::vector<RunSeq> emptied_of(const Connection& connection, std::vector<RunSeq> runs) {
  for (const ErasedTable& table : kErasedTables) {
    Statement some(connection, next_rows(table, "1"));
    std::erase_if(runs, [&](RunSeq run) {
      const RowRange range = rows_of(run);
      const bool found = some.query(range.first, range.last, 1).step();
      some.reset();
      return found;
    });
  }
  return runs;
}

RunEraser::RunEraser(const Connection& connection)
    : connection_(connection),
      mark_(connection,
            "UPDATE runs SET pruned_at_us = ?5, params = '{}', outputs = 'null', message = '' WHERE seq = ?1 AND id = "
            "?2 AND state = ?3 AND generation = ?4 AND pruned_at_us = 0"),
      marked_(connection, "INSERT INTO pruning VALUES (?1)"),
      fan_outs_(connection, "DELETE FROM fan_outs WHERE run = ?1"),
      events_(connection, "UPDATE trigger_events SET detail = '{}', params = '{}' WHERE run = ?1"),
      ended_(connection, "DELETE FROM pruning WHERE run = ?1"),
      forget_results_(connection,
                      fmt::format("DELETE FROM cache_entries WHERE producer BETWEEN ?1 AND ?2 AND (scope, sha256) IN "
                                  "({})",
                                  next_rows({"cache_uses", "task", "task"}, "scope, sha256"))) {
  for (const ErasedTable& table : {kErasedTables[kErasedTables.size() - 2], kErasedTables.back()}) {  // Attempts.
    with_.emplace_back(connection,
                       fmt::format("DELETE FROM attempt_images WHERE attempt IN ({})", next_rows(table, "attempt")));
    with_.emplace_back(connection,
                       fmt::format("DELETE FROM workers WHERE seq IN ({}) AND pod <> '' AND lost_at_us <> 0 "
                                   "AND seq < (SELECT max(seq) FROM workers)",
                                   next_rows(table, "worker")));
  }
  for (const ErasedTable& table : kErasedTables) {
    const std::string next = next_rows(table, table.key);
    rows_.emplace_back(connection, fmt::format("DELETE FROM {} WHERE ({}) IN ({})", table.table, table.key, next));
  }
}

void RunEraser::write(const Persist& changes) {
  for (const RunPruned& pruned : changes.pruned) mark(pruned);
  std::size_t rows_max = kPruneRowsMax;
  for (const RunSeq run : changes.prune_rows) {
    if (rows_max == 0) break;
    erase(run, rows_max);
  }
  for (const RunSeq run : changes.prune_ended) ended_.run(run);
}

void RunEraser::mark(const RunPruned& pruned) {
  mark_.run(pruned.run, pruned.id, pruned.expect_state, pruned.expect_generation, pruned.at);
  if (connection_.changes() != 1) {
    throw Failed{{ErrorCode::kConflict, fmt::format("run {}: expected one that is over and not pruned, found another "
                                                    "(another scheduler wrote to this store)",
                                                    pruned.run.value)}};
  }
  marked_.run(pruned.run);
  fan_outs_.run(pruned.run);
  events_.run(pruned.run);
}

void RunEraser::erase(RunSeq run, std::size_t& rows_max) {
  const RowRange range = rows_of(run);
  for (Statement& statement : with_) statement.run(range.first, range.last, rows_max);
  forget_results_.run(range.first, range.last, rows_max);
  for (Statement& statement : rows_) {
    statement.run(range.first, range.last, rows_max);
    rows_max -= std::min<std::size_t>(rows_max, static_cast<std::size_t>(connection_.changes()));
    if (rows_max == 0) return;
  }
}

}  // namespace chappe::sqlite
