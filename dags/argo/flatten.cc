// Templates are written out where they are called: what is left are tasks, and what each waits for.
#include <fmt/format.h>

#include <algorithm>

#include "dags/argo/workflow.h"
#include "dags/loader/scalar.h"
#include "engine/base/text.h"

namespace chappe::argo {

using yaml::Node;

namespace {

constexpr std::size_t kWrittenOutMax = 1'000;  ///< Items of a fan-out whose template is written out for each.

bool is_true(const Node* node) { return node != nullptr && node->is_scalar() && node->text == "true"; }

}  // namespace

std::optional<std::int64_t> integer_of(const Node* node) {
  if (node == nullptr || !node->is_scalar()) return std::nullopt;
  Node bare;
  bare.plain = true;
  bare.text = node->text;
  const Value value = yaml::scalar_value(bare).value;
  return value.as_int() == nullptr ? std::nullopt : std::optional(*value.as_int());
}

const Node* Importer::find_template(std::string_view name) const {
  return find_named(list_in(spec_, "templates"), name);
}

/// nullptr after a note: the template is not in this file.
const Node* Importer::template_of(const Node& call) {
  if (const Node* body = call.find("inline")) return body;
  if (const Node* reference = call.find("templateRef")) {
    note(*reference, fmt::format("the template '{}' stands in another file ('{}'): write what it does into the task",
                                 text_of(*reference, "template"), text_of(*reference, "name")));
    return nullptr;
  }
  const std::string name = text_of(call, "template");
  const Node* body = find_template(name);
  if (body == nullptr) note(call, fmt::format("there is no template '{}' in this file", name));
  return body;
}

Scope& Importer::open(const Scope* caller, const Node* call, const Node& body, std::string prefix) {
  Scope& scope = scopes_.emplace_back();
  scope.caller = caller;
  scope.call = call;
  scope.body = &body;
  scope.prefix = std::move(prefix);
  return scope;
}

std::string Importer::unique_id(std::string id) {
  constexpr std::size_t kIdMax = 180;
  if (id.size() > kIdMax) id.resize(kIdMax);
  if (ids_.insert(id).second) return id;
  for (std::size_t n = 2;; ++n) {
    std::string other = fmt::format("{}_{}", id, n);
    if (ids_.insert(other).second) return other;
  }
}

std::size_t Importer::add_task(FlatTask task) {
  tasks_.push_back(std::move(task));
  return tasks_.size() - 1;
}

bool Importer::is_nested(const Node& body) const {
  return body.find("dag") != nullptr || body.find("steps") != nullptr;
}

bool Importer::is_recursive(const Scope& scope, const Node& body) const {
  std::size_t depth = 0;
  for (const Scope* at = &scope; at != nullptr; at = at->caller, ++depth) {
    if (at->body == &body) return true;
  }
  return depth >= kImportDepthMax;
}

void Importer::flatten() {
  const Node* body = find_template(text_of(*spec_, "entrypoint"));
  if (is_nested(*body)) {
    (void)flatten_body(open(nullptr, nullptr, *body, ""), {});
  } else {
    FlatTask task;
    task.id = unique_id(identifier_from(text_of(*body, "name")));
    task.place = body;
    task.body = body;
    order_.push_back(add_task(std::move(task)));
  }
  handlers_from_ = order_.size();
  flatten_handlers();
}

std::vector<std::size_t> Importer::flatten_body(Scope& scope, const Condition& first) {
  const Node* dag = scope.body->find("dag");
  if (scope.caller != nullptr && scope.body->find("parallelism") != nullptr) {
    note(*scope.body->find("parallelism"),
         "'parallelism' of a template that others call is not taken over; see "
         "'max_parallel' of 'foreach', and pools");
  }
  if (dag != nullptr) return flatten_dag(scope, *dag, first);
  return flatten_steps(scope, *scope.body->find("steps"), first);
}

// ---- dag ----------------------------------------------------------------------------------------------------------

std::vector<std::size_t> Importer::flatten_dag(Scope& scope, const Node& dag, const Condition& first) {
  const auto& calls = list_in(&dag, "tasks");
  std::map<std::string, std::size_t, std::less<>> positions;
  for (std::size_t i = 0; i < calls.size(); ++i) positions.emplace(text_of(*calls[i], "name"), i);
  const auto find = [&](std::string_view name) -> std::optional<std::size_t> {
    const auto found = positions.find(name);
    return found == positions.end() ? std::nullopt : std::optional(found->second);
  };
  // What each waits for, by its position in `calls`.
  std::vector<Condition> waits(calls.size());
  std::vector<std::set<std::size_t>> above(calls.size());
  std::vector<bool> is_named(calls.size());
  const std::function<void(const Condition&, std::size_t)> collect = [&](const Condition& condition, std::size_t i) {
    if (condition.kind == Condition::Kind::kTerm) above[i].insert(condition.task), is_named[condition.task] = true;
    for (const Condition& part : condition.parts) collect(part, i);
  };
  for (std::size_t i = 0; i < calls.size(); ++i) {
    std::string problem;
    if (const Node* depends = calls[i]->find("depends"); depends != nullptr && depends->is_scalar()) {
      auto condition = parse_depends(depends->text, find, problem);
      if (!condition)
        note(*depends, fmt::format("'depends' is not understood: {}; the task waits for nothing", problem));
      waits[i] = condition.value_or(Condition());
    }
    std::vector<Condition> parts;
    for (const Node* name : list_in(calls[i], "dependencies")) {
      const auto found = name->is_scalar() ? find(name->text) : std::nullopt;
      if (!found) {
        note(*name, "there is no such task; the dependency is left out");
        continue;
      }
      parts.push_back(Condition::term(*found, kBare));
      parts.back().bare = true;
    }
    if (!parts.empty()) waits[i] = Condition::all(std::move(parts));
    collect(waits[i], i);
  }
  if (const Node* target = dag.find("target")) note(*target, "'target' is not taken over: all tasks run");
  // Each behind those that it waits for.
  std::vector<std::vector<std::size_t>> ends(calls.size());
  std::vector<bool> done(calls.size());
  for (std::size_t left = calls.size(); left > 0;) {
    const std::size_t before = left;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const auto is_done = [&](std::size_t other) { return static_cast<bool>(done[other]); };
      if (done[i] || !std::all_of(above[i].begin(), above[i].end(), is_done)) continue;
      const std::function<Condition(const Condition&)> placed = [&](const Condition& condition) {
        Condition out = condition;
        if (out.kind == Condition::Kind::kTerm) {
          const auto member = scope.members.find(text_of(*calls[condition.task], "name"));
          if (member == scope.members.end() || !member->second.task) return Condition();
          out.task = *member->second.task;
        }
        for (Condition& part : out.parts) part = placed(part);
        return out;
      };
      const Node* at = calls[i]->find("depends") != nullptr ? calls[i]->find("depends") : calls[i];
      Condition condition = above[i].empty() ? first : translate(placed(waits[i]), *at, std::nullopt);
      ends[i] = flatten_call(scope, *calls[i], std::move(condition), is_named[i]);
      done[i] = true;
      --left;
    }
    if (left == before) {
      note(dag, "tasks wait for each other in a circle; they are left out");
      break;
    }
  }
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (!is_named[i]) out.insert(out.end(), ends[i].begin(), ends[i].end());
  }
  return out;
}

