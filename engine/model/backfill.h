/// \file
/// A backfill: runs of a DAG for a stretch of its schedule's past, made one after the other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/dag.h"

namespace chappe {

inline constexpr std::uint32_t kBackfillDatesMax = 10'000;  ///< Of one backfill: 27 years of days.
inline constexpr std::uint32_t kBackfillActiveMax = 1'000;  ///< Of its runs at a time.

/// Which dates that have a run already get another one. Airflow's words. The numbers are stored: never renumber.
enum class Reprocess : std::uint8_t {
  kNone = 0,       ///< None of them.
  kFailed = 1,     ///< Those whose latest run failed or was cancelled.
  kCompleted = 2,  ///< These, and those whose latest run succeeded.
};
std::string_view name_of(Reprocess reprocess);
std::optional<Reprocess> parse_reprocess(std::string_view name);

/// The numbers are stored: never renumber.
enum class BackfillState : std::uint8_t {
  kRunning = 0,
  kPaused = 1,     ///< It starts no more runs; those that it started go on.
  kCompleted = 2,  ///< All its dates are decided, and its runs have ended. Final, as is that below.
  kCancelled = 3,
};
inline constexpr std::size_t kBackfillStates = 4;
bool is_final(BackfillState state);
std::string_view name_of(BackfillState state);

/// What was asked for.
struct BackfillSpec {
  WallTime from;  ///< First and last logical time; both count.
  WallTime to;
  Reprocess reprocess = Reprocess::kNone;
  bool newest_first = false;
  std::uint32_t max_active = 1;    ///< Of its runs at a time.
  std::vector<std::string> tasks;  ///< Only these run; empty: all.
  bool operator==(const BackfillSpec&) const = default;

  /// Which date comes behind `done` (not set: the first); nullopt: none.
  std::optional<WallTime> next(const SchedulePlan& plan, WallTime done) const;
};

/// How many dates it has. Errors: kInvalidInput: the DAG has no schedule, none of its times lies there or too many do,
/// or the selected tasks do not fit.
Result<std::uint32_t> check_backfill(const Dag& dag, const BackfillSpec& spec);

/// Why a date gets no run. `newest`: the state of its runs, one that is not over before all others; nullopt: it has
/// none. "": it gets one.
std::string why_no_run(Reprocess reprocess, std::optional<RunState> newest);

/// The tasks to be left out where only those called `tasks` shall run; one flag a task. Errors: kInvalidInput: there is
/// no such task, or one of them reads what one that is left out would hand it.
Result<std::vector<bool>> left_out(const Dag& dag, const std::vector<std::string>& tasks);

}  // namespace chappe
