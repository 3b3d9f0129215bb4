/// \file
/// What may happen to the engine (past tense; what people ask is in requests.h), and what it may want done. Plain
/// values.
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
#include "engine/model/features.h"
#include "engine/run/expired.h"
#include "engine/run/prune.h"
#include "engine/run/records.h"
#include "engine/run/requests.h"

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
  std::set<std::string> taints;  ///< It takes only tasks that tolerate all of them.
  bool containers = false;       ///< It runs tasks in containers, too.
  Features features = Features::all();
  std::vector<HeldAttempt> held;  ///< All of them: what is not here, it does not hold.
  bool operator==(const WorkerHello&) const = default;
};

struct WorkerJoined {
  ConnectionId connection;
  WorkerHello hello;
  std::string worker_key;  ///< The CURVE key that the connection has proven, in Z85; "" where there is none.
  AttemptId join_key_of;   ///< That key was made for the pod of this attempt (PodOrder); 0: it is a worker's own.
};

/// News of a pod that was asked for (PodOrder). Only what its API server says: a pod whose worker has joined is alive
/// for as long as that one is.
struct PodSeen {
  AttemptId attempt;
  enum class What : std::uint8_t {
    kWaiting,  ///< It does not run yet, and why.
    kStarted,  ///< Its main container runs.
    kRefused,  ///< It cannot be made, and no repetition changes that.
    kEnded,    ///< Its main container has ended, for `reason`.
    kGone,     ///< There is no such pod any more, or it is being deleted. Its processes may not know yet.
    kImage,    ///< What its main container runs is known. May come when the attempt has ended, and again.
  } what = What::kWaiting;
  Reason reason = Reason::kNone;  ///< Of kEnded.
  std::string message;            ///< For people; of kImage the image, as AttemptEnd::image.
  bool operator==(const PodSeen&) const = default;
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

/// Told again with each hello, as long as it runs; of a service also when it takes calls, and then with its address.
struct AttemptStarted {
  ConnectionId connection;
  HeldAttempt what;
  WallTime at;
  std::string host = {};   ///< Of a service that is ready: by which others reach it.
  std::uint16_t port = 0;  ///< Likewise; 0: it is not, or is none.
};

/// What an attempt left behind, where there is anything.
struct AttemptOutputs {
  std::vector<OutputObject> objects;
  std::vector<NamedValue> values;
  std::vector<InputObject> read = {};  ///< What its inputs from S3 were; also of an attempt that failed.
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
  std::vector<NamedValue> values = {};  ///< Those of PublishAssets::values, read and verified.
};

/// They cannot be: the object store says no for good (an immutable asset exists already, the upload is gone).
struct PublishFailed {
  InstanceKey key;
  AttemptId attempt;
  std::string message;
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

/// What tasks of a run depend on in their past (WantedPast) was looked up: after the commit that asked for it, and
/// before anything else was decided.
struct PastLooked {
  RunSeq run;
  RunSeq on;          ///< The newest run of the DAG for an earlier logical time; 0: there is none.
  RunId on_id;        ///< Its name.
  bool live = false;  ///< It is not over.
  struct Task {
    std::string id;
    std::optional<TaskState> unwell = std::nullopt;  ///< Of a run that is over: how an instance ended that did not end
                                                     ///< well; nullopt: all did, or there is no such task. Of one that
                                                     ///< was pruned: how the run did.
  };
  std::vector<Task> tasks;
  std::string error;  ///< Not "": it cannot be said, and why.
};

/// Something outside that a task may wait for, or that may start a run, and that nobody tells of: it is looked at from
/// time to time.
struct LookTarget {
  enum class Kind : std::uint8_t {
    kObject,
    kFile,
    kHttp,
    kListing,  ///< All objects that an S3 trigger is about: one never stops looking.
    kObjects,  ///< All objects that a fan-out is over: one looks once.
  } kind = Kind::kObject;
  std::string name;          ///< Key, "PREFIX/" or "s3://BUCKET/KEY", of the last two also a pattern; path; URL.
  std::uint16_t status = 0;  ///< Of kHttp: the answer that counts.
  auto operator<=>(const LookTarget&) const = default;
};

/// An object of a listing.
struct SeenObject {
  std::string key;  ///< Without its bucket.
  std::string uri;  ///< Where it is in the world.
  std::string etag;
  std::string version;  ///< Of a bucket that keeps versions, where the store told.
  std::uint64_t size = 0;
  WallTime modified_at;
  bool operator==(const SeenObject&) const = default;
};

/// Somebody looked at it, and it is there; or there is news of why it is not.
struct LookReported {
  LookTarget target;
  enum class What : std::uint8_t {
    kThere,
    kNotYet,
    kRefused,  ///< It may not be looked at: nobody does so again.
    kListed,   ///< Of a kListing: these are all objects.
  } what = What::kNotYet;
  ValueMap found;                        ///< With kThere: outputs of whoever waits for it.
  std::string message;                   ///< For people, of kNotYet and kRefused.
  std::vector<SeenObject> objects = {};  ///< With kListed: by key, at most kSightingsMax.
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

/// A result that was looked up, and is there with all its objects.
struct CacheHit {
  CacheEntryRow entry;
  std::vector<ArtifactRow> artifacts;
  std::vector<NamedValue> values;
  std::vector<NamedValue> values_in_objects = {};  ///< Those of its artifacts, read and verified.
};

/// What looking up a result (CacheLookup) came to.
struct CacheLooked {
  InstanceKey key;
  std::uint64_t serial = 0;  ///< The lookup's.
  std::optional<CacheHit> hit;
  std::optional<CacheEntryRow> lost;  ///< There is an entry, and some of its objects are gone.
  std::string told;                   ///< Without a hit: why, for people.
};

/// Notifications were sent, or could not be.
struct NotificationsTold {
  std::vector<NotificationChange> changes;
};

/// The bounds that the configuration sets, which was read anew: those that may change while a scheduler runs.
struct BoundsSet {
  std::vector<std::pair<std::string, std::uint32_t>> pools;  ///< Name and slots. Others have the default.
  std::map<std::string, std::uint32_t> locks;                ///< Places of named locks. Others have 1.
};

/// Workers in these pods, and no others, get no more work (engine/placement/fleet.h): their host has the name, or they
/// do. Not stored: whoever decides it does so again after a restart.
struct FleetResting {
  std::set<std::string> pods;
};

using Event =
    std::variant<WorkerJoined, WorkerLeft, WorkerDraining, WorkerHeartbeat, AttemptStarted, AttemptFinished,
                 AttemptReturned, AssetsPublished, PublishFailed, RunRequested, CancelRequested, RetryRequested,
                 AliasMoveRequested, TokenRequested, TokenRevokeRequested, AnswerRequested, LookReported, AccessDenied,
                 DagDeployed, DagPauseRequested, DagRemoved, DagBrought, CacheLooked, BoundsSet, FleetResting,
                 MarkRequested, BackfillRequested, BackfillChangeRequested, DatesLooked, PastLooked, PodSeen,
                 NotificationsTold, WebhookCalled, StateSetRequested, ExpiredLooked, ObjectsRemoved, PruneRequested,
                 PruneLooked, RunObjectsRemoved>;

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
  std::optional<std::uint32_t> mode = {};
  Unpack unpack = Unpack::kAuto;
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
  std::string sha256;                                   ///< What it must be; "": anything.
  std::shared_ptr<const DataExpectations> schema = {};  ///< What is in it; null: anything.
};

/// A WorkSpec with every expression evaluated for one instance, or for all where none depends on it.
struct ResolvedWork {
  TaskKind kind = TaskKind::kNoop;
  std::string script;
  std::string shell;
  std::vector<std::string> command;
  std::vector<std::pair<std::string, std::string>> env;
  std::vector<SecretRef> secrets;  ///< Where they are, and never what they are.
  bool store_credentials = true;
  std::vector<ResolvedInput> inputs;
  std::vector<ResolvedOutput> outputs;
  std::vector<OutputValue> values;
  std::optional<Duration> timeout;
  Duration kill_grace{};
  Resources resources;
  std::string image;  ///< "": no container.
  ContainerOptions container;
  std::vector<Sidecar> sidecars;
  std::shared_ptr<const ResolvedHttp> http;  ///< Not null for kHttp.
  std::shared_ptr<const DataCheck> check;    ///< Not null for kData; its formats are known.
  std::optional<ServiceSpec> service;
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

/// Read the values that the attempt left in objects, and make its open uploads visible, then report AssetsPublished.
/// Idempotent.
struct PublishAssets {
  InstanceKey key;
  AttemptId attempt;
  struct Upload {
    AssetVersionId id;
    OutputObject object;
  };
  std::vector<Upload> uploads;
  std::vector<OutputObject> values = {};  ///< Objects that hold values of the attempt: they are read first.
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

/// Have a pod for the attempt, whose worker joins with a key that was made for it and takes this attempt alone; or,
/// without `dag`, have none any more. An order takes the place of an earlier one for the same attempt. Comes again
/// after a restart: all of them in the first step.
struct PodOrder {
  HeldAttempt what;
  DagPtr dag;
  std::uint32_t task = 0;  ///< Position in `dag`.
  std::shared_ptr<const RunContext> run;
  std::uint16_t attempt_no = 1;
  std::string map_key;  ///< As in Assignment.
  std::string pod;      ///< Its name.
  std::string image;    ///< Of its main container; "": whatever there is.
  std::vector<Sidecar> sidecars;
  Resources resources;  ///< Of its main container.
  bool joined = false;  ///< Its worker has: it must not be made again.
};

/// Look up the runs of the DAG with these logical times, then report DatesLooked. Idempotent.
struct WantedDates {
  BackfillId backfill;
  std::string dag;
  std::vector<WallTime> times;
};

/// Look up the newest run of the DAG for a logical time before this one, and how these of its tasks ended, then report
/// PastLooked. Idempotent.
struct WantedPast {
  RunSeq run;  ///< Who wants to know.
  std::string dag;
  WallTime before;
  std::vector<std::string> tasks;
};

/// Look whether there is such a result and all its objects, then report CacheLooked. Idempotent.
struct CacheLookup {
  InstanceKey key;
  std::uint64_t serial = 0;
  CacheKey cache;
  std::string task;
  std::string map_key;
};

struct Reply {
  Ticket ticket;
  Result<Value> answer;
};

/// What step() wants done, in the order in which it must be done. All empty: the events changed nothing.
struct Effects {
  Persist persist;                      ///< Commit this in one transaction. If that fails, stop the process.
  bool confirm = false;                 ///< Commit `persist` though it is empty: is the store still this scheduler's?
  std::vector<WorkerSend> send;         ///< Then, and only then, tell the workers, ...
  std::vector<PublishAssets> publish;   ///< ... start publishing, ...
  std::vector<DropOutputs> drop;        ///< ... clean up, ...
  std::optional<RemoveObjects> remove;  ///< ... remove what nobody refers to, ...
  std::vector<RemoveRunObjects> remove_runs;  ///< ... and what runs of long ago left, ...
  std::vector<LookOrder> looks;               ///< ... look at what tasks wait for, ...
  std::vector<WantedDag> wanted;              ///< ... bring DAGs, ...
  std::vector<WantedDates> dates;             ///< ... look up runs, ...
  std::vector<WantedPast> past;               ///< ... and what depends on them, ...
  std::optional<ExpiredQuery> expired;        ///< ... look what may go, ...
  std::optional<PruneQuery> prune;            ///< ... look which runs may go, ...
  std::vector<CacheLookup> lookups;           ///< ... look up results, ...
  std::vector<PodOrder> pods;                 ///< ... make and remove pods, ...
  std::vector<NotificationRow> notify;        ///< ... tell people, ...
  std::vector<Reply> replies;                 ///< ... answer those who asked, ...
  std::optional<MonoTime> wake_at;            ///< ... and call step() not later than this, events or not.
};

}  // namespace chappe
