#include "engine/model/dag.h"

#include "engine/base/assert.h"

namespace chappe {

std::optional<std::uint32_t> Dag::find(std::string_view task_id) const {
  const auto found = by_id_.find(task_id);
  return found == by_id_.end() ? std::nullopt : std::optional(found->second);
}

void Dag::index_tasks() {
  CHAPPE_ASSERT(by_id_.empty());
  for (std::uint32_t i = 0; i < tasks.size(); ++i) CHAPPE_ASSERT(by_id_.emplace(tasks[i].id, i).second);
}

}  // namespace chappe
