#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "engine/base/text.h"
#include "engine/model/waits.h"
#include "scheduler/api/handlers.h"
#include "scheduler/api/render.h"

namespace chappe::api {
namespace {

constexpr std::size_t kOutputsMax = 1'000;  // Of each kind; single instances tell all of theirs.

Result<TaskFilter> task_filter(const Request& request) {
  TaskFilter filter;
  if (const auto state = request.parameter("state")) {
    filter.state = parse_task_state(*state);
    if (!filter.state) return fail(ErrorCode::kInvalidInput, fmt::format("unknown state '{}' of a task", *state));
  }
  const auto limit = request.number("limit", 1'000, 1, 10'000);
  if (!limit) return fail(limit.error());
  filter.limit = *limit;
  const auto from = request.number("after", 0, 0, UINT32_MAX);
  if (!from) return fail(from.error());
  filter.index_from = static_cast<std::uint32_t>(*from);
  return filter;
}

/// Rows of the store, with the instances in between that have none yet: those are `none`.
std::vector<TaskRow> with_untold(std::vector<TaskRow> rows, const RunRow& run, const TaskFilter& filter) {
  if (filter.state && *filter.state != TaskState::kNone) return rows;
  std::vector<TaskRow> all;
  auto row = rows.begin();
  const std::uint64_t end = std::min<std::uint64_t>(run.instances, filter.index_from + filter.limit);
  for (std::uint32_t index = filter.index_from; index < end; ++index) {
    const bool told = row != rows.end() && row->key.index == index;
    if (told) {
      all.push_back(*row++);
    } else {
      all.push_back({.key = {run.seq, index}});
    }
  }
  if (filter.state) std::erase_if(all, [](const TaskRow& one) { return one.state != TaskState::kNone; });
  return all;
}

/// For `state=none` all rows are read, because what has no row is what is asked for.
Result<std::vector<TaskRow>> read_rows(Context& context, const RunRow& run, TaskFilter filter) {
  TaskFilter read = filter;
  if (read.state == TaskState::kNone) read.state.reset();
  auto rows = context.reader.tasks(run.seq, read);
  if (!rows) return rows;
  return with_untold(*std::move(rows), run, filter);
}

/// A page is a window of indexes where instances without a row belong to it, else as many rows as fit.
Value cursor_after(const std::vector<TaskRow>& rows, const TaskFilter& filter, const RunRow& run) {
  const bool window = !filter.state || *filter.state == TaskState::kNone;
  if (!window && rows.size() < filter.limit) return {};
  const std::uint64_t after = window ? filter.index_from + filter.limit : rows.back().key.index + 1;
  return after < run.instances ? Value(std::to_string(after)) : Value();
}

std::optional<std::uint32_t> parse_index(std::string_view text) {
  if (text.empty() || text.front() != '#') return std::nullopt;
  std::uint32_t index = 0;
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), index);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return index;
}

Failure no_such_task(const std::string& name, const Instances& instances) {
  std::vector<std::string> names;
  for (const Task& task : instances.dag().tasks) names.push_back(task.id);
  if (const auto id = instances.dag().find(name); id && instances.mapped(*id)) {
    const std::uint32_t first = instances.first(*id);
    return fail(ErrorCode::kNotFound, instances.count(*id) == 0
                                          ? fmt::format("task '{}' has no instances in this run", name)
                                          : fmt::format("task '{}' has {} instances; name one of them, such as '{}'",
                                                        name, instances.count(*id), instances.name_of(first)));
  }
  const auto near = nearest(name, names);
  return fail(ErrorCode::kNotFound,
              fmt::format("the run has no task '{}'{}", name, near ? fmt::format("; did you mean '{}'?", *near) : ""));
}

template <typename Row>
ValueList render_all(const std::vector<Row>& rows, Value (*render)(const Row&)) {
  ValueList out;
  for (const Row& row : rows) out.push_back(render(row));
  return out;
}

/// Rows of a whole run, each with the name of the instance that made it.
template <typename Row>
ValueList render_named(const std::vector<Row>& rows, Value (*render)(const Row&), const Instances& instances) {
  ValueList out;
  for (const Row& row : rows) {
    Value one = render(row);
    const bool known = row.key.index < instances.size();
    one.as_map()->emplace_back("task_name", known ? Value(instances.name_of(row.key.index)) : Value());
    out.push_back(std::move(one));
    if (out.size() == kOutputsMax) break;
  }
  return out;
}

/// Attempts know their worker by number; people by its name and where it ran.
Result<void> name_workers(Context& context, ValueList& attempts) {
  std::map<std::int64_t, WorkerRow> known;
  for (Value& attempt : attempts) {
    const std::int64_t* seq = attempt.find("worker")->as_int();
    if (seq == nullptr) continue;
    if (!known.contains(*seq)) {
      const auto row = context.reader.worker(WorkerSeq{static_cast<std::uint32_t>(*seq)});
      if (!row) return fail(row.error());
      known[*seq] = row->value_or(WorkerRow{});
    }
    attempt.as_map()->emplace_back("worker_name", known[*seq].name);
    attempt.as_map()->emplace_back("worker_host", known[*seq].host);
  }
  return {};
}

