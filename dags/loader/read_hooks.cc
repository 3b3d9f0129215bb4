// Hooks of tasks: `on_start`, `on_retry`, `on_success`, `on_failure`, `on_skipped`.
#include <fmt/format.h>

#include <algorithm>

#include "dags/loader/hooks.h"
#include "dags/loader/task_reader.h"

namespace chappe {

using yaml::Node;

std::string hook_id(std::string_view task, std::string_view key, std::size_t position) {
  return position == 0 ? fmt::format("{}_{}", task, key) : fmt::format("{}_{}_{}", task, key, position + 1);
}

namespace {

const Node* member(const Node* map, std::string_view name) {
  return map != nullptr && map->is_map() ? map->find(name) : nullptr;
}

}  // namespace

bool lists_objects(const Node& root, const Node& task) {
  const Node* uses = member(&task, "uses");
  const Node* body = uses == nullptr ? nullptr : member(root.find("templates"), uses->text);
  return member(member(&task, "foreach"), "s3_list") != nullptr ||
         member(member(body, "foreach"), "s3_list") != nullptr;
}

const Node* find_hooks(const Node& root, const Node& task, const HookKey& hook) {
  if (const Node* own = member(&task, hook.key)) return own;
  const Node* uses = member(&task, "uses");
  const Node* body = uses == nullptr ? nullptr : member(root.find("templates"), uses->text);
  if (const Node* of_template = member(body, hook.key)) return of_template;
  const auto does = [&](std::string_view key) { return member(&task, key) != nullptr || member(body, key) != nullptr; };
  if (hook.of_attempts && !does("run") && !does("command") && !does("noop") && !does("http")) return nullptr;
  return member(root.find("defaults"), hook.key);
}

/// What it belongs to says when it runs, and over which items.
void TaskReader::check_hook(const Node& node) {
  for (std::size_t i = 0; i < node.members(); ++i) {
    const std::string& key = node.key(i).text;
    constexpr std::array<std::string_view, 8> kNot = {"loop",    "setup", "teardown_of", "cache",
                                                      "outputs", "state", "group",       "service"};
    constexpr std::array<std::string_view, 5> kOtherKinds = {"check", "promote", "wait", "human", "dag"};
    if (std::find(kNot.begin(), kNot.end(), key) != kNot.end()) {
      complaints_.error(node.key(i), fmt::format("a hook takes no '{}'", key));
    }
    if (std::find(kOtherKinds.begin(), kOtherKinds.end(), key) != kOtherKinds.end()) {
      complaints_.error(node.key(i),
                        fmt::format("a hook is a script, a command, a request or a noop: it takes no '{}'", key));
    }
  }
}

/// `written`: its `allow_failure` is.
void TaskReader::attach_hook(Task& task, bool written) {
  task.trigger_rule = task.hook == HookEvent::kSuccess ? TriggerRule::kAllSuccess : TriggerRule::kAllDone;
  rule_written_[index_] = true;
  if (!written) task.allow_failure.always = true;
  if (task.hook == HookEvent::kWait || task.hook == HookEvent::kLate) return;
  depend_on(task, {.task = task.hook_of}, nullptr);
}

/// An instance for each one of its task's, however many of those run at a time and may fail.
void TaskReader::fan_out_hook(Task& task) {
  if (!task.is_hook() || task.hook == HookEvent::kWait || task.hook == HookEvent::kLate) return;
  task.foreach = dag_.tasks[task.hook_of].foreach;
  if (!task.foreach) return;
  task.foreach->max_parallel = 0;
  task.foreach->min_success = 0;
  task.foreach->min_share = 0;
  names_.enter_task(index_, &*task.foreach);
}

}  // namespace chappe
