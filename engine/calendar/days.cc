#include "engine/calendar/days.h"

#include <fmt/format.h>

#include <chrono>

namespace chappe::calendar {

std::int64_t start_of_week(std::int64_t day) {
  const std::int64_t since_monday = day + 3;  // 1970 began on a Thursday.
  return day - (since_monday - floor_div(since_monday, 7) * 7);
}

std::string date_text(std::int64_t day) {
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(day))};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

}  // namespace chappe::calendar
