// Loops: what a task runs for again and again.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "dags/loader/keys.h"
#include "dags/loader/task_reader.h"

namespace chappe {

using yaml::Node;

void TaskReader::read_loop(Task& task, const WorkSpec& work, const Node& node) {
  LoopSpec loop;
  if (!reader_.check_keys(node, keys::kLoop)) return;
  for (const std::string_view key : {"until", "max_iterations"}) {
    if (node.find(key) == nullptr) complaints_.error(node, fmt::format("'loop' needs '{}'", key));
  }
  reader_.take_integer(node, "max_iterations", 1, kIterationsMax, loop.max_iterations);
  if (const Node* interval = node.find("interval")) {
    loop.interval = reader_.duration_or_zero(*interval, "interval").value_or(loop.interval);
  }
  if (const Node* until = node.find("until")) {
    std::vector<std::string> values;
    for (const OutputValue& value : work.values) values.push_back(value.name);
    if (auto condition = names_.parse_expression(*until, site::kUntil, "until")) loop.until = std::move(*condition);
    for (const expr::Reference& reference : loop.until.references()) {
      const bool other = reference.path[0] != "outputs" || reference.path.size() < 2;
      if (other || std::find(values.begin(), values.end(), reference.path[1]) != values.end()) continue;
      const std::string near = Reader::suggestion(reference.path[1], values);
      complaints_.error(*until, fmt::format("the task leaves no value '{}'{}", reference.path[1],
                                            !near.empty()    ? near
                                            : values.empty() ? "; declare it in 'outputs: {values: ...}'"
                                                             : fmt::format("; it leaves {}", fmt::join(values, ", "))));
    }
  }
  task.loop = std::move(loop);
  check_loop_bounds(task, node);
}

/// Attempts are counted over all iterations and their tries.
void TaskReader::check_loop_bounds(const Task& task, const Node& node) {
  constexpr std::uint64_t kAttemptsMax = std::numeric_limits<std::uint16_t>::max();
  const std::uint64_t tries = std::uint64_t{1} + task.retry.limit + task.infra_retry.limit;
  if (task.loop->max_iterations * tries <= kAttemptsMax) return;
  complaints_.error(node,
                    fmt::format("{} iterations of up to {} tries each are more attempts than a task may have ({})",
                                task.loop->max_iterations, tries, kAttemptsMax));
}

}  // namespace chappe
