/// \file
/// Cron expressions: "minute hour day-of-month month day-of-week", as Vixie's cron reads them.
///
/// Where both day fields are restricted, either may fit; where one of them begins with `*`, both must. Sunday is 0
/// and 7.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace chappe::calendar {

/// Which minutes of local time fit. Sets of bits, by value.
struct Cron {
  std::uint64_t minutes = 0;
  std::uint32_t hours = 0;
  std::uint32_t days = 0;      ///< Of the month: bits 1 to 31.
  std::uint16_t months = 0;    ///< Bits 1 to 12.
  std::uint8_t weekdays = 0;   ///< Bits 0 (Sunday) to 6.
  bool either_day = false;     ///< Both day fields are restricted: one that fits is enough.
  bool wildcard_hour = false;  ///< The hour begins with `*`: it fires by elapsed time when clocks change.
  bool operator==(const Cron&) const = default;
};

/// Errors: kInvalidInput naming the field, what is wrong with it and what would be right; also for days that never come
/// (30 February).
Result<Cron> parse_cron(std::string_view text);

/// The first minute at or after `minute` that fits, both counted from 1970 in local time; nullopt: none within 50
/// years. Cost: O(days until then), about 1 ns each.
std::optional<std::int64_t> next_match(const Cron& cron, std::int64_t minute);

}  // namespace chappe::calendar
