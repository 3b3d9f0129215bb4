/// \file
/// A run while it is queued or running: its row, its counters, and 24 bytes a task instance.
///
/// Private to engine/run. Holds no decisions of its own: EngineState makes them.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/run/events.h"
#include "engine/run/graph.h"
#include "engine/run/instances.h"
#include "engine/run/trigger.h"

namespace chappe {

/// What one instance has come to.
struct InstanceState {
  AttemptId attempt;  ///< Latest; 0: none yet.
  WorkerSeq worker;   ///< Of the latest attempt.
  std::uint16_t attempt_no = 0;
  std::uint16_t user_tries = 0;
  std::uint16_t infra_tries = 0;
  std::uint16_t iteration = 0;  ///< Of a loop.
  TaskState state = TaskState::kNone;
  TaskState stored = TaskState::kNone;  ///< As its row says; behind `state` only for kNone and kScheduled.
  bool has_row = false;
  bool allowed = false;
};
static_assert(sizeof(InstanceState) == 24);  // Of each of a million that wait.

/// What one task (all its instances) has come to.
struct TaskProgress {
  UpstreamCounts upstream;      ///< But for those that its items are in step with.
  std::uint32_t active = 0;     ///< Attempts assigned; of a task that starts runs: instances that wait for one.
  std::uint32_t tolerated = 0;  ///< Items that failed, and `min_success` leaves room for it.
  bool judged = false;          ///< Its trigger rule has spoken. Of a depth-first fan-out it speaks of each item.
  WallTime ready_at;            ///< When it said run.
  bool past_allows = false;     ///< With `depends_on_past`: it was seen to have ended well.
};

/// Instances side by side that are ready; handed out from the front.
struct ReadyRange {
  std::uint32_t next = 0;
  std::uint32_t end = 0;
};
/// Adds it to what is held: to the last of that, where it follows that or is within it.
void hold(std::vector<ReadyRange>& held, ReadyRange which);

/// Items of depth-first fan-outs that are ready. What became ready in a later step goes first, so that items that have
/// begun go on; of one step, the items' order. Each: the complement of the step's number, the instance.
using ItemsAhead = std::set<std::pair<std::uint64_t, std::uint32_t>>;

struct InstanceOutputs {
  std::vector<ArtifactRow> artifacts;
  std::vector<NamedValue> values;
};

/// What an instance in state kWaiting waits for.
struct Waiting {
  WallTime began;
  MonoTime since;                  ///< The same, as this process sees it.
  WallTime late_at;                ///< When its owner was told that it is late; not set: it is not.
  std::uint64_t serial = 0;        ///< Of this wait: a timer of another one does nothing.
  std::string told;                ///< What it waits for, for people.
  std::string asset;               ///< Its URI or name, of a wait for an asset.
  WallTime newer_than;             ///< Of its publication...
  AssetVersionId after;            ///< ... or of its version.
  WallTime until;                  ///< Not set: no point in time ends it well.
  std::optional<Duration> length;  ///< Nor that so long has passed.
  std::optional<LookTarget> look;
};

/// What a task with `depends_on_past` waits on.
struct PastWait {
  enum class Stand : std::uint8_t {
    kInLine,  ///< Which run that is is to be looked up.
    kAsked,
    kWaits,
  } stand = Stand::kInLine;
  RunSeq on;  ///< 0: not known.
  RunId on_id;
  TaskState told{};              ///< How the task stood there when it was looked at last.
  std::string error;             ///< Why it is not known.
  std::vector<ReadyRange> held;  ///< Instances that are ready but for this; some are so no more.
};

/// A service of a run that is running.
struct ServiceState {
  AttemptId ready;  ///< The attempt that said so last; its address is among the outputs. 0: none did.
  /// An instance that holds it up: one of a task that depends on it, and has not ended. nullopt: any may be.
  std::optional<std::uint32_t> holder;
};

/// Instances that wait for services, by what they lack besides.
struct ServiceWaits {
  std::vector<ReadyRange> undecided;  ///< Whether they run at all is asked when they are let go.
  std::vector<ReadyRange> scheduled;  ///< They had their turn when a service was not ready.
};

/// As what a DAG shares with others what all of them wait for.
struct DagShare {
  std::uint32_t id = 0;      ///< The same for all versions and runs of the DAG.
  std::uint32_t weight = 1;  ///< Dag::weight.
};

struct LiveRun {
  RunRow row;
  DagPtr dag;
  DagShare share;
  Value params;      ///< Map.
  ValueList events;  ///< Details of those that started it.
  std::shared_ptr<const Graph> graph;
  std::shared_ptr<const RunContext> context;

