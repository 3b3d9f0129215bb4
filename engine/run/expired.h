/// \file
/// Artifacts whose retention has passed: what the engine asks of the store, and what it hears. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/run/records.h"

namespace chappe {

inline constexpr std::uint32_t kCollectMax = 256;  ///< Artifacts that one step looks at: bounds its transaction.

/// Behind which artifact of a run to go on.
struct ArtifactPlace {
  InstanceKey key;
  std::int64_t row = -1;  ///< The store's own number of it.
  auto operator<=>(const ArtifactPlace&) const = default;
};

/// Look for artifacts whose retention has passed, then report ExpiredLooked. Idempotent.
struct ExpiredQuery {
  WallTime now;
  RunSeq run;  ///< That is being gone through; 0: the one that is due first.
  ArtifactPlace after;
};

struct ExpiredArtifact {
  ArtifactRow row;
  std::uint32_t holders = 1;  ///< Artifacts of all runs with this object that are not collected, this one among them;
                              ///< kCollectMax + 1 where there are more.
};

/// What the store says, after the commit that asked for it, and before anything else changes.
struct ExpiredLooked {
  std::optional<RunRow> run;               ///< Not set: none is due.
  std::uint32_t newer = 0;                 ///< Newer runs of its DAG with the same end; at most its `keep_last`.
  std::vector<ExpiredArtifact> artifacts;  ///< The next of the run but those that are collected, whatever they are.
  ArtifactPlace end;                       ///< The last one that was looked at.
  bool last = true;                        ///< There are none behind them.
  std::optional<WallTime> next;            ///< Without a run: when the next one is due.
};

/// Objects that nobody refers to any more were removed, but for some. They may have been gone before.
struct ObjectsRemoved {
  std::vector<std::string> keys;
  std::vector<std::string> refused;  ///< Of these, what the store keeps: it does not let us remove it.
};

/// Remove these objects, then report ObjectsRemoved. Idempotent; comes again after a restart.
struct RemoveObjects {
  std::vector<std::string> keys;
};

}  // namespace chappe
