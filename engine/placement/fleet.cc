#include "engine/placement/fleet.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "engine/base/mutant.h"

namespace chappe {
namespace {

std::uint64_t workers_for(std::uint64_t all, std::uint64_t each) {
  if (all == 0) return 0;
  return each == 0 ? 1 : (all + each - 1) / each;
}

}  // namespace

std::uint32_t Fleet::need_of(const FleetLoad& load) const {
  std::uint64_t need = load.tasks > 0 ? 1 : 0;
  if (load.each.cpu_milli > 0) {  // Else one shows how large they are.
    need = std::max({need, workers_for(load.cpu_milli, load.each.cpu_milli),
                     workers_for(load.memory_bytes, load.each.memory_bytes), workers_for(load.gpus, load.each.gpus)});
  }
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(need, bounds_.least, bounds_.most));
}

void Fleet::begin_wait(std::uint32_t need, MonoTime now) {
  too_large_since_ = now;
  most_needed_ = need;
}

FleetOrder Fleet::decide(std::uint32_t size, const FleetLoad& load, std::span<const FleetMember> members,
                         MonoTime now) {
  const std::uint32_t need = need_of(load);
  if (need >= size) {
    too_large_since_.reset();
    resting_.clear();
    return {.size = need, .resting = {}, .leaving = {}};
  }
  if (!too_large_since_) begin_wait(need, now);
  most_needed_ = std::min(std::max(most_needed_, need), bounds_.most);
  const bool waits = now < *too_large_since_ + bounds_.shrink_after;
  const bool was_busy = !waits && most_needed_ >= size;
  if (was_busy) begin_wait(need, now);  // From now on it may be less so.
  if (waits || was_busy) {
    resting_.clear();
    return {.size = size, .resting = {}, .leaving = {}};
  }
  // Those that rest already, then those that have not joined, then those with the least to finish.
  std::vector<const FleetMember*> order;
  for (const FleetMember& member : members) order.push_back(&member);
  std::sort(order.begin(), order.end(), [&](const FleetMember* one, const FleetMember* other) {
    const auto rank = [&](const FleetMember* each) {
      return std::tuple(!resting_.contains(each->pod), each->joined, each->attempts, each->pod);
    };
    return rank(one) < rank(other);
  });
  const std::size_t surplus = std::min<std::size_t>(size - most_needed_, order.size());
  FleetOrder out{.size = size, .resting = {}, .leaving = {}};
  for (std::size_t i = 0; i < surplus; ++i) {
    // Told to rest before it is looked at again: what was on its way to it then is counted by now.
    const bool rested = resting_.contains(order[i]->pod) || CHAPPE_MUTANT(kWorkersLeaveUntold);
    const bool holds_nothing = order[i]->attempts == 0 || CHAPPE_MUTANT(kBusyWorkersLeave);
    if (rested && holds_nothing) out.leaving.insert(order[i]->pod);
    out.resting.insert(order[i]->pod);
  }
  resting_ = out.resting;
  out.size = size - static_cast<std::uint32_t>(out.leaving.size());
  return out;
}

}  // namespace chappe
