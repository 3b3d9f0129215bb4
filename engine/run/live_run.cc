#include "engine/run/live_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/calendar/days.h"
#include "engine/model/secrets.h"

namespace chappe {
namespace {

Value wrap(const std::string& name, Value value) { return ValueMap{{name, std::move(value)}}; }

/// One word for a task: its instance's state; of several instances the one that matters most.
std::string_view status_of(const LiveRun& run, ReadyRange seen) {
  constexpr TaskState kWorstFirst[] = {TaskState::kFailed,  TaskState::kUpstreamFailed, TaskState::kCancelled,
                                       TaskState::kRunning, TaskState::kSuccess,        TaskState::kSkipped};
  for (const TaskState wanted : kWorstFirst) {
    for (std::uint32_t i = seen.next; i < seen.end; ++i) {
      if (run.states[i].state == wanted) return name_of(wanted);
    }
  }
  return name_of(run.states[seen.next].state);
}

/// For people and their messages: what failed first in the file comes first.
ValueList failed_tasks(const LiveRun& run) {
  constexpr std::size_t kNamesMax = 100;
  ValueList names;
  for (std::uint32_t i = 0; i < run.states.size() && names.size() < kNamesMax; ++i) {
    const InstanceState& instance = run.states[i];
    if (instance.state != TaskState::kFailed || instance.allowed || run.is_handler(i)) continue;
    names.emplace_back(run.instances->name_of(i));
  }
  return names;
}

/// Those that wait, or only those that are late, in the order of the file.
ValueList waiting_tasks(const LiveRun& run, bool late) {
  constexpr std::size_t kNamesMax = 100;
  std::vector<std::uint32_t> found;
  for (const auto& [index, waiting] : run.waiting) {
    if (!late || waiting.late_at.is_set()) found.push_back(index);
  }
  std::sort(found.begin(), found.end());
  if (found.size() > kNamesMax) found.resize(kNamesMax);
  ValueList names;
  for (const std::uint32_t index : found) names.emplace_back(run.instances->name_of(index));
  return names;
}

/// "2026-11-20", for names of partitions.
std::string date_of(const LiveRun& run) {
  constexpr std::int64_t kSecond = 1'000'000, kDay = 86'400;
  const std::int64_t seconds = calendar::floor_div(run.row.logical_time.us, kSecond);
  const std::int64_t offset = run.row.date_in_zone ? run.dag->zone->at(seconds).offset : 0;
  const std::int64_t day = calendar::floor_div(seconds + offset, kDay);
  return calendar::date_text(std::clamp(day, calendar::kFirstDay, calendar::kLastDay));
}

/// `member`: of those that cost something only this one is made.
Value run_value(const LiveRun& run, std::string_view member) {
  if (member == "events") return ValueMap{{std::string(member), run.events}};
  if (member == "failed_tasks") return ValueMap{{std::string(member), failed_tasks(run)}};
  if (member == "waiting_tasks") return ValueMap{{std::string(member), waiting_tasks(run, false)}};
  if (member == "late_tasks") return ValueMap{{std::string(member), waiting_tasks(run, true)}};
  return ValueMap{{"id", run.row.id.text()},
                  {"dag", run.row.dag},
                  {"dag_version", run.row.dag_version},
                  {"logical_time", to_iso8601(run.row.logical_time)},
                  {"date", date_of(run)},
                  {"interval_start", to_iso8601(run.row.interval_start)},
                  {"interval_end", to_iso8601(run.row.interval_end)},
                  {"trigger", run.row.trigger},
                  {"status", name_of(run.outcome())},  // Known to handlers only.
                  {"message", run.row.message}};
}

std::uint64_t value_bytes_of(const OutputObject& object) { return value_in_object(object.name) ? object.size : 0; }

}  // namespace

void LiveRun::note_waiting(std::uint32_t index, bool waits) {
  const std::uint32_t position = instances->task_of(index);
  if (!task(position).subdag) return;
  if (waits) {
    ++tasks[position].active;
  } else {
    --tasks[position].active;
  }
}

bool LiveRun::waits_for_past(std::uint32_t index) const {
  const InstanceState& instance = states[index];
  return instance.state == TaskState::kWaiting && !instance.attempt && !waiting.contains(index) &&
         task(instances->task_of(index)).depends_on_past;
}

bool LiveRun::waits_for_service(std::uint32_t index) const {
  return states[index].state == TaskState::kNone && for_services.contains(instances->task_of(index));
}

bool LiveRun::rests(std::uint32_t index) const {
  const InstanceState& instance = states[index];
  return instance.state == TaskState::kUpForRetry || (instance.state == TaskState::kWaiting && instance.attempt &&
                                                      task(instances->task_of(index)).loop.has_value());
}

bool LiveRun::waits_for_run(std::uint32_t index) const {
  return states[index].state == TaskState::kWaiting && started_runs.contains(index);
}

bool LiveRun::is_full(std::uint32_t position) const {
  const auto& foreach = task(position).foreach;
  return foreach && foreach->max_parallel > 0 && tasks[position].active >= foreach->max_parallel;
}

InstanceOutputs& LiveRun::fresh_outputs(std::uint32_t index) {
  forget_outputs(index);
  return outputs[index];
}

void LiveRun::keep(std::uint32_t index, ArtifactRow artifact) {
  value_bytes += value_bytes_of(artifact.object);
  outputs[index].artifacts.push_back(std::move(artifact));
}

void LiveRun::forget_outputs(std::uint32_t index) {
  const auto found = outputs.find(index);
  if (found == outputs.end()) return;
  for (const ArtifactRow& artifact : found->second.artifacts) value_bytes -= value_bytes_of(artifact.object);
  outputs.erase(found);
}

std::uint32_t LiveRun::unsettled() const {
  std::uint32_t settled = 0;
  for (std::size_t state = 0; state < kTaskStates; ++state) {
    if (is_final(static_cast<TaskState>(state))) settled += counts[state];
  }
  return static_cast<std::uint32_t>(states.size()) - settled;
}

bool LiveRun::has_only_teardowns_left() const {
  for (std::uint32_t i = 0; i < states.size(); ++i) {
    if (!is_final(states[i].state) && !outlives_stop(i)) return false;
  }
  return true;
}

std::uint32_t LiveRun::idle_watchers() const {
  return static_cast<std::uint32_t>(std::count_if(dag->watchers.begin(), dag->watchers.end(), [&](std::uint32_t task) {
    return states[instances->own(task)].state == TaskState::kNone;
  }));
}

UpstreamCounts LiveRun::upstream(std::uint32_t index) const {
  const std::uint32_t position = instances->task_of(index);
  UpstreamCounts judged = tasks[position].upstream;
  if (!is_depth_first(position)) return judged;
  for (const Dependency& edge : task(position).depends_on) {
    if (!dag->in_step(position, edge.task)) continue;
    const InstanceState& of_item = states[instances->in_step(position, index, edge.task)];
    if (CHAPPE_MUTANT(kItemsRunAhead)) continue;
    ++judged.total;
    if (is_final(of_item.state)) count_end(judged, edge, of_item);
  }
  return judged;
}

ReadyRange LiveRun::awaited(std::uint32_t index, std::uint32_t upstream) const {
  const std::uint32_t position = instances->task_of(index);
  if (dag->in_step(position, upstream)) {
    const std::uint32_t one = instances->in_step(position, index, upstream);
    return {one, one + 1};
  }
  const std::uint32_t first = instances->first(upstream);
  return {first, first + instances->count(upstream)};
}

Resources LiveRun::resources_of(std::uint32_t index) const {
  return with_sidecars(own_resources_of(index), task(instances->task_of(index)).work->sidecars);
}

Resources LiveRun::own_resources_of(std::uint32_t index) const {
  const Task& of = task(instances->task_of(index));
  return scaled(of.work->resources, of.retry.scale, states[index].user_tries);
}

ReadyRange LiveRun::alike(ReadyRange range) const {
  if (!task(instances->task_of(range.next)).retry.scale.is_set()) return range;
  ReadyRange out{range.next, range.next + 1};
  while (out.end < range.end && states[out.end].user_tries == states[out.next].user_tries) ++out.end;
  return out;
}

WallTime LiveRun::ready_at(std::uint32_t index) const {
  const std::uint32_t position = instances->task_of(index);
  if (!is_depth_first(position)) return tasks[position].ready_at;
  const auto found = items_ready_at.find(index);
  return found == items_ready_at.end() ? WallTime{} : found->second;
}

RunState LiveRun::outcome() const {
  switch (row.stop) {
    case Stop::kCancel:
    case Stop::kCutShort:
      return RunState::kCancelled;
    case Stop::kFailFast:
    case Stop::kTimeout:
    case Stop::kCutShortFailed:
      return RunState::kFailed;
    case Stop::kNone:
      break;
  }
  return failed && !CHAPPE_MUTANT(kFailedRunsSucceed) ? RunState::kFailed : RunState::kSuccess;
}

void count_end(UpstreamCounts& counts, const Dependency& edge, const InstanceState& ended) {
  const bool success = ended.state == TaskState::kSuccess || ended.allowed;
  const bool skipped = ended.state == TaskState::kSkipped && !ended.allowed;
  if (!edge.plain) {
    const bool met = success ? edge.on_succeeded : skipped ? edge.on_skipped : edge.on_failed;
    ++(met ? counts.success : counts.skipped);
  } else if (success) {
    ++counts.success;
  } else if (skipped) {
    ++counts.skipped;
  } else {
    ++(ended.state == TaskState::kUpstreamFailed ? counts.upstream_failed : counts.failed);
  }
}

std::optional<Value> RunScope::resolve(std::span<const std::string> path) const {
  const std::string& root = path[0];
  if (root == "params") return run_.params;
  if (root == "run") return run_value(run_, path.size() < 2 ? "" : path[1]);
  if (root == "env") return env_value(path);
  if (root == "tasks") return task_value(path);
  if (!index_) return std::nullopt;
  const std::uint32_t task = run_.instances->task_of(*index_);
  if (run_.instances->mapped(task) && root == run_.task(task).foreach->as) return run_.instances->item_of(*index_);
  if (root == "task" && run_.task(task).is_hook()) return hooked_value();
  if (!run_.instances->mapped(task)) return std::nullopt;
  if (root == "key") return Value(run_.instances->key_of(*index_));
  return std::nullopt;
}

/// What a hook is told of: the task that it belongs to, as that stands.
std::optional<Value> RunScope::hooked_value() const {
  const Instances& instances = *run_.instances;
  const std::uint32_t position = instances.task_of(*index_);
  const std::uint32_t of = instances.in_step(position, *index_, run_.task(position).hook_of);
  const InstanceState& state = run_.states[of];
  ValueMap out{{"id", run_.task(run_.task(position).hook_of).id},
               {"name", instances.name_of(of)},
               {"status", name_of(state.state)},
               {"attempt", std::int64_t{run_.states[*index_].iteration}}};
  const auto end = run_.ends.find(of);
  const bool begins = run_.task(position).hook == HookEvent::kStart;
  if (end == run_.ends.end() || begins) return Value(std::move(out));
  const AttemptEnd& told = end->second;
  const bool fails = run_.task(position).hook == HookEvent::kFailure;  // It can rely on both.
  if (told.reason != Reason::kNone) out.emplace_back("reason", name_of(told.reason));
  if (told.reason == Reason::kNone && fails) out.emplace_back("reason", "marked");  // A person said so.
  if (told.reason == Reason::kExitCode) out.emplace_back("exit_code", std::int64_t{told.exit_code});
  if (!told.message.empty() || fails) out.emplace_back("message", told.message);
  return Value(std::move(out));
}

/// The DAG's own variables name `params` and `run` only (the loader sees to it), so this does not come back to itself.
std::optional<Value> RunScope::env_value(std::span<const std::string> path) const {
  if (path.size() < 2) return std::nullopt;
  for (const auto& [name, text] : run_.dag->env) {
    if (name != path[1]) continue;
    auto value = text.expand(RunScope(run_, std::nullopt));
    if (value) return wrap(name, *std::move(value));
  }
  return std::nullopt;
}

std::optional<Value> RunScope::task_value(std::span<const std::string> path) const {
  if (path.size() < 3) return std::nullopt;
  const auto task = run_.dag->find(path[1]);
  if (!task) return std::nullopt;
  const bool of_item = index_ && run_.dag->in_step(run_.instances->task_of(*index_), *task);
  const std::uint32_t first = run_.instances->first(*task);
  const ReadyRange seen =
      of_item ? run_.awaited(*index_, *task) : ReadyRange{first, first + run_.instances->count(*task)};
  if (path[2] == "status") return wrap(path[1], wrap("status", status_of(run_, seen)));
  if (path[2] != "outputs" || path.size() < 4) return std::nullopt;
  ValueList all;
  for (std::uint32_t i = seen.next; i < seen.end; ++i) {
    if (const Value* value = output_value(run_, i, path[3])) all.push_back(*value);
  }
  if (all.empty()) return std::nullopt;
  Value value = run_.instances->mapped(*task) && !of_item ? Value(std::move(all)) : std::move(all[0]);
  return wrap(path[1], wrap("outputs", wrap(path[3], std::move(value))));
}

const Value* output_value(const LiveRun& run, std::uint32_t index, std::string_view name) {
  const auto outputs = run.outputs.find(index);
  if (outputs == run.outputs.end()) return nullptr;
  for (const NamedValue& value : outputs->second.values) {
    if (value.name == name) return &value.value;
  }
  return nullptr;
}

std::vector<OutputObject> unread_values(const InstanceOutputs& outputs) {
  std::vector<OutputObject> unread;
  for (const ArtifactRow& artifact : outputs.artifacts) {
    const auto name = value_in_object(artifact.object.name);
    if (name && std::ranges::find(outputs.values, *name, &NamedValue::name) == outputs.values.end()) {
      unread.push_back(artifact.object);
    }
  }
  return unread;
}

AssetVersion version_of(const ArtifactRow& artifact) {
  const OutputObject& object = artifact.object;
  AssetVersion version{.id = artifact.asset, .uri = object.asset_uri, .name = object.asset_name, .key = object.key};
  version.size = object.size;
  version.sha256 = object.sha256;
  version.packed = object.packed;
  version.producer = artifact.made_by_attempt ? artifact.made_by : artifact.key;
  version.attempt = artifact.made_by_attempt ? artifact.made_by_attempt : artifact.attempt;
  version.artifact = object.name;
  return version;
}

Duration retention_of(const Task& task, std::string_view output) {
  for (const OutputArtifact& each : task.work->outputs) {
    if (each.name == output) return each.retention;
  }
  return {};
}

const ArtifactRow* output_artifact(const LiveRun& run, std::uint32_t index, std::string_view name) {
  const auto outputs = run.outputs.find(index);
  if (outputs == run.outputs.end()) return nullptr;
  for (const ArtifactRow& artifact : outputs->second.artifacts) {
    if (artifact.object.name == name) return &artifact;
  }
  return nullptr;
}

std::string told_values(const LiveRun& run, std::uint32_t index, const expr::Expression& expression) {
  constexpr std::size_t kLengthMax = 200;
  std::string told;
  for (const expr::Reference& reference : expression.references()) {
    const std::string name = fmt::format("{}", fmt::join(reference.path, "."));
    const auto alone = expr::Expression::parse(name);
    if (!alone || names_secret(*run.dag, {&reference, 1})) continue;
    const auto value = alone->evaluate(RunScope(run, index));
    if (!value) continue;
    const std::string one = fmt::format("{}{} is {}", told.empty() ? "" : ", ", name, to_text(*value));
    if (told.size() + one.size() > kLengthMax) break;
    if (told.find(one) == std::string::npos) told += one;
  }
  return told;
}

Result<std::vector<std::uint32_t>> select_instances(const LiveRun& run, std::uint32_t task,
                                                    const std::optional<Select>& select) {
  std::vector<std::uint32_t> chosen;
  double best = 0;
  const std::uint32_t first = run.instances->first(task);
  for (std::uint32_t i = first; i < first + run.instances->count(task); ++i) {
    if (run.states[i].state != TaskState::kSuccess) continue;
    if (!select) {
      chosen.push_back(i);
      continue;
    }
    const Value* value = output_value(run, i, select->output);
    if (value == nullptr || !value->is_number()) continue;
    const bool better = select->by == Select::By::kMax ? value->number() > best : value->number() < best;
    if (!chosen.empty() && !better) continue;  // Ties go to the first: every replay chooses alike.
    chosen = {i};
    best = value->number();
  }
  if (select && chosen.empty()) {
    return fail(ErrorCode::kNotFound, fmt::format("no instance of '{}' succeeded with a number called '{}'",
                                                  run.task(task).id, select->output));
  }
  return chosen;
}

void hold(std::vector<ReadyRange>& held, ReadyRange which) {
  if (!held.empty() && held.back().next <= which.next && which.end <= held.back().end) return;
  if (!held.empty() && held.back().end == which.next) {
    held.back().end = which.end;
  } else {
    held.push_back(which);
  }
}

}  // namespace chappe
