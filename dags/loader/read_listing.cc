// `foreach: {s3_list: in/2026/}`: a task of its own lists the objects, without a slot, and leaves what there is as the
// items. It waits for what the fan-out would wait for, which then waits for the list alone.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "dags/loader/task_reader.h"

namespace chappe {

using yaml::Node;

void TaskReader::place_listing(std::uint32_t index, const Node& node) {
  nodes_[index] = &node;
  dag_.tasks[index].kind = TaskKind::kWait;
  dag_.tasks[index].wait = std::make_shared<const WaitSpec>();
}

/// Requires: the task before this one is its listing.
void TaskReader::attach_listing(Task& task, const Node& listed) {
  Task& listing = dag_.tasks[index_ - 1];
  auto spec = std::make_shared<WaitSpec>();
  spec->what = WaitSpec::For::kObjects;
  if (auto target = names_.parse_template(listed, site::kForEach, "s3_list")) spec->target = std::move(*target);
  const std::string& text = spec->target.text();
  if (text.empty() || text.starts_with('/')) {
    complaints_.error(listed, "'s3_list' needs a prefix that ends with '/', such as in/2026/, or a pattern: in/*.csv");
  }
  listing.wait = std::move(spec);
  listing.description = fmt::format("Lists the objects that {} fans out over", task.id);
  listing.depends_on = std::exchange(task.depends_on, {{.task = index_ - 1}});
  listing.trigger_rule = std::exchange(task.trigger_rule, TriggerRule::kAllSuccess);
  rule_written_[index_ - 1] = rule_written_[index_];
  const auto references = task.when.references();
  const bool of_item = std::any_of(references.begin(), references.end(), [&](const expr::Reference& reference) {
    return reference.path[0] == task.foreach->as || reference.path[0] == "key";
  });
  if (!of_item) listing.when = std::exchange(task.when, {});
  const std::string objects = fmt::format("${{{{ tasks.{}.outputs.objects }}}}", listing.id);
  // What cannot be parsed has the name of a task or an item in it that is none, and was complained about.
  if (auto expression = expr::Template::parse(objects)) task.foreach->expression = std::move(*expression);
  if (!task.foreach->key.text().empty()) return;
  auto key = expr::Template::parse(fmt::format("${{{{ {}.key }}}}", task.foreach->as));
  if (key) task.foreach->key = std::move(*key);
}

}  // namespace chappe
