// Why tasks wait, why they ended so, and why their results were used again or not.
#include <fmt/format.h>

#include <utility>

#include "scheduler/api/handlers.h"

namespace chappe::api {
namespace {

/// `task`: a task's id or an instance's name; "" means all.
bool is_asked(const Instances& instances, std::uint32_t index, const std::string& task) {
  return task.empty() || task == instances.name_of(index) || task == instances.dag().tasks[instances.task_of(index)].id;
}

Value explain_end(const TaskRow& row, const Instances& instances) {
  std::string why(row.end.reason == Reason::kNone ? "" : name_of(row.end.reason));
  if (row.end.reason == Reason::kExitCode) why = fmt::format("exit code {}", row.end.exit_code);
  if (!row.end.message.empty() && row.end.message != why) why += (why.empty() ? "" : ": ") + row.end.message;
  return ValueMap{{"task", instances.name_of(row.key.index)},
                  {"state", name_of(row.state)},
                  {"attempt", std::int64_t{row.attempt_no}},
                  {"reason", std::move(why)}};
}

/// Why the tasks of a run that is over ended other than well: what `explain` says when there is nothing to wait for.
Result<Value> explain_ended(Context& context, const RunRow& run, const std::string& task, std::size_t limit) {
  const auto instances = context.views.instances(context.reader, run);
  if (!instances) return fail(instances.error());
  ValueList items;
  for (const TaskState state :
       {TaskState::kFailed, TaskState::kUpstreamFailed, TaskState::kSkipped, TaskState::kCancelled}) {
    const auto rows = context.reader.tasks(run.seq, {.state = state, .limit = limit});
    if (!rows) return fail(rows.error());
    for (const TaskRow& row : *rows) {
      if (is_asked(**instances, row.key.index, task) && items.size() < limit)
        items.push_back(explain_end(row, **instances));
    }
  }
  return ValueMap{{"run", run.id.text()}, {"state", name_of(run.state)}, {"tasks", std::move(items)}};
}

/// What the cache said of each instance that may use a result again.
Result<ValueList> explain_cache(Context& context, const RunRow& run, const std::string& task, std::size_t limit) {
  const auto instances = context.views.instances(context.reader, run);
  if (!instances) return fail(instances.error());
  const auto uses = context.reader.cache_uses(run.seq, std::nullopt);
  if (!uses) return fail(uses.error());
  ValueList items;
  for (const CacheUseRow& use : *uses) {
    const bool known = use.key.index < (*instances)->size();
    if (!known || !is_asked(**instances, use.key.index, task)) continue;
    if (items.size() == limit) break;
    ValueMap parts;
    for (const auto& [name, digest] : use.cache.parts) parts.emplace_back(name, digest);
    items.emplace_back(ValueMap{{"task", (*instances)->name_of(use.key.index)},
                                {"hit", static_cast<bool>(use.from)},
                                {"told", use.told},
                                {"from_attempt", use.from ? Value(to_text(use.from)) : Value()},
                                {"scope", use.cache.scope},
                                {"sha256", use.cache.sha256},
                                {"parts", std::move(parts)}});
  }
  return items;
}

Answer with_cache(const Result<Value>& told, ValueList cache) {
  if (!told) return problem(told.error());
  Value all = *told;
  all.as_map()->emplace_back("cache", std::move(cache));
  return json_answer(all);
}

}  // namespace

void explain_run(Context& context, const Request& request, Respond respond) {
  const auto run = find_run_in_hand(context, request);
  if (!run) return respond(problem(run.error()));
  const auto limit = request.number("limit", 100, 1, 10'000);
  if (!limit) return respond(problem(400, limit.error().message));
  const std::string task = request.parameter("task").value_or("");
  auto cache = explain_cache(context, *run, task, *limit);
  if (!cache) return respond(problem(cache.error()));
  if (is_final(run->state)) {
    return respond(with_cache(explain_ended(context, *run, task, *limit), std::move(*cache)));
  }
  context.backend.explain(run->id, task, *limit,
                          [respond = std::move(respond), cache = std::move(*cache)](const Result<Value>& told) {
                            respond(with_cache(told, cache));
                          });
}

}  // namespace chappe::api
