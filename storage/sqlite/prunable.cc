#include "storage/sqlite/prunable.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "storage/sqlite/loader.h"
#include "storage/sqlite/run_eraser.h"
#include "storage/sqlite/tables.h"

namespace chappe::sqlite {
namespace {

/// The row is none of a run that was pruned, and that is on its way out.
std::string there(std::string_view table) {
  return fmt::format("{}.task >> 32 NOT IN (SELECT run FROM pruning)", table);
}

class Referrers {
 public:
  explicit Referrers(Connection& connection)
      : newer_(connection, "SELECT 1 FROM runs WHERE dag = ?1 AND seq > ?2 LIMIT 1"),
        later_(connection, "SELECT 1 FROM runs WHERE dag = ?1 AND logical_time_us > ?2 LIMIT 1"),
        newer_success_(connection, "SELECT 1 FROM runs WHERE dag = ?1 AND state = 2 AND seq > ?2 LIMIT 1"),
        next_lives_(connection,
                    "SELECT 1 FROM runs WHERE dag = ?1 AND logical_time_us = (SELECT min(logical_time_us) FROM runs "
                    "WHERE dag = ?1 AND logical_time_us > ?2) AND state IN (0, 1) LIMIT 1"),
        backfill_lives_(connection, "SELECT 1 FROM backfills WHERE dag = ?1 AND state < 2 LIMIT 1"),
        parent_(connection, "SELECT 1 FROM runs WHERE seq = ?1 AND pruned_at_us = 0"),
        child_(
            connection,
            "WITH RECURSIVE below (run) AS (SELECT seq FROM runs INDEXED BY runs_by_parent WHERE parent_task BETWEEN "
            "?1 AND ?2 AND parent_task <> 0 AND pruned_at_us = 0 UNION SELECT r.seq FROM below b CROSS JOIN runs r "
            "INDEXED BY runs_by_parent ON r.parent_task BETWEEN b.run << 32 AND (b.run << 32) + 4294967295 AND "
            "r.parent_task <> 0 AND r.pruned_at_us = 0) SELECT 1 FROM below b WHERE EXISTS (SELECT 1 FROM artifacts "
            "a WHERE a.task BETWEEN b.run << 32 AND (b.run << 32) + 4294967295 AND a.asset_version <> 0) LIMIT 1"),
        untold_(connection, "SELECT 1 FROM notifications WHERE run = ?1 AND state = 0 LIMIT 1"),
        event_(connection,
               "SELECT 1 FROM trigger_events WHERE run = 0 AND kind = 2 AND source = ?1 AND key > ?2 AND key < ?2 || "
               "'~' LIMIT 1"),
        alias_(connection, "SELECT 1 FROM alias_moves WHERE by_task BETWEEN ?1 AND ?2 AND by_task <> 0 LIMIT 1"),
        state_(connection, "SELECT 1 FROM states WHERE by_task BETWEEN ?1 AND ?2 AND by_task <> 0 LIMIT 1"),
        asset_(connection, "SELECT 1 FROM artifacts WHERE task BETWEEN ?1 AND ?2 AND asset_version <> 0 LIMIT 1"),
        input_(connection, fmt::format("SELECT 1 FROM artifacts a WHERE a.task BETWEEN ?1 AND ?2 AND (EXISTS (SELECT 1 "
                                       "FROM inputs i WHERE i.object_key = a.object_key AND i.task < ?3 AND {0} AND "
                                       "{1}) OR EXISTS (SELECT 1 FROM inputs i WHERE i.object_key = a.object_key AND "
                                       "i.task > ?4 AND {0} AND {1})) LIMIT 1",
                                       "(a.made_by = 0 OR i.producer BETWEEN ?3 AND ?4)", there("i"))),
        artifact_(connection,
                  fmt::format("SELECT 1 FROM artifacts a JOIN artifacts o ON o.object_key = a.object_key WHERE a.task "
                              "BETWEEN ?1 AND ?2 AND (o.task < ?3 OR o.task > ?4) AND (a.made_by = 0 OR o.made_by "
                              "BETWEEN ?3 AND ?4) AND {} LIMIT 1",
                              there("o"))),
        result_(connection,
                fmt::format("SELECT 1 FROM tasks t JOIN cache_uses c ON c.from_attempt = t.attempt AND c.from_attempt "
                            "<> 0 WHERE t.id BETWEEN ?1 AND ?2 AND (c.task < ?3 OR c.task > ?4) AND {} LIMIT 1",
                            there("c"))),
        earlier_result_(connection,
                        fmt::format("SELECT 1 FROM earlier_attempts e JOIN cache_uses c ON c.from_attempt = "
                                    "e.attempt AND c.from_attempt <> 0 WHERE e.task BETWEEN ?1 AND ?2 AND "
                                    "(c.task < ?3 OR c.task > ?4) AND {} LIMIT 1",
                                    there("c"))),
        kept_for_ever_(connection,
                       "SELECT 1 FROM artifacts WHERE task BETWEEN ?1 AND ?2 AND retention_us = ?3 AND collected_at_us "
                       "= 0 LIMIT 1"),
        dataset_(connection,
                 "SELECT 1 FROM datasets d WHERE d.task BETWEEN ?1 AND ?2 AND d.written = 1 AND NOT EXISTS (SELECT 1 "
                 "FROM datasets n WHERE n.uri = d.uri AND n.written = 1 AND n.row > d.row) LIMIT 1") {}

