// Setups, teardowns, runs of other DAGs, and groups as what others wait for.
#include <fmt/format.h>

#include <algorithm>

#include "dags/loader/given_params.h"
#include "dags/loader/graph.h"
#include "dags/loader/keys.h"
#include "dags/loader/task_reader.h"
#include "engine/base/text.h"

namespace chappe {

using yaml::Node;

// ---- Groups -------------------------------------------------------------------------------------------------------

void TaskReader::know_groups(const std::vector<const Node*>& tasks) {
  for (std::uint32_t i = 0; i < tasks.size(); ++i) {
    if (dag_.tasks[i].is_hook()) continue;
    const Node* group = tasks[i]->find("group");
    if (group == nullptr && defaults_ != nullptr) group = defaults_->find("group");
    if (group != nullptr && group->is_scalar() && !group->text.empty()) groups_[group->text].push_back(i);
  }
}

/// A name that is no task's may be a group's: all of its tasks. True: it is.
bool TaskReader::depend_on_group(Task& task, const Node& node, const Dependency& like) {
  const auto group = groups_.find(node.text);
  if (group == groups_.end() || dag_.find(node.text)) return false;
  if (std::find(group->second.begin(), group->second.end(), index_) != group->second.end()) {
    complaints_.error(
        node, fmt::format("task '{}' is in the group '{}' itself, and cannot wait for all of it", task.id, node.text));
    return true;
  }
  for (const std::uint32_t each : group->second) {
    Dependency dependency = like;
    dependency.task = each;
    depend_on(task, dependency, nullptr);
  }
  return true;
}

// ---- Setups and teardowns -----------------------------------------------------------------------------------------

void TaskReader::read_teardown(Task& task, const Node& node) {
  reader_.take_boolean(node, "setup", is_setup_[index_]);
  const Node* of = node.find("teardown_of");
  if (of == nullptr) return;
  for (const std::string_view key : {"trigger_rule", "latest_only", "depends_on_past", "foreach"}) {
    const Node* other = node.find(key);
    if (other == nullptr) continue;
    complaints_.error(*other, key == "foreach" ? std::string("a teardown runs once: it takes no 'foreach'")
                                               : std::string("a teardown has a rule of its own: its setup succeeded, "
                                                             "and all it waits for has ended"));
  }
  const auto add = [&](const Node& id) {
    if (!id.is_scalar()) return complaints_.error(id, "'teardown_of' is the id of a setup, or a list of them");
    const auto found = find_task(id, 0, id.text);
    if (!found) return;
    if (*found == index_) return complaints_.error(id, fmt::format("task '{}' cannot be its own teardown", task.id));
    task.teardown_of.push_back(*found);
    depend_on(task, {.task = *found}, nullptr);
  };
  if (of->is_list()) {
    for (const Node* id : of->children) add(*id);
  } else {
    add(*of);
  }
  if (of->is_list() && of->children.empty()) complaints_.error(*of, "'teardown_of' names no setup");
  task.trigger_rule = TriggerRule::kAllDone;
  rule_written_[index_] = true;
  if (node.find("allow_failure") == nullptr) task.allow_failure.always = true;
  if (node.find("depends_on") == nullptr) waits_for_all_.push_back(index_);
}

/// A depth-first fan-out goes item by item with what it depends on that fans out: all over the same items.
void TaskReader::finish_fan_outs() {
  const auto is_depth_first = [](const Task& task) { return task.foreach && task.foreach->depth_first; };
  if (std::none_of(dag_.tasks.begin(), dag_.tasks.end(), is_depth_first)) return;
  if (!find_cycles(dag_).empty()) return;  // Told elsewhere.
  for (const std::uint32_t at : topological_order(dag_)) {
    if (is_depth_first(dag_.tasks[at]) && !dag_.tasks[at].is_hook()) find_leader(at);
  }
}

void TaskReader::find_leader(std::uint32_t at) {
  Task& task = dag_.tasks[at];
  std::optional<std::uint32_t> leader, by;
  for (const Dependency& edge : task.depends_on) {
    const auto& foreach = dag_.tasks[edge.task].foreach;
    if (!foreach) continue;
    const std::uint32_t own = foreach->depth_first ? foreach->leader : edge.task;
    if (!dag_.tasks[own].foreach) return;  // The one above has none to go with, and was complained about.
    if (leader && *leader != own) {
      complaints_.error(
          *nodes_[at]->find("foreach"),
          fmt::format("'{}' and '{}' fan out over items of their own: a task with 'depth_first' goes item "
                      "by item with one of them",
                      dag_.tasks[*by].id, dag_.tasks[edge.task].id));
      return;
    }
    leader = own;
    by = edge.task;
  }
  if (!leader) {
    complaints_.error(*nodes_[at]->find("foreach"),
                      "'depth_first' goes item by item with a task above, and none in depends_on has a 'foreach'");
    return;
  }
  task.foreach->leader = *leader;
  task.foreach->late = dag_.tasks[*leader].foreach->late;
  dag_.tasks[*leader].followers.push_back(at);
  for (const std::uint32_t hook : task.hooks) {
    dag_.tasks[hook].foreach->leader = *leader;
    dag_.tasks[hook].foreach->late = task.foreach->late;
  }
}

/// A teardown that does not say what it waits for waits for all that needs its setup.
void TaskReader::finish_teardowns() {
  std::vector<bool> torn_down(dag_.tasks.size());
  for (const Task& task : dag_.tasks) {
    for (const std::uint32_t setup : task.teardown_of) torn_down[setup] = true;
  }
  for (std::uint32_t i = 0; i < is_setup_.size(); ++i) {
    if (!is_setup_[i] || torn_down[i]) continue;
    complaints_.warn(*nodes_[i], fmt::format("'{}' is a setup, and no task is its teardown: give one 'teardown_of: {}'",
                                             dag_.tasks[i].id, dag_.tasks[i].id));
  }
  for (const std::uint32_t teardown : waits_for_all_) {
    Task& task = dag_.tasks[teardown];
    const std::vector<bool> below = descendants_of(dag_, {teardown});
    const std::vector<bool> within = descendants_of(dag_, task.teardown_of);
    for (std::uint32_t i = 0; i < dag_.tasks.size(); ++i) {
      const auto& edges = task.depends_on;
      const bool known =
          std::any_of(edges.begin(), edges.end(), [&](const Dependency& edge) { return edge.task == i; });
      if (within[i] && !below[i] && !known && dag_.tasks[i].teardown_of.empty() && !dag_.tasks[i].is_hook())
        task.depends_on.push_back({.task = i});
    }
  }
}

// ---- Runs of other DAGs -------------------------------------------------------------------------------------------

WorkSpec TaskReader::read_subdag(Task& task, const Node& node) {
  WorkSpec work;
  SubDagSpec out;
  if (node.is_scalar() && !node.is_null()) {
    out.dag = reader_.identifier(node, "dag").value_or("");
    task.subdag = std::move(out);
    return work;
  }
  if (!reader_.check_keys(node, keys::kSubDag)) return work;
  if (node.find("name") == nullptr) complaints_.error(node, "'dag' needs the 'name' of the DAG to run");
  reader_.take_identifier(node, "name", out.dag);
  reader_.take_boolean(node, "wait", out.wait);
  if (const Node* params = node.find("params")) out.params = read_given_params(reader_, names_, site::kParams, *params);
  if (const Node* outputs = node.find("outputs")) read_subdag_outputs(out, work, *outputs);
  if (const Node* artifacts = node.find("artifacts")) read_subdag_artifacts(out, work, *artifacts);
  task.subdag = std::move(out);
  return work;
}

void TaskReader::read_subdag_outputs(SubDagSpec& out, WorkSpec& work, const Node& node) {
  if (!out.wait) complaints_.error(node, "'outputs' of a run that is not waited for are never known; leave out 'wait'");
  if (!node.is_map()) {
    return complaints_.error(
        node, fmt::format("'outputs' is a map such as {{rows: load.rows}}, not {}", Reader::shown(node)));
  }
  for (std::size_t i = 0; i < node.members(); ++i) {
    const auto name = reader_.identifier(node.key(i), "outputs");
    const Node& from = node.value(i);
    const std::size_t dot = from.is_scalar() ? from.text.find('.') : std::string::npos;
    const bool of_run = dot == std::string::npos;
    const std::string task = of_run ? "" : from.text.substr(0, dot);
    const std::string value = of_run ? from.text : from.text.substr(dot + 1);
    if (!from.is_scalar() || !(of_run || is_identifier(task)) || !is_identifier(value)) {
      complaints_.error(from,
                        fmt::format("an output is a value that the other DAG publishes, such as rows, or TASK.VALUE "
                                    "of it, such as load.rows, not {}",
                                    Reader::shown(from)));
      continue;
    }
    if (!name) continue;
    out.outputs.push_back({*name, task, value});
    work.values.emplace_back().name = *name;
  }
}

void TaskReader::read_subdag_artifacts(SubDagSpec& out, WorkSpec& work, const Node& node) {
  if (!out.wait) {
    complaints_.error(node, "'artifacts' of a run that is not waited for are never known; leave out 'wait'");
  }
  if (!node.is_map()) {
    return complaints_.error(node,
                             fmt::format("'artifacts' is a map such as {{model: model}}, not {}", Reader::shown(node)));
  }
  for (std::size_t i = 0; i < node.members(); ++i) {
    const auto name = reader_.identifier(node.key(i), "artifacts");
    const auto published = reader_.identifier(node.value(i), node.key(i).text);
    if (!name || !published) continue;
    out.artifacts.push_back({*name, *published});
    work.outputs.emplace_back().name = *name;
  }
  check_unique(work, node);
}

}  // namespace chappe
