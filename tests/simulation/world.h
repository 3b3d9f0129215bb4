/// \file
/// A whole Chappe in one thread, from one number: schedulers, workers, their network, the stores and the people, all in
/// simulated time. The same seed makes the same history, to the last byte.
///
///   first   faults: whatever the plan knows goes wrong, and the laws are checked after every step
///   then    all is healed: everything must come to its end in bounded time, and nothing may be left over
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/wire/wire.h"
#include "tests/simulation/laws.h"
#include "tests/simulation/network.h"
#include "tests/simulation/objects.h"
#include "tests/simulation/people.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/pods.h"
#include "tests/simulation/scaler.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/seen.h"
#include "tests/simulation/stories.h"
#include "tests/simulation/timeline.h"
#include "tests/simulation/worker.h"
#include "tests/support/memory_meta_store.h"
#include "tests/support/random_dag.h"

namespace chappe::simulation {

/// What happened, as one number that two equal histories share; and as text for people who ask for it.
class Journal {
 public:
  Journal(const Timeline& time, bool aloud) : time_(time), aloud_(aloud) {}
  void note(std::string_view what, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0);
  std::uint64_t hash() const { return hash_; }

 private:
  void mix(std::uint64_t number) { hash_ = (hash_ ^ number) * 0x100000001B3U; }
  const Timeline& time_;
  bool aloud_;
  std::uint64_t hash_ = 0xCBF29CE484222325U;
};

/// The metadata store: durable, with the guards of a real one, and with the epoch that keeps old schedulers out.
class Store {
 public:
  explicit Store(World& world) : world_(world) {}
  std::uint32_t open() {
    tables_.open();
    return ++epoch_;
  }
  void register_dag(const DagPtr& dag) { tables_.register_dag(dag); }
  /// As if some run of it had been asked for.
  void know(const DagPtr& dag);
  Result<StoredState> load() { return tables_.load(); }
  Result<StoredRun> load_run(const RunId& run) { return tables_.load_run(run); }
  PastLooked look_up_past(const WantedPast& wanted) { return tables_.look_up_past(wanted); }
  ExpiredLooked expired(const ExpiredQuery& query) const { return tables_.expired(query); }
  PruneLooked prunable(const PruneQuery& query) const { return tables_.prunable(query); }
  std::vector<std::optional<RunState>> newest_of_dates(const WantedDates& wanted) const {
    return tables_.newest_of_dates(wanted.dag, wanted.times);
  }
  const RunRow* run_by_request(const std::string& request) const;
  Result<void> commit(std::uint32_t epoch, const Persist& persist);
  std::uint32_t epoch() const { return epoch_; }
  const support::StoredTables& tables() const { return tables_.tables(); }

 private:
  World& world_;
  support::MemoryMetaStore tables_;
  std::uint32_t epoch_ = 0;
};

/// The real encoders and decoders.
struct Wire {
  wire::WorkerEncoder worker_encoder;
  wire::WorkerDecoder worker_decoder;
  wire::SchedulerEncoder scheduler_encoder;
  wire::SchedulerDecoder scheduler_decoder;
  std::vector<std::string> encode(const std::vector<std::vector<Event>>& messages);
};

/// What became of one seed.
struct Ending {
  std::optional<Violation> violation;
  std::uint64_t hash = 0;
};

class World {
 public:
  World(std::uint64_t seed, const Reduction& reduction, bool aloud = false);
  ~World();
  Ending live();

  /// Draws whether a fault comes now.
  bool happens(Fault fault);
  void saw(Sight sight) { seen.count(sight); }
  /// A time from 0 to `most`, by chance.
  Duration up_to(Duration most);
  bool healed() const { return healed_; }
  WallTime wall() const { return {kWallBegin.us + time.now().us + wall_shift_.count()}; }
  EngineConfig engine_config() const;
  Behaviour behaviour(const Assignment& what) const;
  std::int64_t value(const Assignment& what) const;
  bool leaves_large_value(const Assignment& what) const;
  /// What tasks look at comes at some time while faults go on.
  bool shows(const std::string& name) const;
  /// The objects of `kDrop` at this time: each is written some times while faults go on, and may be removed in between.
  std::vector<SeenObject> dropped() const;
  std::string content(const Assignment& what, const std::string& output, const std::vector<std::string>& inputs) const;

  /// Where a worker or a person that looks for a scheduler finds one.
  std::optional<std::uint32_t> scheduler_to_meet();
  Scheduler* newest_scheduler();
  /// Of `stories`, or that of `past`.
  Story& story(std::uint32_t number) { return number < stories.size() ? stories[number] : past->story; }
  void scheduler_died(std::uint32_t number);

  const Plan plan;
  support::Chance chance;
  Timeline time;
  Journal journal;
  Seen seen;
  Laws laws;
  Store store;
  Objects objects;
  Network network;
  People people;
  Pods pods;
  Scaler scaler;
  Wire& wire;
  std::vector<Story> stories;
  std::vector<Story> listeners;
  Story child;
  std::optional<Past> past;
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<std::unique_ptr<Scheduler>> schedulers;

 private:
  void boot_scheduler();
  void plan_trouble();
  void trouble();
  void strike(Fault fault);
  void strike_worker(Fault fault);
  void strike_link(Fault fault);
  void swizzle_clog();
  void heal();
  void look();
  bool settled();
  Duration patience() const;
  bool go_on_until(MonoTime end);

  bool healed_ = false;
  bool healing_ = false;
  bool settled_ = false;
  Duration wall_shift_{};
  std::optional<std::string> thoughts_;  ///< Of the scheduler that died last, if nothing was committed since.
  std::uint64_t thoughts_commits_ = 0;
};

}  // namespace chappe::simulation
