/// \file
/// A DAG as the engine knows it: plain values, checked by whoever made them (dags/loader, or a test's builder).
///
/// Immutable once made and shared by all runs of the version. Positions of tasks are indexes into `Dag::tasks`.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/value.h"
#include "engine/expr/expression.h"
#include "engine/model/data_check.h"
#include "engine/model/given_params.h"
#include "engine/model/http_spec.h"
#include "engine/model/notify.h"
#include "engine/model/pod_spec.h"
#include "engine/model/policies.h"
#include "engine/model/retention.h"
#include "engine/model/schedule_plan.h"
#include "engine/model/secret_ref.h"
#include "engine/model/service.h"
#include "engine/model/sidecar.h"
#include "engine/model/triggers.h"

namespace chappe {

/// Bounds of a DAG. A file or a run past one is refused with a message that names the bound.
inline constexpr std::size_t kTasksMax = 200'000;        ///< Tasks in a file.
inline constexpr std::size_t kItemsMax = 1'000'000;      ///< Items of one fan-out.
inline constexpr std::size_t kLateItemsMax = 100'000;    ///< Items of one over results, unless `max_items` says more.
inline constexpr std::size_t kAxesMax = 16;              ///< Names in a matrix.
inline constexpr std::size_t kInstancesMax = 4'000'000;  ///< Task instances of a run.
inline constexpr std::size_t kDependenciesMax = 2'000'000;  ///< Edges of a DAG.

enum class ParamType : std::uint8_t { kString, kInteger, kNumber, kBoolean, kArray, kObject };
std::string_view name_of(ParamType type);  ///< JSON Schema's word.

/// One run parameter: a subset of JSON Schema, plus `required` and `secret`.
struct ParamSpec {
  std::string name;
  std::string description;
  ParamType type = ParamType::kString;
  std::optional<Value> default_value;  ///< Absent and not required: the parameter is null where not given.
  bool required = false;
  bool secret = false;  ///< Never shown, logged or recorded.
  std::vector<Value> enumeration;
  std::optional<double> minimum;
  std::optional<double> maximum;
  std::optional<std::uint32_t> min_length;
  std::optional<std::uint32_t> max_length;
  std::string pattern;  ///< ECMAScript, matched anywhere in a string (JSON Schema); "" for none.
  bool operator==(const ParamSpec&) const = default;
};

/// What is wrong with `value` for this parameter ("needs an integer, not the text '20x'"); nullopt: nothing.
std::optional<std::string> unfit(const ParamSpec& spec, const Value& value);
/// What is wrong with a `pattern`; nullopt: nothing. Matching takes time linear in the text, whatever the pattern.
std::optional<std::string> unfit_pattern(std::string_view pattern);

/// Fills in defaults and checks `given` (a map or null) against the specs. Returns all parameters in the order of the
/// specs. Errors: kInvalidInput naming every unknown, missing or unfit parameter, with the nearest right name.
Result<ValueMap> resolve_params(const std::vector<ParamSpec>& specs, const Value& given);

/// Which ends of an upstream task satisfy one edge. Plain edges leave that to the trigger rule.
struct Dependency {
  std::uint32_t task = 0;
  bool plain = true;  ///< No `on` was written.
  bool on_succeeded = false;
  bool on_failed = false;
  bool on_skipped = false;
  bool operator==(const Dependency&) const = default;
};

/// Picks instances of a mapped upstream task: the one with the largest or smallest value of one of its outputs.
struct Select {
  enum class By : std::uint8_t { kMax, kMin };
  By by = By::kMax;
  std::string output;  ///< A value or metric of the upstream task.
  bool operator==(const Select&) const = default;
};

/// What becomes of an input that is an archive.
enum class Unpack : std::uint8_t {
  kAuto,    ///< A directory that was packed by an output is one again.
  kNever,   ///< It is placed as the file that it is stored as.
  kAlways,  ///< As kAuto, but anything else is an error.
};

inline constexpr std::uint32_t kModeMax = 0777;  ///< Permissions of a file: no set-user-ID, no sticky bit.

inline constexpr std::size_t kObjectInputsMax = 100;  ///< Inputs of one task that are objects of S3.

/// Something a task reads before it starts. Exactly one source: another task's artifact, an asset, or an object.
struct InputArtifact {
  std::string name;
  std::string path;  ///< In the work directory; relative, beneath it. A directory with an entry per key where the
                     ///< source is a mapped task and there is no `select`.
  std::optional<std::uint32_t> from_task;
  std::string from_artifact;
  std::optional<Select> select;
  expr::Template asset;  ///< "URI", "URI@ALIAS" or "NAME@ALIAS": newest published version, or the alias's. Empty: none.
  /// An object that Chappe need not have made, as check_object_name() takes it: whatever is there when an attempt reads
  /// it. Empty: none.
  expr::Template s3;
  bool optional = false;              ///< Absent is no error: nothing is placed at `path`.
  std::optional<std::uint32_t> mode;  ///< Permissions of the file that is placed: at most kModeMax.
  Unpack unpack = Unpack::kAuto;
  bool operator==(const InputArtifact&) const = default;
};

enum class Pack : std::uint8_t { kAuto, kNone, kTarZst };

/// A file or directory that a task leaves behind.
struct OutputArtifact {
  std::string name;
  std::string path;  ///< In the work directory; relative, beneath it.
  bool required = true;
  bool non_empty = false;
  Pack pack = Pack::kAuto;  ///< kAuto: files as they are, directories as tar.zst.
  expr::Template asset;     ///< URI of the asset this publishes; empty: an artifact of the run only.
  std::string asset_name;   ///< Short name that aliases use ("section_coder"); "" for none.
  bool immutable = false;   ///< Publishing where something exists already is an error.
  Duration retention{};     ///< From the end of its run; 0: as the DAG says.
  expr::Template sha256;    ///< What it must be, as 64 hex digits; empty: anything.
  std::shared_ptr<const DataExpectations> schema;  ///< What is in it; null: anything.
  bool operator==(const OutputArtifact&) const = default;
};

/// A small value that a task leaves behind, read from a file after it succeeded.
struct OutputValue {
  std::string name;
  std::string file;       ///< Path in the work directory; its text without the last newline is the value.
  std::string json_path;  ///< Where not empty the file is JSON, and this is "$", "$.a.b" or "$.a[0]" in it.
  std::optional<Value> default_value;  ///< Where the file or the member is not there. Null, of a metric: it is absent.
  bool metric = false;                 ///< Must be a number; kept for trends.
  bool operator==(const OutputValue&) const = default;
};

enum class TaskKind : std::uint8_t {
  kRun,      ///< `run:` a shell script, or `command:` in exec form; on a worker.
  kNoop,     ///< Nothing to do, but dispatched to a worker like any other.
  kCheck,    ///< Conditions over metrics and values; decided in the engine.
  kPromote,  ///< Moves an alias; decided in the engine, in its transaction.
  kWait,     ///< Waits for a time or for data, without a slot.
  kHuman,    ///< Waits for a person's answer, likewise.
  kDag,      ///< Starts a run of another DAG; decided in the engine, in its transaction.
  kHttp,     ///< A request; made by a worker.
  kData,     ///< A check of data, with conditions as kCheck may have them; a worker measures it.
};
struct WaitSpec;   // engine/model/waits.h
struct HumanSpec;  // engine/model/waits.h

inline constexpr std::size_t kStatesMax = 10;  ///< That one task uses.

/// A value that outlives runs: a cursor, say. An attempt is told it when it is assigned, and may leave another one.
struct StateUse {
  enum class Scope : std::uint8_t { kDag, kNamespace };
  std::string name;
  Scope scope = Scope::kDag;  ///< Who shares it.
  Value default_value;        ///< While there is none; null: it is absent then.
  std::string write;          ///< The output value that becomes the state when the attempt succeeds; "": none does.
  bool operator==(const StateUse&) const = default;
};

/// What a worker needs to know to carry a task out, apart from whose attempt it is. Equal specs of one DAG are one
/// object (the loader sees to it), so that a batch of assignments names each once.
struct WorkSpec {
  TaskKind kind = TaskKind::kNoop;                          ///< kRun, kNoop, kHttp or kData.
  expr::Template script;                                    ///< `run:`; empty where `command:` is used.
  std::string shell;                                        ///< Program and flags for the script; "" = "/bin/sh -eu".
  std::vector<expr::Template> command;                      ///< argv.
  std::vector<std::pair<std::string, expr::Template>> env;  ///< DAG's, defaults' and task's, merged.
  std::vector<SecretRef> secrets;                           ///< Likewise; no name is in `env`, too.
  bool store_credentials = true;  ///< It finds the object store's address and credentials in its environment.
  std::vector<InputArtifact> inputs;
  std::vector<OutputArtifact> outputs;
  std::vector<OutputValue> values;
  std::vector<StateUse> states;                    ///< Unique by name; at most kStatesMax.
  std::optional<Duration> timeout;                 ///< Of one attempt while it runs.
  Duration kill_grace = std::chrono::seconds(10);  ///< SIGTERM to SIGKILL.
  Resources resources;
  expr::Template image;                    ///< Runs in a container of it; empty: as a process of the worker.
  ContainerOptions container;              ///< With `image`.
  std::vector<SidecarSpec> sidecars;       ///< Likewise; at most kSidecarsMax.
  std::shared_ptr<const HttpSpec> http;    ///< Not null for kHttp.
  std::shared_ptr<const DataCheck> check;  ///< Not null for kData.
  std::optional<ServiceSpec> service;      ///< Of kRun: it is one.
  bool operator==(const WorkSpec&) const = default;
};

struct CheckCondition {
  std::string name;
  expr::Expression expression;
  std::string message;  ///< What to tell when it is false; "" = the expression.
  bool operator==(const CheckCondition&) const = default;
};

/// What `keep_previous` adds to the alias, to name where that stood before.
inline constexpr std::string_view kPreviousSuffix = "_previous";

struct PromoteSpec {
  std::string model;  ///< Name the alias belongs to: `model@alias`.
  std::string alias;
  std::uint32_t from_task = 0;
  std::string from_artifact;  ///< An output with an asset.
  std::optional<Select> select;
  bool keep_previous = false;  ///< Where the alias stood before gets an alias of its own, see kPreviousSuffix.
  bool operator==(const PromoteSpec&) const = default;
};

/// Fan-out: one instance per item. Exactly one of items, expression, matrix, sequence.
struct ForEach {
  ValueList items;            ///< Literal items, a matrix of lists already multiplied out.
  expr::Template expression;  ///< A list.
  struct Axis {
    std::string name;
    ValueList values;
    expr::Template expression;  ///< A list, instead of `values`.
    bool operator==(const Axis&) const = default;
  };
  std::vector<Axis> matrix;  ///< Where an axis is an expression; at most kAxesMax.
  struct Sequence {
    std::int64_t start = 0;
    std::int64_t count = 0;
    std::int64_t step = 1;
    bool operator==(const Sequence&) const = default;
  };
  std::optional<Sequence> sequence;
  /// Those numbers of `sequence` that are expressions; empty: the number counts.
  struct Counted {
    expr::Template start;
    expr::Template count;
    expr::Template step;
    bool operator==(const Counted&) const = default;
  };
  Counted counted;
  bool late = false;  ///< Names more than `params`: the items are found when the task's upstream has ended.
  /// Each item goes on as soon as that of the same key has ended upstream; nothing above says what the items are.
  bool depth_first = false;
  std::uint32_t leader = 0;  ///< With `depth_first`: the task whose items these are.
  std::string as = "item";
  expr::Template key;  ///< Names the instance; empty: the item's text if short and unique, else its position.
  std::uint32_t max_parallel = 0;  ///< 0: no bound of its own.
  std::uint32_t max_items = 0;     ///< 0: kLateItemsMax, or kItemsMax for items that are known from the start.
  std::uint32_t min_success = 0;   ///< Items that must succeed; 0: all, or `min_share` of them.
  double min_share = 0;            ///< Share of the items that must succeed; 0: all, or `min_success`.
  enum class OnEmpty : std::uint8_t { kSkip, kSucceed, kFail };
  OnEmpty on_empty = OnEmpty::kSkip;
  bool operator==(const ForEach&) const = default;

