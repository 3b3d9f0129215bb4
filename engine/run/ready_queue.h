/// \file
/// Task instances that are ready, waiting for a worker or a slot. Private to engine/run.
///
/// Instances that ask for the same (priority, pool, resources) stand in one class; a class that finds no room is passed
/// over as a whole, so a full pool or a scarce resource never hides another one. Within a class runs take turns.
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <unordered_map>

#include "engine/base/ids.h"
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
  Resources resources;
  auto operator<=>(const ReadyClass&) const = default;
};

/// One class. Cost: O(1) an instance; memory by range, not by instance.
class ReadyQueue {
 public:
  void push(RunSeq run, ReadyRange range);
  /// The next instance; runs take turns every `kTurn` instances. Entries may be stale: the caller checks the state.
  std::optional<InstanceKey> pop();
  /// Puts back what pop() gave last.
  void push_front(InstanceKey key);
  bool empty() const { return turns_.empty(); }
  std::uint64_t size() const { return size_; }

 private:
  static constexpr std::uint32_t kTurn = 64;
  std::unordered_map<RunSeq, std::deque<ReadyRange>> lanes_;  ///< By run; none is empty.
  std::deque<RunSeq> turns_;                                  ///< The runs of lanes_; the front one's turn.
  std::uint32_t taken_ = 0;                                   ///< Of the front lane in this turn.
  std::uint64_t size_ = 0;
};

using ReadyQueues = std::map<ReadyClass, ReadyQueue>;

}  // namespace chappe
