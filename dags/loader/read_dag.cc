#include "dags/loader/read_dag.h"

#include <fmt/format.h>

#include <unordered_map>

#include "dags/loader/hooks.h"
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
  if (const Node* on_limit = node.find("on_limit")) {
    const std::vector<std::string> choices = {"queue", "skip", "replace", "latest"};
    dag.on_limit = static_cast<OnLimit>(reader.choice(*on_limit, "on_limit", choices).value_or(0));
  }
}

/// "2h", or more about it.
std::optional<Deadline> read_deadline(Reader& reader, const Node& node) {
  Deadline out;
  if (node.is_scalar()) {
    const auto after = reader.duration(node, "deadline");
    out.after = after.value_or(out.after);
    return after ? std::optional(out) : std::nullopt;
  }
  if (!reader.check_keys(node, keys::kDeadline)) return std::nullopt;
  reader.take_duration(node, "after", out.after);
  if (node.find("after") == nullptr) reader.complaints().error(node, "'deadline' needs 'after', as in {after: 2h}");
  const std::vector<std::string> references = {"queued", "started", "logical_time"};
  if (const Node* reference = node.find("reference")) {
    out.from = static_cast<Deadline::From>(reader.choice(*reference, "reference", references).value_or(0));
  }
  const std::vector<std::string> actions = {"notify", "cancel"};
  if (const Node* action = node.find("action")) out.cancels = reader.choice(*action, "action", actions) == 1U;
  return out;
}

void read_retention(Reader& reader, const Node& node, Dag& dag) {
  if (!reader.check_keys(node, keys::kArtifacts)) return;
  const Node* retention = node.find("retention");
  if (retention == nullptr) return reader.complaints().error(node, "'artifacts' needs 'retention'");
  if (!reader.check_keys(*retention, keys::kRetention)) return;
  const auto take = [&](std::string_view key, Duration& into) {
    const Node* kept = retention->find(key);
    if (kept != nullptr) into = reader.retention(*kept, key).value_or(into);
  };
  take("on_success", dag.retention.on_success);
  take("on_failure", dag.retention.on_failure);
  reader.take_integer(*retention, "keep_last", 1, kKeepLastMax, dag.retention.keep_last);
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
  reader.take_integer(root, "weight", 1, kWeightMax, dag.weight);
  if (const Node* deadline = root.find("deadline")) dag.deadline = read_deadline(reader, *deadline);
  if (const Node* labels = root.find("labels")) read_labels(reader, *labels, dag);
  if (const Node* concurrency = root.find("concurrency")) read_concurrency(reader, *concurrency, dag);
  if (const Node* artifacts = root.find("artifacts")) read_retention(reader, *artifacts, dag);
  if (const Node* notify = root.find("notify")) read_notify(reader, dag, *notify);
  if (const Node* fail_fast = root.find("fail_fast")) {
    const std::vector<std::string> choices = {"off", "finish", "cancel"};
    const auto found = reader.choice(*fail_fast, "fail_fast", choices);
    dag.fail_fast = static_cast<FailFast>(found.value_or(0));
  }
}

namespace {

/// Collects tasks, from `tasks` and `handlers`.
class TaskIds {
 public:
  TaskIds(Reader& reader, const Node& root, Dag& dag, TaskList& out)
      : reader_(reader), root_(root), dag_(dag), out_(out) {}

  void read_tasks(const Node& tasks) {
    hooked_ = true;
    for (std::size_t i = 0; tasks.is_map() && i < tasks.members(); ++i) {
      add(tasks.key(i), tasks.value(i));
      if (const Node* id = tasks.value(i).find("id")) {
        reader_.complaints().error(*id, "in a map of tasks the key is the id; take 'id' out");
      }
    }
    for (std::size_t i = 0; tasks.is_list() && i < tasks.children.size(); ++i) add_item(*tasks.children[i]);
    hooked_ = false;
  }

  /// One task, which may do without an id, or a list of tasks.
  void read_handler(const Node* handlers, std::string_view event, Handler handler, HookEvent hook = HookEvent::kNone) {
    const Node* node = handlers == nullptr ? nullptr : handlers->find(event);
    if (node == nullptr) return;
    const std::size_t before = dag_.tasks.size();
    if (node->is_list()) {
      for (const Node* item : node->children) add_item(*item);
    } else if (!node->is_map()) {
      reader_.complaints().error(
          *node, fmt::format("a handler is a task, such as {{run: echo over}}, not {}", Reader::shown(*node)));
    } else if (const Node* id = node->find("id")) {
      add(*id, *node);
    } else {
      add_as(fmt::format("on_{}", event), *node, *node);
    }
    for (auto i = static_cast<std::uint32_t>(before); i < dag_.tasks.size(); ++i) {
      dag_.tasks[i].handler = handler;
      dag_.tasks[i].hook = hook;
      if (hook != HookEvent::kNone) dag_.watchers.push_back(i);
    }
  }

 private:
  void add_item(const Node& task) {
    const Node* id = task.find("id");
    if (id != nullptr) return add(*id, task);
    reader_.complaints().error(
        task, task.is_map() ? "a task needs an 'id'" : "a task is a map, such as {id: hello, run: echo hello}");
    // What else is wrong with it is told as well.
    if (task.is_map()) add_as(fmt::format("number {}", dag_.tasks.size() + 1), task, task);
  }

  void add(const Node& id, const Node& task) {
    if (auto name = reader_.identifier(id, "id")) add_as(std::move(*name), id, task);
  }

