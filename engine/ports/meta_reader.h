/// \file
/// The metadata store as readers see it: HTTP handlers and tools. Snapshots; never blocks the writer.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/run/expired.h"
#include "engine/run/prune.h"
#include "engine/run/records.h"

namespace chappe {

/// From `since` on, before `until`; those that are not set bound nothing.
struct TimeRange {
  WallTime since;
  WallTime until;
  bool is_set() const { return since.is_set() || until.is_set(); }
};

struct RunFilter {
  std::string dag;      ///< "" for all.
  BackfillId backfill;  ///< That made them; 0: all.
  std::optional<RunState> state;
  TimeRange created;
  std::optional<RunSeq> before;  ///< Page: runs older than this one.
  std::size_t limit = 50;        ///< At most 1,000.
};

struct TaskFilter {
  std::optional<TaskState> state;
  std::uint32_t index_from = 0;  ///< Page: instances from this index.
  std::size_t limit = 1'000;     ///< At most 10,000.
};

/// A task instance with all that is known of its attempts, newest first.
struct AttemptHistory {
  TaskRow task;
  std::vector<AttemptRow> earlier;
};

struct AssetFilter {
  std::string uri;          ///< Exact URI or short name; "" for all.
  bool newest_only = true;  ///< One row an asset.
  TimeRange created;
  std::optional<AssetVersionId> before;
  std::size_t limit = 100;
};

struct BackfillFilter {
  std::string dag;                   ///< "" for all.
  std::optional<BackfillId> before;  ///< Page: older ones than this.
  std::size_t limit = 50;            ///< At most 1,000.
};

/// One thread at a time; open one for each thread that reads.
/// A row of the audit log as it is kept.
struct AuditEntry {
  std::uint64_t number = 0;  ///< Counts from 1, without gaps.
  AuditRow row;
  std::string hash;  ///< SHA-256 over the hash before it and this row; "" on rows from before there was a chain.
  bool operator==(const AuditEntry&) const = default;
};

/// How far the audit log's chain holds.
struct AuditVerdict {
  std::uint64_t rows = 0;    ///< Rows that were looked at and are as they were written.
  std::uint64_t last = 0;    ///< The last of them.
  std::string head;          ///< Its hash: whoever keeps it elsewhere notices when rows are cut off the end.
  std::uint64_t broken = 0;  ///< The first row that does not fit; 0: none.
  std::string why;           ///< What is wrong with it.
};

class MetaReader {
 public:
  virtual ~MetaReader() = default;

  /// Newest first.
  virtual Result<std::vector<RunRow>> runs(const RunFilter& filter) = 0;
  /// By ULID, or by a prefix of at least four characters that is unique. Errors: kNotFound, kInvalidInput (several
  /// fit).
  virtual Result<RunRow> run(const std::string& id_or_prefix) = 0;
  virtual Result<RunRow> run_by_seq(RunSeq seq) = 0;
  /// One run with all its rows, for who wants to run it again. Errors: kNotFound. Cost: O(its rows).
  virtual Result<StoredRun> load_run(const RunId& run) = 0;
  virtual Result<std::optional<RunRow>> run_by_request(const std::string& request_id) = 0;
  /// What fan-outs over results came to, in the order in which they were written.
  virtual Result<std::vector<FanOutRow>> fan_outs(RunSeq run) = 0;
  /// Rows by state; instances without a row are counted as kNone.
  virtual Result<std::array<std::uint64_t, kTaskStates>> state_counts(const RunRow& run) = 0;
  virtual Result<std::vector<TaskRow>> tasks(RunSeq run, const TaskFilter& filter) = 0;
  virtual Result<AttemptHistory> attempts(InstanceKey key) = 0;
  /// The earlier attempts (all but each instance's latest) of a whole run.
  virtual Result<std::vector<AttemptRow>> earlier_attempts(RunSeq run, std::size_t limit) = 0;
  /// Rows of one instance, or of the whole run where `index` is not given.
  virtual Result<std::vector<ArtifactRow>> artifacts(RunSeq run, std::optional<std::uint32_t> index) = 0;
  /// Artifacts whose retention may have passed; at most kCollectMax are looked at.
  virtual Result<ExpiredLooked> expired(const ExpiredQuery& query) = 0;
  /// Runs that may go, and why the others stay; at most kPruneLooksMax are looked at.
  virtual Result<PruneLooked> prunable(const PruneQuery& query) = 0;
  virtual Result<std::vector<InputRow>> inputs(RunSeq run, std::optional<std::uint32_t> index) = 0;
  virtual Result<std::vector<ValueRow>> values(RunSeq run, std::optional<std::uint32_t> index) = 0;
  virtual Result<std::vector<DatasetRow>> datasets(RunSeq run, std::optional<std::uint32_t> index) = 0;
  /// Attempts that read or wrote the dataset outside with this URI, newest first.
  virtual Result<std::vector<DatasetRow>> dataset_uses(const std::string& uri, bool written, std::size_t limit) = 0;

