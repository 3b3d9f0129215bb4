/// \file
/// Which worker gets an attempt, and why the others do not.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/model/features.h"
#include "engine/model/policies.h"

namespace chappe {

/// A worker's room, as placement sees it.
struct WorkerRoom {
  WorkerSeq worker;
  Resources capacity;
  Resources taken{.cpu_milli = 0};  ///< By attempts that are assigned; more than capacity while it has work ahead.
  std::uint32_t noop_depth = 0;     ///< In-worker no-op attempts it takes.
  std::uint32_t noops = 0;          ///< It has.
  std::uint32_t prefetch = 0;       ///< Attempts that it takes ahead of free capacity at most, where they are short.
  bool draining = false;
  const std::map<std::string, std::string>* labels = nullptr;  ///< Null: none. Outlives the room.
  const std::set<std::string>* taints = nullptr;               ///< Likewise.
  bool containers = false;                                     ///< It runs containers.
  Features features = Features::all();                         ///< What it knows.
};

struct Need {
  Resources resources;
  bool noop = false;  ///< Done inside the worker: takes no capacity, only depth.
  /// So many may wait at a worker behind each one that runs there, within its `prefetch`: its run's attempts are short.
  std::uint32_t ahead = 0;
  const Whereabouts* where = nullptr;  ///< Null: anywhere without taints.
  Features features;                   ///< What the worker must know.
};

enum class Refusal : std::uint8_t { kNone, kDraining, kElsewhere, kNeverFits, kBusy };

/// Whether the worker takes one such attempt now, and if not, why.
Refusal refusal_of(const WorkerRoom& room, const Need& need);
/// For people: "needs 4 cpus and 8.0 GiB; w1 has 1.5 cpus free of 2".
std::string explain_refusal(const WorkerRoom& room, std::string_view name, const Need& need);

/// The worker with the largest free share of its cores (of its no-op depth, for those); ties by smaller id, so that
/// work spreads and the choice is the same every time. `avoid`: taken only where no other fits. Returns a position in
/// `rooms`. Cost: O(workers), times the labels asked for.
std::optional<std::size_t> pick_worker(std::span<const WorkerRoom> rooms, const Need& need, WorkerSeq avoid = {});

/// How many such attempts the worker takes now, at most `count_max`.
std::uint32_t room_for(const WorkerRoom& room, const Need& need, std::uint32_t count_max);

}  // namespace chappe
