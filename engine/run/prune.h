/// \file
/// Runs of long ago that go: what the engine asks of the store, and what it hears. Plain values.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/run/records.h"

namespace chappe {

inline constexpr std::uint32_t kPruneRunsMax = 16;        ///< That one step marks: bounds its transaction.
inline constexpr std::uint32_t kPruneLooksMax = 64;       ///< Runs that one look goes through, ...
inline constexpr std::uint32_t kPruneInstancesMax = 512;  ///< ... and task instances.
inline constexpr std::uint32_t kPruneRowsMax = 1'024;     ///< Rows of marked runs that one step deletes.

/// Why a run stays however old it is. What it says first holds.
enum class Kept : std::uint8_t {
  kNot,        ///< It goes.
  kLive,       ///< It is run again.
  kNewest,     ///< It is the newest of its DAG, by its number or its logical time, or the newest that succeeded.
  kPast,       ///< A run or a backfill of its DAG that is not over may depend on how it ended.
  kParent,     ///< The run that started it is there.
  kChild,      ///< It started a run that made a version of an asset.
  kNotice,     ///< Somebody is still to be told of it.
  kEvent,      ///< Its end waits for a run that it is to start.
  kAlias,      ///< It moved an alias.
  kState,      ///< It left a value that outlives runs.
  kRetention,  ///< Artifacts of it have a retention that has not passed.
  kAsset,      ///< It made a version of an asset.
  kUsed,       ///< Another run was handed what it made, or used a result of it again.
  kDataset,    ///< It was the last to write a dataset outside.
};
inline constexpr std::size_t kKeptReasons = static_cast<std::size_t>(Kept::kDataset) + 1;
std::string_view name_of(Kept kept);   ///< "asset", for programs.
std::string_view why_kept(Kept kept);  ///< "made a version of an asset", of a run.

/// "run 01J... was pruned on 2026-11-28: ..."
std::string told_pruned(const RunRow& run);

/// Behind which run to go on: those that ended last come first.
struct PrunePlace {
  WallTime ended_at;  ///< Not set: from the beginning.
  RunSeq run;
  auto operator<=>(const PrunePlace&) const = default;
};

/// Look which runs may go, and which of those that were marked have no rows left; then report PruneLooked. Idempotent.
struct PruneQuery {
  WallTime before;  ///< Those that ended before this time; not set: none.
  std::string dag;  ///< "" for all.
  PrunePlace after;
  std::uint32_t from = 0;      ///< The first task instance of the first run that is to be gone through.
  std::vector<RunSeq> marked;  ///< Whose rows are being deleted.
};

struct PruneCandidate {
  RunRow row;
  Kept kept = Kept::kNot;
  std::uint32_t next = 0;  ///< Of its task instances, those from here on have not been gone through; 0: all have been.
};

/// What the store says, after the commit that asked for it, and before anything else changes.
struct PruneLooked {
  std::vector<PruneCandidate> runs;  ///< In order; only the last one may be unfinished.
  PrunePlace end;                    ///< The last that was gone through to its end, or was of no interest.
  bool last = true;                  ///< There are none behind it.
  std::vector<RunSeq> emptied;       ///< Of `marked`: no rows are left.
};

/// Remove all objects whose keys begin so, then report RunObjectsRemoved: what attempts of the run wrote and logged.
/// Idempotent; comes again after a restart.
struct RemoveRunObjects {
  RunSeq run;
  std::string prefix;
};

/// Removed, but for what the store does not let us remove. They may have been gone before.
struct RunObjectsRemoved {
  RunSeq run;
};

}  // namespace chappe
