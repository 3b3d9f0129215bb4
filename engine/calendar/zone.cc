#include "engine/calendar/zone.h"

#include <fmt/format.h>

#include <cstdlib>
#include <functional>
#include <map>

#include "engine/base/text.h"

namespace chappe::calendar {
namespace {

constexpr std::int64_t kMinute = 60, kHour = 3600;
constexpr std::int64_t kLongestOffset = 26 * kHour;

}  // namespace

Result<ZonePtr> Zone::find(std::string_view name) {
  constexpr std::size_t kNameMax = 64;
  if (name == "UTC") return utc();
  if (name.empty() || name.size() > kNameMax) return fail(ErrorCode::kInvalidInput, "this is no name of a time zone");
  // Expressions ask for them again and again. There are no more than the machine has names of zones.
  thread_local std::map<std::string, ZonePtr, std::less<>> known;
  const auto before = known.find(name);
  if (before != known.end()) return before->second;
  auto found = read(name);
  if (found) known.emplace(name, *found);
  return found;
}

std::int64_t Zone::to_utc(std::int64_t local) const {
  Stretch stretch = at(local - kLongestOffset);
  while (local - stretch.offset >= stretch.end) {
    const std::int64_t end = stretch.end;
    stretch = at(end);
    if (local - stretch.offset < end) return end;  // A gap.
  }
  return local - stretch.offset;
}

std::string to_iso8601(WallTime time, const Zone& zone) {
  const std::int64_t seconds = time.us / 1'000'000;
  const std::int64_t offset = zone.at(seconds).offset;
  const std::string text = chappe::to_iso8601(WallTime{(seconds + offset) * 1'000'000}).substr(0, 19);
  return text + (zone.name() == "UTC" ? "Z" : offset_text(offset));
}

std::string offset_text(std::int64_t offset) {
  const std::int64_t size = std::abs(offset);
  const std::string text = fmt::format("{}{:02}:{:02}", offset < 0 ? '-' : '+', size / kHour, size % kHour / kMinute);
  return size % kMinute == 0 ? text : text + fmt::format(":{:02}", size % kMinute);
}

bool is_date(std::string_view text) { return text.size() == std::string_view("2026-01-01").size(); }

Result<WallTime> parse_local_time(std::string_view text, const Zone& zone) {
  constexpr std::size_t kToDay = 10, kToMinute = 16;
  const bool zoned = text.size() > kToDay && text.find_first_of("Z+-", kToDay) != std::string_view::npos;
  if (zoned) return parse_iso8601(text);
  std::string whole(text);
  if (whole.size() == kToDay) whole += "T00:00";
  if (whole.size() == kToMinute) whole += ":00";
  const auto local = parse_iso8601(whole + "Z");
  if (!local) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("'{}' is no date or time such as 2026-11-20 or 2026-11-20T03:00", printable(text)));
  }
  return WallTime{zone.to_utc(local->us / 1'000'000) * 1'000'000};
}

}  // namespace chappe::calendar
