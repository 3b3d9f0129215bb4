#include "engine/model/backfill.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/base/text.h"
#include "engine/model/waits.h"

namespace chappe {
namespace {

constexpr std::array<std::string_view, 3> kReprocessNames{"none", "failed", "completed"};
constexpr std::array<std::string_view, kBackfillStates> kBackfillStateNames{"running", "paused", "completed",
                                                                            "cancelled"};

void add(std::vector<expr::Reference>& all, const expr::Template& text) {
  for (expr::Reference& one : text.references()) all.push_back(std::move(one));
}
void add(std::vector<expr::Reference>& all, const expr::Expression& expression) {
  const auto& some = expression.references();
  all.insert(all.end(), some.begin(), some.end());
}

void add_work(std::vector<expr::Reference>& all, const WorkSpec& work) {
  add(all, work.script);
  for (const expr::Template& word : work.command) add(all, word);
  for (const auto& [name, value] : work.env) add(all, value);
  for (const InputArtifact& input : work.inputs) add(all, input.asset), add(all, input.s3);
  for (const OutputArtifact& output : work.outputs) add(all, output.asset);
}

void add_items(std::vector<expr::Reference>& all, const ForEach& foreach) {
  add(all, foreach.expression);
  add(all, foreach.key);
  for (const ForEach::Axis& axis : foreach.matrix) add(all, axis.expression);
  add(all, foreach.counted.start);
  add(all, foreach.counted.count);
  add(all, foreach.counted.step);
}

/// All names in a task's expressions.
std::vector<expr::Reference> references_of(const Task& task) {
  std::vector<expr::Reference> all;
  if (!task.when.empty()) add(all, task.when);
  if (task.work != nullptr) add_work(all, *task.work);
  if (task.foreach) add_items(all, *task.foreach);
  for (const CheckCondition& check : task.checks) add(all, check.expression);
  if (task.wait != nullptr) add(all, task.wait->target), add(all, task.wait->newer_than);
  if (task.human != nullptr) add(all, task.human->prompt);
  if (task.loop) add(all, task.loop->until);
  if (task.subdag) {
    for (const auto& [name, param] : task.subdag->params) add(all, param.expression);
  }
  for (const LockUse& lock : task.locks) add(all, lock.name);
  return all;
}

/// What `task` cannot do without and one of `out` would hand it: "tasks.load.outputs.rows"; "": nothing.
std::string missing_input(const Dag& dag, const Task& task, const std::vector<bool>& out) {
  if (task.work != nullptr) {
    for (const InputArtifact& input : task.work->inputs) {
      if (input.from_task && !input.optional && out[*input.from_task]) {
        return fmt::format("{}.{}", dag.tasks[*input.from_task].id, input.from_artifact);
      }
    }
  }
  if (task.promote && out[task.promote->from_task]) {
    return fmt::format("{}.{}", dag.tasks[task.promote->from_task].id, task.promote->from_artifact);
  }
  for (const expr::Reference& reference : references_of(task)) {
    const bool is_output = reference.path.size() > 2 && reference.path[0] == "tasks" && reference.path[2] == "outputs";
    if (!is_output || reference.guarded) continue;
    const auto from = dag.find(reference.path[1]);
    if (from && out[*from]) return fmt::format("{}", fmt::join(reference.path, "."));
  }
  return "";
}

/// A task is of no use without the services that it depends on, nor are these without theirs.
void take_services_in(const Dag& dag, std::vector<bool>& out) {
  for (bool more = true; more;) {
    more = false;
    for (std::uint32_t i = 0; i < dag.tasks.size(); ++i) {
      for (const Dependency& edge : dag.tasks[i].depends_on) {
        if (out[i] || !out[edge.task] || !dag.consumes(i, edge.task)) continue;
        out[edge.task] = false;
        more = true;
      }
    }
  }
}

std::string bounds_of(const SchedulePlan& plan) {
  std::string text;
  if (plan.start.is_set()) text += fmt::format(", its start_date is {}", to_iso8601(plan.start));
  if (plan.end.is_set()) text += fmt::format(", its end_date is {}", to_iso8601(plan.end));
  return text;
}

}  // namespace

std::string_view name_of(Reprocess reprocess) { return kReprocessNames[static_cast<std::size_t>(reprocess)]; }

std::optional<Reprocess> parse_reprocess(std::string_view name) {
  const auto found = std::find(kReprocessNames.begin(), kReprocessNames.end(), name);
  if (found == kReprocessNames.end()) return std::nullopt;
  return static_cast<Reprocess>(found - kReprocessNames.begin());
}

bool is_final(BackfillState state) { return state >= BackfillState::kCompleted; }
std::string_view name_of(BackfillState state) { return kBackfillStateNames[static_cast<std::size_t>(state)]; }

std::optional<WallTime> BackfillSpec::next(const SchedulePlan& plan, WallTime done) const {
  if (!newest_first) {
    const auto time = plan.next(done.is_set() ? done : WallTime{from.us - 1});
    return time && *time <= to ? time : std::nullopt;
  }
  const WallTime last = plan.end.is_set() ? std::min(to, plan.end) : to;
  const WallTime first = plan.start.is_set() ? std::max(from, plan.start) : from;
  const auto time = plan.previous(done.is_set() ? done : WallTime{last.us + 1});
  return time && *time >= first ? time : std::nullopt;
}

Result<std::uint32_t> check_backfill(const Dag& dag, const BackfillSpec& spec) {
  const auto wrong = [](std::string message) { return fail(ErrorCode::kInvalidInput, std::move(message)); };
  if (dag.schedule.empty()) {
    return wrong(fmt::format("DAG {} has no schedule, which says what dates there are to fill in", dag.name));
  }
  if (spec.to < spec.from) {
    return wrong(fmt::format("it ends at {}, before it begins at {}", to_iso8601(spec.to), to_iso8601(spec.from)));
  }
  if (spec.max_active < 1 || spec.max_active > kBackfillActiveMax) {
    return wrong(fmt::format("max_active is 1 to {}, not {}", kBackfillActiveMax, spec.max_active));
  }
  if (auto out = left_out(dag, spec.tasks); !out) return fail(std::move(out.error()));
  const auto on_past =
      std::find_if(dag.tasks.begin(), dag.tasks.end(), [](const Task& task) { return task.depends_on_past; });
  if (spec.newest_first && on_past != dag.tasks.end()) {
    return wrong(fmt::format(
        "newest first each date would wait for one that comes later: task '{}' has depends_on_past", on_past->id));
  }
  BackfillSpec forward = spec;
  forward.newest_first = false;  // The cheaper way to count.
  std::uint32_t count = 0;
  for (auto time = forward.next(dag.schedule, {}); time; time = forward.next(dag.schedule, *time)) {
    if (++count > kBackfillDatesMax) {
      return wrong(fmt::format("a backfill has at most {} dates, and more lie from {} to {}: ask for a part of them",
                               kBackfillDatesMax, to_iso8601(spec.from), to_iso8601(spec.to)));
    }
  }
  if (count > 0) return count;
  return wrong(fmt::format("no time of the schedule of DAG {} ({}) lies from {} to {}{}", dag.name, dag.schedule.text(),
                           to_iso8601(spec.from), to_iso8601(spec.to), bounds_of(dag.schedule)));
}

std::string why_no_run(Reprocess reprocess, std::optional<RunState> newest) {
  if (!newest) return "";
  if (!is_final(*newest)) return fmt::format("its run is {}", name_of(*newest));
  if (reprocess == Reprocess::kCompleted) return "";
  if (reprocess == Reprocess::kFailed && *newest != RunState::kSuccess) return "";
  return fmt::format("its run ended: {}", name_of(*newest));
}

Result<std::vector<bool>> left_out(const Dag& dag, const std::vector<std::string>& tasks) {
  std::vector<bool> out(dag.tasks.size(), !tasks.empty());
  for (std::size_t i = dag.tasks.size() - dag.handlers; i < dag.tasks.size(); ++i) out[i] = false;
  for (const std::string& name : tasks) {
    const auto task = dag.find(name);
    if (task && !dag.is_handler(*task)) {
      out[*task] = false;
      continue;
    }
    std::vector<std::string> names;
    for (const Task& each : dag.tasks) names.push_back(each.id);
    const auto near = nearest(name, names);
    return fail(ErrorCode::kInvalidInput, fmt::format("DAG {} has no task '{}'{}", dag.name, name,
                                                      near ? fmt::format("; did you mean '{}'?", *near) : ""));
  }
  take_services_in(dag, out);
  for (const std::uint32_t hook : dag.hooks) out[hook] = out[dag.tasks[hook].hook_of];
  for (const std::uint32_t watcher : dag.watchers) out[watcher] = false;
  for (std::size_t i = 0; i < dag.tasks.size() - dag.handlers; ++i) {
    if (out[i]) continue;
    const std::string missing = missing_input(dag, dag.tasks[i], out);
    if (missing.empty()) continue;
    return fail(
        ErrorCode::kInvalidInput,
        fmt::format("task '{}' needs {}, whose task would be left out: select that as well", dag.tasks[i].id, missing));
  }
  return out;
}

}  // namespace chappe