  // Empty while the run is queued.
  std::optional<Instances> instances;
  std::vector<TaskProgress> tasks;
  std::vector<InstanceState> states;
  std::array<std::uint32_t, kTaskStates> counts{};  ///< Instances by state.
  std::unordered_map<std::uint32_t, InstanceOutputs> outputs;
  std::uint64_t value_bytes = 0;                          ///< Of all values in objects that `outputs` names.
  std::unordered_map<std::uint32_t, TaskRow> committing;  ///< Rows of instances whose outputs are being published.
  /// Instances that had succeeded before this process began, while their values are read from objects: attempts. They
  /// are kCommitting meanwhile, so that nobody downstream begins; their rows stay as they are.
  std::map<std::uint32_t, AttemptId> reading;
  std::unordered_map<std::uint32_t, Waiting> waiting;  ///< Instances that wait for a time, for data or for a person.
  std::map<std::uint32_t, PastWait> past;              ///< By task: those that wait on their past, or ask for it.
  std::map<std::uint32_t, ServiceState> services;      ///< By task.
  std::map<std::uint32_t, ServiceWaits> for_services;  ///< By task that depends on some: who waits.
  std::unordered_map<const WorkSpec*, std::shared_ptr<const ResolvedWork>> constant_work;

  std::unordered_map<std::uint32_t, std::uint64_t> looked_up;  ///< Instances whose result is being looked up: serials.
  std::unordered_map<std::uint32_t, CacheUseRow> cached;       ///< Attempts under way whose results may be used again.

  std::unordered_map<std::uint32_t, AttemptEnd> ends;  ///< Of instances whose tasks have hooks: what they last came to.
  std::set<std::uint32_t> watch_again;                 ///< Watchers under way that have news to hear when they end.

  std::map<std::uint32_t, RunSeq> started_runs;  ///< By instance: the run that it waits for, live or left alone.

  std::uint32_t active = 0;     ///< Attempts assigned.
  bool failed = false;          ///< Some task failed that nothing allows; handlers do not count.
  bool handling = false;        ///< Its tasks are over; its handlers have their turn.
  AttemptId before_generation;  ///< Attempts up to this one may have won in an earlier generation. 0: there is none.
  double attempt_seconds = -1;  ///< Moving average of how long attempts run; below 0: none ended yet.
  std::vector<std::uint32_t> to_judge;
  std::vector<std::uint32_t> items_to_judge;  ///< Of depth-first fan-outs: instances that are in step with an end.
  std::unordered_map<std::uint32_t, WallTime> items_ready_at;  ///< As TaskProgress::ready_at, of those; until they end.
  ItemsAhead parked_ahead;                                     ///< Ready, but the run has `max_active_tasks` already.
  std::deque<ReadyRange> parked;                               ///< The others likewise, which go after them.
  std::unordered_map<std::uint32_t, std::deque<ReadyRange>> parked_by_task;  ///< `max_parallel` likewise.

