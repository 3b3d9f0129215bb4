/// \file
/// When a DAG is due: one line of its `schedule`, and the times that follow from it.
///
/// Cron with fixed hours means what a clock on the wall shows: a time that a change of clocks leaves out or shows twice
/// is treated as the DstPolicy says. With a wildcard hour it fires whenever the clock's minutes fit, which is elapsed
/// time. `every` is elapsed time always.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "engine/calendar/cron.h"
#include "engine/calendar/zone.h"

namespace chappe::calendar {

enum class Gap : std::uint8_t {
  kShift,  ///< At the end of the gap, once for all times in it.
  kSkip,
};
enum class Fold : std::uint8_t {
  kOnce,  ///< When the clock shows the time first.
  kTwice,
};
struct DstPolicy {
  Gap gap = Gap::kShift;
  Fold fold = Fold::kOnce;
  bool operator==(const DstPolicy&) const = default;
};

/// At `anchor`, and each `period` after and before it. Requires: at least one second.
struct Every {
  Duration period{};
  WallTime anchor;
};

/// Once.
struct At {
  WallTime time;
};

struct Schedule {
  std::variant<Cron, Every, At> rule;
  ZonePtr zone;  ///< Not null.
  DstPolicy dst;
  std::string text;  ///< As it was written, for people: "0 3 * * 1", "every 15m", "at 2026-12-24T18:00".
};

/// The first time after `after`; nullopt: there is none, or none within 50 years. Cost: about a microsecond.
std::optional<WallTime> next_fire(const Schedule& schedule, WallTime after);
/// The last time before `before`; nullopt: there is none, or none within 50 years. Cost: about forty of next_fire().
std::optional<WallTime> previous_fire(const Schedule& schedule, WallTime before);

}  // namespace chappe::calendar