  /// Of instances with a `cache`: one, or all of the run where `index` is not given.
  virtual Result<std::vector<CacheUseRow>> cache_uses(RunSeq run, std::optional<std::uint32_t> index) = 0;
  virtual Result<std::optional<CacheEntryRow>> cache_entry(const CacheKey& key) = 0;
  /// Other results of a task, those of the same item first, then those that were used last.
  virtual Result<std::vector<CacheEntryRow>> cache_entries(const std::string& scope, const std::string& task,
                                                           const std::string& map_key, std::size_t limit) = 0;

  virtual Result<std::vector<AssetVersion>> assets(const AssetFilter& filter) = 0;
  virtual Result<AssetVersion> asset_version(AssetVersionId id) = 0;
  /// The artifact (asset or not) with this immutable key: one that is not collected, where some run has it still.
  /// Errors: kNotFound.
  virtual Result<ArtifactRow> artifact_by_key(const std::string& key) = 0;
  /// Attempts that were handed the object with this immutable key.
  virtual Result<std::vector<InputRow>> consumers(const std::string& key, std::size_t limit) = 0;
  /// Attempts that read the object of S3 with this URI, whatever stood there, newest first.
  virtual Result<std::vector<InputRow>> object_readers(const std::string& uri, std::size_t limit) = 0;
  /// Newest row of each alias; of one model where given.
  virtual Result<std::vector<AliasRow>> aliases(const std::string& model) = 0;
  /// All rows of one alias, newest first.
  virtual Result<std::vector<AliasRow>> alias_history(const std::string& model, const std::string& alias) = 0;
  /// "MODEL@ALIAS" to where it stands. Errors: kNotFound.
  virtual Result<AssetVersion> resolve_alias(const std::string& model, const std::string& alias) = 0;
  /// Alias moves that a task instance made.
  virtual Result<std::vector<AliasRow>> alias_moves_of(RunSeq run) = 0;

  /// The events that a run took, oldest first.
  virtual Result<std::vector<TriggerEventRow>> events_of(RunSeq run) = 0;
  /// Values that outlive runs, by scope and name, behind (`scope`, `name`); at most `limit`.
  virtual Result<std::vector<StateRow>> states(const std::string& scope, const std::string& name,
                                               std::size_t limit) = 0;
  /// Errors: kNotFound.
  virtual Result<StateRow> state(const std::string& scope, const std::string& name) = 0;
  /// The event of a DAG with this source and key; nullopt: there is none. Requires: the key is not "".
  virtual Result<std::optional<TriggerEventRow>> event_by_key(const std::string& dag, const EventSource& source,
                                                              const std::string& key) = 0;
  /// DAGs that are deployed, by name; of one name where given.
  virtual Result<std::vector<DeploymentRow>> deployments(const std::string& dag = "") = 0;
  /// Newest first.
  virtual Result<std::vector<BackfillRow>> backfills(const BackfillFilter& filter) = 0;
  virtual Result<BackfillRow> backfill(BackfillId id) = 0;
  /// Its runs by state.
  virtual Result<std::array<std::uint64_t, kRunStates>> run_counts(BackfillId backfill) = 0;
  /// By time: the state of the run of the DAG with this logical time that is not over, or else of the newest one;
  /// nullopt: there is none. Cost: a few microseconds each.
  virtual Result<std::vector<std::optional<RunState>>> newest_of_dates(const std::string& dag,
                                                                       const std::vector<WallTime>& times) = 0;
  /// The run of the DAG with the newest logical time before this one, and of those the newest; nullopt: there is none.
  virtual Result<std::optional<RunRow>> newest_before(const std::string& dag, WallTime before) = 0;
  /// Of a run that is over: how an instance in this range of positions ended that ended neither well nor was allowed
  /// to; without a row it was cancelled. nullopt: all did.
  virtual Result<std::optional<TaskState>> unwell(RunSeq run, std::uint32_t first, std::uint32_t count) = 0;
  /// The newest run of each DAG, by its name.
  virtual Result<std::vector<RunRow>> newest_runs() = 0;
  /// The newest version of each DAG.
  virtual Result<std::vector<DagVersionRow>> dags() = 0;
  /// By its hash, or a beginning of at least eight characters that is unique. Errors: kNotFound.
  virtual Result<DagVersionRow> dag_version(const std::string& version) = 0;
  virtual Result<DagVersionRow> newest_dag_version(const std::string& dag) = 0;
  virtual Result<std::vector<WorkerRow>> workers(std::size_t limit) = 0;
  virtual Result<std::optional<WorkerRow>> worker(WorkerSeq seq) = 0;
  /// Newest first; only those before `before` where that is not 0.
  virtual Result<std::vector<NotificationRow>> notifications(std::optional<NotificationState> state,
                                                             std::uint64_t before, std::size_t limit) = 0;
  /// Those that wait to be sent, oldest first, from behind `after`.
  virtual Result<std::vector<NotificationRow>> pending_notifications(std::uint64_t after, std::size_t limit) = 0;
  /// The audit log, newest first; only rows before `before` where that is not 0.
  virtual Result<std::vector<AuditEntry>> audit(std::size_t limit, std::uint64_t before = 0,
                                                const TimeRange& at = {}) = 0;
  /// Follows the chain of the audit log over at most `limit` rows behind the row `after`, whose hash is trusted (0:
  /// from the beginning).
  virtual Result<AuditVerdict> verify_audit(std::uint64_t after, std::size_t limit) = 0;
};

}  // namespace chappe
