// What zones are, from the machine's database: the one file of the engine that reads files.
#include <date/tz.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "engine/base/text.h"
#include "engine/calendar/zone.h"

namespace chappe::calendar {

/// The library reads a zone's table of changes, which ends in 2037. What holds after it stands in the last line of the
/// zone's file, as a rule of POSIX.
struct Zone::Rules {
  const date::time_zone* table = nullptr;  ///< Null: UTC, for which no database is needed.
  std::optional<PosixRule> afterwards;
};

namespace {

constexpr std::int64_t kEndOfTime = 253'402'300'800;  // Of the year 9999.

date::sys_seconds as_seconds(std::int64_t seconds) { return date::sys_seconds(std::chrono::seconds(seconds)); }

Stretch to_stretch(const date::sys_info& info) {
  return {info.begin.time_since_epoch().count(), info.end.time_since_epoch().count(), info.offset.count()};
}

/// The last line of a zone's file; "" where it has none.
std::string rule_of_file(const std::string& name) {
  constexpr long kLongestRule = 128;
  std::FILE* file = std::fopen(("/usr/share/zoneinfo/" + name).c_str(), "rb");
  if (file == nullptr) return "";
  std::array<char, kLongestRule> tail{};
  std::size_t size = 0;
  if (std::fseek(file, -kLongestRule, SEEK_END) == 0) size = std::fread(tail.data(), 1, tail.size(), file);
  std::fclose(file);
  std::string_view text(tail.data(), size);
  if (text.empty() || text.back() != '\n') return "";
  text.remove_suffix(1);
  const std::size_t begin = text.rfind('\n');
  return begin == std::string_view::npos ? "" : std::string(text.substr(begin + 1));
}

std::string unknown_zone(std::string_view name) {
  std::vector<std::string> names;
  for (const date::time_zone& zone : date::get_tzdb().zones) names.push_back(zone.name());
  const auto near = nearest(name, names);
  return fmt::format("there is no time zone '{}'; {}", printable(name),
                     near ? fmt::format("did you mean '{}'?", *near) : "zones are named as in Europe/Paris, or UTC");
}

}  // namespace

ZonePtr Zone::utc() {
  static const ZonePtr zone = std::make_shared<const Zone>("UTC", std::make_shared<const Rules>());
  return zone;
}

Result<ZonePtr> Zone::read(std::string_view name) {
  try {
    auto rules = std::make_shared<Rules>();
    const auto& zones = date::get_tzdb().zones;
    const auto found = std::ranges::find(zones, name, [](const date::time_zone& zone) { return zone.name(); });
    if (found == zones.end()) return fail(ErrorCode::kInvalidInput, unknown_zone(name));
    rules->table = &*found;
    (void)found->get_info(as_seconds(0));  // Reads its file.
    rules->afterwards = PosixRule::parse(rule_of_file(found->name()));
    return std::make_shared<const Zone>(std::string(name), std::move(rules));
  } catch (...) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("the time zone '{}' cannot be read: is the package tzdata installed?", printable(name)));
  }
}

Stretch Zone::at(std::int64_t seconds) const {
  if (rules_->table == nullptr) return {-kEndOfTime, kEndOfTime, 0};
  Stretch stretch = to_stretch(rules_->table->get_info(as_seconds(seconds)));
  if (stretch.end < kEndOfTime || !rules_->afterwards) return stretch;
  const Stretch ruled = rules_->afterwards->at(seconds);
  return {std::max(ruled.begin, stretch.begin), ruled.end, ruled.offset};
}

}  // namespace chappe::calendar