// ---- steps --------------------------------------------------------------------------------------------------------

std::vector<std::size_t> Importer::flatten_steps(Scope& scope, const Node& steps, const Condition& first) {
  Condition condition = first;
  std::vector<std::size_t> ends;
  for (std::size_t g = 0; steps.is_list() && g < steps.children.size(); ++g) {
    const Node& group = *steps.children[g];
    std::vector<const Node*> calls = {&group};
    if (group.is_list()) calls = group.children;
    if (const Node* inner = group.find("steps")) calls = inner->children;
    ends.clear();
    std::vector<Condition> next;
    const bool joined = g + 1 < steps.children.size();
    for (const Node* call : calls) {
      const auto last = flatten_call(scope, *call, condition, joined);
      ends.insert(ends.end(), last.begin(), last.end());
      const auto member = scope.members.find(text_of(*call, "name"));
      if (member == scope.members.end() || !member->second.task) continue;
      next.push_back(Condition::term(*member->second.task, kBare));
      next.back().bare = true;
    }
    if (joined && !next.empty()) condition = translate(Condition::all(std::move(next)), group, std::nullopt);
  }
  return ends;
}

// ---- calls --------------------------------------------------------------------------------------------------------

std::vector<std::size_t> Importer::flatten_call(Scope& scope, const Node& call, Condition condition, bool joined) {
  if (tasks_.size() >= kImportedTasksMax) {
    note_once(call, fmt::format("more than {} tasks; those from here on are left out", kImportedTasksMax));
    return {};
  }
  const Node* body = template_of(call);
  if (body != nullptr && is_nested(*body) && !is_recursive(scope, *body)) {
    return flatten_nested(scope, call, *body, std::move(condition), joined);
  }
  FlatTask task;
  task.id = unique_id(scope.prefix + identifier_from(text_of(call, "name")));
  task.place = &call;
  task.call = &call;
  task.body = body;
  task.scope = &scope;
  task.has_when = call.find("when") != nullptr;
  for (const std::string_view key : {"withItems", "withParam", "withSequence"})
    task.fans_out |= call.find(key) != nullptr;
  if (const Node* go_on = call.find("continueOn")) {
    task.allow_failure = is_true(go_on->find("failed")) || is_true(go_on->find("error"));
    if (task.allow_failure && is_true(go_on->find("failed")) != is_true(go_on->find("error"))) {
      note_once(*go_on, "'continueOn' names one of 'failed' and 'error'; 'allow_failure' covers both");
    }
  }
  const std::size_t position = add_task(std::move(task));
  scope.members[text_of(call, "name")] = {position, nullptr};
  connect(position, condition, call);
  order_.push_back(position);
  if (const Node* hooks = call.find("hooks"); hooks != nullptr && hooks->is_map()) {
    for (std::size_t i = 0; i < hooks->members(); ++i) flatten_hook(position, hooks->value(i), &scope);
  }
  if (const Node* exit = call.find("onExit")) flatten_hook(position, *exit, &scope);
  return {position};
}

