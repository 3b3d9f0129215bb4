/// \file
/// The engine with a store in memory, a clock that a test moves, and workers that are but their side of the
/// conversation: what they were told, what they hold. Everything goes the way of the scheduler's loop: step, commit,
/// and only then act.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/run/engine.h"
#include "engine/run/instances.h"
#include "tests/support/memory_meta_store.h"

namespace chappe::support {

inline constexpr std::uint64_t kObjectSize = 1;  ///< Of every object that a story's tasks leave.

/// A worker, seen from its own side.
struct WorkerSide {
  WorkerHello hello;        ///< Without `held`.
  ConnectionId connection;  ///< 0: it has none.
  std::uint64_t batch_seen = 0;
  bool cut = false;     ///< Nothing reaches it or comes from it.
  bool silent = false;  ///< It sends no heartbeats by itself.
  std::map<AttemptId, Assignment> held;
  std::set<AttemptId> asked_to_cancel;

  std::vector<HeldAttempt> holds() const;
};

class EngineWorld {
 public:
  explicit EngineWorld(EngineConfig config = {});

  // ---- What happens ----
  /// One pass of the scheduler's loop. Returns what was carried out.
  Effects step(std::vector<Event> events = {});
  /// Moves both clocks on, step by step: at each time the engine asked to be woken at, and at each heartbeat of the
  /// workers that send them by themselves. `seen` gets the effects of each step.
  void pass(Duration duration, const std::function<void(const Effects&)>& seen = {});
  /// A second later somebody asks for a run: its logical time is that of asking.
  RunId submit(const DagPtr& dag);
  /// The process dies and another one begins. Connections are gone; workers keep what they hold.
  void restart();
  /// The process dies after the commit of these events' consequences, before any of them is carried out.
  void die_before_sending(std::vector<Event> events);
  /// The process dies before the commit.
  void die_before_committing(std::vector<Event> events);

  // ---- Events, ready to be stepped ----
  void know(const DagPtr& dag);  ///< As if some run of it had been asked for.
  RunRequested request(const DagPtr& dag, ValueMap params = {}, const std::string& request_id = "");
  DagDeployed deployed(const DagPtr& dag, const std::string& origin = "");
  /// Fails the test where the backfill is not one that may be asked for.
  BackfillRequested backfill(const DagPtr& dag, BackfillSpec spec, ValueMap params = {});
  /// A new connection, with what the worker holds.
  Event join(WorkerSide& worker);
  /// The same, with the key that was made for the pod of this attempt.
  Event join_in_pod(WorkerSide& worker, AttemptId attempt);
  Event heartbeat(const WorkerSide& worker) const;
  Event started(const WorkerSide& worker, const Assignment& what) const;
  Event finished(const WorkerSide& worker, const Assignment& what, AttemptEnd end = {},
                 AttemptOutputs outputs = {}) const;
  RetryRequested retry(const RunId& run, std::vector<std::string> tasks = {});
  MarkRequested mark(const RunId& run, const std::string& task, TaskState state);
  /// Dates of backfills are to be looked up: the next step begins with that.
  bool has_dates_to_look_up() const { return !dates_.empty() || expired_ || prune_; }
  /// So is what tasks depend on in their past.
  bool has_past_to_look_up() const { return !past_.empty(); }

  // ---- Who and what there is ----
  WorkerSide& worker(const std::string& name);  ///< Made at the first mention: 2 cores, 8 GiB, no prefetch.
  std::map<std::string, WorkerSide>& workers() { return workers_; }
  const std::map<std::string, WorkerSide>& workers() const { return workers_; }
  WorkerSide* holder_of(AttemptId attempt);
  /// The newest attempt of a task instance that any worker was told of.
  const Assignment* newest(const RunId& run, const std::string& instance) const;
  /// The result of an instance was looked up. `gone`: an object of it is not there any more.
  CacheLooked looked(const RunId& run, const std::string& instance, bool gone = false);
  /// The DAG that an instance waits for was read: the one of that name that was requested last.
  DagBrought brought(const RunId& run, const std::string& instance);
  const std::vector<Assignment>& assigned() const { return assigned_; }  ///< All, in the order of their sending.

  /// What the engine says the run waits for, as JSON; or why it says nothing.
  std::string explained(const RunId& run) const;
  TaskRow row(const RunId& run, const std::string& instance) const;  ///< State kNone where there is none.
  RunRow row(const RunId& run) const;
  std::string state(const RunId& run, const std::string& instance) const { return name(row(run, instance).state); }
  std::string state(const RunId& run) const { return name(row(run).state); }
  const Instances& instances(RunSeq run) const;
  const DagPtr& dag_of_run(RunSeq run) const;

  Engine& engine() { return *engine_; }
  const Engine& engine() const { return *engine_; }
  MemoryMetaStore& store() { return store_; }
  const MemoryMetaStore& store() const { return store_; }
  const EngineConfig& config() const { return config_; }
  std::map<std::string, Value> value_objects;  ///< What objects hold that are values, by key.
  RemoveObjects to_remove;                     ///< What was to be removed last.
  std::set<RunId> left_alone;                  ///< By the next that begin.
  Now now{{1'800'000'000'000'000}, {1'000'000'000}};

 private:
  template <typename State>
  static std::string name(State state) {
    return std::string(name_of(state));
  }
  std::optional<Effects> decide(std::vector<Event>& events);
  void deliver(const Effects& effects);
  void deliver(const WorkerSend& send);
  void begin();
  RunId new_run_id();
  std::vector<Event> due_heartbeats();

  EngineConfig config_;
  MemoryMetaStore store_;
  std::optional<Engine> engine_;
  std::map<std::string, WorkerSide> workers_;
  std::vector<Assignment> assigned_;
  std::vector<WantedDates> dates_;
  std::vector<WantedPast> past_;
  std::optional<ExpiredQuery> expired_;
  std::optional<PruneQuery> prune_;
  std::vector<WantedDag> wanted_;     ///< All, in the order of their asking.
  std::vector<CacheLookup> lookups_;  ///< Likewise.
  std::optional<MonoTime> wake_at_;
  MonoTime heartbeat_at_;
  std::uint64_t connections_ = 0;
  std::uint32_t incarnations_ = 0;
  std::uint64_t ids_ = 0;
  std::map<std::string, DagPtr> dags_;
  struct Expanded {
    Instances instances;
    std::size_t fan_outs = 0;  ///< Rows of the store's table that were looked at.
  };
  mutable std::map<RunSeq, Expanded> instances_;
};

}  // namespace chappe::support
