/// \file
/// Days as numbers, counted from 1970-01-01. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace chappe::calendar {

inline constexpr std::int64_t kFirstDay = -719'162;  ///< 0001-01-01
inline constexpr std::int64_t kLastDay = 2'932'896;  ///< 9999-12-31

/// Rounds down. Requires: `b` > 0.
constexpr std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

std::int64_t start_of_week(std::int64_t day);  ///< The Monday at or before it.
/// "2026-11-20". Requires: a day of the years 1 to 9999.
std::string date_text(std::int64_t day);

}  // namespace chappe::calendar