/// Items that stand in the file; nullopt where a run finds them.
std::optional<std::vector<const Node*>> Importer::static_items(const Node& call) {
  std::vector<const Node*> out;
  if (const Node* items = call.find("withItems"); items != nullptr && items->is_list()) return items->children;
  if (const Node* param = call.find("withParam"); param != nullptr && param->is_scalar()) {
    if (param->text.find("{{") != std::string::npos) return std::nullopt;
    return std::vector<const Node*>();
  }
  const Node* sequence = call.find("withSequence");
  const auto count = integer_of(sequence == nullptr ? nullptr : sequence->find("count"));
  const auto start = integer_of(sequence == nullptr ? nullptr : sequence->find("start"));
  if (!count || *count < 0 || *count > static_cast<std::int64_t>(kWrittenOutMax)) return std::nullopt;
  for (std::int64_t i = 0; i < *count; ++i) {
    Node& node = made_.emplace_back();
    node.place = sequence->place;
    node.text = std::to_string(start.value_or(0) + i);
    out.push_back(&node);
  }
  return out;
}

std::vector<std::size_t> Importer::flatten_nested(Scope& scope, const Node& call, const Node& body, Condition condition,
                                                  bool joined) {
  const std::string name = text_of(call, "name");
  const std::string id = unique_id(scope.prefix + identifier_from(name));
  const bool has_when = call.find("when") != nullptr;
  bool fans_out = false;
  for (const std::string_view key : {"withItems", "withParam", "withSequence"}) fans_out |= call.find(key) != nullptr;
  const auto items = fans_out ? static_items(call) : std::vector<const Node*>{nullptr};
  if (!items || items->size() > kWrittenOutMax) {
    FlatTask task;
    task.id = id;
    task.place = &call;
    task.call = &call;
    task.scope = &scope;
    note(call,
         "a fan-out over a template with tasks of its own, whose items a run finds: make the template a DAG of "
         "its own");
    const std::size_t position = add_task(std::move(task));
    scope.members[name] = {position, nullptr};
    connect(position, condition, call);
    order_.push_back(position);
    return {position};
  }
  if (call.find("continueOn") != nullptr) {
    note(*call.find("continueOn"),
         "'continueOn' of a template with tasks of its own is not taken over: a failure inside "
         "is a failure");
  }
  if (const Node* hooks = call.find("hooks"))
    note(*hooks, "hooks of a template with tasks of its own are not taken over");
  std::optional<std::size_t> gate;
  if (has_when || (condition.kind != Condition::Kind::kTrue && !is_plain(condition))) {
    FlatTask start;
    start.kind = FlatTask::Kind::kPoint;
    start.id = unique_id(id + "_start");
    start.place = &call;
    start.call = &call;
    start.scope = &scope;
    start.has_when = has_when;
    gate = add_task(std::move(start));
    connect(*gate, condition, call);
    order_.push_back(*gate);
  }
  const Condition first = gate ? Condition::term(*gate, kSucceeded) : condition;
  std::vector<std::size_t> ends;
  Scope::Member member;
  for (std::size_t i = 0; i < items->size(); ++i) {
    const std::string number = fans_out ? fmt::format("_{}", i) : "";
    Scope& inner = open(&scope, &call, body, id + number + "_");
    inner.item = (*items)[i];
    member.inner = &inner;
    const auto last = flatten_body(inner, first);
    ends.insert(ends.end(), last.begin(), last.end());
  }
  if (joined || ends.empty()) {
    member.task = join_ends(call, id, ends, gate, gate ? tasks_[*gate].condition : condition);
    ends = {*member.task};
  }
  if (fans_out) member.inner = nullptr;  // Which of them?
  scope.members[name] = member;
  return ends;
}

