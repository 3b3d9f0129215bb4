#include "cli/plan_schedule.h"

#include <algorithm>

namespace chappe::cli {
namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr Duration kLookAhead = std::chrono::hours(24 * 366);

/// The next time within a year that the clocks of the line's zone change; nullopt: they do not.
std::optional<WallTime> next_change(const calendar::Zone& zone, WallTime now) {
  const WallTime end{zone.at(now.us / kSecond).end * kSecond};
  return end - now < kLookAhead ? std::optional(end) : std::nullopt;
}

/// `count` times of the plan after `after`, as the clocks of `zone` show them.
void add_times(const SchedulePlan& plan, const calendar::Zone& zone, WallTime after, std::size_t count,
               std::vector<PlannedTime>& out) {
  std::optional<WallTime> time = after;
  for (std::size_t i = 0; i < count && (time = plan.next(*time)); ++i) {
    out.push_back({*time, calendar::to_iso8601(*time, zone), ""});
  }
}

}  // namespace

std::vector<PlannedTime> planned_times(const SchedulePlan& plan, WallTime now) {
  constexpr std::size_t kNext = 3, kAroundChange = 2;
  std::vector<PlannedTime> out;
  if (plan.empty()) return out;
  const calendar::Zone& zone = *plan.lines.front().when.zone;
  add_times(plan, zone, now, kNext, out);
  const auto change = next_change(zone, now);
  if (!change) return out;
  const auto before = plan.previous(*change);
  if (before && *before > now && (!plan.start.is_set() || *before >= plan.start)) {
    out.push_back({*before, calendar::to_iso8601(*before, zone), ""});
  }
  out.push_back({*change, calendar::to_iso8601(*change, zone), "clocks of " + zone.name() + " change"});
  add_times(plan, zone, WallTime{change->us - 1}, kAroundChange, out);
  std::ranges::stable_sort(out, {}, &PlannedTime::time);
  const auto [first, last] = std::ranges::unique(
      out, [](const PlannedTime& a, const PlannedTime& b) { return a.time == b.time && a.note == b.note; });
  out.erase(first, last);
  return out;
}

}  // namespace chappe::cli
