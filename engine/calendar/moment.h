/// \file
/// Dates and times as expressions reckon with them: by the calendar of a clock on the wall, or by elapsed time. Pure
/// but for the zones that it is handed.
///
/// - A unit of a day or more is the calendar's: tomorrow at the same time, whether that is 23, 24 or 25 hours away. An
///   hour, a minute or a second is elapsed time.
/// - A month, quarter or year on: the same day, or the month's last one where it has no such day (31 January + 1 month
///   is 28 or 29 February).
/// - What clocks leave out is the end of the gap, as schedules have it. Of what they show twice it is the time with the
///   offset that there was before, else the first.
///
/// Bounds: the years 1 to 9999; beyond, an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/calendar/pattern.h"
#include "engine/calendar/zone.h"

namespace chappe::calendar {

struct Moment {
  enum class Form : std::uint8_t {
    kDate,    ///< "2026-11-20"
    kUtc,     ///< "2026-11-20T03:00:00.000000Z": a moment that says nothing of where.
    kOffset,  ///< "2026-11-20T04:00:00+01:00": as clocks somewhere show it.
  };
  Form form = Form::kDate;
  std::int64_t us = 0;      ///< Since 1970 in UTC; of a date: as if its midnight were UTC's.
  std::int64_t offset = 0;  ///< Of kOffset: seconds ahead of UTC.
  bool is_date() const { return form == Form::kDate; }
  bool operator==(const Moment&) const = default;
};

/// Errors: kInvalidInput, also for a time that says no zone.
Result<Moment> parse_moment(std::string_view text);
std::string to_text(const Moment& moment);

enum class Unit : std::uint8_t { kSecond, kMinute, kHour, kDay, kWeek, kMonth, kQuarter, kYear };
/// "day" and "days". Errors: kInvalidInput with the nearest one.
Result<Unit> parse_unit(std::string_view text);

/// The clock that a moment is looked at with: a zone's, or one with an offset that never changes.
class Clock {
 public:
  explicit Clock(const Zone& zone) : zone_(&zone) {}
  explicit Clock(std::int64_t offset) : fixed_(offset) {}
  std::int64_t offset_at(std::int64_t us) const;
  /// When it shows `local` (microseconds since 1970 as if they were UTC). `offset`: that of the first choice.
  std::int64_t to_utc(std::int64_t local, std::optional<std::int64_t> offset) const;

 private:
  const Zone* zone_ = nullptr;
  std::int64_t fixed_ = 0;
};

/// What the clock shows; of a date: its midnight there. Errors: kInvalidInput: beyond the years.
Result<WallClock> wall_clock(const Moment& moment, const Clock& clock);
/// A date as the midnight there.
Result<Moment> as_time(const Moment& moment, const Clock& clock);
/// The same moment as the zone's clocks show it. A text without a zone is a time there.
Result<Moment> in_zone(std::string_view text, const Zone& zone);

/// What a text said: a date, or a time in UTC or with the offset that it named; without one a time there, as UTC.
Result<Moment> moment_of(const ReadClock& read, const Clock& clock);

Result<Moment> add(const Moment& moment, std::int64_t count, Unit unit, const Clock& clock);
/// The first moment of the unit that it lies in. Weeks begin on Mondays.
Result<Moment> start_of(const Moment& moment, Unit unit, const Clock& clock);
/// The last day of the week, month, quarter or year. Errors: kInvalidInput for a shorter unit.
Result<Moment> end_of(const Moment& moment, Unit unit, const Clock& clock);
/// How many whole units lie between; below 0 where `end` is before `start`.
Result<std::int64_t> difference(const Moment& start, const Moment& end, Unit unit, const Clock& clock);

}  // namespace chappe::calendar
