// What MemoryMetaStore does about runs that are pruned.
#include <algorithm>

#include "engine/run/prune.h"
#include "tests/support/memory_meta_store.h"

namespace chappe::support {
namespace {

// Small, so that it often takes more than one look.
constexpr std::size_t kLooksMax = 4;
constexpr std::uint32_t kInstancesMax = 3;

/// Erases at most `rows_max` of those that are meant.
template <typename Table, typename Meant>
void erase_some(Table& table, std::size_t& rows_max, Meant meant) {
  const std::size_t before = table.size();
  std::size_t left = rows_max;
  std::erase_if(table, [&](const auto& row) { return left > 0 && meant(row) && left-- > 0; });
  rows_max -= before - table.size();
}

template <typename Table, typename Meant>
bool any(const Table& table, Meant meant) {
  return std::any_of(table.begin(), table.end(), meant);
}

bool is_emptied(const StoredTables& tables, RunSeq run) {
  const auto of = [run](const auto& row) { return row.key.run == run; };
  const auto keyed = [run](const auto& row) { return row.first.run == run; };
  return !any(tables.artifacts, of) && !any(tables.inputs, of) && !any(tables.values, of) &&
         !any(tables.datasets, of) && !any(tables.attempts, of) && !any(tables.cache_uses, keyed) &&
         !any(tables.tasks, keyed);
}

bool started_what_made_assets(const StoredTables& tables, RunSeq run) {
  return any(tables.runs, [&](const auto& child) {
    const RunRow& row = child.second;
    if (row.parent.key.run != run || row.pruned_at.is_set()) return false;
    const bool asset =
        any(tables.artifacts, [&](const ArtifactRow& each) { return each.key.run == row.seq && each.asset; });
    return asset || started_what_made_assets(tables, row.seq);
  });
}

/// What task instances of the run, of these positions, made.
bool is_used(const StoredTables& tables, RunSeq run, std::uint32_t first, std::uint32_t last) {
  const auto meant = [&](InstanceKey key) { return key.run == run && key.index >= first && key.index <= last; };
  const auto of_run = [&](AttemptId attempt, const StoredTables& all) {
    const auto is = [&](const auto& row) { return meant(row.key) && row.attempt == attempt; };
    return any(all.attempts, is) || any(all.tasks, [&](const auto& row) { return is(row.second); });
  };
  const auto other = [&](InstanceKey key) { return key.run != run && !tables.pruning.contains(key.run); };
  for (const ArtifactRow& made : tables.artifacts) {
    if (!meant(made.key)) continue;
    const bool own = !made.made_by.run;
    const bool input = any(tables.inputs, [&](const InputRow& row) {
      return other(row.key) && row.object.key == made.object.key && (own || row.object.producer.run == run);
    });
    const bool held = any(tables.artifacts, [&](const ArtifactRow& row) {
      return other(row.key) && row.object.key == made.object.key && (own || row.made_by.run == run);
    });
    if (input || held) return true;
  }
  return any(tables.cache_uses,
             [&](const auto& use) { return other(use.first) && use.second.from && of_run(use.second.from, tables); });
}

Kept why_kept(const StoredTables& tables, const RunRow& run) {
  const auto of_dag = [&](auto meant) {
    return any(tables.runs, [&](const auto& each) { return each.second.dag == run.dag && meant(each.second); });
  };
  const auto by_run = [&](const auto& row) { return row.by_task.run == run.seq; };
  std::optional<WallTime> next;
  for (const auto& [seq, row] : tables.runs) {
    if (row.dag == run.dag && row.logical_time > run.logical_time)
      next = std::min(next.value_or(row.logical_time), row.logical_time);
  }
  const bool newest = !of_dag([&](const RunRow& row) { return row.seq > run.seq; }) || !next ||
                      (run.state == RunState::kSuccess && !of_dag([&](const RunRow& row) {
                         return row.state == RunState::kSuccess && row.seq > run.seq;
                       }));
  if (newest) return Kept::kNewest;
  const bool past = of_dag([&](const RunRow& row) { return row.logical_time == *next && !is_final(row.state); }) ||
                    any(tables.backfills,
                        [&](const auto& each) { return each.second.dag == run.dag && !is_final(each.second.state); });
  if (past) return Kept::kPast;
  const auto parent = tables.runs.find(run.parent.key.run);
  if (parent != tables.runs.end() && !parent->second.pruned_at.is_set()) return Kept::kParent;
  if (started_what_made_assets(tables, run.seq)) return Kept::kChild;
  const bool untold = any(tables.notifications, [&](const auto& each) {
    return each.second.run == run.seq && each.second.state == NotificationState::kPending;
  });
  if (untold) return Kept::kNotice;
  const bool event = any(tables.events, [&](const auto& each) {
    const TriggerEventRow& row = each.second;
    return !row.run && row.source.kind == EventSource::Kind::kDag && row.key.starts_with(run.id.text());
  });
  if (event) return Kept::kEvent;
  if (any(tables.aliases, by_run)) return Kept::kAlias;
  if (any(tables.states, [&](const auto& each) { return by_run(each.second); })) return Kept::kState;
  if (run.retention.due.is_set()) return Kept::kRetention;
  const auto is_asset = [&](const ArtifactRow& each) { return each.key.run == run.seq && each.asset; };
  if (any(tables.artifacts, is_asset)) return Kept::kAsset;
  const auto is_kept_for_ever = [&](const ArtifactRow& each) {
    return each.key.run == run.seq && each.retention == kForever && !each.collected_at.is_set();
  };
  if (any(tables.artifacts, is_kept_for_ever)) return Kept::kRetention;
  for (std::size_t i = 0; i < tables.datasets.size(); ++i) {
    const DatasetRow& written = tables.datasets[i];
    if (written.key.run != run.seq || !written.written) continue;
    const auto newer = [&](const DatasetRow& row) { return row.written && row.uri == written.uri; };
    if (std::none_of(tables.datasets.begin() + static_cast<std::ptrdiff_t>(i) + 1, tables.datasets.end(), newer))
      return Kept::kDataset;
  }
  return Kept::kNot;
}

}  // namespace

void MemoryMetaStore::apply_pruning(const Persist& changes) {
  for (const RunPruned& pruned : changes.pruned) {
    const auto found = tables_.runs.find(pruned.run);
    const bool fits = found != tables_.runs.end() && found->second.id == pruned.id &&
                      found->second.state == pruned.expect_state &&
                      found->second.generation == pruned.expect_generation && !found->second.pruned_at.is_set();
    if (!fits) return broken("run " + pruned.id.text(), "one that is over and not pruned", "another");
    RunRow& row = found->second;
    row.pruned_at = pruned.at;
    row.params_json = "{}";
    row.outputs = {};
    row.message.clear();
    tables_.pruning.insert(row.seq);
    std::erase_if(tables_.fan_outs, [&](const FanOutRow& each) { return each.run == row.seq; });
    for (auto& [id, event] : tables_.events) {
      if (event.run == row.seq) event.detail = event.params = ValueMap{};
    }
  }
  std::size_t rows_max = kPruneRowsMax;
  for (const RunSeq run : changes.prune_rows) erase_rows(run, rows_max);
  for (const RunSeq run : changes.prune_ended) tables_.pruning.erase(run);
}

void MemoryMetaStore::erase_rows(RunSeq run, std::size_t& rows_max) {
  std::erase_if(tables_.cache_entries, [&](const auto& each) { return each.second.producer.run == run; });
  const auto of = [run](const auto& row) { return row.key.run == run; };
  const auto keyed = [run](const auto& row) { return row.first.run == run; };
  erase_some(tables_.artifacts, rows_max, of);
  erase_some(tables_.inputs, rows_max, of);
  erase_some(tables_.values, rows_max, of);
  erase_some(tables_.datasets, rows_max, of);
  erase_some(tables_.attempts, rows_max, of);
  erase_some(tables_.cache_uses, rows_max, keyed);
  erase_some(tables_.tasks, rows_max, keyed);
}

PruneLooked MemoryMetaStore::prunable(const PruneQuery& query) const {
  PruneLooked looked;
  for (const RunSeq run : query.marked) {
    if (is_emptied(tables_, run)) looked.emptied.push_back(run);
  }
  if (!query.before.is_set()) return looked;
  std::map<PrunePlace, const RunRow*> behind;
  const PrunePlace from = query.after.ended_at.is_set() ? query.after : PrunePlace{query.before, {}};
  for (const auto& [seq, row] : tables_.runs) {
    const PrunePlace place{row.ended_at, seq};
    const bool meant = query.dag.empty() || row.dag == query.dag;
    if (is_final(row.state) && !row.pruned_at.is_set() && place < from && meant) behind.emplace(place, &row);
  }
  std::uint32_t first = query.from;
  for (auto each = behind.rbegin(); each != behind.rend(); ++each) {
    looked.last = looked.runs.size() < kLooksMax;
    if (!looked.last) return looked;
    PruneCandidate& run = looked.runs.emplace_back(PruneCandidate{*each->second, why_kept(tables_, *each->second)});
    const std::uint32_t last = first + kInstancesMax;
    if (run.kept == Kept::kNot && is_used(tables_, run.row.seq, first, last - 1)) run.kept = Kept::kUsed;
    first = 0;
    looked.last = run.kept != Kept::kNot || last >= run.row.instances;
    if (!looked.last) run.next = last;
    if (!looked.last) return looked;
    looked.end = each->first;
  }
  return looked;
}

}  // namespace chappe::support
