#include "worker/data/column.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>

namespace chappe::data {
namespace {

constexpr std::size_t kNumberBytesMax = 400;  ///< With a comma before its decimals: what is longer is text.

bool is_word(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() && std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
         });
}

bool is_integer(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// 2026-02-28.
bool is_date(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  const auto number = [&](std::size_t at, std::size_t size) {
    int out = 0;
    for (const char c : text.substr(at, size)) out = c >= '0' && c <= '9' && out >= 0 ? out * 10 + (c - '0') : -1;
    return out;
  };
  const int year = number(0, 4), month = number(5, 2), day = number(8, 2);
  if (year < 0 || month < 0 || day < 0) return false;
  return std::chrono::year_month_day(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                     std::chrono::day(static_cast<unsigned>(day)))
      .ok();
}

/// The breadth-first matcher, which is linear in the text. The model has bounded the pattern (unfit_pattern).
std::optional<std::regex> compile(const std::string& pattern) {
  if (pattern.empty()) return std::nullopt;
  try {
    return std::regex(pattern, std::regex::ECMAScript | std::regex_constants::__polynomial);
  } catch (const std::regex_error&) {
    return std::nullopt;  // Then nothing matches.
  }
}

}  // namespace

std::optional<double> number_of(const Cell& cell) {
  if (cell.kind != Cell::Kind::kText && cell.kind != Cell::Kind::kNumber) return std::nullopt;
  std::array<char, kNumberBytesMax> with_point{};
  std::string_view text = cell.text;
  if (cell.decimal_comma) {
    if (text.size() > with_point.size() || text.find('.') != std::string_view::npos) return std::nullopt;
    std::replace_copy(text.begin(), text.end(), with_point.begin(), ',', '.');
    text = {with_point.data(), text.size()};
  }
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || !(std::abs(number) <= kNumberMost)) return std::nullopt;
  return number;
}

bool fits_type(ColumnType type, const Cell& cell) {
  switch (type) {
    case ColumnType::kAny:
      return true;
    case ColumnType::kString:
      return cell.kind == Cell::Kind::kText;
    case ColumnType::kInteger:
      return is_integer(cell.text);
    case ColumnType::kNumber:
      return number_of(cell).has_value();
    case ColumnType::kBoolean:
      return is_word(cell.text, "true") || is_word(cell.text, "false");
    case ColumnType::kDate:
      return is_date(cell.text);
  }
  return false;
}

void Numbers::add(double number) {
  min = count == 0 ? number : std::min(min, number);
  max = count == 0 ? number : std::max(max, number);
  ++count;
  const double distance = number - mean;
  mean += distance / static_cast<double>(count);
  squares_ += distance * (number - mean);
}

double Numbers::deviation() const { return count == 0 ? 0 : std::sqrt(squares_ / static_cast<double>(count)); }

Column::Column(const ColumnExpectations& expected, DistinctRoom& room)
    : expected_(expected),
      type_(expected.type == ColumnType::kAny && expected.is_number() ? ColumnType::kNumber : expected.type),
      samples_(expected.median.any() || !expected.quantiles.empty()),
      counts_(expected.unique || expected.distinct.any()),
      pattern_(compile(expected.pattern)),
      seen_(room) {}

void Column::add(const Cell& cell, std::uint64_t line) {
  if (cell.is_null()) {
    ++nulls;
    return;
  }
  ++values;
  if (!fits_type(type_, cell)) {
    of_type.add(line);
  } else if (expected_.is_number()) {
    if (const auto number = number_of(cell)) add_number(*number, line);
  }
  if (!expected_.allowed.empty() && !is_allowed(cell.text)) not_allowed.add(line);
  if (!expected_.pattern.empty() && !matches(cell.text)) no_match.add(line);
  if (!counts_ || no_room) return;
  const DistinctSet::Seen seen = seen_.add(cell.text);
  if (seen == DistinctSet::Seen::kBefore) again.add(line);
  no_room = seen == DistinctSet::Seen::kNoRoom;
}

void Column::add_number(double number, std::uint64_t line) {
  numbers.add(number);
  if (samples_) sample.add(number);
  if (expected_.values.min && number < *expected_.values.min) below.add(line);
  if (expected_.values.max && number > *expected_.values.max) above.add(line);
}

bool Column::is_allowed(std::string_view text) const {
  return std::find(expected_.allowed.begin(), expected_.allowed.end(), text) != expected_.allowed.end();
}

bool Column::matches(std::string_view text) const {
  return pattern_ && text.size() <= kMatchedBytesMax && std::regex_search(text.begin(), text.end(), *pattern_);
}

}  // namespace chappe::data
