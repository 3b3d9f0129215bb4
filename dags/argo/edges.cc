// What a task waits for: Argo's ends to Chappe's, conditions to edges and trigger rules.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "dags/argo/workflow.h"

namespace chappe::argo {

using yaml::Node;

namespace {

constexpr unsigned kOurs = kSucceeded | kFailed | kSkipped;

}  // namespace

/// Bare names only, and all of them tasks that are `upstream_failed` where they were not let begin: then the same is
/// said by plain edges. Of a condition in our ends.
bool Importer::is_plain(const Condition& condition) const {
  if (condition.kind == Condition::Kind::kTerm) {
    return condition.bare && tasks_[condition.task].omission != Omission::kAsSkipped;
  }
  if (condition.kind != Condition::Kind::kAnd) return false;
  return std::all_of(condition.parts.begin(), condition.parts.end(),
                     [&](const Condition& part) { return part.kind == Condition::Kind::kTerm && is_plain(part); });
}

Condition Importer::translate(const Condition& condition, const Node& at, std::optional<std::size_t> task) {
  if (condition.kind == Condition::Kind::kTerm) return translate_term(condition, at, task);
  std::vector<Condition> parts;
  for (const Condition& part : condition.parts) parts.push_back(translate(part, at, task));
  if (condition.kind == Condition::Kind::kAnd) return Condition::all(std::move(parts));
  return condition.kind == Condition::Kind::kOr ? Condition::either(std::move(parts)) : Condition();
}

Condition Importer::translate_term(const Condition& term, const Node& at, std::optional<std::size_t> task) {
  const FlatTask& upstream = tasks_[term.task];
  const auto has = [&](unsigned end) { return (term.ends & end) != 0; };
  Condition out = term;
  out.ends = term.ends & (kSucceeded | kFailed);
  bool began = false;  // That it was let begin must be asked for, too.
  if (has(kFailed) != has(kErrored)) {
    note_once(at, "Chappe does not tell Errored from Failed: both are 'failed'");
  }
  if (has(kErrored)) out.ends |= kFailed;
  if ((out.ends & kFailed) != 0) handles_failure_ = true;
  // An item's own `when` skips the item, and Argo calls the whole a success.
  if (upstream.fans_out && has(kSucceeded)) out.ends |= kSkipped;
  const bool omitted = has(kOmitted);
  if (upstream.omission == Omission::kAsFailed) {
    if (has(kSkipped) && upstream.has_when) out.ends |= kSkipped;
    if ((out.ends & kFailed) != 0 && !omitted) began = true;
    if ((out.ends & kFailed) == 0 && omitted) {
      note(at, fmt::format("whether '{}' failed or was omitted cannot be told apart here", upstream.id), task);
      out.ends |= kFailed;
    }
  } else if (upstream.omission == Omission::kAsSkipped) {
    const bool skipped = has(kSkipped) && (upstream.has_when || upstream.fans_out);
    if (skipped || omitted) out.ends |= kSkipped;
    if ((out.ends & kSkipped) != 0 && !omitted) began = true;
    if (omitted && (upstream.has_when || upstream.fans_out) && !has(kSkipped)) {
      note(at, fmt::format("whether '{}' was skipped or omitted cannot be told apart here", upstream.id), task);
    }
  } else if (has(kSkipped) && (upstream.has_when || upstream.fans_out)) {
    out.ends |= kSkipped;
  }
  if (upstream.omission == Omission::kAsSkipped && upstream.fans_out && (out.ends & kSkipped) != 0) began = true;
  if (!began || (out.bare && is_plain(out))) return out;
  std::vector<Condition> parts = {out, upstream.condition};
  return Condition::all(std::move(parts));
}

void Importer::connect(std::size_t task, const Condition& condition, const Node& at) {
  constexpr std::size_t kTermsMax = 500;
  tasks_[task].condition = condition;
  if (condition.terms() > kTermsMax) {
    note(at, "what it waits for is too long to be written down; finish 'depends_on' by hand", task);
    tasks_[task].never = true;
    tasks_[task].condition = {};
    return;
  }
  if (condition.kind == Condition::Kind::kTrue) return;
  if (!is_plain(condition)) return connect_exactly(task, condition);
  FlatTask& out = tasks_[task];
  out.omission = Omission::kAsFailed;
  const std::vector<Condition> only = {condition};
  for (const Condition& part : condition.kind == Condition::Kind::kAnd ? condition.parts : only) {
    const auto same = [&](const Edge& edge) { return edge.task == part.task; };
    if (std::none_of(out.edges.begin(), out.edges.end(), same)) out.edges.push_back({part.task, 0});
    if ((part.ends & kSkipped) != 0) out.rule = "none_failed";
  }
}

/// By edges that say which ends will do: what is not met is `skipped`.
void Importer::connect_exactly(std::size_t task, const Condition& condition) {
  tasks_[task].omission = Omission::kAsSkipped;
  const bool either = condition.kind == Condition::Kind::kOr;
  std::vector<Edge> edges;
  const auto add = [&](std::size_t on, unsigned ends) {
    const auto same = std::find_if(edges.begin(), edges.end(), [&](const Edge& edge) { return edge.task == on; });
    if (same == edges.end()) {
      edges.push_back({on, ends});
    } else {
      same->on = either ? same->on | ends : same->on & ends;
    }
  };
  const std::vector<Condition> only = {condition};
  const bool alone = condition.kind == Condition::Kind::kTerm;
  bool any = false;
  for (const Condition& part : alone ? only : condition.parts) {
    const bool simple = part.kind == Condition::Kind::kTerm;
    const bool fan_out = simple && tasks_[part.task].fans_out && (part.ends & kOurs) != kOurs;
    // Of items, one failure is a failure of all.
    const bool of_any = simple && (part.any || (fan_out && (part.ends & kSucceeded) == 0 && part.ends != 0));
    if (simple && alone && of_any) {
      any = true;
      add(part.task, part.ends & kOurs);
    } else if (simple && !(of_any && !alone) && !(either && fan_out)) {
      add(part.task, part.ends & kOurs);
    } else {
      add(helper_for(task, part), kSucceeded);
    }
  }
  FlatTask& out = tasks_[task];
  out.edges = std::move(edges);
  if (either || any) out.rule = "all_done_min_one_success";
}

/// A no-op that succeeds where a part of a condition holds, and is skipped where it does not.
std::size_t Importer::helper_for(std::size_t task, const Condition& condition) {
  FlatTask helper;
  helper.kind = FlatTask::Kind::kPoint;
  helper.id = unique_id(tasks_[task].id + "_if");
  helper.place = tasks_[task].place;
  helper.condition = condition;
  const std::size_t position = add_task(std::move(helper));
  connect_exactly(position, condition);
  order_.push_back(position);
  return position;
}

/// Does `ancestor` have ended well by the time that `task` starts? As dags/loader answers it.
bool Importer::is_certain(std::size_t task, std::size_t ancestor) const {
  if (tasks_[task].handler || tasks_[ancestor].allow_failure) return false;
  std::vector<std::size_t> open = {task};
  std::set<std::size_t> seen;
  while (!open.empty()) {
    const FlatTask& at = tasks_[open.back()];
    open.pop_back();
    if (!at.rule.empty() && at.rule != "all_success") continue;
    for (const Edge& edge : at.edges) {
      if (edge.on != 0 && edge.on != kSucceeded) continue;
      if (edge.task == ancestor) return true;
      if (seen.insert(edge.task).second) open.push_back(edge.task);
    }
  }
  return false;
}

}  // namespace chappe::argo
