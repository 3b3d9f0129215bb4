#include "engine/calendar/cron.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <span>
#include <vector>

#include "engine/base/text.h"

namespace chappe::calendar {
namespace {

constexpr std::size_t kTextMax = 1'000;
constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                      "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdays = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr std::array<int, 13> kLongestMonths = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

struct Field {
  const char* name;
  int least;
  int most;
  std::span<const std::string_view> names;
  int first_name = 0;  ///< What the first of `names` means.
};
constexpr std::array kFields = {Field{"minute", 0, 59, {}}, Field{"hour", 0, 23, {}}, Field{"day of month", 1, 31, {}},
                                Field{"month", 1, 12, kMonths, 1}, Field{"day of week", 0, 7, kWeekdays, 0}};

struct Nickname {
  std::string_view name;
  std::string_view meaning;
};
constexpr Nickname kNicknames[] = {{"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
                                   {"@weekly", "0 0 * * 0"},  {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
                                   {"@annually", "0 0 1 1 *"}};

Failure wrong(const Field& field, const std::string& what) {
  return fail(ErrorCode::kInvalidInput, fmt::format("the {} of the cron expression {}", field.name, what));
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> out;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find_first_of(separators, at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

std::optional<int> parse_number(std::string_view text) {
  int out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  const bool whole = !text.empty() && error == std::errc() && end == text.data() + text.size() && out >= 0;
  return whole ? std::optional(out) : std::nullopt;
}

std::string range_of(const Field& field) {
  std::string out = fmt::format("{} to {}", field.least, field.most);
  if (!field.names.empty()) out += fmt::format(" or {} to {}", field.names.front(), field.names.back());
  return out;
}

Result<int> parse_value(const Field& field, std::string_view text) {
  const auto named = std::ranges::find(field.names, lower(text));
  if (named != field.names.end()) return static_cast<int>(named - field.names.begin()) + field.first_name;
  const auto number = parse_number(text);
  if (number && *number >= field.least && *number <= field.most) return *number;
  if (text == "?") return wrong(field, "is '?', which is Quartz's: write *");
  return wrong(field, fmt::format("is {}, not '{}'", range_of(field), printable(text)));
}

struct Range {
  int first = 0;
  int last = 0;
};

Result<Range> parse_range(const Field& field, std::string_view text, bool stepped) {
  if (text == "*") return Range{field.least, field.names.data() == kWeekdays.data() ? 6 : field.most};
  const std::size_t dash = text.find('-');
  auto first = parse_value(field, text.substr(0, dash));
  if (!first) return fail(std::move(first.error()));
  if (dash == std::string_view::npos) {
    if (stepped) return wrong(field, fmt::format("has a step behind one value: write {0}-{1}/STEP", text, field.most));
    return Range{*first, *first};
  }
  auto last = parse_value(field, text.substr(dash + 1));
  if (!last) return fail(std::move(last.error()));
  const bool to_sunday = field.names.data() == kWeekdays.data() && *last == 0 && *first > 0;
  if (to_sunday) return Range{*first, 7};
  if (*first > *last) {
    return wrong(field, fmt::format("has '{0}', which goes backwards: write {1}-{2},{3}-{4}", text, *first, field.most,
                                    field.least, *last));
  }
  return Range{*first, *last};
}

Result<void> add_item(const Field& field, std::string_view item, std::uint64_t& bits) {
  if (item.empty()) return wrong(field, "has a comma too many");
  const std::size_t slash = item.find('/');
  int step = 1;
  if (slash != std::string_view::npos) {
    const auto number = parse_number(item.substr(slash + 1));
    const int most = field.most - field.least;
    if (!number || *number < 1 || *number > most) {
      return wrong(field, fmt::format("has '{}': a step is 1 to {}", printable(item), most));
    }
    step = *number;
  }
  auto range = parse_range(field, item.substr(0, slash), slash != std::string_view::npos);
  if (!range) return fail(std::move(range.error()));
  for (int value = range->first; value <= range->last; value += step) bits |= std::uint64_t{1} << value;
  return {};
}

Result<std::uint64_t> parse_field(const Field& field, std::string_view text) {
  std::uint64_t bits = 0;
  for (const std::string_view item : split(text, ",")) {
    if (auto added = add_item(field, item, bits); !added) return fail(std::move(added.error()));
  }
  return bits;
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words = split(text, " \t");
  std::erase_if(words, [](std::string_view word) { return word.empty(); });
  return words;
}

Failure no_nickname(std::string_view text) {
  if (text.starts_with("@every")) {
    return fail(ErrorCode::kInvalidInput, "'@every' is not cron: write {every: 1h} instead of {cron: ...}");
  }
  return fail(ErrorCode::kInvalidInput,
              fmt::format("there is no '{}' in cron; there are @hourly, @daily, @weekly, @monthly and @yearly",
                          printable(text)));
}

Failure not_five(std::size_t count) {
  const char* hint = count == 6 ? ": seconds and years have no place in it" : "";
  return fail(ErrorCode::kInvalidInput,
              fmt::format("a cron expression has 5 fields (minute, hour, day of month, month, day of week), not {}{}; "
                          "'30 3 * * 1' is Mondays at 03:30",
                          count, hint));
}

bool comes_ever(const Cron& cron) {
  if (cron.either_day) return true;
  for (int month = 1; month <= 12; ++month) {
    const bool wanted = (cron.months >> month & 1) != 0;
    const std::uint64_t days = (std::uint64_t{2} << kLongestMonths[static_cast<std::size_t>(month)]) - 1;
    if (wanted && (cron.days & days) != 0) return true;
  }
  return false;
}

/// The least set bit at or above `from`; -1: none.
int next_bit(std::uint64_t bits, int from) {
  if (from > 63) return -1;
  bits &= ~std::uint64_t{0} << from;
  return bits == 0 ? -1 : std::countr_zero(bits);
}

bool fits_day(const Cron& cron, std::chrono::year_month_day date, std::chrono::weekday weekday) {
  const bool day = (cron.days >> static_cast<unsigned>(date.day()) & 1) != 0;
  const bool of_week = (cron.weekdays >> weekday.c_encoding() & 1) != 0;
  return cron.either_day ? day || of_week : day && of_week;
}

/// The first day at or after `day` that fits.
std::optional<std::chrono::sys_days> next_day(const Cron& cron, std::chrono::sys_days day) {
  constexpr std::chrono::days kHorizon{50 * 366};
  for (const auto end = day + kHorizon; day < end;) {
    const std::chrono::year_month_day date(day);
    if ((cron.months >> static_cast<unsigned>(date.month()) & 1) == 0) {
      day = std::chrono::sys_days((date.year() / date.month() + std::chrono::months(1)) / std::chrono::day(1));
    } else if (fits_day(cron, date, std::chrono::weekday(day))) {
      return day;
    } else {
      day += std::chrono::days(1);
    }
  }
  return std::nullopt;
}

/// The first minute of a day at or after `minute` that fits; -1: none.
int next_of_day(const Cron& cron, int minute) {
  constexpr int kHour = 60;
  const int hour = next_bit(cron.hours, minute / kHour);
  if (hour < 0) return -1;
  if (hour == minute / kHour) {
    if (const int found = next_bit(cron.minutes, minute % kHour); found >= 0) return hour * kHour + found;
    const int later = next_bit(cron.hours, hour + 1);
    return later < 0 ? -1 : later * kHour + next_bit(cron.minutes, 0);
  }
  return hour * kHour + next_bit(cron.minutes, 0);
}

}  // namespace

Result<Cron> parse_cron(std::string_view text) {
  if (text.size() > kTextMax) return fail(ErrorCode::kInvalidInput, "this cron expression is too long");
  std::vector<std::string_view> words = words_of(text);
  if (words.size() >= 1 && words[0].starts_with('@')) {
    const auto found = std::ranges::find(kNicknames, lower(words[0]), &Nickname::name);
    if (found == std::end(kNicknames) || words.size() > 1) return no_nickname(text);
    words = words_of(found->meaning);
  }
  if (words.size() != kFields.size()) return not_five(words.size());
  std::array<std::uint64_t, kFields.size()> bits{};
  for (std::size_t i = 0; i < kFields.size(); ++i) {
    auto field = parse_field(kFields[i], words[i]);
    if (!field) return fail(std::move(field.error()));
    bits[i] = *field;
  }
  const std::uint64_t weekdays = (bits[4] | bits[4] >> 7) & 0x7F;
  const Cron cron{.minutes = bits[0],
                  .hours = static_cast<std::uint32_t>(bits[1]),
                  .days = static_cast<std::uint32_t>(bits[2]),
                  .months = static_cast<std::uint16_t>(bits[3]),
                  .weekdays = static_cast<std::uint8_t>(weekdays),
                  .either_day = !words[2].starts_with('*') && !words[4].starts_with('*'),
                  .wildcard_hour = words[1].starts_with('*')};
  if (!comes_ever(cron)) {
    return wrong(kFields[2], fmt::format("never comes: no month of '{}' has a day {}", words[3], words[2]));
  }
  return cron;
}

std::optional<std::int64_t> next_match(const Cron& cron, std::int64_t minute) {
  constexpr std::int64_t kDay = 24 * 60;
  const std::int64_t whole_days = minute >= 0 ? minute / kDay : -((-minute + kDay - 1) / kDay);
  const std::chrono::sys_days today{std::chrono::days(whole_days)};
  auto day = next_day(cron, today);
  if (day == today) {
    const int found = next_of_day(cron, static_cast<int>(minute - whole_days * kDay));
    if (found >= 0) return whole_days * kDay + found;
    day = next_day(cron, today + std::chrono::days(1));
  }
  if (!day) return std::nullopt;
  return day->time_since_epoch().count() * kDay + next_of_day(cron, 0);
}

}  // namespace chappe::calendar
