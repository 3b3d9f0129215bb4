#include "engine/placement/placement.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "engine/base/mutant.h"

namespace chappe {
namespace {

std::uint32_t times(std::uint64_t room, std::uint64_t need) {
  if (need == 0) return std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(room / need, std::numeric_limits<std::uint32_t>::max()));
}

std::uint64_t free_of(std::uint64_t capacity, std::uint64_t taken) { return capacity > taken ? capacity - taken : 0; }

/// Cores may be taken ahead; memory and GPUs never are.
std::uint64_t free_cpu(const WorkerRoom& room, const Need& need) {
  const std::uint64_t at_once = times(room.capacity.cpu_milli, need.resources.cpu_milli);
  const std::uint64_t ahead = std::min<std::uint64_t>(room.prefetch, need.ahead * at_once);
  return free_of(room.capacity.cpu_milli + ahead * need.resources.cpu_milli, room.taken.cpu_milli);
}

double free_share(const WorkerRoom& room, const Need& need) {
  if (need.noop) return static_cast<double>(free_of(room.noop_depth, room.noops)) / room.noop_depth;
  const double capacity = std::max<std::uint32_t>(room.capacity.cpu_milli, 1);
  return (capacity - room.taken.cpu_milli) / capacity;
}

bool never_fits(const WorkerRoom& room, const Need& need) {
  if (need.noop) return room.noop_depth == 0;
  return need.resources.cpu_milli > room.capacity.cpu_milli ||
         need.resources.memory_bytes > room.capacity.memory_bytes || need.resources.gpus > room.capacity.gpus;
}

/// Why the worker is not one of those that may have it; "" where it is.
std::string out_of_place(const WorkerRoom& room, const Need& need) {
  static const Whereabouts kAnywhere;
  const Whereabouts& where = need.where == nullptr ? kAnywhere : *need.where;
  for (const auto& [name, value] : where.labels) {
    if (room.labels == nullptr) return fmt::format("has no label {}", name);
    const auto label = room.labels->find(name);
    if (label == room.labels->end()) return fmt::format("has no label {}", name);
    if (label->second != value) return fmt::format("has {}={}, not {}", name, label->second, value);
  }
  if (where.container && !room.containers) return "runs no containers";
  if (const Features unknown = need.features.without(room.features); !unknown.empty()) {
    return fmt::format("is of an older version, which does not know {}", fmt::join(unknown.names(), ", "));
  }
  if (room.taints == nullptr) return "";
  for (const std::string& taint : *room.taints) {
    const bool tolerated = std::binary_search(where.tolerations.begin(), where.tolerations.end(), taint);
    if (!tolerated) return fmt::format("is kept for tasks that tolerate {}", taint);
  }
  return "";
}

bool is_in_place(const WorkerRoom& room, const Need& need) {
  const bool is_known = need.features.without(room.features).empty() || CHAPPE_MUTANT(kForgetsWhatWorkersKnow);
  if (!is_known) return false;
  const bool goes_anywhere = need.where == nullptr || (need.where->labels.empty() && !need.where->container);
  const bool plain = goes_anywhere && (room.taints == nullptr || room.taints->empty());
  return plain || out_of_place(room, need).empty();
}

}  // namespace

std::uint32_t room_for(const WorkerRoom& room, const Need& need, std::uint32_t count_max) {
  if (room.draining || never_fits(room, need) || !is_in_place(room, need)) return 0;
  // A worker that reconnects may hold more than it takes.
  if (need.noop) return std::min(count_max, static_cast<std::uint32_t>(free_of(room.noop_depth, room.noops)));
  const std::uint32_t by_cpu = times(free_cpu(room, need), need.resources.cpu_milli);
  const std::uint32_t by_memory =
      times(free_of(room.capacity.memory_bytes, room.taken.memory_bytes), need.resources.memory_bytes);
  const std::uint32_t by_gpu = times(free_of(room.capacity.gpus, room.taken.gpus), need.resources.gpus);
  return std::min({count_max, by_cpu, by_memory, by_gpu});
}

Refusal refusal_of(const WorkerRoom& room, const Need& need) {
  if (room.draining) return Refusal::kDraining;
  if (!is_in_place(room, need)) return Refusal::kElsewhere;
  if (never_fits(room, need)) return Refusal::kNeverFits;
  return room_for(room, need, 1) == 0 ? Refusal::kBusy : Refusal::kNone;
}

std::string explain_refusal(const WorkerRoom& room, std::string_view name, const Need& need) {
  const auto cores = [](std::uint64_t milli) { return fmt::format("{:g}", static_cast<double>(milli) / 1000); };
  const auto gib = [](std::uint64_t bytes) {
    return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1U << 30));
  };
  if (room.draining) return fmt::format("{} is draining", name);
  if (!is_in_place(room, need)) return fmt::format("{} {}", name, out_of_place(room, need));
  if (need.noop) return fmt::format("{} has as many attempts as it takes ({})", name, room.noops);
  std::string wants = fmt::format("needs {} cpus", cores(need.resources.cpu_milli));
  std::string has = fmt::format("{} cpus free of {}", cores(free_of(room.capacity.cpu_milli, room.taken.cpu_milli)),
                                cores(room.capacity.cpu_milli));
  if (need.resources.memory_bytes > 0) {
    wants += fmt::format(", {}", gib(need.resources.memory_bytes));
    has += fmt::format(", {} free of {}", gib(free_of(room.capacity.memory_bytes, room.taken.memory_bytes)),
                       gib(room.capacity.memory_bytes));
  }
  if (need.resources.gpus > 0) {
    wants += fmt::format(", {} gpus", need.resources.gpus);
    has += fmt::format(", {} gpus free of {}", free_of(room.capacity.gpus, room.taken.gpus), room.capacity.gpus);
  }
  return fmt::format("{}; {} has {}{}", wants, name, has, never_fits(room, need) ? ": it will never fit there" : "");
}

std::optional<std::size_t> pick_worker(std::span<const WorkerRoom> rooms, const Need& need, WorkerSeq avoid) {
  std::optional<std::size_t> best;
  bool best_avoided = false;
  double best_share = 0;
  for (std::size_t i = 0; i < rooms.size(); ++i) {
    if (room_for(rooms[i], need, 1) == 0) continue;
    const bool avoided = avoid && rooms[i].worker == avoid;
    const double share = free_share(rooms[i], need);
    const bool ahead = best && (share > best_share || (share == best_share && rooms[i].worker < rooms[*best].worker));
    const bool better = !best || (best_avoided && !avoided) || (avoided == best_avoided && ahead);
    if (!better) continue;
    best = i;
    best_avoided = avoided;
    best_share = share;
  }
  return best;
}

}  // namespace chappe
