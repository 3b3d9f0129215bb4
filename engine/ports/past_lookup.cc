#include "engine/ports/past_lookup.h"

#include <utility>

namespace chappe {
namespace {

/// Of a late fan-out that which stands for the whole of it counts, too.
Result<std::optional<TaskState>> unwell_task(const PastTools& tools, RunSeq run, const Instances& instances,
                                             std::uint32_t task) {
  auto found = tools.unwell(run, instances.first(task), instances.count(task));
  if (!found || *found) return found;
  return tools.unwell(run, instances.own(task), 1);
}

std::optional<TaskState> unwell_of(RunState end) {
  if (end == RunState::kSuccess) return std::nullopt;
  return end == RunState::kCancelled ? TaskState::kCancelled : TaskState::kFailed;
}

Result<void> look_up_tasks(const PastTools& tools, const RunRow& run, std::vector<PastLooked::Task>& tasks) {
  const auto instances = tools.instances(run);
  if (!instances) return fail(instances.error());
  for (PastLooked::Task& task : tasks) {
    const auto position = (*instances)->dag().find(task.id);
    if (!position) continue;
    auto unwell = unwell_task(tools, run.seq, **instances, *position);
    if (!unwell) return fail(std::move(unwell.error()));
    task.unwell = *unwell;
  }
  return {};
}

}  // namespace

PastLooked look_up_past(const PastTools& tools, const WantedPast& wanted) {
  PastLooked out{.run = wanted.run};
  for (const std::string& task : wanted.tasks) out.tasks.push_back({task});
  const auto newest = tools.newest_before(wanted.dag, wanted.before);
  if (!newest) {
    out.error = newest.error().message;
  } else if (*newest) {
    out.on = (*newest)->seq;
    out.on_id = (*newest)->id;
    out.live = !is_final((*newest)->state);
    if (out.live) return out;             // The engine has it, or leaves it alone.
    if ((*newest)->pruned_at.is_set()) {  // What is left of it says how the whole of it ended.
      const auto unwell = unwell_of((*newest)->state);
      for (PastLooked::Task& task : out.tasks) task.unwell = unwell;
      return out;
    }
    if (const auto looked = look_up_tasks(tools, **newest, out.tasks); !looked) out.error = looked.error().message;
  }
  return out;
}

}  // namespace chappe
