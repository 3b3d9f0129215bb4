#include "engine/base/time.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

namespace chappe {
namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kDay = 86'400 * kSecond;
constexpr std::int64_t kYearsBegin = -719'162 * kDay;  // 0001-01-01
constexpr std::int64_t kYearsEnd = 2'932'897 * kDay;   // 10000-01-01

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Reads from the front of a text, piece by piece.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  bool done() const { return text_.empty(); }
  bool skip(char c) {
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  /// Exactly `digits` digits.
  std::optional<int> number(std::size_t digits) {
    if (text_.size() < digits) return std::nullopt;
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (!is_digit(text_[i])) return std::nullopt;
      value = value * 10 + (text_[i] - '0');
    }
    text_.remove_prefix(digits);
    return value;
  }
  /// One or more digits, as long as the number stays below 10^15.
  std::optional<std::int64_t> digits() {
    constexpr std::int64_t kMax = 1'000'000'000'000'000;
    if (text_.empty() || !is_digit(text_[0])) return std::nullopt;
    std::int64_t value = 0;
    while (!text_.empty() && is_digit(text_[0])) {
      value = value * 10 + (text_[0] - '0');
      if (value >= kMax) return std::nullopt;
      text_.remove_prefix(1);
    }
    return value;
  }
  std::string_view letters() {
    std::size_t length = 0;
    while (length < text_.size() && text_[length] >= 'a' && text_[length] <= 'z') ++length;
    const std::string_view word = text_.substr(0, length);
    text_.remove_prefix(length);
    return word;
  }
  std::optional<char> next() {
    if (text_.empty()) return std::nullopt;
    const char c = text_[0];
    text_.remove_prefix(1);
    return c;
  }

 private:
  std::string_view text_;
};

