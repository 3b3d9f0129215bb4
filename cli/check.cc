#include <fmt/format.h>

#include <algorithm>
#include <queue>

#include "cli/commands.h"
#include "cli/dag_file.h"
#include "cli/exit_code.h"
#include "cli/plan_schedule.h"
#include "engine/run/instances.h"

namespace chappe::cli {
namespace {

Value diagnostics_json(const std::vector<Diagnostic>& diagnostics) {
  ValueList out;
  for (const Diagnostic& one : diagnostics) {
    out.emplace_back(ValueMap{{"file", one.file},
                              {"line", std::int64_t{one.line}},
                              {"column", std::int64_t{one.column}},
                              {"severity", one.warning ? "warning" : "error"},
                              {"message", one.message}});
  }
  return out;
}

Value file_json(const DagFile& file) {
  ValueMap out{{"file", file.file}, {"valid", file.dag != nullptr}};
  if (file.dag != nullptr) {
    out.emplace_back("dag", file.dag->name);
    out.emplace_back("dag_version", file.dag->version);
    out.emplace_back("tasks", static_cast<std::int64_t>(file.dag->tasks.size()));
  }
  out.emplace_back("diagnostics", diagnostics_json(file.diagnostics));
  return out;
}

/// Positions of the tasks such that each comes after all that it depends on; ties in the order of the file.
std::vector<std::uint32_t> order_of(const Dag& dag) {
  std::vector<std::uint32_t> waits(dag.tasks.size());
  std::vector<std::vector<std::uint32_t>> below(dag.tasks.size());
  for (std::uint32_t task = 0; task < dag.tasks.size(); ++task) {
    waits[task] = static_cast<std::uint32_t>(dag.tasks[task].depends_on.size());
    for (const Dependency& edge : dag.tasks[task].depends_on) below[edge.task].push_back(task);
  }
  std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> ready;
  for (std::uint32_t task = 0; task < waits.size(); ++task) {
    if (waits[task] == 0) ready.push(task);
  }
  std::vector<std::uint32_t> order;
  while (!ready.empty()) {
    const std::uint32_t task = ready.top();
    ready.pop();
    order.push_back(task);
    for (const std::uint32_t next : below[task]) {
      if (--waits[next] == 0) ready.push(next);
    }
  }
  return order;
}

std::string kind_of(const Task& task) {
  switch (task.kind) {
    case TaskKind::kRun:
      return task.work != nullptr && !task.work->command.empty() ? "command" : "run";
    case TaskKind::kNoop:
      return "noop";
    case TaskKind::kCheck:
      return "check";
    case TaskKind::kPromote:
      return "promote";
    case TaskKind::kWait:
      return "wait";
    case TaskKind::kHuman:
      return "human";
    case TaskKind::kDag:
      return "dag";
  }
  return "?";
}

std::string source_of(const InputArtifact& input, const Dag& dag) {
  if (input.from_task) return dag.tasks[*input.from_task].id + "." + input.from_artifact;
  return input.asset.text();
}

Value task_plan(const Task& task, std::uint32_t position, const Instances& instances) {
  const Dag& dag = instances.dag();
  ValueList after;
  for (const Dependency& edge : task.depends_on) after.emplace_back(dag.tasks[edge.task].id);
  ValueList inputs;
  ValueList outputs;
  if (task.work != nullptr) {
    for (const InputArtifact& input : task.work->inputs) inputs.emplace_back(source_of(input, dag));
    for (const OutputArtifact& output : task.work->outputs) {
      outputs.emplace_back(output.asset.text().empty() ? output.name : output.asset.text());
    }
  }
  if (task.promote) outputs.emplace_back(task.promote->model + "@" + task.promote->alias);
  return ValueMap{{"task", task.id},
                  {"kind", kind_of(task)},
                  {"instances", std::int64_t{instances.count(position)}},
                  {"after", std::move(after)},
                  {"trigger_rule", name_of(task.trigger_rule)},
                  {"when", task.when.empty() ? Value() : Value(task.when.text())},
                  {"inputs", std::move(inputs)},
                  {"outputs", std::move(outputs)}};
}

std::string joined(const Value& task, std::string_view name) {
  std::string out;
  for (const Value& item : list_of(task, name)) out += (out.empty() ? "" : ", ") + to_text(item);
  return printable(out);
}

std::string plan_table(const ValueList& tasks) {
  std::vector<std::vector<std::string>> rows;
  for (const Value& task : tasks) {
    const std::int64_t count = number_of(task, "instances");
    rows.push_back({text_of(task, "task"), text_of(task, "kind"), count == 1 ? "" : fmt::format("× {}", count),
                    joined(task, "after"), joined(task, "inputs"), joined(task, "outputs")});
  }
  return table({"TASK", "KIND", "FAN-OUT", "AFTER", "READS", "WRITES"}, rows);
}

ValueList schedule_json(const std::vector<PlannedTime>& times) {
  ValueList out;
  for (const PlannedTime& each : times) {
    out.emplace_back(ValueMap{{"time", each.text}, {"note", each.note.empty() ? Value() : Value(each.note)}});
  }
  return out;
}

void print_schedule(const SchedulePlan& plan, const std::vector<PlannedTime>& times) {
  if (plan.empty()) return;
  print(fmt::format("\nWhen deployed it runs at {}{}\n", printable(plan.text()),
                    times.empty() ? ", which never comes again"
                    : plan.paused ? ", once unpaused:"
                                  : ":"));
  for (const PlannedTime& each : times) {
    print(fmt::format("  {}{}\n", each.text, each.note.empty() ? "" : "  " + each.note));
  }
}

void print_triggers(const std::vector<TriggerSpec>& triggers) {
  if (!triggers.empty()) print(fmt::format("\nWhen deployed it starts on {}\n", printable(to_text(triggers))));
}

}  // namespace

int validate_files(const Session& session, const std::vector<std::string>& files) {
  bool valid = true;
  ValueList told;
  for (const std::string& name : files) {
    const auto file = load_dag_file(name);
    if (!file) return complain(file.error().message, kUsage);
    valid = valid && file->dag != nullptr;
    told.push_back(file_json(*file));
    if (session.output.json) continue;
    show_diagnostics(file->diagnostics, session.output);
    if (file->dag != nullptr) {
      print(fmt::format("{}: DAG {} with {} task{} is valid\n", name, file->dag->name, file->dag->tasks.size(),
                        file->dag->tasks.size() == 1 ? "" : "s"));
    }
  }
  if (session.output.json) print_json(told);
  return valid ? kOk : kUsage;
}

int plan_file(const Session& session, const RunOptions& options) {
  const auto file = load_dag_file(options.target);
  if (!file) return complain(file.error().message, kUsage);
  show_diagnostics(file->diagnostics, session.output);
  if (file->dag == nullptr) return kUsage;
  const auto given = read_params(file->dag.get(), options.params_file, options.params);
  if (!given) return complain(given.error());
  const auto params = resolve_params(file->dag->params, *given);
  if (!params) return complain(params.error());
  const auto instances = Instances::expand(file->dag, *params);
  if (!instances) return complain(instances.error());
  ValueList tasks;
  for (const std::uint32_t position : order_of(*file->dag)) {
    tasks.push_back(task_plan(file->dag->tasks[position], position, *instances));
  }
  const SchedulePlan& schedule = file->dag->schedule;
  const std::vector<PlannedTime> times = planned_times(schedule, wall_now());
  if (session.output.json) {
    print_json(ValueMap{{"dag", file->dag->name},
                        {"dag_version", file->dag->version},
                        {"task_count", std::int64_t{instances->size()}},
                        {"schedule", schedule.empty() ? Value() : Value(schedule.text())},
                        {"times", schedule_json(times)},
                        {"triggers", file->dag->triggers.empty() ? Value() : Value(to_text(file->dag->triggers))},
                        {"tasks", std::move(tasks)}});
    return kOk;
  }
  print(fmt::format("{}: {} task instances of {} tasks\n\n", bold(file->dag->name, session.output.colour_out),
                    instances->size(), file->dag->tasks.size()));
  print(plan_table(tasks));
  print_schedule(schedule, times);
  print_triggers(file->dag->triggers);
  return kOk;
}

int print_schema() {
  print(dag_schema());
  return kOk;
}

}  // namespace chappe::cli
