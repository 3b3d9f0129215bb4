/// \file
/// Live progress of a run: newline-delimited JSON, one line whenever something changed.
///
/// The store is read at most every 8 ms a run however many watch it, and at most a tenth of the time where reading a
/// huge run takes long. Runs of up to `kRowsMax` instances are told row by row; of larger ones only the counts, and
/// the rows that are running, failed or resting.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/ports/meta_reader.h"
#include "scheduler/api/exchange.h"

namespace chappe::api {

/// Where a run stood at one moment.
struct RunSnapshot {
  RunRow run;
  std::array<std::uint64_t, kTaskStates> counts{};
  std::vector<TaskRow> tasks;  ///< By index; not all of a large run.
};
using SnapshotPtr = std::shared_ptr<const RunSnapshot>;

inline constexpr std::uint32_t kRowsMax = 2'000;

/// The latest snapshot of each run that is watched. Thread: any.
class WatchBoard {
 public:
  using Clock = std::chrono::steady_clock;
  /// A snapshot that is at most as old as its reading allows, and never of before the run's end once it has ended.
  Result<SnapshotPtr> look(MetaReader& reader, RunSeq run);

 private:
  struct Seen {
    SnapshotPtr snapshot;
    Clock::time_point fresh_until;
  };
  SnapshotPtr fresh_snapshot(RunSeq run, Clock::time_point at);

  std::mutex mutex_;
  std::map<RunSeq, Seen> seen_;  ///< At most 64; the stalest goes.
};

/// The lines of one watcher. The first line tells everything, each further one what changed.
std::shared_ptr<Stream> watch_run(RunSeq run);

}  // namespace chappe::api
