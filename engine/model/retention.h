/// \file
/// How long what runs leave behind is kept once they have ended. Plain values.
#pragma once

#include <cstdint>

#include "engine/base/time.h"

namespace chappe {

inline constexpr Duration kForever = Duration::max();
inline constexpr std::uint32_t kKeepLastMax = 10'000;

/// Of a DAG's artifacts. Versions of assets are kept whatever it says.
struct RetentionPolicy {
  Duration on_success = kForever;  ///< From the end of a run that succeeded.
  Duration on_failure = kForever;  ///< The same of one that failed or was cancelled.
  std::uint32_t keep_last = 0;     ///< So many of its newest runs of either end keep all of theirs, however old.
  bool operator==(const RetentionPolicy&) const = default;
};

/// When artifacts of one run go.
struct RunRetention {
  WallTime due;              ///< When the next ones may; not set: none ever will, or the run is not over.
  Duration keep = kForever;  ///< From its end: those that have no retention of their own.
  std::uint32_t keep_last = 0;
  std::uint32_t collected = 0;  ///< Artifacts that have gone.
  bool operator==(const RunRetention&) const = default;
};

}  // namespace chappe