  /// How many of so many items may fail.
  std::uint32_t may_fail(std::uint32_t all) const;
  std::size_t items_max() const { return max_items > 0 ? max_items : late ? kLateItemsMax : kItemsMax; }
};

/// All combinations, the last name turning fastest.
ValueList multiply_axes(const std::vector<std::pair<std::string, ValueList>>& axes);

inline constexpr std::uint32_t kWeightMax = 100;   ///< Of a DAG.
inline constexpr std::uint32_t kRunDepthMax = 10;  ///< Runs that were started by runs, one by the other.

/// A run of another DAG: of its newest version in the store.
struct SubDagSpec {
  std::string dag;
  GivenParams params;
  bool wait = true;  ///< The task ends as the run does; else as soon as the run was accepted.
  struct Output {
    std::string name;  ///< Of this task's value.
    std::string task;  ///< Of the other DAG; "": its run publishes the value.
    std::string value;
    bool operator==(const Output&) const = default;
  };
  std::vector<Output> outputs;  ///< With `wait`.
  struct Artifact {
    std::string name;       ///< Of this task's artifact.
    std::string published;  ///< As the other DAG's run names it.
    bool operator==(const Artifact&) const = default;
  };
  std::vector<Artifact> artifacts;  ///< Likewise.
};

inline constexpr std::size_t kDatasetsMax = 100;  ///< That one task declares.

/// Datasets outside that a task reads and writes by itself: URIs, for lineage. Its artifacts are known without.
struct LineageSpec {
  std::vector<expr::Template> inputs;
  std::vector<expr::Template> outputs;
};

inline constexpr std::uint32_t kIterationsMax = 10'000;  ///< Of one loop.

/// The task runs again and again, until what it left makes the condition true.
struct LoopSpec {
  expr::Expression until;  ///< May also name `outputs` (what the iteration left) and `iteration` (its number, from 1).
  std::uint32_t max_iterations = 1;
  Duration interval{};  ///< Rest between two iterations.
};

/// What an attempt leaves is used again where the same was done before.
struct CacheSpec {
  expr::Template key;  ///< Says what makes the result; empty: all that the file declares does.
  enum class Scope : std::uint8_t { kRun, kDag, kNamespace };
  Scope scope = Scope::kDag;    ///< Who shares results.
  std::optional<Duration> ttl;  ///< An older result counts for nothing.
  std::string version;          ///< Part of the key.
};

/// `allow_failure`: true, or for some exit codes only.
struct AllowFailure {
  bool always = false;
  std::vector<std::int32_t> exit_codes;
  bool operator==(const AllowFailure&) const = default;
};

/// Something that only so many attempts may have at a time, whatever their runs and DAGs. It belongs to the attempt.
struct LockUse {
  expr::Template name;    ///< May name `params`, `run` and the item.
  bool exclusive = true;  ///< Alone; else one of the places that the scheduler has for the name.
  bool operator==(const LockUse&) const = default;
};

/// At most `limit` attempts start in any time of this length, over all that share the name.
struct RateLimit {
  std::string name;  ///< "": the task's own.
  std::uint32_t limit = 1;
  Duration per{};
  bool operator==(const RateLimit&) const = default;
};

struct Task {
  std::string id;
  std::string description;
  std::string group;
  TaskKind kind = TaskKind::kNoop;
  Handler handler = Handler::kNone;
  HookEvent hook = HookEvent::kNone;
  std::uint32_t hook_of = 0;  ///< Whose hook it is; not of kWait and kLate. It has an instance for each of that one's.
  std::vector<std::uint32_t> hooks;      ///< Those that belong to it.
  std::vector<std::uint32_t> followers;  ///< Those that fan out depth-first over its items; hooks are not among them.
  std::vector<Dependency> depends_on;    ///< Unique by task.
  TriggerRule trigger_rule = TriggerRule::kAllSuccess;
  expr::Expression when;         ///< Empty: always.
  bool latest_only = false;      ///< Skipped in a run that is for no longer the latest time of its schedule.
  bool depends_on_past = false;  ///< Waits until it has ended well in the newest run for an earlier logical time.
  std::optional<ForEach> foreach;
  std::shared_ptr<const WorkSpec> work;        ///< Not null for what a worker does; of kDag the names of its values.
  std::vector<CheckCondition> checks;          ///< kCheck, and kData before anything is read.
  std::optional<PromoteSpec> promote;          ///< kPromote
  std::shared_ptr<const WaitSpec> wait;        ///< Not null for kWait.
  std::shared_ptr<const HumanSpec> human;      ///< Not null for kHuman.
  std::optional<LoopSpec> loop;                ///< kRun, kHttp
  std::optional<CacheSpec> cache;              ///< kRun
  std::optional<SubDagSpec> subdag;            ///< kDag
  std::shared_ptr<const LineageSpec> lineage;  ///< Of what a worker does; null: it declares nothing.
  /// Setups: the task runs when one of them has succeeded and all it depends on has ended, whatever its trigger rule.
  std::vector<std::uint32_t> teardown_of;
  RetryPolicy retry;
  InfraRetryPolicy infra_retry;
  std::optional<Duration> queue_timeout;  ///< From ready to started.
  std::optional<Duration> deadline;       ///< From ready to its end, whatever the attempts and rests.
  AllowFailure allow_failure;
  std::string pool = "default";
  std::uint16_t slots = 1;
  std::int32_t priority = 0;             ///< Higher goes first.
  std::vector<LockUse> locks;            ///< All of them, or none: nothing is held while it waits for the rest.
  std::uint32_t max_active_per_dag = 0;  ///< Attempts at a time over all runs of the DAG; 0: no bound.
  std::optional<RateLimit> rate;
  Whereabouts where;
  std::shared_ptr<const PodSpec> pod;  ///< kRun; not null: each attempt runs in a Kubernetes pod of its own.
  bool any_executor = true;            ///< It names none: the scheduler's default counts.
  /// It stays up until those that depend on it have ended.
  bool is_service() const { return work != nullptr && work->service.has_value(); }
  bool is_hook() const { return hook != HookEvent::kNone; }
  bool waits() const { return kind == TaskKind::kWait || kind == TaskKind::kHuman; }
  bool is_gated() const { return !locks.empty() || max_active_per_dag > 0 || rate.has_value(); }
};

/// What becomes of a run for which its DAG has no place: `max_runs` are running.
enum class OnLimit : std::uint8_t {
  kQueue,    ///< It waits.
  kSkip,     ///< It is not made.
  kReplace,  ///< Those that run are cancelled for it.
  kLatest,   ///< It waits, and those that waited before it are cancelled.
};

/// By when a run should be over.
struct Deadline {
  enum class From : std::uint8_t {
    kQueued,  ///< When it was asked for.
    kStarted,
    kLogicalTime,
  };
  From from = From::kQueued;
  Duration after{};
  bool cancels = false;  ///< The run that misses it; else its owner is told, and it goes on.
  bool operator==(const Deadline&) const = default;
};
std::string_view name_of(Deadline::From from);      ///< "logical_time"
inline constexpr std::size_t kGroupMax = 256;       ///< Bytes of the text that names a group of runs.
inline constexpr std::size_t kRunOutputsMax = 100;  ///< Names that a run publishes.
inline constexpr std::size_t kRunOutputBytesMax = std::size_t{64} << 10;  ///< Of the JSON of all values among them.

/// What a run publishes when it has succeeded. No two have one name.
struct RunOutputs {
  GivenParams values;
  struct Artifact {
    std::string name;
    std::uint32_t task = 0;
    std::string artifact;
    std::optional<Select> select;  ///< Not empty where the task is mapped.
    bool operator==(const Artifact&) const = default;
  };
  std::vector<Artifact> artifacts;
  bool empty() const { return values.empty() && artifacts.empty(); }
};

struct Dag {
  std::string name;
  std::string description;
  std::string owner;
  std::string namespace_name = "default";
  std::vector<std::pair<std::string, std::string>> labels;
  std::vector<ParamSpec> params;
  std::vector<std::pair<std::string, expr::Template>> env;  ///< What `env.NAME` means in expressions; may itself name
                                                            ///< `params` and `run`. Part of every WorkSpec::env.
  std::vector<Task> tasks;                                  ///< At least one; free of cycles. Handlers come last.
  std::uint32_t handlers = 0;                               ///< So many tasks are handlers, each with one instance.
  std::vector<std::uint32_t> hooks;                         ///< All tasks that are some task's hooks.
  std::vector<std::uint32_t> services;                      ///< All tasks that are services.
  std::vector<std::uint32_t> watchers;  ///< Hooks of the run: kWait and kLate. Each has one instance.
  std::optional<Duration> timeout;      ///< Of a whole run.
  std::optional<Deadline> deadline;
  FailFast fail_fast = FailFast::kOff;
  std::uint32_t max_active_tasks = 0;  ///< Per run; 0: no bound.
  std::uint32_t weight = 1;            ///< Its share among DAGs that wait for the same at equal priority.
  std::uint32_t max_runs = 1;          ///< Runs of this DAG, or of its group, at a time.
  OnLimit on_limit = OnLimit::kQueue;  ///< What becomes of more.
  RetentionPolicy retention;           ///< Of its runs' artifacts.
  expr::Template group;  ///< Runs of the namespace with this text share their places. Empty: the DAG's do.
  RunOutputs outputs;
  SchedulePlan schedule;
  calendar::ZonePtr zone = calendar::Zone::utc();  ///< Of `run.date`, and where expressions look at dates. Not null.
  std::vector<TriggerSpec> triggers;               ///< Any of them starts a run; no two name the same source.
  std::vector<NotifyChannel> notify;               ///< At most kChannelsMax.
  bool says_notify = false;  ///< It has the key, though it may name nobody: the scheduler's default is not its.
  std::string version;       ///< SHA-256 (64 hex digits) of the canonical form: same meaning, same version.
  std::string source;        ///< The file's text, with all that it includes; kept with the version.

  /// `task` fans out depth-first over the items that `upstream` has, too: each waits for, and sees, the one of its
  /// item.
  bool in_step(std::uint32_t task, std::uint32_t upstream) const;
  /// `task` waits for `upstream`, a service, to be ready, and holds it up until it has itself ended. A teardown waits
  /// for its end, as for that of any task.
  bool consumes(std::uint32_t task, std::uint32_t upstream) const {
    return tasks[upstream].is_service() && tasks[task].teardown_of.empty() && !tasks[task].is_hook();
  }
  bool is_handler(std::uint32_t task) const { return task + handlers >= tasks.size(); }
  std::optional<std::uint32_t> find(std::string_view task_id) const;  ///< Cost: O(1).
  /// Fills what find() needs. Call it whenever `tasks` has changed.
  void index_tasks();

 private:
  std::map<std::string, std::uint32_t, std::less<>> by_id_;
};

using DagPtr = std::shared_ptr<const Dag>;

}  // namespace chappe
