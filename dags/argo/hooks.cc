// Hooks of tasks, and what comes at the end of a workflow.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "dags/argo/workflow.h"

namespace chappe::argo {

using yaml::Node;

namespace {

/// When a hook with this condition runs, as one of Chappe's hooks; "": at the end, whatever it is; nullopt: another
/// time.
std::optional<std::string> event_of(const Node* expression) {
  if (expression == nullptr) return "";
  const std::string& text = expression->text;
  const bool simple = text.find("status ==") != std::string::npos && text.find("||") == std::string::npos &&
                      text.find("&&") == std::string::npos;
  std::optional<std::string> event;
  constexpr std::pair<std::string_view, std::string_view> kEvents[] = {
      {"Running", "on_start"}, {"Succeeded", "on_success"}, {"Failed", "on_failure"}};
  for (const auto& [state, name] : kEvents) {
    if (!simple || text.find(state) == std::string::npos) continue;
    if (event) return std::nullopt;
    event = name;
  }
  return event;
}

}  // namespace

/// One of the task's own hooks where its template is one; else a task after it.
void Importer::flatten_hook(std::size_t task, const Node& hook, const Scope* scope) {
  const Node* body = hook.is_scalar() ? find_template(hook.text) : template_of(hook);
  const Node* expression = hook.find("expression");
  const auto event = event_of(expression);
  if (!event) {
    return note(*expression,
                "a hook with this condition is not taken over; there are those that run when the task starts, succeeds "
                "or fails",
                task);
  }
  if (body == nullptr || is_nested(*body)) {
    return note(hook, "a hook is taken over where it is one container or script", task);
  }
  const bool program = body->find("container") != nullptr || body->find("script") != nullptr;
  const Node* own = tasks_[task].body;
  const bool waits = own != nullptr && own->find("suspend") != nullptr;
  if (program && body->find("outputs") == nullptr && body->find("memoize") == nullptr &&
      !(waits && *event == "on_start")) {
    note_once(hook, "a hook that fails does not fail the run: write 'allow_failure: false' into it where it shall");
    if (!event->empty()) return add_hook(task, hook, body, scope, *event);
    add_hook(task, hook, body, scope, "on_success");
    return add_hook(task, hook, body, scope, "on_failure");
  }
  if (*event == "on_start") {
    return note(
        hook, "a hook that runs beside its task is taken over where it is a container or script without outputs", task);
  }
  add_task_after(task, hook, body, scope,
                 *event == "on_success"   ? kSucceeded
                 : *event == "on_failure" ? kFailed | kErrored
                                          : kSucceeded | kFailed | kErrored);
}

/// `key`: the event that it is for.
void Importer::add_hook(std::size_t task, const Node& hook, const Node* body, const Scope* scope, std::string key) {
  FlatTask inside;
  inside.id = unique_id(fmt::format("{}_{}", tasks_[task].id, key));
  inside.place = &hook;
  inside.call = &hook;
  inside.body = body;
  inside.scope = scope;
  inside.hook = std::move(key);
  const unsigned ends = inside.hook == "on_success" ? kSucceeded : kSucceeded | kFailed | kErrored;
  const std::size_t position = add_task(std::move(inside));
  connect(position, translate(Condition::term(task, ends), hook, position), hook);  // For what it may read.
  tasks_[task].hooks.push_back(position);
}

void Importer::add_task_after(std::size_t task, const Node& hook, const Node* body, const Scope* scope, unsigned ends) {
  FlatTask after;
  after.id = unique_id(tasks_[task].id + (ends == kSucceeded  ? "_on_success"
                                          : ends & kSucceeded ? "_on_exit"
                                                              : "_on_failure"));
  after.place = &hook;
  after.call = &hook;
  after.body = body;
  after.scope = scope;
  const std::size_t position = add_task(std::move(after));
  connect(position, translate(Condition::term(task, ends), hook, position), hook);
  order_.push_back(position);
}

// ---- handlers -----------------------------------------------------------------------------------------------------

void Importer::flatten_handlers() {
  struct Handler {
    const Node* body;
    const Node* call;
    std::string handles;
  };
  std::vector<Handler> exits;
  if (const Node* exit = spec_->find("onExit"); exit != nullptr && exit->is_scalar()) {
    const Node* body = find_template(exit->text);
    if (body == nullptr) note(*exit, fmt::format("there is no template '{}' in this file", exit->text));
    if (body != nullptr) exits.push_back({body, nullptr, "exit"});
  }
  if (const Node* hooks = spec_->find("hooks"); hooks != nullptr && hooks->is_map()) {
    for (std::size_t i = 0; i < hooks->members(); ++i) {
      const auto event = event_of(hooks->value(i).find("expression"));
      if (!event || *event == "on_start") {
        note(hooks->value(i),
             "of the workflow's hooks those are taken over that run at its end, with success or failure");
      } else if (const Node* body = template_of(hooks->value(i))) {
        exits.push_back({body, &hooks->value(i), event->empty() ? "exit" : event->substr(3)});
      }
    }
  }
  const std::size_t before = order_.size();
  for (const auto& [body, call, handles] : exits) {
    Scope& scope = open(nullptr, call, *body, fmt::format("on_{}_", handles));
    if (is_nested(*body)) {
      const std::size_t begin = order_.size();
      (void)flatten_body(scope, {});
      for (std::size_t i = begin; i < order_.size(); ++i) tasks_[order_[i]].handles = handles;
      continue;
    }
    FlatTask task;
    task.id = unique_id("on_" + handles);
    task.handles = handles;
    task.place = call != nullptr ? call : body;
    task.call = call;
    task.body = body;
    task.scope = call != nullptr ? &open(nullptr, nullptr, *body, "") : nullptr;
    order_.push_back(add_task(std::move(task)));
  }
  bool ordered = false, fanned = false, hooked = false;
  // A handler waits for nobody: points to gather at have no use.
  const auto is_point = [&](std::size_t task) {
    const bool point = tasks_[task].kind == FlatTask::Kind::kPoint;
    if (point && tasks_[task].has_when)
      note(*tasks_[task].place,
           "'when' of a template with tasks of its own is not "
           "taken over in an exit handler: its tasks run");
    return point;
  };
  const auto first = order_.begin() + static_cast<std::ptrdiff_t>(before);
  order_.erase(std::remove_if(first, order_.end(), is_point), order_.end());
  for (std::size_t i = before; i < order_.size(); ++i) {
    FlatTask& task = tasks_[order_[i]];
    ordered |= !task.edges.empty();
    fanned |= task.fans_out;
    hooked |= !task.hooks.empty();
    task.hooks.clear();
    task.edges.clear();
    task.rule.clear();
    task.handler = true;
  }
  if (ordered)
    note(*tasks_[order_[before]].place,
         "the steps of an exit handler run one after the other in Argo, and all "
         "at once here: make those that need each other one");
  if (fanned) note(*tasks_[order_[before]].place, "a handler takes no fan-out: only the task is taken over");
  if (hooked) note(*tasks_[order_[before]].place, "a handler has no hooks: those of its tasks are not taken over");
}

}  // namespace chappe::argo
