#include "dags/loader/read_dag.h"

#include <fmt/format.h>

#include <unordered_map>

#include "dags/loader/keys.h"

namespace chappe {
namespace {

using yaml::Node;

void read_labels(Reader& reader, const Node& node, Dag& dag) {
  if (!node.is_map()) {
    reader.complaints().error(node, fmt::format("'labels' is a map of names and texts, not {}", Reader::shown(node)));
    return;
  }
  for (std::size_t i = 0; i < node.members(); ++i) {
    if (auto text = reader.text(node.value(i), node.key(i).text)) {
      dag.labels.emplace_back(node.key(i).text, std::move(*text));
    }
  }
}

void read_concurrency(Reader& reader, const Node& node, Dag& dag) {
  constexpr std::int64_t kRunsMax = 100'000;
  if (!reader.check_keys(node, keys::kConcurrency)) return;
  reader.take_integer(node, "max_runs", 1, kRunsMax, dag.max_runs);
  const Node* on_limit = node.find("on_limit");
  if (on_limit != nullptr && (!on_limit->is_scalar() || on_limit->text != "queue")) {
    reader.complaints().error(*on_limit, "'on_limit' can only be 'queue' in this version of Chappe");
  }
}

}  // namespace

void read_general(Reader& reader, const Node& root, Dag& dag) {
  if (root.find("name") == nullptr) reader.complaints().error(root, "the DAG needs a 'name'");
  reader.take_identifier(root, "name", dag.name);
  reader.take_text(root, "description", dag.description);
  reader.take_text(root, "owner", dag.owner);
  reader.take_identifier(root, "namespace", dag.namespace_name);
  reader.take_duration(root, "timeout", dag.timeout);
  reader.take_integer(root, "max_active_tasks", 1, static_cast<std::int64_t>(kInstancesMax), dag.max_active_tasks);
  if (const Node* labels = root.find("labels")) read_labels(reader, *labels, dag);
  if (const Node* concurrency = root.find("concurrency")) read_concurrency(reader, *concurrency, dag);
  if (const Node* fail_fast = root.find("fail_fast")) {
    const std::vector<std::string> choices = {"off", "finish", "cancel"};
    const auto found = reader.choice(*fail_fast, "fail_fast", choices);
    dag.fail_fast = static_cast<FailFast>(found.value_or(0));
  }
}

TaskList read_task_ids(Reader& reader, const Node& root, Dag& dag) {
  TaskList out;
  const Node* tasks = root.find("tasks");
  if (tasks == nullptr || tasks->is_scalar() || tasks->children.empty()) {
    reader.complaints().error(tasks != nullptr ? *tasks : root,
                              "the DAG needs 'tasks', such as [{id: hello, run: echo hello}]");
    return out;
  }
  std::unordered_map<std::string_view, const Node*> seen;
  const auto add = [&](const Node& id, const Node& task) {
    const auto name = reader.identifier(id, "id");
    if (!name) return;
    const auto [first, fresh] = seen.emplace(id.text, &id);
    if (!fresh) {
      reader.complaints().error(
          id, fmt::format("there are two tasks '{}'; the first is in line {}", *name, first->second->place.line));
      return;
    }
    dag.tasks.emplace_back().id = *name;
    out.nodes.push_back(&task);
  };
  for (std::size_t i = 0; tasks->is_map() && i < tasks->members(); ++i) {
    add(tasks->key(i), tasks->value(i));
    if (const Node* id = tasks->value(i).find("id")) {
      reader.complaints().error(*id, "in a map of tasks the key is the id; take 'id' out");
    }
  }
  for (std::size_t i = 0; tasks->is_list() && i < tasks->children.size(); ++i) {
    const Node& task = *tasks->children[i];
    const Node* id = task.find("id");
    if (id != nullptr) {
      add(*id, task);
    } else {
      reader.complaints().error(
          task, task.is_map() ? "a task needs an 'id'" : "a task is a map, such as {id: hello, run: echo hello}");
    }
  }
  if (dag.tasks.size() > kTasksMax) {
    reader.complaints().error(*tasks, fmt::format("more than {} tasks; a 'foreach' holds more", kTasksMax));
  }
  dag.index_tasks();
  return out;
}

}  // namespace chappe
