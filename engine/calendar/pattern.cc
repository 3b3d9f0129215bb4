#include "engine/calendar/pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "engine/base/text.h"
#include "engine/calendar/days.h"

namespace chappe::calendar {
namespace {

constexpr std::array<std::string_view, 12> kMonthNames = {"January",   "February", "March",    "April",
                                                          "May",       "June",     "July",     "August",
                                                          "September", "October",  "November", "December"};
constexpr std::array<std::string_view, 7> kDayNames = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};
constexpr std::string_view kWritten = "YymdjqFHIpMSfTGVuwaAbBzs%";
constexpr std::string_view kRead = "YymdjFHMSfTbBzs%";
constexpr std::int64_t kMicro = 1'000'000, kDaySeconds = 86'400;

/// Conversions of other systems, and what to write here.
constexpr std::array<std::pair<char, std::string_view>, 18> kForeign = {{
    {'U', "%V, the week of ISO 8601, with %G for its year"},
    {'W', "%V, the week of ISO 8601, with %G for its year"},
    {'g', "%G"},
    {'c', "%F %T"},
    {'x', "%F"},
    {'D', "%F"},
    {'X', "%T"},
    {'r', "%T"},
    {'R', "%H:%M"},
    {'Z', "%z"},
    {'e', "%d"},
    {'k', "%H"},
    {'l', "%I"},
    {'h', "%b"},
    {'N', "%f"},
    {'L', "%f"},
    {'C', "%Y"},
    {'P', "%p"},
}};

/// A pattern of Java's, Moment's or Go's as one of ours; "" where it is none of theirs either.
std::string translated(std::string_view pattern) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 15> kParts = {{{"YYYY", "%Y"},
                                                                                     {"yyyy", "%Y"},
                                                                                     {"2006", "%Y"},
                                                                                     {"MM", "%m"},
                                                                                     {"01", "%m"},
                                                                                     {"DD", "%d"},
                                                                                     {"dd", "%d"},
                                                                                     {"02", "%d"},
                                                                                     {"HH", "%H"},
                                                                                     {"hh", "%H"},
                                                                                     {"15", "%H"},
                                                                                     {"mm", "%M"},
                                                                                     {"04", "%M"},
                                                                                     {"ss", "%S"},
                                                                                     {"05", "%S"}}};
  std::string out;
  bool any = false;
  for (std::size_t at = 0; at < pattern.size();) {
    const auto part =
        std::ranges::find_if(kParts, [&](const auto& each) { return pattern.substr(at).starts_with(each.first); });
    any = any || part != kParts.end();
    out += part != kParts.end() ? std::string(part->second) : std::string(1, pattern[at]);
    at += part != kParts.end() ? part->first.size() : 1;
  }
  return any ? out : "";
}

std::string unknown(char letter, bool reads) {
  if (letter == '-' || letter == '_') {
    return "numbers keep their zeros: there is no '%-'; int(strftime(when, '%d')) has none";
  }
  if (reads && kWritten.find(letter) != std::string_view::npos) {
    return fmt::format("'%{}' can be written, but not read", letter);
  }
  const auto foreign = std::ranges::find(kForeign, letter, &std::pair<char, std::string_view>::first);
  const std::string shown = printable(std::string_view(&letter, 1));
  if (foreign != kForeign.end()) return fmt::format("a pattern has no '%{}'; write {}", shown, foreign->second);
  std::string known;
  for (const char each : reads ? kRead : kWritten) known += fmt::format("{}%{}", known.empty() ? "" : " ", each);
  return fmt::format("a pattern has no '%{}'; there are {}", shown, known);
}

std::chrono::year_month_day date_of(std::int64_t day) {
  return std::chrono::year_month_day(std::chrono::sys_days(std::chrono::days(day)));
}

std::int64_t day_of_year(std::int64_t day) {
  const std::chrono::sys_days first(date_of(day).year() / std::chrono::January / 1);
  return day - first.time_since_epoch().count() + 1;
}

/// The year of the Thursday of its week.
std::int64_t thursday_of(std::int64_t day) { return start_of_week(day) + 3; }

std::string zone_text(std::int64_t offset) {
  const std::int64_t size = offset < 0 ? -offset : offset;
  std::string out = fmt::format("{}{:02}{:02}", offset < 0 ? '-' : '+', size / 3600, size % 3600 / 60);
  return size % 60 == 0 ? out : out + fmt::format("{:02}", size % 60);
}