/// A no-op that ends as the whole template did.
std::size_t Importer::join_ends(const Node& call, const std::string& id, const std::vector<std::size_t>& ends,
                                std::optional<std::size_t> gate, const Condition& condition) {
  FlatTask join;
  join.kind = FlatTask::Kind::kPoint;
  join.id = id;
  join.place = &call;
  join.condition = condition;
  if (gate) join.edges.push_back({*gate, kSucceeded});
  bool may_skip = false;
  for (const std::size_t end : ends) {
    join.edges.push_back({end, 0});
    may_skip |= tasks_[end].has_when || tasks_[end].omission == Omission::kAsSkipped || tasks_[end].fans_out;
  }
  // An end that was left out counts as what comes before it: a failure there is skipped by all behind it.
  std::vector<std::size_t> open = ends;
  std::set<std::size_t> seen(ends.begin(), ends.end());
  while (!open.empty()) {
    const FlatTask& left_out = tasks_[open.back()];
    open.pop_back();
    if (left_out.omission != Omission::kAsSkipped) continue;
    for (const Edge& edge : left_out.edges) {
      if (edge.task == gate || !seen.insert(edge.task).second) continue;
      join.edges.push_back({edge.task, 0});
      open.push_back(edge.task);
      if ((edge.on & kFailed) == 0) continue;
      note(call, fmt::format("Argo calls this a success where '{}' dealt with a failure; here '{}' ends as failed then",
                             left_out.id, id));
    }
  }
  if (may_skip) join.rule = gate ? "none_failed_min_one_success" : "none_failed";
  if (gate && join.rule.empty()) join.rule = "all_success";
  join.has_when = gate && tasks_[*gate].has_when;
  if (gate) {
    const bool omitted = tasks_[*gate].omission != Omission::kNever;
    join.omission = omitted ? Omission::kAsSkipped : Omission::kNever;
  } else {
    join.omission = condition.kind == Condition::Kind::kTrue ? Omission::kNever : Omission::kAsFailed;
  }
  const std::size_t position = add_task(std::move(join));
  order_.push_back(position);
  return position;
}

}  // namespace chappe::argo
