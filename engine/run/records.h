/// \file
/// What the metadata store keeps, as values: rows, and the changes that one transaction makes to them.
/// A change of a run or an instance names the state (and attempt) that it expects. A store applies all of a Persist or
/// nothing; a guard that does not hold means that two schedulers wrote: it must fail the commit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/value.h"
#include "engine/lineage/objects.h"
#include "engine/model/backfill.h"
#include "engine/model/dag.h"
#include "engine/model/retention.h"
#include "engine/run/state_records.h"
#include "engine/run/token_records.h"
#include "engine/run/trigger_records.h"

namespace chappe {

/// What an attempt used. 0 where not measured.
struct Usage {
  std::uint64_t cpu_us = 0;
  std::uint64_t peak_memory_bytes = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  bool operator==(const Usage&) const = default;
};

/// Reason::kNone: success.
struct AttemptEnd {
  Reason reason = Reason::kNone;
  std::int32_t exit_code = 0;  ///< With kExitCode; 128 + signal with kSignal.
  WallTime started_at;         ///< Not set: it never started.
  WallTime ended_at;
  Usage usage;
  std::string message;  ///< For people; at most 1 KiB.
  std::string image;    ///< What it ran in, so that nothing else can be meant: "NAME@sha256:..."; "": in no container.
  bool operator==(const AttemptEnd&) const = default;
};

/// A task instance with its latest attempt. A row exists only once there is something to tell; an instance without a
/// row is kNone.
struct TaskRow {
  InstanceKey key;
  TaskState state = TaskState::kNone;
  bool allowed = false;          ///< kFailed, but `allow_failure` covers it; kSkipped, because the run does without it.
                                 ///< Either counts as success.
  AttemptId attempt;             ///< Latest; 0: none yet.
  std::uint16_t attempt_no = 0;  ///< Counts from 1 over all generations.
  std::uint16_t user_tries = 0;  ///< Failures charged to `retry` in this generation.
  std::uint16_t infra_tries = 0;  ///< Failures charged to `infra_retry` in this generation.
  std::uint16_t iteration = 0;    ///< Of a loop: those that ended in this generation. Each has tries of its own.
  WorkerSeq worker;               ///< Of the latest attempt; 0: none, or the engine itself.
  WallTime ready_at;              ///< Dependencies allowed it.
  WallTime queued_at;             ///< The latest attempt was assigned; the wait began.
  WallTime retry_at;  ///< With kUpForRetry; of a loop also with kWaiting; of a wait: when it was told to be late.
  AttemptEnd end;     ///< Of the latest attempt, once it ended; of the instance where it had none.
                      ///< With kWaiting: its message says what it waits for.
  bool operator==(const TaskRow&) const = default;
};

/// "The row was so, make it so." `expect_state` kNone with `expect_row` false: there must be no row.
/// Where the change replaces an attempt (`expect_attempt` is set and `row.attempt` is another or none), the store first
/// copies the old one, if it ended, to the history: an attempt that ended is never forgotten.
struct TaskChange {
  TaskRow row;
  bool expect_row = false;
  TaskState expect_state = TaskState::kNone;
  AttemptId expect_attempt;
  bool operator==(const TaskChange&) const = default;
};

/// The items of a fan-out over results, as FanOut::told() tells them. Of the rows of one task the last one counts; the
/// order of all rows of a run says which positions their instances have.
struct FanOutRow {
  RunSeq run;
  std::uint32_t task = 0;
  Value items;
  bool operator==(const FanOutRow&) const = default;
};

/// An attempt that is not the latest of its instance any more: history. Made by the store, see TaskChange.
struct AttemptRow {
  InstanceKey key;
  AttemptId attempt;
  std::uint16_t attempt_no = 0;
  WorkerSeq worker;
  WallTime queued_at;
  AttemptEnd end;
  bool operator==(const AttemptRow&) const = default;
};

/// The image that an attempt in a pod ran in. Nodes tell it when they come to it, maybe when the attempt has ended.
struct AttemptImage {
  AttemptId attempt;
  std::string image;  ///< As AttemptEnd::image, which is "" then.
  bool operator==(const AttemptImage&) const = default;
};

/// Why nothing new starts in a run that is not over yet. The numbers are stored: never renumber.
enum class Stop : std::uint8_t {
  kNone = 0,
  kCancel = 1,          ///< A person cancelled it: it ends as kCancelled.
  kFailFast = 2,        ///< A task failed, and `fail_fast` says so: it ends as kFailed.
  kTimeout = 3,         ///< The run's `timeout` passed: it ends as kFailed.
  kCutShort = 4,        ///< A person cancelled its handlers, too: it ends as kCancelled.
  kCutShortFailed = 5,  ///< The same, of a run that had failed: it ends as kFailed.
};

/// The attempt of a task that started a run.
struct ParentAttempt {
  InstanceKey key;
  AttemptId attempt;  ///< 0: no task started it.
  bool operator==(const ParentAttempt&) const = default;
};

struct RunRow {
  RunSeq seq;
  RunId id;
  std::string dag;
  std::string dag_version;
  std::string params_json;  ///< All parameters, secret ones as null.
  std::string trigger;      ///< "manual", "schedule", "backfill", "asset" ...
  std::string requested_by;
  std::string request_id;  ///< The client's, unique where not empty: the same request makes one run.
  WallTime logical_time;
  WallTime interval_start;
  WallTime interval_end;
  RunState state = RunState::kQueued;
  Stop stop = Stop::kNone;
  std::uint32_t generation = 1;  ///< Raised by each `retry` of a person.
  std::uint32_t instances = 0;   ///< Task instances in all; fan-outs over results add theirs.
  WallTime created_at;
  WallTime started_at;
  WallTime ended_at;
  std::string message;  ///< Why it ended so, for people.
  std::string group;    ///< What its `concurrency.group` came to; "": it has its place among the runs of its DAG.
  Value outputs;        ///< What it publishes, as published_by() tells it; null: it has not succeeded, or nothing.
  ParentAttempt parent;
  std::uint32_t depth = 0;  ///< How many runs stand above it.
  BackfillId backfill;      ///< That made it; 0: none did.
  RunSeq rerun_of;          ///< The run that a person wanted once more; 0: it is no rerun.
  bool no_cache = false;    ///< Nothing is used again in it; what it makes may be.
  WallTime late_at;         ///< When its owner was told that it missed its deadline; not set: it has not.
  RunRetention retention;
  bool date_in_zone = true;  ///< `run.date` is a day of the DAG's zone; false: of UTC, as of runs from before.
  WallTime pruned_at;        ///< When all of it went but this row; not set: it is there.
  bool operator==(const RunRow&) const = default;
};

struct RunChange {
  RunRow row;  ///< The whole row after the change; seq, id, dag, version, params and group never change.
  RunState expect_state = RunState::kQueued;
  bool operator==(const RunChange&) const = default;
};

/// "All of this run goes but its row": fills pruned_at, and empties what it was given and what it published. Of a run
/// that is over, and that nothing refers to.
struct RunPruned {
  RunSeq run;
  RunId id;
  RunState expect_state = RunState::kSuccess;
  std::uint32_t expect_generation = 1;
  WallTime at;
  bool operator==(const RunPruned&) const = default;
};

struct DagVersionRow {
  std::string version;
  std::string dag;
  std::string source;
  WallTime created_at;
  std::string commit;  ///< That was checked out in git where it was first deployed from a folder; "": none is known.
  bool operator==(const DagVersionRow&) const = default;
};

struct WorkerRow {
  WorkerSeq seq;
  std::string incarnation;  ///< 32 hex digits, made by the worker process at its start.
  std::string name;
  std::string host;
  std::uint32_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  WallTime joined_at;
  WallTime lost_at;  ///< Not set while it is held to be alive.
  std::string key;   ///< As WorkerJoined::worker_key.
  std::string pod;   ///< Name of the pod that was made for one attempt, and has this worker in it; "": a worker that
                     ///< came by itself. Until it joins, its incarnation is the pod's name, too.
  bool operator==(const WorkerRow&) const = default;
};

/// The manifest of an attempt that won: one row an object.
struct ArtifactRow {
  InstanceKey key;
  AttemptId attempt;
  OutputObject object;
  AssetVersionId asset;  ///< 0 unless the object is a version of an asset.
  InstanceKey made_by;   ///< Who wrote the object, where that is another: the result was used again.
  AttemptId made_by_attempt;
  Duration retention{};   ///< From the end of the run; 0: as the run's.
  WallTime collected_at;  ///< When its retention had passed: nobody may count on the object since. Not set: it has not.
  bool operator==(const ArtifactRow&) const = default;
};

/// "The retention of this artifact has passed": fills collected_at.
struct ArtifactCollected {
  InstanceKey key;
  AttemptId attempt;
  std::string name;
  WallTime at;
  bool operator==(const ArtifactCollected&) const = default;
};

/// What an attempt was handed: the other half of lineage.
struct InputRow {
  InstanceKey key;
  AttemptId attempt;
  InputObject object;
  bool operator==(const InputRow&) const = default;
};

/// A dataset outside that an attempt which succeeded read or wrote, as its DAG says.
struct DatasetRow {
  InstanceKey key;
  AttemptId attempt;
  bool written = false;
  std::string uri;
  bool operator==(const DatasetRow&) const = default;
};

struct ValueRow {
  InstanceKey key;
  AttemptId attempt;
  NamedValue value;
  WallTime at;
  bool operator==(const ValueRow&) const = default;
};

/// One part of what makes a result ("command", "env.YEAR", "inputs.raw"), and what it was: a digest.
using CacheParts = std::vector<std::pair<std::string, std::string>>;

/// What a task's result is found by.
struct CacheKey {
  std::string scope;   ///< "run ID", "dag NAME" or "namespace NAME".
  std::string sha256;  ///< Of all parts, 64 hex digits.
  CacheParts parts;    ///< For people, who want to know what differs.
  bool operator==(const CacheKey&) const = default;
};

/// What a cached task instance was made of when it was last looked up or assigned, and what came of the look. One row
/// an instance.
struct CacheUseRow {
  InstanceKey key;
  AttemptId attempt;  ///< 0: it has none yet.
  CacheKey cache;
  AttemptId from;    ///< The attempt whose outputs it has; 0: its own.
  std::string told;  ///< For people. "": what was told before stands.
  bool operator==(const CacheUseRow&) const = default;
};

/// A result that may be used again: the outputs of an attempt that won. One row a scope and hash.
struct CacheEntryRow {
  CacheKey cache;
  std::string task;     ///< Id; so many of one task are kept.
  std::string map_key;  ///< "" unless it is mapped.
  RunId run;
  InstanceKey producer;
  AttemptId attempt;
  WallTime made_at;
  WallTime used_at;  ///< Made, or used again.
  bool operator==(const CacheEntryRow&) const = default;
};

inline constexpr std::size_t kCacheEntriesMax = 10'000;  ///< Of one task in one scope; those used longest ago go.

/// "This version's URI shows it now": fills published_at, etag and store_version.
struct AssetPublished {
  AssetVersionId id;
  WallTime at;
  std::string etag;
  std::string store_version;
  bool operator==(const AssetPublished&) const = default;
};

/// An alias moved. The newest row of (model, alias) is where it stands; all rows are its history.
struct AliasRow {
  std::string model;
  std::string alias;
  AssetVersionId version;   ///< 0: removed.
  AssetVersionId previous;  ///< 0: there was none.
  InstanceKey by_task;      ///< 0: moved by a person.
  AttemptId by_attempt;
  std::string by;  ///< Who: a principal, or "run RUNID".
  WallTime at;
  bool operator==(const AliasRow&) const = default;
};

/// Who did what, or was refused it. Kept for ever; a store chains the rows, so that a changed one shows.
struct AuditRow {
  WallTime at;
  std::string principal;
  std::string verb;           ///< "run.submit", "run.cancel", "run.retry", "alias.move", "token.create" ...
  std::string object;         ///< "run 01J...", "alias m@champion".
  std::string detail;         ///< JSON; "before" and "after" where something changed.
  std::string source;         ///< The network address that asked; "" where there is none.
  std::string result = "ok";  ///< "ok" or "denied".
  bool operator==(const AuditRow&) const = default;
};

/// A DAG that is deployed: what starts it by itself, and how far that has come. A row stays when the DAG is undeployed,
/// so that no time of it ever starts a second run.
struct DeploymentRow {
  std::string dag;
  std::string version;   ///< That new runs are of.
  std::string schedule;  ///< As SchedulePlan::text(), for people.
  std::string origin;    ///< The file of a watched folder; "" where somebody deployed it.
  bool paused = false;   ///< Its schedule rests.
  bool removed = false;
  WallTime fired_to;  ///< Times up to this one are done with: they have their runs, or were given up. Never goes back.
  WallTime next_at;   ///< The next time; not set: none, or paused.
  std::string deployed_by;
  WallTime deployed_at;
  std::string message;    ///< Why its latest time or event made no run; "" where it did.
  std::string triggers;   ///< As to_text() tells them, for people.
  Value sources;          ///< List: what they name, as to_text() tells it.
  std::string waits_for;  ///< The events that its triggers still need; "" where one has all of them, or there is none.
  bool operator==(const DeploymentRow&) const = default;
};

/// A backfill, and how far it has come. Its runs name it (RunRow::backfill).
struct BackfillRow {
  BackfillId id;
  std::string dag;
  std::string version;  ///< Of all its runs.
  BackfillSpec spec;
  std::string params_json;  ///< Those that were given.
  BackfillState state = BackfillState::kRunning;
  WallTime done;              ///< Its latest date that has been decided; not set: none. In the order of its dates.
  std::uint32_t total = 0;    ///< Dates.
  std::uint32_t made = 0;     ///< Those that got a run.
  std::uint32_t skipped = 0;  ///< Those that got none, because of the runs they had.
  std::string created_by;
  WallTime created_at;
  WallTime ended_at;
  std::string message;  ///< Why it is paused, where no person did that.
  bool operator==(const BackfillRow&) const = default;
};

/// How the sending of a notification stands. The numbers are stored: never renumber.
enum class NotificationState : std::uint8_t {
  kPending = 0,
  kSent = 1,
  kSummarised = 2,  ///< Told of with others, in one message.
  kGivenUp = 3,     ///< Tried too often, or too many waited.
};
std::string_view name_of(NotificationState state);
std::optional<NotificationState> parse_notification_state(std::string_view name);

/// Something that people are to be told, by one channel of its DAG. One a run, generation, notice, task and channel.
struct NotificationRow {
  std::uint64_t id = 0;  ///< Counts from 1.
  RunSeq run;
  std::uint32_t generation = 1;
  RunId run_id;
  std::string dag;
  std::string dag_version;
  Notice notice = Notice::kFailure;
  std::uint32_t channel = 0;  ///< Position in Dag::notify, or in the scheduler's default.
  std::string task;           ///< The instance that it is about; "": the run.
  std::string text;
  WallTime made_at;
  NotificationState state = NotificationState::kPending;
  std::uint32_t tries = 0;
  WallTime ended_at;  ///< Sent, or given up.
  std::string told;   ///< Why the latest try failed. No addresses: they may be secret.
  bool operator==(const NotificationRow&) const = default;
};

/// What came of a try.
struct NotificationChange {
  std::uint64_t id = 0;
  NotificationState state = NotificationState::kPending;
  std::uint32_t tries = 0;
  WallTime ended_at;
  std::string told;
  bool operator==(const NotificationChange&) const = default;
};

inline constexpr std::uint64_t kNotificationsKept = 100'000;  ///< The newest; of those before only what is pending.

/// All that one transaction writes.
struct Persist {
  std::vector<DagVersionRow> dag_versions;     ///< Insert where not there.
  std::vector<RunRow> runs;                    ///< Insert.
  std::vector<RunChange> run_changes;          ///< In order.
  std::vector<WorkerRow> workers;              ///< Insert, or update name, capacity and lost_at by seq.
  std::vector<FanOutRow> fan_outs;             ///< Insert, in order.
  std::vector<TaskChange> tasks;               ///< In order: an instance may change several times in a batch.
  std::vector<AttemptRow> attempts;            ///< Insert.
  std::vector<AttemptImage> attempt_images;    ///< Insert where not there.
  std::vector<InputRow> inputs;                ///< Insert.
  std::vector<DatasetRow> datasets;            ///< Insert.
  std::vector<AssetVersion> asset_versions;    ///< Insert.
  std::vector<ArtifactRow> artifacts;          ///< Insert.
  std::vector<ArtifactCollected> collected;    ///< Update by attempt and name: those that are not collected.
  std::vector<std::string> doomed;             ///< Insert: keys of objects that nobody refers to any more.
  std::vector<std::string> removed;            ///< Delete by key, of those, where they are.
  std::vector<ValueRow> values;                ///< Insert.
  std::vector<AssetPublished> published;       ///< Update by id.
  std::vector<AliasRow> aliases;               ///< Insert.
  std::vector<TokenChange> tokens;             ///< Insert or delete by name, in order.
  std::vector<DeploymentRow> deployments;      ///< Insert, or update by dag, in order.
  std::vector<TriggerEventRow> events;         ///< Insert.
  std::vector<TriggerEventTaken> taken;        ///< Update or delete by id: those that wait.
  std::vector<SightingChange> sightings;       ///< Insert, update or delete by DAG, source and object, in order.
  std::vector<StateRow> states;                ///< Insert (version 1), or update by scope and name, in order.
  std::vector<BackfillRow> backfills;          ///< Insert, or update by id, in order.
  std::vector<CacheUseRow> cache_uses;         ///< Insert, or update by instance, in order.
  std::vector<InstanceKey> cache_forgets;      ///< Delete the entries that these instances made or used, then ...
  std::vector<CacheEntryRow> cache_drops;      ///< ... delete by scope, hash and attempt, then ...
  std::vector<CacheEntryRow> cache_entries;    ///< ... insert, or replace by scope and hash.
  std::vector<NotificationRow> notifications;  ///< Insert where not there.
  std::vector<NotificationChange> notification_changes;  ///< Update by id.
  std::vector<RunPruned> pruned;    ///< Update by seq: those that are not; they are marked, then ...
  std::vector<RunSeq> prune_rows;   ///< ... delete at most kPruneRowsMax rows of these, but the runs' own, in order.
  std::vector<RunSeq> prune_ended;  ///< Marked no more.
  std::vector<AuditRow> audit;      ///< Insert.