  bool started() const { return instances.has_value(); }
  const Task& task(std::uint32_t position) const { return dag->tasks[position]; }
  /// Its items are judged one by one.
  bool is_depth_first(std::uint32_t position) const {
    return task(position).foreach && task(position).foreach->depth_first && !task(position).is_hook();
  }
  /// How what the instance waits for has ended so far.
  UpstreamCounts upstream(std::uint32_t index) const;
  /// The instances of the upstream task that the instance waits for: all, or the one of its item.
  ReadyRange awaited(std::uint32_t index, std::uint32_t upstream) const;
  /// When its rule said run; not set: it has not.
  WallTime ready_at(std::uint32_t index) const;
  /// What the instance's attempt takes, and the next one needs: more after each failure that `retry` is charged with.
  /// Requires: it is run by a worker.
  Resources resources_of(std::uint32_t index) const;
  /// Of that, what its own program or container has: sidecars have the rest.
  Resources own_resources_of(std::uint32_t index) const;
  /// All instances of the task: of a fan-out that a person runs again in part, or that others hold back, some may be
  /// ready apart from the others.
  bool is_whole(std::uint32_t position, ReadyRange range) const {
    const std::uint32_t first = instances->first(position);
    return range.next == first && range.end == first + instances->count(position);
  }
  /// The first of them, as far as they need the same: after a restart some may have failed more often than others.
  /// Requires: not empty; of one task.
  ReadyRange alike(ReadyRange range) const;
  void set_state(std::uint32_t index, TaskState state) { set_state(index, state, states[index].attempt); }
  void set_state(std::uint32_t index, TaskState state, AttemptId attempt) {
    InstanceState& instance = states[index];
    const bool waited = instance.state == TaskState::kWaiting && instance.attempt;
    --counts[static_cast<std::size_t>(instance.state)];
    instance.state = state;
    instance.attempt = attempt;
    ++counts[static_cast<std::size_t>(state)];
    const bool waits = state == TaskState::kWaiting && attempt;
    if (waits != waited) note_waiting(index, waits);
  }
  /// A task that starts runs is active as long as an attempt of it waits for one.
  void note_waiting(std::uint32_t index, bool waits);
  /// It is ready, but for `depends_on_past`.
  bool waits_for_past(std::uint32_t index) const;
  /// Its trigger rule was asked, and it waits for a service.
  bool waits_for_service(std::uint32_t index) const;
  /// It has an attempt behind it, and rests before the next one.
  bool rests(std::uint32_t index) const;
  /// It waits for the end of a run that it started.
  bool waits_for_run(std::uint32_t index) const;
  /// As many items of the task as may wait for runs that they started.
  bool is_full(std::uint32_t position) const;
  /// Those of the instance, emptied.
  InstanceOutputs& fresh_outputs(std::uint32_t index);
  void keep(std::uint32_t index, ArtifactRow artifact);
  void forget_outputs(std::uint32_t index);
  std::uint32_t unsettled() const;
  bool is_handler(std::uint32_t index) const { return dag->handlers > 0 && dag->is_handler(instances->task_of(index)); }
  /// Watchers that have nothing to tell of.
  std::uint32_t idle_watchers() const;
  /// Nothing is left to do, but for handlers that have not had their turn, and watchers.
  bool is_over() const { return unsettled() <= (handling ? 0 : dag->handlers + idle_watchers()); }
  bool is_cut_short() const { return row.stop == Stop::kCutShort || row.stop == Stop::kCutShortFailed; }
  /// A handler, a hook or a teardown: it has its turn though the run is being stopped.
  bool outlives_stop(std::uint32_t index) const { return task_outlives_stop(instances->task_of(index)); }
  bool task_outlives_stop(std::uint32_t position) const {
    return dag->is_handler(position) || task(position).is_hook() || !task(position).teardown_of.empty();
  }
  /// Of a run that was stopped all has ended but teardowns, hooks and handlers. Cost: the instances.
  bool has_only_teardowns_left() const;
  /// Nothing of the task may start any more.
  bool is_stopped(std::uint32_t position) const {
    return task_outlives_stop(position) ? is_cut_short() : row.stop != Stop::kNone;
  }
  /// What it comes to, once its tasks are over. Handlers do not change it.
  RunState outcome() const;
};

/// Counts one end for a child along one edge.
void count_end(UpstreamCounts& counts, const Dependency& edge, const InstanceState& ended);

/// The names that expressions of a run may use: params, env, run, tasks, and item and key of one instance.
class RunScope : public expr::Scope {
 public:
  /// `index`: whose item; nullopt for expressions about the run.
  RunScope(const LiveRun& run, std::optional<std::uint32_t> index) : run_(run), index_(index) {}
  std::optional<Value> resolve(std::span<const std::string> path) const override;
  const calendar::Zone& zone() const override { return *run_.dag->zone; }

 private:
  std::optional<Value> env_value(std::span<const std::string> path) const;
  std::optional<Value> task_value(std::span<const std::string> path) const;
  std::optional<Value> hooked_value() const;
  const LiveRun& run_;
  std::optional<std::uint32_t> index_;
};

/// What the names in an expression stand for, for people: "params.least is 0.9, ..."; secrets and what is absent are
/// left out, and so is what comes after 200 characters.
std::string told_values(const LiveRun& run, std::uint32_t index, const expr::Expression& expression);

/// Objects of an instance that hold values which are not known.
std::vector<OutputObject> unread_values(const InstanceOutputs& outputs);

/// The value or metric of an instance; null pointer where it left none of that name.
const Value* output_value(const LiveRun& run, std::uint32_t index, std::string_view name);
/// The asset version that an artifact with an asset is; its times are the caller's to say.
AssetVersion version_of(const ArtifactRow& artifact);
const ArtifactRow* output_artifact(const LiveRun& run, std::uint32_t index, std::string_view name);

/// How long the output says that it is kept; 0: as its DAG says.
Duration retention_of(const Task& task, std::string_view output);

/// The instances of `task` that `select` means: the best by its value, or all that succeeded where there is none.
/// Errors: kNotFound: none succeeded with such a value.
Result<std::vector<std::uint32_t>> select_instances(const LiveRun& run, std::uint32_t task,
                                                    const std::optional<Select>& select);

}  // namespace chappe