  /// Whatever its task instances are.
  Kept of_run(const RunRow& run) {
    const RowRange range = rows_of(run.seq);
    const bool newest = !any(newer_, run.dag, run.seq) || !any(later_, run.dag, run.logical_time) ||
                        (run.state == RunState::kSuccess && !any(newer_success_, run.dag, run.seq));
    if (newest) return Kept::kNewest;
    if (any(next_lives_, run.dag, run.logical_time) || any(backfill_lives_, run.dag)) return Kept::kPast;
    if (run.parent.key.run && any(parent_, run.parent.key.run)) return Kept::kParent;
    if (any(child_, range.first, range.last)) return Kept::kChild;
    if (any(untold_, run.seq)) return Kept::kNotice;
    if (any(event_, run.dag, run.id.text())) return Kept::kEvent;
    if (any(alias_, range.first, range.last)) return Kept::kAlias;
    if (any(state_, range.first, range.last)) return Kept::kState;
    if (run.retention.due.is_set()) return Kept::kRetention;
    return any(asset_, range.first, range.last) ? Kept::kAsset : Kept::kNot;
  }

  /// Of task instances `first` to `last` of the run.
  Kept of_instances(RunSeq run, std::uint32_t first, std::uint32_t last) {
    const RowRange all = rows_of(run);
    const std::int64_t from = InstanceKey{run, first}.row(), to = InstanceKey{run, last}.row();
    for (Statement* each : {&input_, &artifact_, &result_, &earlier_result_}) {
      if (any(*each, from, to, all.first, all.last)) return Kept::kUsed;
    }
    if (any(kept_for_ever_, from, to, kForever)) return Kept::kRetention;
    return any(dataset_, from, to) ? Kept::kDataset : Kept::kNot;
  }

 private:
  template <typename... Values>
  static bool any(Statement& statement, const Values&... values) {
    const bool found = statement.query(values...).step();
    statement.reset();
    return found;
  }

  Statement newer_, later_, newer_success_, next_lives_, backfill_lives_, parent_, child_, untold_, event_, alias_,
      state_, asset_, input_, artifact_, result_, earlier_result_, kept_for_ever_, dataset_;
};

/// Those that ended last come first.
std::vector<RunRow> ended_runs(Connection& connection, const PruneQuery& query) {
  const PrunePlace from = query.after.ended_at.is_set() ? query.after : PrunePlace{query.before, {}};
  Statement statement(connection,
                      select_sql<RunRow>("WHERE t.pruned_at_us = 0 AND t.ended_at_us > 0 AND (t.ended_at_us, t.seq) < "
                                         "(?1, ?2) ORDER BY t.ended_at_us DESC, t.seq DESC LIMIT ?3"));
  std::vector<RunRow> rows;
  statement.query(from.ended_at, from.run, kPruneLooksMax);
  while (statement.step()) read_row(statement, rows.emplace_back());
  return rows;
}

void look_at(Referrers& referrers, PruneCandidate& run, std::uint32_t from, std::uint32_t& instances_left) {
  run.kept = referrers.of_run(run.row);  // Each time anew: it took several looks, maybe.
  if (run.kept != Kept::kNot || run.row.instances <= from) return;
  const std::uint32_t count = std::min(run.row.instances - from, instances_left);
  run.kept = referrers.of_instances(run.row.seq, from, from + count - 1);
  instances_left -= count;
  const bool is_whole = from + count == run.row.instances;
  if (run.kept == Kept::kNot && !is_whole) run.next = from + count;
}

}  // namespace

PruneLooked find_prunable(Connection& connection, const PruneQuery& query) {
  PruneLooked looked;
  looked.emptied = emptied_of(connection, query.marked);
  if (!query.before.is_set()) return looked;
  std::vector<RunRow> rows = ended_runs(connection, query);
  looked.last = rows.size() < kPruneLooksMax;
  Referrers referrers(connection);
  std::uint32_t from = query.from;
  std::uint32_t instances_left = kPruneInstancesMax;
  for (RunRow& row : rows) {
    const bool meant = is_final(row.state) && (query.dag.empty() || row.dag == query.dag);
    if (meant && instances_left == 0) {
      looked.last = false;
      return looked;
    }
    const PrunePlace place{row.ended_at, row.seq};
    if (meant) {
      PruneCandidate& run = looked.runs.emplace_back(PruneCandidate{.row = std::move(row)});
      look_at(referrers, run, std::exchange(from, 0), instances_left);
      if (run.next != 0) {
        looked.last = false;
        return looked;
      }
    }
    looked.end = place;
  }
  return looked;
}

}  // namespace chappe::sqlite
