// What a task is, what it depends on, and where its settings come from.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "dags/loader/hooks.h"
#include "dags/loader/keys.h"
#include "dags/loader/policies.h"
#include "dags/loader/task_reader.h"
#include "engine/base/text.h"

namespace chappe {

using yaml::Node;

/// Keys that do not fit all kinds of tasks.
struct TaskReader::KeyUse {
  std::string_view key;
  unsigned kinds;
};
const TaskReader::KeyUse TaskReader::kKeyUses[] = {
    {"shell", kScript},
    {"args", kCommand},
    {"env", kScript | kCommand},
    {"secrets", kScript | kCommand | kHttp},
    {"store_credentials", kScript | kCommand},
    {"image", kScript | kCommand},
    {"container", kScript | kCommand},
    {"sidecars", kScript | kCommand},
    {"inputs", kScript | kCommand},
    {"outputs", kScript | kCommand | kHttp},
    {"kill_grace", kScript | kCommand},
    {"foreach", kScript | kCommand | kNoop | kHttp | kDataCheck | kWait | kHuman | kDagRun},
    {"loop", kScript | kCommand | kHttp},
    {"cache", kScript | kCommand},
    {"state", kScript | kCommand | kHttp},
    {"service", kScript | kCommand},
    {"setup", kScript | kCommand | kNoop | kHttp | kDataCheck | kDagRun},
    {"teardown_of", kScript | kCommand | kNoop | kHttp | kDataCheck | kDagRun},
    {"retry", kScript | kCommand | kNoop | kHttp | kDataCheck | kDagRun},
    {"retries", kScript | kCommand | kNoop | kHttp | kDataCheck | kDagRun},
    {"infra_retry", kScript | kCommand | kNoop | kHttp | kDataCheck},
    {"timeout", kScript | kCommand | kNoop | kHttp | kDataCheck},
    {"queue_timeout", kScript | kCommand | kNoop | kHttp | kDataCheck},
    {"deadline", kScript | kCommand | kNoop | kHttp | kDataCheck | kDagRun},
    {"pool", kScript | kCommand | kNoop | kHttp | kDataCheck},
    {"slots", kScript | kCommand | kNoop | kHttp | kDataCheck},
    {"priority", kScript | kCommand | kNoop | kHttp | kDataCheck},
    {"resources", kScript | kCommand | kNoop | kHttp | kDataCheck},
    {"locks", kScript | kCommand | kNoop | kHttp | kDataCheck},
    {"max_active_per_dag", kScript | kCommand | kNoop | kHttp | kDataCheck},
    {"rate", kScript | kCommand | kNoop | kHttp | kDataCheck},
    {"worker_selector", kScript | kCommand | kNoop | kHttp | kDataCheck},
    {"tolerations", kScript | kCommand | kNoop | kHttp | kDataCheck},
    {"executor", kScript | kCommand},
    {"node_selector", kScript | kCommand},
    {"volumes", kScript | kCommand},
    {"service_account", kScript | kCommand},
    {"lineage", kScript | kCommand | kNoop | kHttp | kDataCheck},
    {"on_start", kScript | kCommand | kNoop | kHttp | kDataCheck},
    {"on_retry", kScript | kCommand | kNoop | kHttp | kDataCheck},
};

namespace {

struct KindKey {
  std::string_view key;
  unsigned kind;
};
constexpr std::array kKindKeys = {KindKey{"run", 1},    KindKey{"command", 2},  KindKey{"noop", 4},
                                  KindKey{"check", 8},  KindKey{"promote", 16}, KindKey{"wait", 32},
                                  KindKey{"human", 64}, KindKey{"dag", 128},    KindKey{"http", 256}};

std::string_view name_of_kind(unsigned kind) {
  if (kind == 512) return "check";  // Of data.
  for (const KindKey& candidate : kKindKeys) {
    if (candidate.kind == kind) return candidate.key;
  }
  return "";
}

/// Of the task's own: defaults are for tasks of all kinds. `first`: what the first try asks for, if it asks at all.
void check_scale(Complaints& complaints, const Node& task, const Resources* first) {
  const Node* retry = task.find("retry");
  const Node* scale = retry == nullptr || !retry->is_map() ? nullptr : retry->find("scale");
  if (scale == nullptr || !scale->is_map()) return;
  if (first == nullptr) {
    complaints.error(*scale, "'scale' multiplies 'resources', which only a task with 'run' or 'command' asks for");
  } else if (const Node* memory = scale->find("memory"); memory != nullptr && first->memory_bytes == 0) {
    complaints.error(*memory, "'memory' multiplies what the task asks for; give it 'resources: {memory: ...}', too");
  }
}

}  // namespace

TaskReader::TaskReader(Reader& reader, Names& names, yaml::Tree& tree, Dag& dag, const Node* defaults)
    : reader_(reader),
      complaints_(reader.complaints()),
      names_(names),
      tree_(tree),
      dag_(dag),
      defaults_(defaults == nullptr ? nullptr : &with_retry_limit(*defaults)),
      depended_on_by_(dag.tasks.size()),
      nodes_(dag.tasks.size()),
      rule_written_(dag.tasks.size()),
      is_setup_(dag.tasks.size()) {}

bool TaskReader::applies(std::string_view key, Kind kind) {
  for (const KeyUse& use : kKeyUses) {
    if (use.key == key) return (use.kinds & kind) != 0;
  }
  return true;
}

std::optional<TaskReader::Kind> TaskReader::kind_of(const Node& node, bool spelled) {
  std::vector<std::string_view> found;
  Kind kind = kNoop;
  for (const KindKey& candidate : kKindKeys) {
    if (node.find(candidate.key) == nullptr) continue;
    found.push_back(candidate.key);
    kind = static_cast<Kind>(candidate.kind);
  }
  if (found.size() == 1) return kind == kCheck && is_about_data(*node.find("check")) ? kDataCheck : kind;
  if (found.empty() && !spelled) return std::nullopt;
  const std::string& id = dag_.tasks[index_].id;
  complaints_.error(node, found.empty()
                              ? fmt::format("task '{}' has nothing to do: give it one of run, command, noop, check, "
                                            "promote, wait, human, dag and http",
                                            id)
                              : fmt::format("task '{}' can do one thing only, not {}", id, fmt::join(found, " and ")));
  return std::nullopt;
}

/// `retries: 3` is short for `retry: {limit: 3}`.
const Node& TaskReader::with_retry_limit(const Node& node) {
  const Node* retries = node.find("retries");
  if (retries == nullptr || !reader_.integer(*retries, "retries", 0, kRetryLimitMax)) return node;
  const Node* retry = node.find("retry");
  if (retry != nullptr && retry->find("limit") != nullptr) {
    complaints_.error(*retries, "'retries' is short for 'retry: {limit: ...}'; give one of the two");
    return node;
  }
  const auto word = [&](std::string_view text) -> const Node* {
    Node key;
    key.text = text;
    key.place = retries->place;
    return &tree_.make(std::move(key));
  };
  Node limit;
  limit.kind = Node::Kind::kMap;
  limit.place = retries->place;
  limit.children = {word("limit"), retries};
  const Node* whole = &tree_.make(std::move(limit));
  if (retry != nullptr && retry->is_map()) whole = &merged(*retry, *whole);
  Node out = node;
  out.children.clear();
  for (std::size_t i = 0; i < node.members(); ++i) {
    if (node.key(i).text == "retries" || node.key(i).text == "retry") continue;
    out.children.insert(out.children.end(), {&node.key(i), &node.value(i)});
  }
  out.children.insert(out.children.end(), {word("retry"), whole});
  return tree_.make(std::move(out));
}

/// Maps are merged, whatever their depth; of anything else `over` wins.
const Node& TaskReader::merged(const Node& over, const Node& base) {
  Node out;
  out.kind = Node::Kind::kMap;
  out.place = over.place;
  for (std::size_t i = 0; i < over.members(); ++i) {
    const Node* below = base.find(over.key(i).text);
    const bool deep = below != nullptr && below->is_map() && over.value(i).is_map();
    out.children.insert(out.children.end(), {&over.key(i), deep ? &merged(over.value(i), *below) : &over.value(i)});
  }
  for (std::size_t i = 0; i < base.members(); ++i) {
    if (over.find(base.key(i).text) == nullptr) {
      out.children.insert(out.children.end(), {&base.key(i), &base.value(i)});
    }
  }
  return tree_.make(std::move(out));
}

const Node& TaskReader::with_defaults(const Node& node, Kind kind) {
  if (defaults_ == nullptr) return node;
  Node fitting;
  fitting.kind = Node::Kind::kMap;
  fitting.place = defaults_->place;
  for (std::size_t i = 0; i < defaults_->members(); ++i) {
    if (!applies(defaults_->key(i).text, kind)) continue;
    fitting.children.insert(fitting.children.end(), {&defaults_->key(i), &defaults_->value(i)});
  }
  return fitting.children.empty() ? node : merged(node, fitting);
}

/// Where it stands says when it runs.
void TaskReader::check_handler(const Node& node, std::string_view what) {
  for (std::size_t i = 0; i < node.members(); ++i) {
    const std::string& key = node.key(i).text;
    const bool placed = key == "depends_on" || key == "trigger_rule" || key == "foreach" || key == "latest_only" ||
                        key == "depends_on_past";
    const bool hooked =
        std::any_of(kHookKeys.begin(), kHookKeys.end(), [&](const auto& each) { return each.key == key; });
    if (placed || hooked) complaints_.error(node.key(i), fmt::format("a {} takes no '{}'", what, key));
  }
}

void TaskReader::read(std::uint32_t index, const Node& node, bool init) {
  index_ = index;
  Task& task = dag_.tasks[index];
  nodes_[index] = &node;
  names_.enter_task(index, nullptr);
  const std::size_t errors = complaints_.errors();
  if (!reader_.check_keys(node, keys::kTask)) return;
  const bool watches = task.hook == HookEvent::kWait || task.hook == HookEvent::kLate;
  const bool handles = init || task.handler != Handler::kNone || watches;
  if (handles || task.is_hook()) check_handler(node, handles ? "handler" : "hook");
  if (task.is_hook()) check_hook(node);
  const auto kind = kind_of(node, complaints_.errors() == errors);
  for (std::size_t i = 0; kind && i < node.members(); ++i) {
    const std::string& key = node.key(i).text;
    if (applies(key, *kind)) continue;
    const bool inside = key == "timeout" && (*kind & (kWait | kHuman)) != 0;
    complaints_.error(node.key(i), fmt::format("a '{}' task takes no '{}'{}", name_of_kind(*kind), key,
                                               inside ? fmt::format("; put it inside '{}'", name_of_kind(*kind)) : ""));
  }
  const Node& own = with_retry_limit(node);
  const Node& all = kind ? with_defaults(own, *kind) : own;
  if (const Node* items = node.find("foreach")) {
    task.foreach = read_foreach(reader_, names_, index, *items);
    names_.enter_task(index, &*task.foreach);
  }
  fan_out_hook(task);
  read_general(task, all);
  const Node* foreach = node.find("foreach");
  const Node* listed = foreach == nullptr ? nullptr : foreach->find("s3_list");
  if (listed != nullptr && !handles && !task.is_hook()) attach_listing(task, *listed);
  if (task.is_hook()) attach_hook(task, node.find("allow_failure") != nullptr);
  read_policies(task, all);
  // By default it is for those that do the work.
  const bool beside = handles || task.is_hook() || node.find("teardown_of") != nullptr;
  if (!beside) reader_.take_boolean(all, "depends_on_past", task.depends_on_past);
  if (!kind) return;
  task.kind = *kind == kNoop        ? TaskKind::kNoop
              : *kind == kCheck     ? TaskKind::kCheck
              : *kind == kPromote   ? TaskKind::kPromote
              : *kind == kWait      ? TaskKind::kWait
              : *kind == kHuman     ? TaskKind::kHuman
              : *kind == kDagRun    ? TaskKind::kDag
              : *kind == kHttp      ? TaskKind::kHttp
              : *kind == kDataCheck ? TaskKind::kData
                                    : TaskKind::kRun;
  if (const Node* check = node.find("check")) read_check(task, *check);
  if (const Node* promote = node.find("promote")) read_promote(task, *promote);
  if (const Node* wait = node.find("wait")) read_wait(task, *wait);
  if (const Node* human = node.find("human")) read_human(task, *human);
  if (applies("teardown_of", *kind)) read_teardown(task, node);
  if (applies("executor", *kind)) task.pod = read_pod(reader_, all);
  task.any_executor = all.find("executor") == nullptr;
  const Node* dag = node.find("dag");
  WorkSpec work = dag != nullptr ? read_subdag(task, *dag) : read_work(task, all, *kind);
  if (const Node* service = node.find("service"); service != nullptr && applies("service", *kind)) {
    read_service(task, work, all, *service);
  }
  if (const Node* loop = node.find("loop"); loop != nullptr && applies("loop", *kind)) read_loop(task, work, *loop);
  const bool keeps = applies("cache", *kind) && !work.service;
  if (const Node* cache = all.find("cache"); cache != nullptr && keeps) {
    read_cache(task, work, *cache, node.find("cache") != nullptr, handles || task.is_hook());
  }
  if (const Node* lineage = node.find("lineage"); lineage != nullptr && applies("lineage", *kind)) {
    read_lineage(task, *lineage);
  }
  if (const Node* state = all.find("state")) check_states(task, work, *state);
  constexpr unsigned kWork = kScript | kCommand | kNoop | kDagRun | kHttp | kDataCheck;
  check_scale(complaints_, node, task.kind == TaskKind::kRun ? &work.resources : nullptr);
  if ((*kind & kWork) != 0) task.work = work_specs_.share(std::move(work));
}

void TaskReader::read_general(Task& task, const Node& node) {
  reader_.take_text(node, "description", task.description);
  reader_.take_text(node, "group", task.group);
  if (const Node* depends_on = node.find("depends_on")) read_depends_on(task, *depends_on);
  if (const Node* rule = node.find("trigger_rule")) {
    task.trigger_rule = read_trigger_rule(reader_, *rule);
    rule_written_[index_] = true;
  }
  if (const Node* when = node.find("when")) {
    if (auto condition = names_.parse_expression(*when, site::kWhen, "when")) task.when = std::move(*condition);
  }
  reader_.take_boolean(node, "latest_only", task.latest_only);
  if (const Node* allow = node.find("allow_failure")) task.allow_failure = read_allow_failure(reader_, *allow);
}

void TaskReader::read_policies(Task& task, const Node& node) {
  constexpr std::int64_t kSlotsMax = 65'535;
  constexpr std::int64_t kPriorityMax = 1'000'000;
  if (const Node* retry = node.find("retry")) task.retry = read_retry(reader_, *retry);
  if (const Node* retry = node.find("infra_retry")) task.infra_retry = read_infra_retry(reader_, *retry);
  reader_.take_duration(node, "queue_timeout", task.queue_timeout);
  reader_.take_duration(node, "deadline", task.deadline);
  reader_.take_integer(node, "slots", 1, kSlotsMax, task.slots);
  reader_.take_integer(node, "priority", -kPriorityMax, kPriorityMax, task.priority);
  read_gates(task, node);
  task.where = read_whereabouts(reader_, node);
  if (const Node* pool = node.find("pool")) {
    std::string name = pool->text;
    std::replace(name.begin(), name.end(), '-', '_');
    if (pool->is_scalar() && is_identifier(name)) {
      task.pool = pool->text;
    } else {
      complaints_.error(
          *pool, fmt::format("'pool' needs a name of letters, digits, '_' and '-', not {}", Reader::shown(*pool)));
    }
  }
}

// ---- Dependencies -------------------------------------------------------------------------------------------------

void TaskReader::read_depends_on(Task& task, const Node& node) {
  if (!reader_.is_list(node, "depends_on",
                       node.is_scalar() && !node.is_null() ? fmt::format("[{}]", node.text) : "[extract]")) {
    return;
  }
  for (const Node* item : node.children) read_dependency(task, *item);
}

void TaskReader::read_dependency(Task& task, const Node& node) {
  if (node.is_scalar()) {
    if (depend_on_group(task, node, {})) return;
    if (const auto found = find_task(node, 0, node.text)) depend_on(task, {.task = *found}, &node);
    return;
  }
  if (!reader_.check_keys(node, keys::kDependency)) return;
  const Node* id = node.find("task");
  if (id == nullptr) return complaints_.error(node, "an item of 'depends_on' needs a 'task'");
  Dependency dependency;
  if (const Node* on = node.find("on"); on != nullptr && reader_.is_list(*on, "on", "[succeeded, skipped]")) {
    dependency.plain = false;
    const std::vector<std::string> ends = {"succeeded", "failed", "skipped", "done"};
    for (const Node* end : on->children) {
      const auto which = reader_.choice(*end, "on", ends);
      dependency.on_succeeded |= which == 0U || which == 3U;
      dependency.on_failed |= which == 1U || which == 3U;
      dependency.on_skipped |= which == 2U || which == 3U;
    }
    if (on->children.empty()) complaints_.error(*on, "'on' is empty, so the task could never start");
  }
  if (id->is_scalar() && depend_on_group(task, *id, dependency)) return;
  const auto found = id->is_scalar() ? find_task(*id, 0, id->text) : std::nullopt;
  if (!id->is_scalar()) (void)reader_.text(*id, "task");
  if (!found) return;
  dependency.task = *found;
  depend_on(task, dependency, id);
}

/// `written`: where the dependency stands in the file; nullptr where it follows from something else.
void TaskReader::depend_on(Task& task, Dependency dependency, const Node* written) {
  std::uint32_t& last = depended_on_by_[dependency.task];
  if (last == index_ + 1) {
    if (written != nullptr) {
      complaints_.error(*written, fmt::format("'{}' stands twice in 'depends_on'", dag_.tasks[dependency.task].id));
    }
    return;
  }
  last = index_ + 1;
  if (dependency.task == index_) {
    if (written != nullptr) complaints_.error(*written, fmt::format("task '{}' waits for itself", task.id));
    return;
  }
  task.depends_on.push_back(dependency);
}

std::optional<std::uint32_t> TaskReader::find_task(const Node& node, std::size_t offset, const std::string& id) {
  const auto found = dag_.find(id);
  if (found && !dag_.tasks[*found].is_hook()) return found;
  if (found) {
    complaints_.error(node, offset, fmt::format("'{}' is a hook: nothing can wait for it", id));
    return std::nullopt;
  }
  // Each suggestion looks at all tasks: with thousands of mistakes the first few must do.
  constexpr std::uint32_t kSuggestionsMax = 20;
  std::string near;
  if (suggestions_++ < kSuggestionsMax) {
    if (task_ids_.empty()) {
      for (const Task& task : dag_.tasks) task_ids_.push_back(task.id);
    }
    near = Reader::suggestion(id, task_ids_);
  }
  complaints_.error(node, offset, fmt::format("there is no task '{}'{}", id.substr(0, 100), near));
  return std::nullopt;
}

}  // namespace chappe
