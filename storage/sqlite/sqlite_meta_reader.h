/// \file
/// The metadata store for those who only look: a read-only connection of its own, and no snapshot that outlives a call.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "engine/ports/meta_reader.h"
#include "storage/sqlite/connection.h"

namespace chappe::sqlite {

/// Most rows of an answer that has no page size of its own: more is kInvalidInput, never a silent cut.
inline constexpr std::size_t kAnswerRowsMax = 1'000'000;

class SqliteMetaReader final : public MetaReader {
 public:
  /// Throws Failed. `read_time_max`: of one call.
  SqliteMetaReader(const std::filesystem::path& path, Duration read_time_max);

  Result<std::vector<RunRow>> runs(const RunFilter& filter) override;
  Result<RunRow> run(const std::string& id_or_prefix) override;
  Result<RunRow> run_by_seq(RunSeq seq) override;
  Result<StoredRun> load_run(const RunId& run) override;
  Result<std::optional<RunRow>> run_by_request(const std::string& request_id) override;
  Result<std::vector<FanOutRow>> fan_outs(RunSeq run) override;
  Result<std::array<std::uint64_t, kTaskStates>> state_counts(const RunRow& run) override;
  Result<std::vector<TaskRow>> tasks(RunSeq run, const TaskFilter& filter) override;
  Result<AttemptHistory> attempts(InstanceKey key) override;
  Result<std::vector<AttemptRow>> earlier_attempts(RunSeq run, std::size_t limit) override;
  Result<std::vector<ArtifactRow>> artifacts(RunSeq run, std::optional<std::uint32_t> index) override;
  Result<ExpiredLooked> expired(const ExpiredQuery& query) override;
  Result<PruneLooked> prunable(const PruneQuery& query) override;
  Result<std::vector<InputRow>> inputs(RunSeq run, std::optional<std::uint32_t> index) override;
  Result<std::vector<DatasetRow>> datasets(RunSeq run, std::optional<std::uint32_t> index) override;
  Result<std::vector<DatasetRow>> dataset_uses(const std::string& uri, bool written, std::size_t limit) override;
  Result<std::vector<ValueRow>> values(RunSeq run, std::optional<std::uint32_t> index) override;

  Result<std::vector<CacheUseRow>> cache_uses(RunSeq run, std::optional<std::uint32_t> index) override;
  Result<std::optional<CacheEntryRow>> cache_entry(const CacheKey& key) override;
  Result<std::vector<CacheEntryRow>> cache_entries(const std::string& scope, const std::string& task,
                                                   const std::string& map_key, std::size_t limit) override;

  Result<std::vector<AssetVersion>> assets(const AssetFilter& filter) override;
  Result<AssetVersion> asset_version(AssetVersionId id) override;
  Result<ArtifactRow> artifact_by_key(const std::string& key) override;
  Result<std::vector<InputRow>> consumers(const std::string& key, std::size_t limit) override;
  Result<std::vector<InputRow>> object_readers(const std::string& uri, std::size_t limit) override;
  Result<std::vector<AliasRow>> aliases(const std::string& model) override;
  Result<std::vector<AliasRow>> alias_history(const std::string& model, const std::string& alias) override;
  Result<AssetVersion> resolve_alias(const std::string& model, const std::string& alias) override;
  Result<std::vector<AliasRow>> alias_moves_of(RunSeq run) override;

  Result<std::vector<TriggerEventRow>> events_of(RunSeq run) override;
  Result<std::vector<StateRow>> states(const std::string& scope, const std::string& name, std::size_t limit) override;
  Result<StateRow> state(const std::string& scope, const std::string& name) override;
  Result<std::optional<TriggerEventRow>> event_by_key(const std::string& dag, const EventSource& source,
                                                      const std::string& key) override;
  Result<std::vector<DeploymentRow>> deployments(const std::string& dag) override;
  Result<std::vector<BackfillRow>> backfills(const BackfillFilter& filter) override;
  Result<BackfillRow> backfill(BackfillId id) override;
  Result<std::array<std::uint64_t, kRunStates>> run_counts(BackfillId backfill) override;
  Result<std::vector<std::optional<RunState>>> newest_of_dates(const std::string& dag,
                                                               const std::vector<WallTime>& times) override;
  Result<std::optional<RunRow>> newest_before(const std::string& dag, WallTime before) override;
  Result<std::optional<TaskState>> unwell(RunSeq run, std::uint32_t first, std::uint32_t count) override;
  Result<std::vector<RunRow>> newest_runs() override;
  Result<std::vector<DagVersionRow>> dags() override;
  Result<DagVersionRow> dag_version(const std::string& version) override;
  Result<DagVersionRow> newest_dag_version(const std::string& dag) override;
  Result<std::vector<WorkerRow>> workers(std::size_t limit) override;
  Result<std::optional<WorkerRow>> worker(WorkerSeq seq) override;
  Result<std::vector<NotificationRow>> notifications(std::optional<NotificationState> state, std::uint64_t before,
                                                     std::size_t limit) override;
  Result<std::vector<NotificationRow>> pending_notifications(std::uint64_t after, std::size_t limit) override;
  Result<std::vector<AuditEntry>> audit(std::size_t limit, std::uint64_t before, const TimeRange& at) override;
  Result<AuditVerdict> verify_audit(std::uint64_t after, std::size_t limit) override;

  /// What SQLite would do for each statement that was used so far: the statement, then its plan.
  std::map<std::string, std::string> plans();

 private:
  using Clock = std::chrono::steady_clock;

  /// A call: the time limit starts, and what `work` throws becomes an Error.
  template <typename Work>
  auto call(std::string_view what, Work work) -> Result<std::invoke_result_t<Work>>;
  Statement& prepared(const std::string& sql);
  template <typename Row, typename... Values>
  std::vector<Row> all(std::string_view rest, const Values&... values);
  template <typename Row, typename... Values>
  std::optional<Row> first(std::string_view rest, const Values&... values);
  template <typename Row>
  Result<std::vector<Row>> of_instances(std::string_view what, RunSeq run, std::optional<std::uint32_t> index);
  void add_image(AttemptId attempt, AttemptEnd& end);
  RunRow run_by_prefix(std::string prefix);
  std::vector<AssetVersion> newest_assets(const AssetFilter& filter, std::size_t limit);
  std::vector<AssetVersion> all_assets(const AssetFilter& filter, std::size_t limit);

  Connection connection_;
  Duration read_time_max_;
  Clock::time_point deadline_;
  std::map<std::string, Statement, std::less<>> statements_;
};

}  // namespace chappe::sqlite
