/// \file
/// Task instances that are ready, waiting for a worker or a slot. Private to engine/run.
///
/// Instances that ask for the same (priority, pool, resources) stand in one class; a class that finds no room is passed
/// over as a whole, so a full pool or a scarce resource never hides another one. Within a class DAGs take turns,
/// however many runs each has, and within a DAG its runs do.
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "engine/base/ids.h"
#include "engine/model/features.h"
#include "engine/model/policies.h"
#include "engine/run/live_run.h"

namespace chappe {

struct ReadyClass {
  std::int32_t rank = 0;  ///< Minus the priority: smaller goes first.
  std::uint32_t pool = 0;
  std::uint16_t slots = 1;
  bool noop = false;
  std::uint32_t where = 0;  ///< Position in EngineState::whereabouts.
  bool in_pods = false;     ///< Each attempt has a pod made for it: no worker needs room.
  Features features;        ///< What a worker must know.
  Resources resources;
  auto operator<=>(const ReadyClass&) const = default;
};

/// One class. Cost: O(1) an instance, and memory by range, not by instance; O(log) and an entry each for those ahead.
class ReadyQueue {
 public:
  /// `ahead`: of what the run has in it, unless 0. A larger one goes first; of one, those before others in the file.
  void push(RunSeq run, const DagShare& dag, ReadyRange range, std::uint64_t ahead = 0);
  /// The next instance: of each DAG as many in its turn as its weight says; of its runs, which take turns every `kTurn`
  /// instances. Entries may be stale: the caller checks the state.
  std::optional<InstanceKey> pop();
  /// Puts back what pop() gave last.
  void push_front(InstanceKey key, const DagShare& dag);
  bool empty() const { return turns_.empty(); }
  std::uint64_t size() const { return size_; }

 private:
  static constexpr std::uint32_t kTurn = 64;
  struct RunLane {
    RunSeq run;
    std::deque<ReadyRange> ranges;  ///< None is empty.
    ItemsAhead ahead;               ///< They go first.
    bool empty() const { return ranges.empty() && ahead.empty(); }
  };
  struct DagLane {
    DagShare share;
    std::deque<RunLane*> turns;   ///< Its runs that have some; the front one's turn. Not empty.
    std::uint32_t taken = 0;      ///< In its turn.
    std::uint32_t run_taken = 0;  ///< Of the front run in that one's turn.
  };
  RunLane& lane_of(RunSeq run);
  DagLane& lane_of(const DagShare& dag);
  DagLane& next();

  std::unordered_map<RunSeq, RunLane> runs_;         ///< Those that have some.
  std::unordered_map<std::uint32_t, DagLane> dags_;  ///< Likewise, by DagShare::id.
  std::deque<DagLane*> turns_;                       ///< Those of dags_; the front one's turn.
  std::uint64_t size_ = 0;
  std::uint64_t last_ahead_ = 0;  ///< Of what pop() gave last.
};

using ReadyQueues = std::map<ReadyClass, ReadyQueue>;

}  // namespace chappe
