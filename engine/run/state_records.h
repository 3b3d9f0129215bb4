/// \file
/// What the metadata store keeps of values that outlive runs.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/ids.h"
#include "engine/base/time.h"
#include "engine/base/value.h"

namespace chappe {

inline constexpr std::size_t kStateBytesMax = std::size_t{64} << 10;  ///< Of a state, as JSON.

/// A state as it stands. A change names the next version: one that names another is refused, and so is one of an
/// attempt that began before the last change.
struct StateRow {
  std::string scope;  ///< "dag:NAME" or "namespace:NAME".
  std::string name;
  Value value;                ///< Null: as if there was none.
  std::uint64_t version = 0;  ///< Counts its changes, from 1.
  AttemptId fence;            ///< The newest attempt that there was at the change: none up to it may change it again.
  InstanceKey by_task;        ///< 0: changed by a person.
  AttemptId by_attempt;
  std::string by;  ///< Who: a principal, or "run RUNID TASK".
  WallTime at;
  bool operator==(const StateRow&) const = default;
};

}  // namespace chappe
