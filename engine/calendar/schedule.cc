#include "engine/calendar/schedule.h"

#include <algorithm>

#include "engine/calendar/days.h"

namespace chappe::calendar {
namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kMinuteSeconds = 60;
constexpr std::int64_t kYear = 366 * 86'400;
constexpr std::int64_t kHorizon = 50 * kYear;

/// The first second at or after `local` at which the clock's minute fits.
std::optional<std::int64_t> next_local(const Cron& cron, std::int64_t local) {
  const auto minute = next_match(cron, floor_div(local + kMinuteSeconds - 1, kMinuteSeconds));
  return minute ? std::optional(*minute * kMinuteSeconds) : std::nullopt;
}

/// A stretch, and the offset of the one before it.
struct Change {
  Stretch now;
  std::int64_t offset_before = 0;
};

Change change_at(const Zone& zone, std::int64_t seconds) {
  constexpr std::int64_t kFirstChange = -400 * kYear;  // Before all that any table knows.
  const Stretch now = zone.at(seconds);
  return {now, now.begin < kFirstChange ? now.offset : zone.at(now.begin - 1).offset};
}

/// The first time at or after `from` in the stretch of `change`; nullopt: none in it. Requires: `from` is in it.
std::optional<std::int64_t> first_in(const Cron& cron, DstPolicy dst, const Change& change, std::int64_t from,
                                     bool& ever) {
  const Stretch& now = change.now;
  std::int64_t local = from + now.offset;
  const std::int64_t clock_before = now.begin + change.offset_before;  // What it showed when this stretch began.
  if (!cron.wildcard_hour && clock_before < now.begin + now.offset && from == now.begin && dst.gap == Gap::kShift) {
    const auto left_out = next_local(cron, clock_before);
    if (left_out && *left_out < local) return now.begin;
  }
  if (!cron.wildcard_hour && dst.fold == Fold::kOnce) local = std::max(local, clock_before);
  const auto found = next_local(cron, local);
  ever = found.has_value();
  if (!found || *found - now.offset >= now.end) return std::nullopt;
  return *found - now.offset;
}

std::optional<WallTime> next_of(const Cron& cron, const Schedule& schedule, WallTime after) {
  const std::int64_t first = floor_div(after.us, kSecond) + 1;
  bool ever = true;
  for (std::int64_t from = first; ever && from < first + kHorizon;) {
    const Change change = change_at(*schedule.zone, from);
    if (const auto found = first_in(cron, schedule.dst, change, from, ever)) return WallTime{*found * kSecond};
    from = change.now.end;
  }
  return std::nullopt;
}

std::optional<WallTime> next_of(const Every& every, const Schedule&, WallTime after) {
  const std::int64_t periods = floor_div(after.us - every.anchor.us, every.period.count()) + 1;
  return WallTime{every.anchor.us + periods * every.period.count()};
}

std::optional<WallTime> next_of(const At& at, const Schedule&, WallTime after) {
  return at.time > after ? std::optional(at.time) : std::nullopt;
}

}  // namespace

std::optional<WallTime> next_fire(const Schedule& schedule, WallTime after) {
  return std::visit([&](const auto& rule) { return next_of(rule, schedule, after); }, schedule.rule);
}

/// next_fire() never goes back when its argument goes on: so the last time before `before` is where it steps past it.
std::optional<WallTime> previous_fire(const Schedule& schedule, WallTime before) {
  const auto steps_to = [&](std::int64_t seconds) {
    const auto fire = next_fire(schedule, WallTime{seconds * kSecond});
    return fire && *fire < before ? fire : std::nullopt;
  };
  const std::int64_t end = floor_div(before.us - 1, kSecond);
  std::int64_t back = kMinuteSeconds;
  while (!steps_to(end - back)) {
    back *= 2;
    if (back > kHorizon) return std::nullopt;
  }
  std::int64_t low = end - back;                                          // It steps to one from here, ...
  std::int64_t high = back == kMinuteSeconds ? end + 1 : end - back / 2;  // ... and to none from here.
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (steps_to(middle) ? low : high) = middle;
  }
  return steps_to(low);
}

}  // namespace chappe::calendar
