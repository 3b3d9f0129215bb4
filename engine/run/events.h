/// \file
/// What may happen to the engine (past tense), and what it may want done. Plain values.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/base/value.h"
#include "engine/lineage/objects.h"
#include "engine/model/dag.h"
#include "engine/run/records.h"

namespace chappe {

// ---- Events -------------------------------------------------------------------------------------------------------

/// An attempt that a worker says it holds: leased to it, not yet acknowledged as ended.
struct HeldAttempt {
  InstanceKey key;
  AttemptId attempt;
  bool operator==(const HeldAttempt&) const = default;
};

/// The first message of a connection: who the worker is and what it offers.
struct WorkerHello {
  std::string incarnation;   ///< 32 hex digits; one process life.
  std::uint64_t number = 0;  ///< Counts the hellos of this incarnation: one that is read late is told from a newer one.
  std::string name;          ///< Of the place, not of the process: equal (name, host) means the same work directory,
                             ///< whose lock proves that an earlier incarnation and all its tasks are dead.
  std::string host;
  Resources capacity;
  std::uint32_t noop_depth = 1024;  ///< In-worker no-op tasks it takes ahead.
  std::uint32_t prefetch = 0;       ///< Short process tasks it takes ahead of free capacity.
  std::map<std::string, std::string> labels;
  std::set<std::string> taints;   ///< It takes only tasks that tolerate all of them.
  std::vector<HeldAttempt> held;  ///< All of them: what is not here, it does not hold.
  bool operator==(const WorkerHello&) const = default;
};

struct WorkerJoined {
  ConnectionId connection;
  WorkerHello hello;
  std::string worker_key;  ///< The CURVE key that the connection has proven, in Z85; "" where there is none.
};

/// The worker says goodbye: it holds nothing any more and takes nothing.
struct WorkerLeft {
  ConnectionId connection;
};

/// The worker stops taking new attempts and finishes what it has.
struct WorkerDraining {
  ConnectionId connection;
};

/// Renews the leases of everything the worker holds, and lets both sides compare.
struct WorkerHeartbeat {
  ConnectionId connection;
  std::uint64_t batch_seen = 0;  ///< Number of the newest WorkerSend it has taken in since its hello.
  std::vector<HeldAttempt> held;
};

struct AttemptStarted {
  ConnectionId connection;
  HeldAttempt what;
  WallTime at;
};

/// What an attempt left behind, where there is anything.
struct AttemptOutputs {
  std::vector<OutputObject> objects;
  std::vector<NamedValue> values;
};

struct AttemptFinished {
  ConnectionId connection;
  HeldAttempt what;
  AttemptEnd end;
  std::shared_ptr<const AttemptOutputs> outputs;  ///< Null: none.
};

/// The worker gives back an attempt that it has not started (prefetched, and then it had no room).
struct AttemptReturned {
  ConnectionId connection;
  HeldAttempt what;
};

/// The uploads of a committing attempt were completed: the URIs show them.
struct AssetsPublished {
  InstanceKey key;
  AttemptId attempt;
  std::vector<AssetPublished> assets;
};

/// They cannot be: the object store says no for good (an immutable asset exists already, the upload is gone).
struct PublishFailed {
  InstanceKey key;
  AttemptId attempt;
  std::string message;
};

/// A person or a program asks for a run. `params` are resolved and checked already (resolve_params).
struct RunRequested {
  Ticket ticket;
  RunId id;
  DagPtr dag;
  ValueMap params;
  std::string trigger = "manual";
  std::string requested_by;
  std::string request_id;
  WallTime logical_time;    ///< Not set: now.
  WallTime interval_start;  ///< Not set: equal to interval_end.
  WallTime interval_end;    ///< Not set: equal to logical_time.
  std::string source;       ///< As AuditRow::source; so in all requests.
  RunSeq rerun_of;          ///< As RunRow::rerun_of.
  BackfillId backfill;      ///< As RunRow::backfill; nobody asks for such a run but the engine itself.
};

struct CancelRequested {
  Ticket ticket;
  RunId run;
  std::string requested_by;
  std::string source;
};

/// Run failed tasks of a run again, and whatever did not run because of them. A new generation, audited.
struct RetryRequested {
  Ticket ticket;
  RunId run;
  std::vector<std::string> tasks;  ///< Task ids or instances to run again, and more as `reach` says; empty: all that
                                   ///< failed.
  std::string requested_by;
  std::shared_ptr<StoredRun> stored;  ///< The run, where the engine has let go of it (Engine::knows()).
  std::string source;
  /// Which tasks run again besides those that are named.
  struct Reach {
    bool upstream = false;     ///< All they depend on.
    bool downstream = true;    ///< All that depends on them.
    bool only_failed = false;  ///< Of all these only what did not succeed; and nothing else in the run.
  } reach;
};

/// A person says how tasks of a run ended. A new generation, audited.
struct MarkRequested {
  Ticket ticket;
  RunId run;
  std::string task;                       ///< A task id, or an instance.
  TaskState state = TaskState::kSuccess;  ///< Or kFailed, or kSkipped.
  std::string requested_by;
  std::shared_ptr<StoredRun> stored;  ///< As in RetryRequested.
  std::string source;
};

/// A person asks for a backfill. `spec` and `params` are checked already (check_backfill, resolve_params).
struct BackfillRequested {
  Ticket ticket;
  DagPtr dag;
  BackfillSpec spec;
  std::uint32_t total = 0;  ///< Dates, as check_backfill() counted them.
  ValueMap params;          ///< Those that were given.
  std::string requested_by;
  std::string source;
};

struct BackfillChangeRequested {
  Ticket ticket;
  BackfillId backfill;
  BackfillState state = BackfillState::kRunning;  ///< Wanted: kRunning, kPaused or kCancelled.
  std::string requested_by;
  std::string source;
};

/// The runs of a backfill's next dates (WantedDates) were looked up: after the commit that asked for it, and before
/// anything else was decided.
struct DatesLooked {
  BackfillId backfill;
  struct Date {
    WallTime time;
    std::optional<RunState> newest;  ///< As why_no_run() takes it.
  };
  std::vector<Date> dates;
};

/// From now on new runs of this DAG are of this version, and its schedule starts them.
struct DagDeployed {
  Ticket ticket;
  DagPtr dag;
  std::string origin;  ///< As DeploymentRow::origin.
  std::string requested_by;
  std::string source;
};

/// The schedule of a deployed DAG rests, or goes on.
struct DagPauseRequested {
  Ticket ticket;
  std::string dag;
  bool paused = true;
  std::string requested_by;
  std::string source;
};

/// Nothing starts this DAG by itself any more. Its runs go on.
struct DagRemoved {
  Ticket ticket;
  std::string dag;
  std::string origin;  ///< Only if it came from there.
  std::string requested_by;
  std::string source;
};

/// A person moves an alias to a version, or removes it (version 0).
struct AliasMoveRequested {
  Ticket ticket;
  std::string model;
  std::string alias;
  std::optional<AssetVersion> version;
  std::string requested_by;
  std::string source;
};

/// A person makes a token of the API. The engine fills in when; `token.created_by` asks.
struct TokenRequested {
  Ticket ticket;
  TokenRow token;
  std::string source;
};

struct TokenRevokeRequested {
  Ticket ticket;
  std::string name;
  std::string requested_by;
  std::string source;
};

/// A person answers what a task asks.
struct AnswerRequested {
  Ticket ticket;
  RunId run;
  std::string task;  ///< An instance, as Instances::name_of() writes it.
  Value answers;     ///< Map; of the form's fields.
  std::string requested_by;
  bool for_others = false;  ///< May answer what others are asked.
  std::string source;
};

/// Something outside that a task may wait for, and that nobody tells of: it is looked at from time to time.
struct LookTarget {
  enum class Kind : std::uint8_t { kObject, kFile, kHttp } kind = Kind::kObject;
  std::string name;          ///< Key, "PREFIX/" or "s3://BUCKET/KEY"; path; URL.
  std::uint16_t status = 0;  ///< Of kHttp: the answer that counts.
  auto operator<=>(const LookTarget&) const = default;
};

/// Somebody looked at it, and it is there; or there is news of why it is not.
struct LookReported {
  LookTarget target;
  enum class What : std::uint8_t {
    kThere,
    kNotYet,
    kRefused,  ///< It may not be looked at: nobody does so again.
  } what = What::kNotYet;
  ValueMap found;       ///< With kThere: outputs of whoever waits for it.
  std::string message;  ///< For people, of the other two.
};

/// Somebody was refused something. The API bounds how often it says so.
struct AccessDenied {
  Ticket ticket;
  std::string principal;  ///< "anonymous" without a valid token.
  std::string source;
  std::string object;  ///< "GET /api/v1/tokens": the route that was asked for.
  std::string detail;  ///< JSON.
};

/// The DAG that a task starts a run of (WantedDag) was read, or cannot be.
struct DagBrought {
  InstanceKey key;
  AttemptId attempt;
  Result<DagPtr> dag;
  RunId run;  ///< For the run that begins.
};

/// The bounds that the configuration sets, which was read anew: those that may change while a scheduler runs.
struct BoundsSet {
  std::vector<std::pair<std::string, std::uint32_t>> pools;  ///< Name and slots. Others have the default.
  std::map<std::string, std::uint32_t> locks;                ///< Places of named locks. Others have 1.
};

using Event = std::variant<WorkerJoined, WorkerLeft, WorkerDraining, WorkerHeartbeat, AttemptStarted, AttemptFinished,
                           AttemptReturned, AssetsPublished, PublishFailed, RunRequested, CancelRequested,
                           RetryRequested, AliasMoveRequested, TokenRequested, TokenRevokeRequested, AnswerRequested,
                           LookReported, AccessDenied, DagDeployed, DagPauseRequested, DagRemoved, DagBrought,
                           BoundsSet, MarkRequested, BackfillRequested, BackfillChangeRequested, DatesLooked>;

// ---- Effects ------------------------------------------------------------------------------------------------------

/// What all assignments of a run have in common.
struct RunContext {
  RunSeq seq;
  RunId id;
  std::string dag;
  std::string dag_version;
  std::string params_json;  ///< Secret ones included.
  WallTime logical_time;
  WallTime interval_start;
  WallTime interval_end;
  std::uint32_t generation = 1;
  std::vector<std::string> secret_params;  ///< Names of those whose values must not be shown.
};

struct ResolvedInput {
  std::string name;
  std::string path;
  bool collection = false;           ///< `path` is a directory; each object has its own path in it.
  std::vector<InputObject> objects;  ///< None: an optional input that is absent.
};

struct ResolvedOutput {
  std::string name;
  std::string path;
  bool required = true;
  bool non_empty = false;
  Pack pack = Pack::kAuto;
  std::string asset_uri;
  std::string asset_name;
  bool immutable = false;
};

/// A WorkSpec with every expression evaluated for one instance, or for all where none depends on it.
struct ResolvedWork {
  TaskKind kind = TaskKind::kNoop;
  std::string script;
  std::string shell;
  std::vector<std::string> command;
  std::vector<std::pair<std::string, std::string>> env;
  std::vector<ResolvedInput> inputs;
  std::vector<ResolvedOutput> outputs;
  std::vector<OutputValue> values;
  std::optional<Duration> timeout;
  Duration kill_grace{};
  Resources resources;
};

struct Assignment {
  AttemptId attempt;
  InstanceKey key;
  std::uint16_t attempt_no = 1;
  std::string task;
  std::string map_key;    ///< "" unless the task is mapped.
  std::string item_json;  ///< "" unless the task is mapped.
  std::shared_ptr<const RunContext> run;
  std::shared_ptr<const ResolvedWork> work;
};

struct CancelAttempt {
  HeldAttempt what;
  bool forget = false;  ///< The engine has ended it already: kill it, drop its uploads, report nothing.
  Reason reason = Reason::kCancelled;
};

/// All that one worker is told in one step, in the order of the fields.
struct WorkerSend {
  ConnectionId to;
  std::uint64_t batch = 0;  ///< Only grows, whatever the connection. 0: the worker is not known.
  struct Welcome {
    WorkerSeq worker;
    std::uint32_t epoch = 0;
    Duration heartbeat{};
    Duration lease{};
  };
  std::optional<Welcome> welcome;
  bool hello_please = false;            ///< The connection is unknown (the scheduler was restarted): say hello again.
  std::vector<AttemptId> acknowledged;  ///< Results that are durable, or not wanted: stop sending them.
  std::vector<CancelAttempt> cancel;
  std::vector<Assignment> assign;
};

/// Make the open uploads of a committing attempt visible, then report AssetsPublished. Idempotent.
struct PublishAssets {
  InstanceKey key;
  AttemptId attempt;
  struct Upload {
    AssetVersionId id;
    OutputObject object;
  };
  std::vector<Upload> uploads;
};

/// Give up uploads of an attempt that did not win, and remove its objects.
struct DropOutputs {
  HeldAttempt what;
  std::vector<OutputObject> objects;
};

/// Look at it now and then, at least `every` so often, until it is there; or, without `every`, no more. An order takes
/// the place of an earlier one for the same target. Comes again after a restart.
struct LookOrder {
  LookTarget target;
  std::optional<Duration> every;
};

/// Read the newest version of this DAG, then report DagBrought. Idempotent.
struct WantedDag {
  InstanceKey key;
  AttemptId attempt;
  std::string dag;
};

/// Look up the runs of the DAG with these logical times, then report DatesLooked. Idempotent.
struct WantedDates {
  BackfillId backfill;
  std::string dag;
  std::vector<WallTime> times;
};

struct Reply {
  Ticket ticket;
  Result<Value> answer;
};

/// What step() wants done, in the order in which it must be done. All empty: the events changed nothing.
struct Effects {
  Persist persist;                     ///< Commit this in one transaction. If that fails, stop the process.
  std::vector<WorkerSend> send;        ///< Then, and only then, tell the workers, ...
  std::vector<PublishAssets> publish;  ///< ... start publishing, ...
  std::vector<DropOutputs> drop;       ///< ... clean up, ...
  std::vector<LookOrder> looks;        ///< ... look at what tasks wait for, ...
  std::vector<WantedDag> wanted;       ///< ... bring DAGs, ...
  std::vector<WantedDates> dates;      ///< ... look up runs, ...
  std::vector<Reply> replies;          ///< ... answer those who asked, ...
  std::optional<MonoTime> wake_at;     ///< ... and call step() not later than this, events or not.
};

}  // namespace chappe
