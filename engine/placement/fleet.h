/// \file
/// How many workers a fleet should have: workers that are all alike, and can be made and taken away, such as the pods
/// of a Deployment. Pure: time is an argument.
///
/// It grows at once, to what waits and runs. It shrinks when it has been too large for a while, and only by workers
/// that hold nothing: the surplus gets no more work, and is let go when it is idle. So no attempt ends because of it.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/base/time.h"
#include "engine/model/policies.h"

namespace chappe {

/// What a fleet has to carry.
struct FleetLoad {
  std::uint64_t tasks = 0;  ///< That wait for a worker which one of the fleet could be, and attempts that it has.
  std::uint64_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t gpus = 0;
  Resources each{.cpu_milli = 0};  ///< Capacity of one; 0 millicores: none has ever joined.
  bool operator==(const FleetLoad&) const = default;
};

struct FleetMember {
  std::string pod;
  std::size_t attempts = 0;  ///< That it has.
  bool joined = false;       ///< It is known; else it has yet to say hello, and holds nothing.
};

struct FleetBounds {
  std::uint32_t least = 0;
  std::uint32_t most = 1;
  Duration shrink_after = std::chrono::minutes(5);  ///< For so long it must have been too large.
};

struct FleetOrder {
  std::uint32_t size = 0;
  std::set<std::string> resting;  ///< Pods whose workers get no more work.
  std::set<std::string> leaving;  ///< Those of them that hold nothing: they go when it shrinks to `size`.
  bool operator==(const FleetOrder&) const = default;
};

class Fleet {
 public:
  explicit Fleet(FleetBounds bounds) : bounds_(bounds) {}

  /// `size`: that was last asked for. `members`: those that are there and have not been told to go.
  FleetOrder decide(std::uint32_t size, const FleetLoad& load, std::span<const FleetMember> members, MonoTime now);
  /// What is needed now, within the bounds.
  std::uint32_t need_of(const FleetLoad& load) const;

 private:
  void begin_wait(std::uint32_t need, MonoTime now);

  const FleetBounds bounds_;
  std::optional<MonoTime> too_large_since_;
  std::uint32_t most_needed_ = 0;  ///< Since then.
  std::set<std::string> resting_;
};

}  // namespace chappe