std::string written_date(char letter, std::int64_t day) {
  const auto date = date_of(day);
  const auto year = static_cast<int>(date.year());
  const auto month = static_cast<unsigned>(date.month());
  const std::int64_t weekday = day - start_of_week(day) + 1;
  switch (letter) {
    case 'Y':
      return fmt::format("{:04}", year);
    case 'y':
      return fmt::format("{:02}", year % 100);
    case 'm':
      return fmt::format("{:02}", month);
    case 'd':
      return fmt::format("{:02}", static_cast<unsigned>(date.day()));
    case 'j':
      return fmt::format("{:03}", day_of_year(day));
    case 'q':
      return fmt::format("{}", (month + 2) / 3);
    case 'F':
      return date_text(day);
    case 'G':
      return fmt::format("{:04}", static_cast<int>(date_of(thursday_of(day)).year()));
    case 'V':
      return fmt::format("{:02}", (day_of_year(thursday_of(day)) + 6) / 7);
    case 'u':
      return fmt::format("{}", weekday);
    case 'w':
      return fmt::format("{}", weekday % 7);
    case 'a':
      return std::string(kDayNames[static_cast<std::size_t>(weekday % 7)].substr(0, 3));
    case 'A':
      return std::string(kDayNames[static_cast<std::size_t>(weekday % 7)]);
    case 'b':
      return std::string(kMonthNames[month - 1].substr(0, 3));
    default:
      return std::string(kMonthNames[month - 1]);
  }
}

std::string written(char letter, const WallClock& clock) {
  const std::int64_t seconds = clock.us / kMicro;
  const std::int64_t hour = seconds / 3600, minute = seconds / 60 % 60, second = seconds % 60;
  switch (letter) {
    case '%':
      return "%";
    case 'H':
      return fmt::format("{:02}", hour);
    case 'I':
      return fmt::format("{:02}", (hour + 11) % 12 + 1);
    case 'p':
      return hour < 12 ? "AM" : "PM";
    case 'M':
      return fmt::format("{:02}", minute);
    case 'S':
      return fmt::format("{:02}", second);
    case 'f':
      return fmt::format("{:06}", clock.us % kMicro);
    case 'T':
      return fmt::format("{:02}:{:02}:{:02}", hour, minute, second);
    case 'z':
      return zone_text(clock.offset);
    case 's':
      return fmt::format("{}", clock.day * kDaySeconds + seconds - clock.offset);
    default:
      return written_date(letter, clock.day);
  }
}

/// Reads a text by a pattern from left to right; what does not fit ends it.
class PatternReader {
 public:
  explicit PatternReader(std::string_view text) : rest_(text) {}

