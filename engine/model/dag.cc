#include "engine/model/dag.h"

#include <array>

#include "engine/base/assert.h"

namespace chappe {

std::optional<std::uint32_t> Dag::find(std::string_view task_id) const {
  const auto found = by_id_.find(task_id);
  return found == by_id_.end() ? std::nullopt : std::optional(found->second);
}

std::string_view name_of(ContainerOptions::Network network) {
  constexpr std::array<std::string_view, 3> kNames{"none", "bridge", "host"};
  return kNames[static_cast<std::size_t>(network)];
}

std::string_view name_of(Deadline::From from) {
  constexpr std::array<std::string_view, 3> kNames{"queued", "started", "logical_time"};
  return kNames[static_cast<std::size_t>(from)];
}

bool Dag::in_step(std::uint32_t task, std::uint32_t upstream) const {
  const auto& own = tasks[task].foreach;
  if (!own || !own->depth_first) return false;
  const auto& other = tasks[upstream].foreach;
  return upstream == own->leader || (other && other->depth_first && other->leader == own->leader);
}

void Dag::index_tasks() {
  by_id_.clear();
  services.clear();
  for (std::uint32_t i = 0; i < tasks.size(); ++i) {
    CHAPPE_ASSERT(by_id_.emplace(tasks[i].id, i).second);
    if (tasks[i].is_service()) services.push_back(i);
  }
}

}  // namespace chappe
