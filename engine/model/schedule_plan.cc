#include "engine/model/schedule_plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace chappe {
namespace {

std::string line_text(const ScheduleLine& line) {
  const std::string& zone = line.when.zone->name();
  return zone == "UTC" ? line.when.text : fmt::format("{} ({})", line.when.text, zone);
}

std::uint64_t mix(std::uint64_t number) {
  number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9U;
  number = (number ^ (number >> 27)) * 0x94D049BB133111EBU;
  return number ^ (number >> 31);
}

}  // namespace

std::string SchedulePlan::text() const {
  std::string out;
  for (const ScheduleLine& line : lines) out += (out.empty() ? "" : ", ") + line_text(line);
  return out;
}

std::optional<WallTime> SchedulePlan::next(WallTime after) const {
  if (start.is_set()) after = std::max(after, WallTime{start.us - 1});
  std::optional<WallTime> first;
  for (const ScheduleLine& line : lines) {
    const auto fire = calendar::next_fire(line.when, after);
    if (fire && (!first || *fire < *first)) first = fire;
  }
  return first && end.is_set() && *first > end ? std::nullopt : first;
}

std::optional<WallTime> SchedulePlan::previous(WallTime before) const {
  std::optional<WallTime> last;
  for (const ScheduleLine& line : lines) {
    const auto fire = calendar::previous_fire(line.when, before);
    if (fire && (!last || *fire > *last)) last = fire;
  }
  return last;
}

Duration SchedulePlan::delay(std::string_view dag, WallTime time) const {
  Duration most{};
  for (const ScheduleLine& line : lines) {
    if (line.jitter == Duration{} || line.jitter <= most) continue;
    if (calendar::next_fire(line.when, WallTime{time.us - 1}) == time) most = line.jitter;
  }
  if (most == Duration{}) return most;
  std::uint64_t mixed = static_cast<std::uint64_t>(time.us);
  for (const char c : dag) mixed = mix(mixed + static_cast<unsigned char>(c));
  return Duration(static_cast<std::int64_t>(mix(mixed) % static_cast<std::uint64_t>(most.count())));
}

bool SchedulePlan::same_times(const SchedulePlan& other) const {
  return text() == other.text() && start == other.start && end == other.end &&
         std::ranges::equal(lines, other.lines, [](const ScheduleLine& a, const ScheduleLine& b) {
           return a.when.dst == b.when.dst && a.when.rule.index() == b.when.rule.index();
         });
}

}  // namespace chappe
