#include "engine/lineage/log_times.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

namespace chappe {
namespace {

constexpr std::int64_t kMsMax = 253'402'300'800'000;  // The year 10000.

/// A number at the front, which it takes away; nullopt: there is none, or a larger one.
std::optional<std::int64_t> take_number(std::string_view& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0 || number > kMsMax) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

void LogTimes::note(std::uint64_t offset, std::int64_t at_ms) {
  if (!marks_.empty() && at_ms - marks_.back().at_ms < apart_ms_) return;
  marks_.push_back({offset, at_ms});
  while (marks_.size() > marks_max_) thin();
}

void LogTimes::thin() {
  apart_ms_ *= 2;
  std::vector<LogMark> kept;
  for (const LogMark& mark : marks_) {
    if (kept.empty() || mark.at_ms - kept.back().at_ms >= apart_ms_) kept.push_back(mark);
  }
  marks_ = std::move(kept);
}

std::vector<LogMark>::const_iterator LogTimes::mark_of(std::uint64_t offset) const {
  const auto after = std::ranges::upper_bound(marks_, offset, {}, &LogMark::offset);
  return after == marks_.begin() ? marks_.end() : std::prev(after);
}

void LogTimes::drop_before(std::uint64_t offset) {
  const auto first = mark_of(offset);
  if (first != marks_.end()) marks_.erase(marks_.begin(), first);
}

void LogTimes::shift(std::int64_t ms) {
  for (LogMark& mark : marks_) mark.at_ms += ms;
}

void LogTimes::cut(std::uint64_t from, std::uint64_t to, std::uint64_t marker) {
  const auto of_rest = mark_of(to);
  if (of_rest == marks_.end()) return;
  std::vector<LogMark> kept;
  for (const LogMark& mark : marks_) {
    if (mark.offset < from) kept.push_back(mark);
  }
  kept.push_back({from + marker, of_rest->at_ms});
  for (auto mark = std::next(of_rest); mark != marks_.end(); ++mark) {
    kept.push_back({mark->offset - to + from + marker, mark->at_ms});
  }
  marks_ = std::move(kept);
}

std::optional<WallTime> LogTimes::at(std::uint64_t offset) const {
  const auto mark = mark_of(offset);
  if (mark == marks_.end()) return std::nullopt;
  return WallTime{mark->at_ms * 1000};
}

std::optional<std::uint64_t> LogTimes::first_since(WallTime time) const {
  const auto found = std::ranges::find_if(marks_, [&](const LogMark& mark) { return mark.at_ms * 1000 >= time.us; });
  if (found == marks_.end()) return std::nullopt;
  return found->offset;
}

std::string LogTimes::to_text() const {
  std::string out;
  LogMark last;
  for (const LogMark& mark : marks_) {
    out += fmt::format("{}{}+{}", out.empty() ? "" : " ", mark.offset - last.offset, mark.at_ms - last.at_ms);
    last = mark;
  }
  return out;
}

std::optional<LogTimes> LogTimes::parse(std::string_view text) {
  LogTimes out;
  LogMark last;
  if (text.size() > kTextMax) return std::nullopt;
  while (!text.empty()) {
    if (!out.marks_.empty() && !take(text, ' ')) return std::nullopt;
    const auto bytes = take_number(text);
    const auto ms = bytes && take(text, '+') ? take_number(text) : std::nullopt;
    if (!ms || last.at_ms + *ms > kMsMax || out.marks_.size() == kMarksMax) return std::nullopt;
    last.offset += static_cast<std::uint64_t>(*bytes);
    last.at_ms += *ms;
    out.marks_.push_back(last);
  }
  return out;
}

}  // namespace chappe
