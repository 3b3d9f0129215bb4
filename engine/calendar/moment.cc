#include "engine/calendar/moment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <vector>

#include "engine/base/text.h"
#include "engine/calendar/days.h"

namespace chappe::calendar {
namespace {

constexpr std::int64_t kSecondUs = 1'000'000, kDayUs = 86'400 * kSecondUs;
constexpr std::int64_t kYearsBegin = kFirstDay * kDayUs;
constexpr std::int64_t kYearsEnd = (kLastDay + 1) * kDayUs;
constexpr std::array<std::string_view, 8> kUnitNames = {"second", "minute", "hour",    "day",
                                                        "week",   "month",  "quarter", "year"};

Failure beyond() { return fail(ErrorCode::kInvalidInput, "the result is beyond the years 1 to 9999"); }
Failure no_hours() {
  return fail(ErrorCode::kInvalidInput, "a date has no hours: in_zone(date, 'Europe/Paris') is its midnight there");
}

bool within_years(std::int64_t us) { return us >= kYearsBegin && us < kYearsEnd; }

Result<Moment> checked(Moment moment) {
  const bool shown = within_years(moment.us + moment.offset * kSecondUs);
  if (!shown || !within_years(moment.us)) return beyond();
  return moment;
}

std::int64_t months_of(Unit unit) { return unit == Unit::kYear ? 12 : unit == Unit::kQuarter ? 3 : 1; }

std::int64_t elapsed_of(Unit unit) {
  return unit == Unit::kHour ? 3600 * kSecondUs : unit == Unit::kMinute ? 60 * kSecondUs : kSecondUs;
}

std::chrono::year_month_day date_of_day(std::int64_t day) {
  return std::chrono::year_month_day(std::chrono::sys_days(std::chrono::days(day)));
}

std::int64_t count_of(std::chrono::year_month_day date) {
  return std::chrono::sys_days(date).time_since_epoch().count();
}

/// Months since the year 0.
std::int64_t month_number(std::chrono::year_month_day date) {
  return std::int64_t{static_cast<int>(date.year())} * 12 + static_cast<unsigned>(date.month()) - 1;
}

/// Days since 1970; nullopt: beyond the years.
std::optional<std::int64_t> add_months(std::int64_t day, std::int64_t months) {
  const auto date = date_of_day(day);
  const std::int64_t number = month_number(date) + months;
  if (number < 12 || number >= 120'000) return std::nullopt;
  const auto month =
      std::chrono::year(static_cast<int>(number / 12)) / std::chrono::month(static_cast<unsigned>(number % 12 + 1));
  const std::chrono::year_month_day last(month / std::chrono::last);
  return count_of(month / std::min(date.day(), last.day()));
}

std::optional<std::int64_t> add_to_day(std::int64_t day, std::int64_t count, Unit unit) {
  constexpr std::int64_t kCountMax = 4'000'000;  // More than there are days.
  if (count > kCountMax || count < -kCountMax) return std::nullopt;
  if (unit >= Unit::kMonth) return add_months(day, count * months_of(unit));
  const std::int64_t sum = day + count * (unit == Unit::kWeek ? 7 : 1);
  return sum < kFirstDay || sum > kLastDay ? std::nullopt : std::optional(sum);
}

std::int64_t start_of_day_unit(std::int64_t day, Unit unit) {
  if (unit == Unit::kDay) return day;
  if (unit == Unit::kWeek) return start_of_week(day);
  const auto date = date_of_day(day);
  const unsigned month = static_cast<unsigned>(date.month());
  const unsigned first = unit == Unit::kYear ? 1 : unit == Unit::kQuarter ? (month - 1) / 3 * 3 + 1 : month;
  return count_of(date.year() / std::chrono::month(first) / 1);
}

Moment date_moment(std::int64_t day) { return {.form = Moment::Form::kDate, .us = day * kDayUs}; }

/// A moment in the form of another, which may have a further offset.
Result<Moment> like(const Moment& form, std::int64_t us, const Clock& clock) {
  Moment out{.form = form.form, .us = us};
  if (!within_years(us)) return beyond();
  if (form.form == Moment::Form::kOffset) out.offset = clock.offset_at(us);
  return checked(out);
}

/// The day and time of day of a clock as a moment in the form of another.
Result<Moment> shown_like(const Moment& form, std::int64_t day, std::int64_t us, std::optional<std::int64_t> offset,
                          const Clock& clock) {
  if (form.is_date()) return date_moment(day);
  if (day < kFirstDay || day > kLastDay) return beyond();
  return like(form, clock.to_utc(day * kDayUs + us, offset), clock);
}

/// How many units lie between two days or a few more or less, whatever their times.
std::int64_t roughly_between(std::int64_t start, std::int64_t end, Unit unit) {
  if (unit == Unit::kDay) return end - start;
  if (unit == Unit::kWeek) return (end - start) / 7;
  return (month_number(date_of_day(end)) - month_number(date_of_day(start))) / months_of(unit);
}

std::size_t zone_begins(std::string_view text) {
  constexpr std::size_t kToDay = 10;
  return text.size() <= kToDay ? std::string_view::npos : text.find_first_of("Z+-", kToDay);
}

Failure no_moment(std::string_view text) {
  constexpr std::size_t kShownMax = 40;
  return fail(ErrorCode::kInvalidInput,
              fmt::format("'{}' is no date or time such as 2026-11-20 or 2026-11-20T03:00:00Z",
                          printable(text.substr(0, kShownMax))));
}

}  // namespace

Result<Moment> parse_moment(std::string_view text) {
  constexpr std::size_t kTextMax = 48;
  if (text.size() > kTextMax) return no_moment(text);
  const std::size_t zone = zone_begins(text);
  const bool bare = zone == std::string_view::npos;
  const auto local = parse_iso8601(std::string(text.substr(0, zone)) + (bare && is_date(text) ? "" : "Z"));
  if (!local) return no_moment(text);
  if (bare && is_date(text)) return Moment{.form = Moment::Form::kDate, .us = local->us};
  if (bare) {
    return fail(ErrorCode::kInvalidInput, fmt::format("'{0}' says no zone: in_zone('{0}', 'Europe/Paris') does", text));
  }
  const auto time = parse_iso8601(text);
  if (!time) return no_moment(text);
  if (text[zone] == 'Z') return Moment{.form = Moment::Form::kUtc, .us = time->us};
  return checked({.form = Moment::Form::kOffset, .us = time->us, .offset = (local->us - time->us) / kSecondUs});
}

std::string to_text(const Moment& moment) {
  const std::int64_t shown = moment.us + moment.offset * kSecondUs;
  const std::int64_t day = floor_div(shown, kDayUs);
  const std::int64_t us = shown - day * kDayUs;
  if (moment.is_date()) return date_text(day);
  const std::int64_t seconds = us / kSecondUs;
  std::string out =
      fmt::format("{}T{:02}:{:02}:{:02}", date_text(day), seconds / 3600, seconds / 60 % 60, seconds % 60);
  // As the run's own times are written, so that texts of UTC have the order of their times.
  if (moment.form == Moment::Form::kUtc) return out + fmt::format(".{:06}Z", us % kSecondUs);
  if (us % kSecondUs != 0) out += fmt::format(".{:06}", us % kSecondUs);
  return out + offset_text(moment.offset);
}

Result<Unit> parse_unit(std::string_view text) {
  const std::string_view one = text.ends_with('s') ? text.substr(0, text.size() - 1) : text;
  const auto found = std::ranges::find(kUnitNames, one);
  if (found != kUnitNames.end()) return static_cast<Unit>(found - kUnitNames.begin());
  constexpr std::size_t kShownMax = 20;
  const std::vector<std::string> names(kUnitNames.begin(), kUnitNames.end());
  const auto near = nearest(one.substr(0, kShownMax), names);
  return fail(ErrorCode::kInvalidInput, fmt::format("there is no unit '{}'; {}", printable(text.substr(0, kShownMax)),
                                                    near ? fmt::format("did you mean '{}'?", *near)
                                                         : fmt::format("there are {}", fmt::join(kUnitNames, ", "))));
}

std::int64_t Clock::offset_at(std::int64_t us) const {
  return zone_ == nullptr ? fixed_ : zone_->at(floor_div(us, kSecondUs)).offset;
}

std::int64_t Clock::to_utc(std::int64_t local, std::optional<std::int64_t> offset) const {
  if (zone_ == nullptr) return local - fixed_ * kSecondUs;
  const std::int64_t seconds = floor_div(local, kSecondUs);
  if (offset && zone_->at(seconds - *offset).offset == *offset) return local - *offset * kSecondUs;
  const std::int64_t utc = zone_->to_utc(seconds);
  // The end of a gap is a whole second, whatever the time in it was.
  const bool in_gap = utc + zone_->at(utc).offset != seconds;
  return utc * kSecondUs + (in_gap ? 0 : local - seconds * kSecondUs);
}

Result<Moment> as_time(const Moment& moment, const Clock& clock) {
  if (!moment.is_date()) return moment;
  return like({.form = Moment::Form::kOffset}, clock.to_utc(moment.us, std::nullopt), clock);
}

Result<WallClock> wall_clock(const Moment& moment, const Clock& clock) {
  if (moment.is_date()) {
    // It is itself, even where its day has no midnight.
    const std::int64_t offset = clock.offset_at(clock.to_utc(moment.us, std::nullopt));
    return WallClock{.day = floor_div(moment.us, kDayUs), .us = 0, .offset = offset};
  }
  const std::int64_t offset = clock.offset_at(moment.us);
  const std::int64_t shown = moment.us + offset * kSecondUs;
  if (!within_years(shown)) return beyond();
  const std::int64_t day = floor_div(shown, kDayUs);
  return WallClock{.day = day, .us = shown - day * kDayUs, .offset = offset};
}

Result<Moment> in_zone(std::string_view text, const Zone& zone) {
  constexpr std::size_t kTextMax = 48;
  const Clock clock(zone);
  if (text.size() <= kTextMax && zone_begins(text) == std::string_view::npos && !is_date(text)) {
    const auto local = parse_iso8601(std::string(text) + "Z");
    if (!local) return no_moment(text);
    return like({.form = Moment::Form::kOffset}, clock.to_utc(local->us, std::nullopt), clock);
  }
  auto moment = parse_moment(text);
  if (!moment) return moment;
  if (moment->is_date()) return as_time(*moment, clock);
  return like({.form = Moment::Form::kOffset}, moment->us, clock);
}

Result<Moment> moment_of(const ReadClock& read, const Clock& clock) {
  if (!read.us) return date_moment(read.day);
  const std::int64_t local = read.day * kDayUs + *read.us;
  if (!read.offset) return checked({.form = Moment::Form::kUtc, .us = clock.to_utc(local, std::nullopt)});
  const auto form = *read.offset == 0 ? Moment::Form::kUtc : Moment::Form::kOffset;
  return checked({.form = form, .us = local - *read.offset * kSecondUs, .offset = *read.offset});
}

Result<Moment> add(const Moment& moment, std::int64_t count, Unit unit, const Clock& clock) {
  if (unit < Unit::kDay) {
    if (moment.is_date()) return no_hours();
    std::int64_t elapsed = 0, sum = 0;
    if (__builtin_mul_overflow(count, elapsed_of(unit), &elapsed)) return beyond();
    if (__builtin_add_overflow(moment.us, elapsed, &sum)) return beyond();
    return like(moment, sum, clock);
  }
  const auto shown = wall_clock(moment, clock);
  if (!shown) return fail(shown.error());
  const auto day = add_to_day(shown->day, count, unit);
  if (!day) return beyond();
  return shown_like(moment, *day, shown->us, shown->offset, clock);
}

Result<Moment> start_of(const Moment& moment, Unit unit, const Clock& clock) {
  if (unit < Unit::kDay && moment.is_date()) return no_hours();
  const auto shown = wall_clock(moment, clock);
  if (!shown) return fail(shown.error());
  if (unit >= Unit::kDay) return shown_like(moment, start_of_day_unit(shown->day, unit), 0, std::nullopt, clock);
  return shown_like(moment, shown->day, shown->us - shown->us % elapsed_of(unit), shown->offset, clock);
}

Result<Moment> end_of(const Moment& moment, Unit unit, const Clock& clock) {
  if (unit < Unit::kWeek) {
    return fail(ErrorCode::kInvalidInput, fmt::format("the last day of a {} is not asked for: there are week, month, "
                                                      "quarter and year",
                                                      kUnitNames[static_cast<std::size_t>(unit)]));
  }
  const auto shown = wall_clock(moment, clock);
  if (!shown) return fail(shown.error());
  const std::int64_t first = start_of_day_unit(shown->day, unit);
  const auto next = add_to_day(first, 1, unit);
  return date_moment(next ? *next - 1 : kLastDay);
}

Result<std::int64_t> difference(const Moment& start, const Moment& end, Unit unit, const Clock& clock) {
  const bool days = start.is_date() && end.is_date() && unit >= Unit::kDay;
  const auto from = days ? Result<Moment>(start) : as_time(start, clock);
  const auto to = days ? Result<Moment>(end) : as_time(end, clock);
  if (!from) return fail(from.error());
  if (!to) return fail(to.error());
  if (unit < Unit::kDay) return (to->us - from->us) / elapsed_of(unit);
  const auto from_shown = wall_clock(*from, clock), to_shown = wall_clock(*to, clock);
  if (!from_shown) return fail(from_shown.error());
  if (!to_shown) return fail(to_shown.error());
  const std::int64_t sign = to->us < from->us ? -1 : 1;
  // So many units on it is not past the end yet.
  const auto fits = [&](std::int64_t count) {
    const auto reached = add(*from, count * sign, unit, clock);
    return reached && (reached->us - to->us) * sign <= 0;
  };
  std::int64_t count = std::max<std::int64_t>(0, roughly_between(from_shown->day, to_shown->day, unit) * sign - 1);
  while (count > 0 && !fits(count)) --count;
  while (fits(count + 1)) ++count;
  return count * sign;
}

}  // namespace chappe::calendar
