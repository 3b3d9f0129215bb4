#include "engine/calendar/posix_rule.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace chappe::calendar {
namespace {

constexpr std::int64_t kSecondsOfMinute = 60, kSecondsOfHour = 3600, kSecondsOfDay = 86'400;
constexpr int kHoursMax = 167;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace

/// Reads a rule from left to right; what does not fit ends it.
class PosixRuleReader {
 public:
  explicit PosixRuleReader(std::string_view text) : rest_(text) {}

  std::optional<PosixRule> read() {
    PosixRule rule;
    if (!name() || !offset(rule.standard_) || !name()) return std::nullopt;
    rule.summer_ = rule.standard_ + kSecondsOfHour;
    if (!rest_.starts_with(',') && !offset(rule.summer_)) return std::nullopt;
    if (!skip(',') || !change(rule.to_summer_) || !skip(',') || !change(rule.to_standard_)) return std::nullopt;
    return rest_.empty() ? std::optional(rule) : std::nullopt;
  }

 private:
  bool skip(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool name() {
    const bool quoted = skip('<');
    std::size_t size = 0;
    while (size < rest_.size() && (quoted ? rest_[size] != '>' : is_letter(rest_[size]))) ++size;
    rest_.remove_prefix(size);
    return size > 0 && (!quoted || skip('>'));
  }

  bool number(int least, int most, int& out) {
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), out);
    if (error != std::errc() || rest_.starts_with('-')) return false;
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return out >= least && out <= most;
  }

  bool time(std::int64_t& out) {
    const bool negative = skip('-');
    if (!negative) (void)skip('+');
    int hours = 0, minutes = 0, seconds = 0;
    if (!number(0, kHoursMax, hours)) return false;
    if (skip(':') && !number(0, 59, minutes)) return false;
    if (skip(':') && !number(0, 59, seconds)) return false;
    out = (hours * kSecondsOfHour + minutes * kSecondsOfMinute + seconds) * (negative ? -1 : 1);
    return true;
  }

  /// Written as what is to be added to local time.
  bool offset(std::int64_t& out) {
    if (!time(out)) return false;
    out = -out;
    return true;
  }

  bool change(PosixRule::Change& out) {
    using Kind = PosixRule::Change::Kind;
    if (skip('M')) {
      const bool fits =
          number(1, 12, out.month) && skip('.') && number(1, 5, out.week) && skip('.') && number(0, 6, out.weekday);
      if (!fits) return false;
    } else {
      out.kind = skip('J') ? Kind::kDayOfLeapless : Kind::kDay;
      if (!number(out.kind == Kind::kDay ? 0 : 1, 365, out.day)) return false;
    }
    return !skip('/') || time(out.seconds);
  }

  std::string_view rest_;
};

std::optional<PosixRule> PosixRule::parse(std::string_view text) { return PosixRuleReader(text).read(); }

std::int64_t PosixRule::Change::in(int year) const {
  constexpr int kLast = 5;
  const std::chrono::year of(year);
  std::chrono::sys_days day_of_year = std::chrono::sys_days(of / std::chrono::January / 1);
  if (kind == Kind::kWeekday) {
    const std::chrono::weekday wanted(static_cast<unsigned>(weekday));
    const auto of_month = of / std::chrono::month(static_cast<unsigned>(month));
    day_of_year = week == kLast ? std::chrono::sys_days(of_month / wanted[std::chrono::last])
                                : std::chrono::sys_days(of_month / wanted[static_cast<unsigned>(week)]);
  } else {
    constexpr int kFebruary28 = 59;
    const bool leaps = kind == Kind::kDayOfLeapless && of.is_leap() && day > kFebruary28;
    day_of_year += std::chrono::days(kind == Kind::kDay ? day : day - 1 + (leaps ? 1 : 0));
  }
  return day_of_year.time_since_epoch().count() * kSecondsOfDay + seconds;
}

Stretch PosixRule::at(std::int64_t seconds) const {
  const std::chrono::sys_days day(
      std::chrono::days((seconds >= 0 ? seconds : seconds - kSecondsOfDay + 1) / kSecondsOfDay));
  const int year = static_cast<int>(std::chrono::year_month_day(day).year());
  std::array<Stretch, 6> changes;  // `end` is filled in when they are in order.
  for (int i = 0; i < 3; ++i) {
    const auto at = static_cast<std::size_t>(2 * i);
    changes[at] = {.begin = to_summer_.in(year - 1 + i) - standard_, .end = 0, .offset = summer_};
    changes[at + 1] = {.begin = to_standard_.in(year - 1 + i) - summer_, .end = 0, .offset = standard_};
  }
  std::sort(changes.begin(), changes.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
  std::size_t last = 0;
  for (std::size_t i = 0; i + 1 < changes.size(); ++i) {
    changes[i].end = changes[i + 1].begin;
    if (changes[i].begin <= seconds) last = i;
  }
  return changes[last];
}

}  // namespace chappe::calendar