  bool empty() const;
  bool operator==(const Persist&) const = default;
};

/// A run with all that the engine needs to go on with it.
struct StoredRun {
  RunRow row;
  std::string dag_source;  ///< The version's text; the shell loads it into `dag`.
  DagPtr dag;
  Value params;                         ///< Map; the shell reads it out of `row.params_json`.
  std::vector<FanOutRow> fan_outs;      ///< In the order in which they were written.
  std::vector<TaskRow> tasks;           ///< By index.
  std::vector<ArtifactRow> artifacts;   ///< Of the latest attempts.
  std::vector<ValueRow> values;         ///< Of the latest attempts.
  std::vector<TriggerEventRow> events;  ///< That it took, by id.
  std::vector<CacheUseRow> cached;      ///< Of attempts that are under way.
};

/// A deployed DAG as a store hands it on.
struct StoredDeployment {
  DeploymentRow row;
  std::string dag_source;  ///< Of its version; the shell loads it into `dag`.
  DagPtr dag;              ///< Null: undeployed, or its text does not load any more.
};

/// A backfill that is not over, as a store hands it on.
struct StoredBackfill {
  BackfillRow row;
  std::string dag_source;  ///< Of its version; the shell loads it into `dag`.
  DagPtr dag;              ///< Null: its text does not load any more.
  Value params;            ///< Map; the shell reads it out of `row.params_json`.
};

/// How the newest run of a DAG ended that did.
struct LastEnd {
  RunSeq run;
  bool failed = false;
};

/// What a store hands the engine at a start.
struct StoredState {
  std::uint32_t epoch = 0;  ///< Of this process: already raised and durable.
  RunSeq last_run;
  WorkerSeq last_worker;
  AssetVersionId last_asset_version;
  BackfillId last_backfill;
  std::vector<StoredRun> runs;       ///< Not final, by seq.
  std::vector<RunRow> left_alone;    ///< Likewise, but not to be touched; by seq.
  std::vector<WorkerRow> workers;    ///< Those that an attempt of `runs` is assigned to.
  std::vector<AssetVersion> assets;  ///< Newest published version of each URI, and every version an alias names.
  std::vector<AliasRow> aliases;     ///< Newest row of each.
  std::vector<TokenRow> tokens;      ///< All, by name.
  std::vector<StoredDeployment> deployments;  ///< All, removed ones too, by dag.
  EventId last_event;
  std::vector<TriggerEventRow> events;    ///< That wait, by id.
  std::vector<SightingRow> sightings;     ///< All, by DAG, source and object.
  std::vector<StateRow> states;           ///< All, by scope and name.
  std::vector<StoredBackfill> backfills;  ///< Not final, by id.
  std::uint64_t last_notification = 0;
  std::uint32_t notifications_pending = 0;
  std::vector<std::string> doomed;   ///< Objects that nobody refers to any more, and that may not be gone yet.
  std::vector<RunRow> pruning;       ///< That are marked: some of their rows or objects may not be gone yet.
  std::optional<WallTime> next_due;  ///< When artifacts of some run may go; not set: of none.
  std::vector<std::pair<std::string, LastEnd>> failed_dags;  ///< DAGs whose newest run that ended had failed.
};

}  // namespace chappe
