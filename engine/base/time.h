/// \file
/// Time as the engine sees it: always an argument, never read from a clock.
///
/// Wall time is for records, schedules and people; it may jump. Monotonic time is for leases, backoff and
/// timeouts; it never does, and means nothing outside one process life.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace chappe {

using Duration = std::chrono::microseconds;

/// Microseconds since the Unix epoch, UTC. 0 means "not set".
struct WallTime {
  std::int64_t us = 0;
  auto operator<=>(const WallTime&) const = default;
  bool is_set() const { return us != 0; }
};
inline WallTime operator+(WallTime t, Duration d) { return {t.us + d.count()}; }
inline Duration operator-(WallTime a, WallTime b) { return Duration(a.us - b.us); }

/// Microseconds of a clock that never goes back (CLOCK_BOOTTIME); its zero is arbitrary.
struct MonoTime {
  std::int64_t us = 0;
  auto operator<=>(const MonoTime&) const = default;
};
inline MonoTime operator+(MonoTime t, Duration d) { return {t.us + d.count()}; }
inline Duration operator-(MonoTime a, MonoTime b) { return Duration(a.us - b.us); }

/// The two clocks, read together by a shell and handed to the engine.
struct Now {
  WallTime wall;
  MonoTime mono;
};

/// "2026-11-20T03:00:00.000000Z"; "" when not set. Beyond the years 1 to 9999: the first or last moment of those.
std::string to_iso8601(WallTime time);
/// Reads "2026-11-20", "2026-11-20T03:00:00Z", an offset such as "+01:00", and up to six decimals of a second.
Result<WallTime> parse_iso8601(std::string_view text);

/// Reads "90s", "15m", "2h30m", "1d", "250ms" and ISO 8601 ("PT15M", "P1DT2H"). A bare number is an error:
/// every system of this field reads one differently. Months and years are refused: they have no fixed length.
Result<Duration> parse_duration(std::string_view text);
/// The shortest exact form with units, largest first: "1h30m", "250ms", "0s".
std::string to_text(Duration duration);

}  // namespace chappe