  bool read(std::string_view pattern) {
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      const bool fits = pattern[i] == '%' ? conversion(pattern[++i]) : skip(pattern[i]);
      if (!fits) return false;
    }
    return rest_.empty();
  }

  std::optional<ReadClock> made() const {
    if (since_1970_) return since_1970();
    ReadClock out;
    const std::chrono::year_month_day date{std::chrono::year(year_), std::chrono::month(month_),
                                           std::chrono::day(day_)};
    if (year_ < 1 || !date.ok()) return std::nullopt;
    out.day = std::chrono::sys_days(date).time_since_epoch().count();
    if (day_of_year_ > (std::chrono::year(year_).is_leap() ? 366 : 365)) return std::nullopt;
    if (day_of_year_ > 0) out.day += day_of_year_ - 1;
    if (timed_) out.us = ((hour_ * 60 + minute_) * 60 + second_) * kMicro + microseconds_;
    out.offset = offset_;
    return out;
  }

 private:
  std::optional<ReadClock> since_1970() const {
    const std::int64_t day = floor_div(*since_1970_, kDaySeconds);
    if (day < kFirstDay || day > kLastDay) return std::nullopt;
    return ReadClock{.day = day, .us = (*since_1970_ - day * kDaySeconds) * kMicro, .offset = 0};
  }

  bool skip(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  template <typename Number>
  bool number(std::size_t digits, std::int64_t least, std::int64_t most, Number& out) {
    std::int64_t value = 0;
    if (rest_.size() < digits) return false;
    for (const char c : rest_.substr(0, digits)) {
      if (c < '0' || c > '9') return false;
      value = value * 10 + (c - '0');
    }
    rest_.remove_prefix(digits);
    out = static_cast<Number>(value);
    return value >= least && value <= most;
  }

  bool clock(std::size_t digits, std::int64_t most, std::int64_t& out) {
    timed_ = true;
    return number(digits, 0, most, out);
  }

  bool short_year() {
    if (!number(2, 0, 99, year_)) return false;
    year_ += year_ < 69 ? 2000 : 1900;  // As POSIX reads it.
    return true;
  }

  bool month_name(bool whole) {
    const auto same = [](char a, char b) { return (a | 32) == (b | 32); };
    for (std::size_t i = 0; i < kMonthNames.size(); ++i) {
      const std::string_view name = kMonthNames[i].substr(0, whole ? std::string_view::npos : 3);
      if (!std::ranges::equal(rest_.substr(0, name.size()), name, same)) continue;
      rest_.remove_prefix(name.size());
      month_ = static_cast<unsigned>(i + 1);
      return true;
    }
    return false;
  }

  bool zone() {
    offset_ = 0;
    if (skip('Z')) return true;
    const bool west = skip('-');
    std::int64_t hours = 0, minutes = 0;
    if (!west && !skip('+')) return false;
    if (!number(2, 0, 15, hours)) return false;
    (void)skip(':');
    if (!number(2, 0, 59, minutes)) return false;
    offset_ = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return true;
  }

  bool seconds() {
    constexpr std::size_t kDigitsMax = 12;
    const bool before = skip('-');
    const std::size_t digits = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    std::int64_t value = 0;
    if (digits == 0 || digits > kDigitsMax || !number(digits, 0, INT64_MAX, value)) return false;
    since_1970_ = before ? -value : value;
    return true;
  }

  bool conversion(char letter) {
    switch (letter) {
      case 'Y':
        return number(4, 1, 9999, year_);
      case 'y':
        return short_year();
      case 'm':
        return number(2, 1, 12, month_);
      case 'd':
        return number(2, 1, 31, day_);
      case 'j':
        return number(3, 1, 366, day_of_year_);
      case 'F':
        return number(4, 1, 9999, year_) && skip('-') && number(2, 1, 12, month_) && skip('-') &&
               number(2, 1, 31, day_);
      case 'H':
        return clock(2, 23, hour_);
      case 'M':
        return clock(2, 59, minute_);
      case 'S':
        return clock(2, 59, second_);
      case 'f':
        return clock(6, 999'999, microseconds_);
      case 'T':
        return clock(2, 23, hour_) && skip(':') && clock(2, 59, minute_) && skip(':') && clock(2, 59, second_);
      case 'b':
      case 'B':
        return month_name(letter == 'B');
      case 'z':
        return zone();
      case 's':
        return seconds();
      default:
        return skip('%');
    }
  }

  std::string_view rest_;
  int year_ = 0;
  unsigned month_ = 1, day_ = 1;
  std::int64_t day_of_year_ = 0;  ///< 0: not said.
  std::int64_t hour_ = 0, minute_ = 0, second_ = 0, microseconds_ = 0;
  bool timed_ = false;
  std::optional<std::int64_t> offset_, since_1970_;
};

}  // namespace

std::optional<std::string> pattern_mistake(std::string_view pattern, bool reads) {
  if (pattern.size() > kPatternMax) return fmt::format("a pattern has at most {} bytes", kPatternMax);
  bool any = false, year = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%') continue;
    if (++i == pattern.size()) return "the pattern ends within a conversion: write '%%' for a percent sign";
    if ((reads ? kRead : kWritten).find(pattern[i]) == std::string_view::npos) return unknown(pattern[i], reads);
    any = true;
    year = year || std::string_view("YyFs").find(pattern[i]) != std::string_view::npos;
  }
  if (!any) {
    const std::string ours = translated(pattern);
    return fmt::format("a pattern names parts of a date, such as %Y-%m-%d{}",
                       ours.empty() ? "" : fmt::format("; did you mean '{}'?", ours));
  }
  if (reads && !year) return "a date without a year cannot be read: the pattern needs %Y, %y, %F or %s";
  return std::nullopt;
}

std::string write_pattern(std::string_view pattern, const WallClock& clock) {
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '%') {
      out += written(pattern[++i], clock);
    } else {
      out += pattern[i];
    }
  }
  return out;
}

Result<ReadClock> read_pattern(std::string_view text, std::string_view pattern) {
  PatternReader reader(text);
  const auto made = text.size() <= kPatternMax && reader.read(pattern) ? reader.made() : std::nullopt;
  if (made) return *made;
  constexpr std::size_t kShownMax = 40;
  return fail(ErrorCode::kInvalidInput,
              fmt::format("'{}' does not fit the pattern '{}'", printable(text.substr(0, kShownMax)), pattern));
}

}  // namespace chappe::calendar
