/// \file
/// Dates and times as texts by a pattern, as C's and Python's strftime() writes it: "%Y/%m/%d". Pure.
///
/// The set is closed and speaks English whatever the machine's locale:
///
///   %Y 2026  %y 26  %m 11  %d 20  %j 324  %q 4 (quarter)  %F 2026-11-20
///   %H 00-23  %I 01-12  %p AM, PM  %M minutes  %S seconds  %f 000000 (microseconds)  %T 03:00:00
///   %G 2026  %V 47 (week of ISO 8601, and the year that it belongs to)  %u 5 (Monday is 1)  %w 5 (Sunday is 0)
///   %a Fri  %A Friday  %b Nov  %B November  %z +0100  %s seconds since 1970  %% a percent sign
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace chappe::calendar {

inline constexpr std::size_t kPatternMax = 1'000;  ///< Bytes of a pattern, and of a text that is read by one.

/// What a calendar and a clock on the wall show.
struct WallClock {
  std::int64_t day = 0;     ///< Since 1970-01-01. Within the years 1 to 9999.
  std::int64_t us = 0;      ///< Of the day.
  std::int64_t offset = 0;  ///< Seconds ahead of UTC.
  bool operator==(const WallClock&) const = default;
};

/// What is wrong with a pattern, and the nearest right one; nullopt: nothing. `reads`: it is to read a text, which not
/// all of them can.
std::optional<std::string> pattern_mistake(std::string_view pattern, bool reads);

/// Requires: no mistake.
std::string write_pattern(std::string_view pattern, const WallClock& clock);

/// What a text said of a time.
struct ReadClock {
  std::int64_t day = 0;            ///< A month or a day that was not said is the first.
  std::optional<std::int64_t> us;  ///< nullopt: a mere date.
  std::optional<std::int64_t> offset;
};
/// The whole text must fit. Errors: kInvalidInput. Requires: no mistake.
Result<ReadClock> read_pattern(std::string_view text, std::string_view pattern);

}  // namespace chappe::calendar
