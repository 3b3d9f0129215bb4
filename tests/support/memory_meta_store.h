/// \file
/// The metadata store as a value in memory, with every guard of a real one: a Persist that breaks one is refused, and
/// the error names the row, what the change expected and what stands there.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/ports/meta_store.h"
#include "engine/run/events.h"
#include "engine/run/expired.h"

namespace chappe::support {

/// What the store holds: the tables, by their keys.
struct StoredTables {
  std::map<std::string, DagVersionRow> dag_versions;
  std::map<RunSeq, RunRow> runs;
  std::map<WorkerSeq, WorkerRow> workers;
  std::vector<FanOutRow> fan_outs;
  std::map<InstanceKey, TaskRow> tasks;
  std::vector<AttemptRow> attempts;
  std::vector<InputRow> inputs;
  std::vector<DatasetRow> datasets;
  std::map<AssetVersionId, AssetVersion> asset_versions;
  std::vector<ArtifactRow> artifacts;
  std::set<std::string> doomed;
  std::vector<ValueRow> values;
  std::vector<AliasRow> aliases;
  std::map<std::string, TokenRow> tokens;
  std::map<std::string, DeploymentRow> deployments;
  std::map<EventId, TriggerEventRow> events;
  std::map<std::tuple<std::string, std::string, std::string>, std::string> sightings;  ///< Stamps.
  std::map<std::pair<std::string, std::string>, StateRow> states;                      ///< By scope and name.
  std::map<BackfillId, BackfillRow> backfills;
  std::map<InstanceKey, CacheUseRow> cache_uses;
  std::map<std::pair<std::string, std::string>, CacheEntryRow> cache_entries;  ///< By scope and hash.
  std::map<std::uint64_t, NotificationRow> notifications;
  std::vector<AuditRow> audit;
  std::set<RunSeq> pruning;
};

class MemoryMetaStore final : public MetaStore {
 public:
  /// Makes a version known to load(), which hands out `dag` itself instead of reading its source again.
  void register_dag(const DagPtr& dag) { dags_[dag->version] = dag; }
  /// What opening a store does: raises the epoch, durably.
  void open() { ++epoch_; }

  Result<StoredState> load() override { return std::as_const(*this).load(); }
  Result<StoredState> load() const;
  Result<StoredRun> load_run(const RunId& run);
  /// As MetaReader::newest_of_dates().
  std::vector<std::optional<RunState>> newest_of_dates(const std::string& dag,
                                                       const std::vector<WallTime>& times) const;
  /// As the scheduler does.
  PastLooked look_up_past(const WantedPast& wanted);
  /// As MetaReader::expired().
  ExpiredLooked expired(const ExpiredQuery& query) const;
  /// As MetaReader::prunable().
  PruneLooked prunable(const PruneQuery& query) const;
  Result<void> commit(const Persist& changes) override;
  Result<void> checkpoint_if_due() override { return {}; }

  /// Forgets the newest commits, as a disk without power-loss protection does.
  void lose_newest(std::size_t commits);
  const StoredTables& tables() const { return tables_; }
  std::size_t commits() const { return log_.size(); }
  static Value params_of(const RunRow& row);

 private:
  void apply(const Persist& changes);
  void apply(const RunRow& row);
  void apply(const RunChange& change);
  void apply(const WorkerRow& row);
  void apply(const TaskChange& change);
  void apply(const AssetPublished& published);
  void apply(const ArtifactCollected& collected);
  void apply(const TokenChange& change);
  void apply(const DeploymentRow& row);
  void apply(const TriggerEventRow& row);
  void apply(const TriggerEventTaken& taken);
  void apply(const SightingChange& change);
  void apply(const StateRow& row);
  void apply(const BackfillRow& row);
  void apply_cache(const Persist& changes);
  void apply_pruning(const Persist& changes);
  void erase_rows(RunSeq run, std::size_t& rows_max);
  void apply_notifications(const Persist& changes);
  void broken(const std::string& row, const std::string& expected, const std::string& found);
  StoredRun stored(const RunRow& row) const;

  std::uint32_t epoch_ = 0;
  std::map<std::string, DagPtr> dags_;
  StoredTables tables_;
  std::vector<Persist> log_;
  std::string broken_;  ///< The first guard of the commit under way that did not hold.
};

}  // namespace chappe::support
