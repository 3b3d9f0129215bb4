/// \file
/// The engine: all decisions of the scheduler in one deterministic state machine.
///
///   task instance
///     none -> scheduled -> queued -> running -> committing -> success
///               ^   |         |         |           |
///               |   |         +---------+-----------+--> failed | cancelled
///               |   |                   |
///               |   +-> up_for_retry <--+  (rests, holds no slot)
///               +-----------+
///     none | scheduled -> skipped | upstream_failed | cancelled
///     none -> waiting -> success | failed | skipped | cancelled     (a time, data, a person; holds no slot)
///
/// Pure: no clock, no I/O, no threads, no randomness but the seed it is given. Equal state, events and `now` give equal
/// effects; recovery and the simulator rely on that. Not thread-safe: the scheduler's loop is the one caller.
///
/// Cost of step(): per event O(edges of the finished task); per assignment O(log) of the ready queues. Tasks that wait
/// cost nothing. Memory: about 50 bytes a task instance of a live run, whatever it waits for.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/placement/fleet.h"
#include "engine/run/events.h"
#include "engine/run/in_hand.h"
#include "engine/run/records.h"

namespace chappe {

struct EngineConfig {
  Duration lease = std::chrono::seconds(60);  ///< Silence after which a worker's attempts are lost.
  Duration heartbeat = std::chrono::seconds(5);
  std::uint64_t seed = 0;                                    ///< For jitter.
  std::uint32_t assign_max = 2048;                           ///< Assignments of one step: bounds a transaction.
  std::uint32_t pool_default_slots = 0;                      ///< Slots of a pool that is not configured; 0: unbounded.
  std::vector<std::pair<std::string, std::uint32_t>> pools;  ///< Name and slots.
  std::map<std::string, std::uint32_t> locks;                ///< Places of named locks; 1 where not configured.
  std::uint32_t runs_max = 100'000;                          ///< Runs that may be queued or running.
  std::uint32_t tokens_max = 1'000;                          ///< Tokens of the API.
  std::uint32_t deployments_max = 100'000;                   ///< DAGs that are deployed, or ever were.
  std::uint32_t fires_max = 256;        ///< Times of schedules that one step looks at: bounds a transaction.
  std::uint32_t fires_queued_max = 16;  ///< Queued runs of a DAG that its schedule adds to.
  std::uint32_t looks_max = 10'000;     ///< Different things outside that tasks and triggers wait for.
  std::uint32_t states_max = 100'000;   ///< Values that outlive runs.
  std::uint32_t events_max = 1'000;     ///< Events of one source that wait for a run of one DAG.
  std::uint32_t pods_max = 0;           ///< Pods at a time; 0: there is nobody who makes them.
  bool pods_by_default = false;         ///< Tasks that name no executor run in pods, too.
  std::string pod_prefix = "chappe-";   ///< Of their names; the attempt follows.
  Duration pod_start_max = std::chrono::minutes(15);  ///< From asking for a pod to its start, ...
  Duration pod_join_max = std::chrono::minutes(5);    ///< ... and from there to its worker's joining.
  std::uint32_t lookups_max = 1'000;                  ///< Results that are being looked up at a time.
  std::uint32_t notifications_max = 10'000;           ///< Notifications that may wait to be sent.
  Duration run_retention = kForever;          ///< Runs that ended longer ago go, as far as nothing refers to them.
  std::vector<NotifyChannel> notify_default;  ///< Of DAGs that do not say who is told.
  /// SHA-256 of a text as 64 hex digits. Must be there where some task has a `cache`, or reads
  /// a value as a file.
  std::function<std::string(std::string_view)> sha256;
  InHand* in_hand = nullptr;  ///< Where not null it says at every moment of a step what the engine is at.
};

/// A fleet as it is at a moment.
struct FleetView {
  FleetLoad load;
  std::vector<FleetMember> members;  ///< One a pod, in order of their names.
};

struct EngineState;  // Private: engine/run/engine_state.h.

class Engine {
 public:
  /// Rebuilds the engine from what the store holds. Attempts that were assigned get a fresh lease from `now`; effects
  /// that were committed but perhaps not carried out are asked for again by the first step().
  /// Errors: kCorrupt where rows contradict their DAG; the message names the run.
  static Result<Engine> restore(StoredState stored, EngineConfig config, Now now);

  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  /// Applies a batch of events and everything that is due by `now`. Stale, repeated and unknown news is normal and
  /// changes nothing.
  [[nodiscard]] Effects step(std::span<const Event> events, Now now);

  /// As much of a step as needs no outside, from results that were looked up; what follows comes with the next step(),
  /// which must be at the same `now`. Returns what is to be looked up after that: along a chain of tasks that all have
  /// results one transaction takes in many of them. Requires: every event is a CacheLooked.
  [[nodiscard]] std::vector<CacheLookup> follow_results(std::span<const Event> events, Now now);

  bool knows(const RunId& run) const;  ///< The run is live here: queued or running.
  std::size_t live_runs() const;
  std::vector<TokenRow> tokens() const;  ///< Of the API, by name; expired ones too.
  /// Whether the attempt is leased to the worker on this connection: nobody else may speak of it.
  bool leased(ConnectionId connection, AttemptId attempt) const;

  /// For each task of a live run that is not final: what it waits for. One map a task instance:
  /// {task, key, state, waits_for: [text], ...}. `task`: one task id only, "" for all; at most `limit` entries.
  Result<Value> explain(const RunId& run, std::string_view task, std::size_t limit, Now now) const;
  /// What people are asked and have not answered, oldest run first; at most `limit`.
  Value questions(std::size_t limit) const;
  /// Workers, their load and what they hold; pools and queues; live runs: for `chappe workers` and metrics.
  Value workers(Now now) const;
  /// What the workers in these pods have, and what waits for such as they are. Cost: O(workers, classes of tasks).
  FleetView fleet(const std::set<std::string>& pods) const;
  /// Everything, for people who debug, and for the law "restored equals live".
  std::string dump_json() const;

 private:
  explicit Engine(std::unique_ptr<EngineState> state);
  std::unique_ptr<EngineState> state_;
};

}  // namespace chappe