  void add_as(std::string name, const Node& id, const Node& task) {
    if (hooked_ && lists_objects(root_, task)) put(name + "_list", id, task, true);
    put(std::move(name), id, task, false);
  }

  void put(std::string name, const Node& id, const Node& task, bool lists) {
    const auto [first, fresh] = seen_.emplace(name, &id);
    if (!fresh) {
      reader_.complaints().error(id, fmt::format("there are two tasks '{}'; the first is in {}", name,
                                                 reader_.complaints().told(first->second->place, id.place)));
      return;
    }
    const auto of = static_cast<std::uint32_t>(dag_.tasks.size());
    dag_.tasks.emplace_back().id = std::move(name);
    out_.nodes.push_back(&task);
    out_.lists.push_back(lists);
    if (lists || !hooked_ || !task.is_map()) return;
    hooked_ = false;  // A hook has none.
    for (const HookKey& hook : kHookKeys) {
      if (const Node* node = find_hooks(root_, task, hook)) add_hooks(of, hook, *node);
    }
    hooked_ = true;
  }

  void add_hooks(std::uint32_t of, const HookKey& hook, const Node& node) {
    if (node.is_scalar()) {
      return reader_.complaints().error(
          node, fmt::format("'{}' is a task, such as {{run: ./tell.sh}}, not {}", hook.key, Reader::shown(node)));
    }
    const std::size_t count = node.is_list() ? node.children.size() : 1;
    for (std::size_t i = 0; i < count; ++i) {
      const Node& item = node.is_list() ? *node.children[i] : node;
      const Node* id = item.find("id");
      const auto at = static_cast<std::uint32_t>(dag_.tasks.size());
      id != nullptr ? add(*id, item) : add_as(hook_id(dag_.tasks[of].id, hook.key, i), item, item);
      if (dag_.tasks.size() == at) continue;
      dag_.tasks[at].hook = hook.event;
      dag_.tasks[at].hook_of = of;
      dag_.tasks[of].hooks.push_back(at);
      dag_.hooks.push_back(at);
    }
  }

  Reader& reader_;
  const Node& root_;
  Dag& dag_;
  TaskList& out_;
  bool hooked_ = false;  ///< Tasks that are read may have hooks.
  std::unordered_map<std::string, const Node*> seen_;
};

}  // namespace

TaskList read_task_ids(Reader& reader, const Node& root, Dag& dag) {
  TaskList out;
  const Node* tasks = root.find("tasks");
  if (tasks == nullptr || tasks->is_scalar() || tasks->children.empty()) {
    reader.complaints().error(tasks != nullptr ? *tasks : root,
                              "the DAG needs 'tasks', such as [{id: hello, run: echo hello}]");
    return out;
  }
  const Node* handlers = root.find("handlers");
  if (handlers != nullptr && !reader.check_keys(*handlers, keys::kHandlers)) handlers = nullptr;
  TaskIds ids(reader, root, dag, out);
  ids.read_handler(handlers, "init", Handler::kNone);
  out.inits = static_cast<std::uint32_t>(dag.tasks.size());
  ids.read_tasks(*tasks);
  ids.read_handler(handlers, "wait", Handler::kNone, HookEvent::kWait);
  ids.read_handler(handlers, "late", Handler::kNone, HookEvent::kLate);
  const std::size_t others = dag.tasks.size();
  ids.read_handler(handlers, "success", Handler::kSuccess);
  ids.read_handler(handlers, "failure", Handler::kFailure);
  ids.read_handler(handlers, "cancel", Handler::kCancel);
  ids.read_handler(handlers, "exit", Handler::kExit);
  dag.handlers = static_cast<std::uint32_t>(dag.tasks.size() - others);
  if (dag.tasks.size() > kTasksMax) {
    reader.complaints().error(*tasks, fmt::format("more than {} tasks; a 'foreach' holds more", kTasksMax));
  }
  dag.index_tasks();
  return out;
}

void check_limit(Reader& reader, const Node& root, const Dag& dag) {
  const Node* concurrency = root.find("concurrency");
  const Node* on_limit = concurrency == nullptr || !concurrency->is_map() ? nullptr : concurrency->find("on_limit");
  if (on_limit == nullptr || (dag.on_limit != OnLimit::kReplace && dag.on_limit != OnLimit::kLatest)) return;
  for (const Task& task : dag.tasks) {
    if (!task.depends_on_past) continue;
    return reader.complaints().error(
        *on_limit, fmt::format("'on_limit: {}' cancels runs that task '{}' would wait on (depends_on_past); "
                               "use queue or skip",
                               on_limit->text, task.id));
  }
}

void join_handlers(const TaskList& list, Dag& dag) {
  for (std::uint32_t i = 0; i < dag.tasks.size(); ++i) {
    Task& task = dag.tasks[i];
    if (task.handler == Handler::kNone && i >= list.inits && task.depends_on.empty() && !task.is_hook()) {
      for (std::uint32_t init = 0; init < list.inits; ++init) task.depends_on.push_back({.task = init});
    }
    if (task.handler != Handler::kExit) continue;
    task.trigger_rule = TriggerRule::kAllDone;
    for (std::uint32_t other = 0; other < i; ++other) {
      const Handler handler = dag.tasks[other].handler;
      if (handler != Handler::kNone && handler != Handler::kExit) task.depends_on.push_back({.task = other});
    }
  }
}

}  // namespace chappe