int days_in_month(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

std::optional<std::int64_t> read_date(Reader& in) {
  const auto year = in.number(4);
  if (!year || *year < 1 || !in.skip('-')) return std::nullopt;
  const auto month = in.number(2);
  if (!month || *month < 1 || *month > 12 || !in.skip('-')) return std::nullopt;
  const auto day = in.number(2);
  if (!day || *day < 1 || *day > days_in_month(*year, *month)) return std::nullopt;
  const std::chrono::sys_days date = std::chrono::year(*year) / *month / *day;
  return date.time_since_epoch().count() * kDay;
}

std::optional<std::int64_t> read_fraction(Reader& in) {
  std::int64_t us = 0;
  std::int64_t unit = kSecond / 10;
  int count = 0;
  while (const auto digit = in.number(1)) {
    us += *digit * unit;
    unit /= 10;
    ++count;
  }
  if (count == 0 || count > 6) return std::nullopt;
  return us;
}

std::optional<std::int64_t> read_clock(Reader& in) {
  const auto hour = in.number(2);
  if (!hour || *hour > 23 || !in.skip(':')) return std::nullopt;
  const auto minute = in.number(2);
  if (!minute || *minute > 59) return std::nullopt;
  std::int64_t us = (*hour * 3600 + *minute * 60) * kSecond;
  if (!in.skip(':')) return us;
  const auto second = in.number(2);
  if (!second || *second > 59) return std::nullopt;
  us += *second * kSecond;
  if (!in.skip('.')) return us;
  const auto fraction = read_fraction(in);
  if (!fraction) return std::nullopt;
  return us + *fraction;
}

/// "Z", "+01:00" or "-0330", or with seconds as before there were standard times: what to subtract to get to UTC.
std::optional<std::int64_t> read_offset(Reader& in) {
  if (in.skip('Z')) return 0;
  const bool east = in.skip('+');
  if (!east && !in.skip('-')) return std::nullopt;
  const auto hours = in.number(2);
  (void)in.skip(':');  // Both "+0100" and "+01:00" are ISO 8601.
  const auto minutes = in.number(2);
  const auto seconds = in.skip(':') ? in.number(2) : 0;
  // The farthest ever: -15:56:08, of Manila before 1844.
  if (!hours || *hours > 15 || !minutes || *minutes > 59 || !seconds || *seconds > 59) return std::nullopt;
  const std::int64_t us = (*hours * 3600 + *minutes * 60 + *seconds) * kSecond;
  return east ? us : -us;
}

std::optional<std::int64_t> unit_of(std::string_view name) {
  if (name == "us") return 1;
  if (name == "ms") return 1000;
  if (name == "s") return kSecond;
  if (name == "m") return 60 * kSecond;
  if (name == "h") return 3600 * kSecond;
  if (name == "d") return kDay;
  return std::nullopt;
}

constexpr std::int64_t kDurationMax = std::int64_t{36'525} * kDay;  // A century.

std::optional<std::int64_t> add_bounded(std::int64_t total, std::int64_t count, std::int64_t unit) {
  if (count > kDurationMax / unit || total > kDurationMax - count * unit) return std::nullopt;
  return total + count * unit;
}

std::optional<std::int64_t> read_short_duration(Reader in) {
  std::int64_t total = 0;
  std::int64_t last_unit = std::numeric_limits<std::int64_t>::max();
  while (!in.done()) {
    const auto count = in.digits();
    const auto unit = unit_of(in.letters());
    if (!count || !unit || *unit >= last_unit) return std::nullopt;
    const auto sum = add_bounded(total, *count, *unit);
    if (!sum) return std::nullopt;
    total = *sum;
    last_unit = *unit;
  }
  return total;
}

std::optional<std::int64_t> iso_unit(char letter, bool in_time) {
  if (!in_time) return letter == 'W' ? std::optional(7 * kDay) : letter == 'D' ? std::optional(kDay) : std::nullopt;
  if (letter == 'H') return 3600 * kSecond;
  if (letter == 'M') return 60 * kSecond;
  if (letter == 'S') return kSecond;
  return std::nullopt;
}

std::optional<std::int64_t> read_iso_duration(Reader in) {
  std::int64_t total = 0;
  bool in_time = false;
  bool any = false;
  while (!in.done()) {
    if (!in_time && in.skip('T')) {
      in_time = true;
      any = false;  // "PT" alone is nothing.
      continue;
    }
    const auto count = in.digits();
    const auto letter = in.next();
    if (!count || !letter) return std::nullopt;
    const auto unit = iso_unit(*letter, in_time);
    const auto sum = unit ? add_bounded(total, *count, *unit) : std::nullopt;
    if (!sum) return std::nullopt;
    total = *sum;
    any = true;
  }
  return any ? std::optional(total) : std::nullopt;
}

}  // namespace

std::string to_iso8601(WallTime time) {
  if (!time.is_set()) return "";
  const std::chrono::microseconds us(std::clamp(time.us, kYearsBegin, kYearsEnd - 1));
  const std::chrono::sys_time<std::chrono::microseconds> point{us};
  const auto days = std::chrono::floor<std::chrono::days>(point);
  const std::chrono::year_month_day date{days};
  const std::chrono::hh_mm_ss clock{point - days};
  // By hand, as every attempt is told some: fmt takes ten times as long.
  std::string out = "0000-00-00T00:00:00.000000Z";
  const auto put = [&out](std::size_t at, std::size_t width, std::int64_t value) {
    for (std::size_t i = at + width; i-- > at; value /= 10) out[i] = static_cast<char>('0' + value % 10);
  };
  put(0, 4, static_cast<int>(date.year()));
  put(5, 2, static_cast<unsigned>(date.month()));
  put(8, 2, static_cast<unsigned>(date.day()));
  put(11, 2, clock.hours().count());
  put(14, 2, clock.minutes().count());
  put(17, 2, clock.seconds().count());
  put(20, 6, clock.subseconds().count());
  return out;
}

Result<WallTime> parse_iso8601(std::string_view text) {
  const auto wrong = [&] {
    return fail(ErrorCode::kInvalidInput, fmt::format("'{}' is not a date or time like 2026-11-20 or "
                                                      "2026-11-20T03:00:00Z",
                                                      text));
  };
  Reader in(text);
  const auto date = read_date(in);
  if (!date) return wrong();
  if (in.done()) return WallTime{*date};
  if (!in.skip('T') && !in.skip(' ')) return wrong();
  const auto clock = read_clock(in);
  if (clock && in.done()) {
    return fail(ErrorCode::kInvalidInput, fmt::format("'{0}': the zone is missing: write {0}Z or {0}+01:00", text));
  }
  const auto offset = clock ? read_offset(in) : std::nullopt;
  if (!offset || !in.done()) return wrong();
  const std::int64_t us = *date + *clock - *offset;
  // An offset may lead out of the years that can be written.
  if (us < kYearsBegin || us >= kYearsEnd) return wrong();
  return WallTime{us};
}

Result<Duration> parse_duration(std::string_view text) {
  std::optional<std::int64_t> us;
  if (!text.empty()) {
    us = text[0] == 'P' ? read_iso_duration(Reader(text.substr(1))) : read_short_duration(Reader(text));
  }
  if (us) return Duration(*us);
  return fail(ErrorCode::kInvalidInput,
              fmt::format("'{}' is not a duration; write a number with a unit, such as 90s, 15m, 2h30m or 1d", text));
}

std::string to_text(Duration duration) {
  std::int64_t rest = duration.count();
  if (rest == 0) return "0s";
  std::string out;
  if (rest < 0) {
    out = "-";
    rest = -rest;
  }
  constexpr std::pair<std::int64_t, const char*> kUnits[] = {{kDay, "d"},    {3600 * kSecond, "h"}, {60 * kSecond, "m"},
                                                             {kSecond, "s"}, {1000, "ms"},          {1, "us"}};
  for (const auto& [unit, name] : kUnits) {
    if (rest >= unit) out += fmt::format("{}{}", rest / unit, name);
    rest %= unit;
  }
  return out;
}

}  // namespace chappe
