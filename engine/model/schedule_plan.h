/// \file
/// When a deployed DAG starts by itself, and what becomes of times that were missed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/calendar/schedule.h"

namespace chappe {

inline constexpr std::size_t kScheduleLinesMax = 100;  ///< Of one DAG.

/// What becomes of times that passed while nobody could start a run.
enum class Catchup : std::uint8_t {
  kLatest,  ///< One run, for the latest of them.
  kNone,    ///< None, unless it is less than a minute late.
  kAll,     ///< One run each, the oldest first.
};

struct ScheduleLine {
  calendar::Schedule when;
  Duration jitter{};  ///< A run starts up to this much after its time: by how much follows from the DAG and the time.
};

struct SchedulePlan {
  std::vector<ScheduleLine> lines;  ///< Empty: the DAG starts only when it is asked to.
  WallTime start;                   ///< First logical time; not set: no bound.
  WallTime end;                     ///< Last logical time; not set: no bound.
  bool paused = false;              ///< When it is deployed for the first time.
  Catchup catchup = Catchup::kLatest;
  std::optional<Duration> catchup_window;  ///< Times that are longer ago are given up.
  std::uint32_t max_catchup_runs = 100;    ///< With kAll: the latest so many.

  bool empty() const { return lines.empty(); }
  /// As it was written, for people: "0 3 * * 1 (Europe/Paris), every 15m".
  std::string text() const;
  /// The first time after `after`, within the bounds; nullopt: there is none.
  std::optional<WallTime> next(WallTime after) const;
  /// The last time before `before`, whether within the bounds or not.
  std::optional<WallTime> previous(WallTime before) const;
  /// How much later than `time`, one of its times, the DAG's run starts.
  Duration delay(std::string_view dag, WallTime time) const;
  /// Whether `other` has the same times.
  bool same_times(const SchedulePlan& other) const;
};

}  // namespace chappe