/// A service that runs says whether it is ready: its address is recorded with its attempt.
Result<void> tell_ready(Context& context, const TaskRow& row, const Instances& instances, Value& shown) {
  const std::uint32_t index = row.key.index;
  const bool up = row.state == TaskState::kRunning && index < instances.size() &&
                  instances.dag().tasks[instances.task_of(index)].is_service();
  if (!up) return {};
  const auto values = context.reader.values(row.key.run, index);
  if (!values) return fail(values.error());
  const bool ready = std::ranges::find(*values, row.attempt, &ValueRow::attempt) != values->end();
  shown.as_map()->emplace_back("ready", ready);
  return {};
}

}  // namespace

Result<FoundTask> find_task(Context& context, const Request& request) {
  auto run = find_whole_run(context, request);
  if (!run) return fail(run.error());
  auto instances = context.views.instances(context.reader, *run);
  if (!instances) return fail(instances.error());
  const std::string& name = request.variable("task");
  auto index = parse_index(name);
  if (index && *index >= (*instances)->size()) index.reset();
  if (!index) index = (*instances)->find(name);
  if (!index) return no_such_task(name, **instances);
  return FoundTask{*std::move(run), *std::move(instances), *index};
}

Answer list_tasks(Context& context, const Request& request) {
  const auto run = find_whole_run(context, request);
  if (!run) return problem(run.error());
  const auto filter = task_filter(request);
  if (!filter) return problem(400, filter.error().message);
  const auto instances = context.views.instances(context.reader, *run);
  if (!instances) return problem(instances.error());
  const auto rows = read_rows(context, *run, *filter);
  if (!rows) return problem(rows.error());
  ValueList items;
  for (const TaskRow& row : *rows) {
    items.push_back(task_json(row, instances->get()));
    if (auto told = tell_ready(context, row, **instances, items.back()); !told) return problem(told.error());
  }
  return json_answer(page_json(std::move(items), cursor_after(*rows, *filter, *run)));
}

Answer show_task(Context& context, const Request& request) {
  const auto found = find_task(context, request);
  if (!found) return problem(found.error());
  const InstanceKey key{found->run.seq, found->index};
  auto history = context.reader.attempts(key);
  if (!history && history.error().code != ErrorCode::kNotFound) return problem(history.error());
  if (!history) history = AttemptHistory{.task = {.key = key}, .earlier = {}};
  const auto inputs = context.reader.inputs(key.run, key.index);
  if (!inputs) return problem(inputs.error());
  const auto outputs = context.reader.artifacts(key.run, key.index);
  if (!outputs) return problem(outputs.error());
  const auto values = context.reader.values(key.run, key.index);
  if (!values) return problem(values.error());
  Value shown = task_json(history->task, found->instances.get());
  if (auto told = tell_ready(context, history->task, *found->instances, shown); !told) return problem(told.error());
  ValueMap& members = *shown.as_map();
  members.emplace_back("run", found->run.id.text());
  members.emplace_back("item", found->instances->item_of(found->index));
  const Task& task = found->instances->dag().tasks[found->instances->task_of(found->index)];
  if (task.human) {
    ValueList assignees(task.human->assignees.begin(), task.human->assignees.end());
    members.emplace_back("question", ValueMap{{"form", shown_form(*task.human)}, {"assignees", std::move(assignees)}});
  }
  auto attempts = attempts_json(history->task, history->earlier);
  if (auto named = name_workers(context, *attempts.as_list()); !named) return problem(named.error());
  members.emplace_back("attempts", std::move(attempts));
  members.emplace_back("inputs", render_all(*inputs, input_json));
  members.emplace_back("outputs", render_all(*outputs, artifact_json));
  members.emplace_back("values", render_all(*values, value_json));
  return json_answer(shown);
}

Answer show_outputs(Context& context, const Request& request) {
  const auto run = find_whole_run(context, request);
  if (!run) return problem(run.error());
  const auto instances = context.views.instances(context.reader, *run);
  if (!instances) return problem(instances.error());
  const auto artifacts = context.reader.artifacts(run->seq, std::nullopt);
  if (!artifacts) return problem(artifacts.error());
  const auto values = context.reader.values(run->seq, std::nullopt);
  if (!values) return problem(values.error());
  const auto moves = context.reader.alias_moves_of(run->seq);
  if (!moves) return problem(moves.error());
  const bool truncated = artifacts->size() > kOutputsMax || values->size() > kOutputsMax;
  return json_answer(ValueMap{{"artifacts", render_named(*artifacts, artifact_json, **instances)},
                              {"values", render_named(*values, value_json, **instances)},
                              {"aliases", render_all(*moves, alias_json)},
                              {"truncated", truncated}});
}

}  // namespace chappe::api
