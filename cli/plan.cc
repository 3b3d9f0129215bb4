// What a file would do: its tasks, when it starts by itself, and, where there is a scheduler or what one left, how a
// run of it would begin, what differs from the version in use, and who reads what it makes.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <queue>

#include "cli/commands.h"
#include "cli/dag_file.h"
#include "cli/exit_code.h"
#include "cli/offline.h"
#include "cli/plan_schedule.h"
#include "cli/state_dir.h"
#include "engine/run/instances.h"

namespace chappe::cli {
namespace {

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
    case TaskKind::kHttp:
      return "http";
    case TaskKind::kData:
      return "check";
  }
  return "?";
}

/// What is known before a run begins.
class PlanScope : public expr::Scope {
 public:
  PlanScope(ValueMap params, const Dag& dag) : params_(std::move(params)), dag_(dag) {}
  std::optional<Value> resolve(std::span<const std::string> path) const override {
    return path[0] == "params" ? std::optional<Value>(params_) : std::nullopt;
  }
  const calendar::Zone& zone() const override { return *dag_.zone; }

 private:
  Value params_;
  const Dag& dag_;
};

/// Secret ones are told to nobody.
ValueMap without_secret_values(const Dag& dag, ValueMap params) {
  std::erase_if(params, [&](const auto& param) {
    return std::ranges::any_of(dag.params,
                               [&](const ParamSpec& spec) { return spec.secret && spec.name == param.first; });
  });
  return params;
}

/// With the parameters put in; as it was written where it names more than these.
std::string filled_in(const expr::Template& text, const PlanScope& scope) {
  auto expanded = text.expand(scope);
  return expanded ? *std::move(expanded) : text.text();
}

std::string source_of(const InputArtifact& input, const Dag& dag, const PlanScope& scope) {
  if (input.from_task) return dag.tasks[*input.from_task].id + "." + input.from_artifact;
  return filled_in(input.asset, scope);
}

Value task_plan(const Task& task, std::uint32_t position, const Instances& instances, const PlanScope& scope) {
  const Dag& dag = instances.dag();
  ValueList after;
  for (const Dependency& edge : task.depends_on) after.emplace_back(dag.tasks[edge.task].id);
  ValueList inputs;
  ValueList outputs;
  if (task.work != nullptr) {
    for (const InputArtifact& input : task.work->inputs) inputs.emplace_back(source_of(input, dag, scope));
    for (const OutputArtifact& output : task.work->outputs) {
      outputs.emplace_back(output.asset.text().empty() ? output.name : filled_in(output.asset, scope));
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

std::string plan_table(const ValueList& tasks, const std::map<std::string, std::string>& outlook) {
  std::vector<std::string> head{"TASK", "KIND", "FAN-OUT", "AFTER", "READS", "WRITES"};
  if (!outlook.empty()) head.emplace_back("A RUN NOW");
  std::vector<std::vector<std::string>> rows;
  for (const Value& task : tasks) {
    const std::int64_t count = number_of(task, "instances");
    rows.push_back({text_of(task, "task"), text_of(task, "kind"), count == 1 ? "" : fmt::format("× {}", count),
                    joined(task, "after"), joined(task, "inputs"), joined(task, "outputs")});
    const auto found = outlook.find(text_of(task, "task"));
    if (found != outlook.end()) rows.back().push_back(printable(found->second));
  }
  return table(head, rows);
}

// ---- What a scheduler knows of it ----

/// Of one instance: "used again", "runs", "undecided" ...
std::string outlook_of(const Value& instance) {
  if (text_of(instance, "reused") == "true") return "used again";
  const std::string state = text_of(instance, "state");
  if (state == "scheduled") return "runs";
  if (state == "none") return "undecided";
  if (state == "waiting") return "waits";
  return state == "success" ? "passes" : state == "failed" ? "fails" : state;
}

/// By task: of a fan-out how many of each.
std::map<std::string, std::string> outlook_by_task(const Value& plan) {
  std::map<std::string, std::map<std::string, int>> counts;
  for (const Value& one : list_of(plan, "tasks")) ++counts[text_of(one, "task")][outlook_of(one)];
  std::map<std::string, std::string> out;
  for (const auto& [task, outlooks] : counts) {
    std::string& told = out[task];
    for (const auto& [outlook, count] : outlooks) {
      told += (told.empty() ? "" : ", ") + (outlooks.size() == 1 ? outlook : fmt::format("{} {}", count, outlook));
    }
  }
  return out;
}

/// Why results are not used again, and why tasks would not do what they are for; a few.
std::string told_why(const Value& plan) {
  constexpr std::size_t kToldMax = 20;
  std::vector<std::vector<std::string>> rows;
  std::size_t more = 0;
  for (const Value& one : list_of(plan, "tasks")) {
    const std::string told = text_of(one, "told");
    const std::string state = text_of(one, "state");
    const bool odd = state == "failed" || state == "skipped" || state == "upstream_failed" || state == "waiting";
    const std::string why = !told.empty() ? told : odd ? text_of(one, "waits_for") : "";
    if (why.empty()) continue;
    if (rows.size() == kToldMax) {
      ++more;
    } else {
      rows.push_back({printable(text_of(one, "name")), outlook_of(one), printable(why)});
    }
  }
  if (rows.empty()) return "";
  return "\n" + table({"TASK", "A RUN NOW", "WHY"}, rows) + (more > 0 ? fmt::format("... and {} more\n", more) : "");
}

std::string told_consumers(const Value& plan) {
  std::vector<std::vector<std::string>> rows;
  for (const Value& one : list_of(plan, "consumers")) {
    rows.push_back({printable(text_of(one, "dag")), text_of(one, "how"), printable(text_of(one, "asset"))});
  }
  return rows.empty() ? "" : "\n" + table({"CONSUMER", "HOW", "OF"}, rows);
}

/// "; it is new", "; as it is in use" or "; task train differs".
std::string told_difference(const Value& plan, const DagFile& file) {
  const std::string in_use = text_of(plan, "version_in_use");
  if (in_use.empty()) return "; the DAG is new";
  if (in_use == file.dag->version) return "; as it is in use";
  const std::string differs = difference(text_of(plan, "source_in_use"), file.text);
  return fmt::format("; of version {} in use: {}", in_use.substr(0, 12), printable(differs));
}

/// What the scheduler says, or who reads what it left; null where there is neither. Errors: it refuses the file, or one
/// that was named cannot be reached.
Result<Value> ask_for_plan(const Session& session, const DagFile& file, const ValueMap& params,
                           const std::string& logical_time) {
  ValueMap body{{"dag_yaml", file.text}, {"file", file.file}, {"params", params}};
  if (!logical_time.empty()) body.emplace_back("logical_time", logical_time);
  auto client = ApiClient::find(session.server);
  if (client) return client->send("POST", "/plan", body);
  if (client.error().code != ErrorCode::kNotFound) return fail(client.error());
  const auto state_dir = find_state_dir(session.server.state_dir);
  if (!state_dir) return fail(state_dir.error());
  const auto offline = OfflineServer::open(*state_dir, session.object_store);
  if (!offline) return offline.error().code == ErrorCode::kNotFound ? Result<Value>(Value()) : fail(offline.error());
  return (*offline)->client().send("POST", "/plan", body);
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
  auto plan = ask_for_plan(session, *file, *given, options.logical_time);
  if (!plan && plan.error().code != ErrorCode::kInvalidInput) return complain(plan.error());
  if (!plan) {  // Too large a run, say: the file can be told all the same.
    (void)complain("what a run would do cannot be told: " + plan.error().message, kOk);
    plan = Value();
  }
  ValueList tasks;
  const PlanScope scope(without_secret_values(*file->dag, *params), *file->dag);
  for (const std::uint32_t position : order_of(*file->dag)) {
    tasks.push_back(task_plan(file->dag->tasks[position], position, *instances, scope));
  }
  const SchedulePlan& schedule = file->dag->schedule;
  const std::vector<PlannedTime> times = planned_times(schedule, wall_now());
  const std::string circle = text_of(*plan, "circle");
  std::vector<Diagnostic> diagnostics = file->diagnostics;
  if (!circle.empty()) diagnostics.push_back({.file = file->file, .message = circle, .warning = true});
  if (session.output.json) {
    const Value* in_use = plan->find("version_in_use");
    const bool changed = in_use != nullptr && !in_use->is_null();
    print_json(
        ValueMap{{"dag", file->dag->name},
                 {"dag_version", file->dag->version},
                 {"version_in_use", in_use == nullptr ? Value() : *in_use},
                 {"difference", changed ? Value(difference(text_of(*plan, "source_in_use"), file->text)) : Value()},
                 {"task_count", std::int64_t{instances->size()}},
                 {"schedule", schedule.empty() ? Value() : Value(schedule.text())},
                 {"times", schedule_json(times)},
                 {"triggers", file->dag->triggers.empty() ? Value() : Value(to_text(file->dag->triggers))},
                 {"tasks", std::move(tasks)},
                 {"run", list_of(*plan, "tasks")},
                 {"consumers", list_of(*plan, "consumers")},
                 {"circle", circle.empty() ? Value() : Value(circle)},
                 {"diagnostics", diagnostics_json(diagnostics)}});
    return kOk;
  }
  print(fmt::format("{}: {} task instances of {} tasks{}\n\n", bold(file->dag->name, session.output.colour_out),
                    instances->size(), file->dag->tasks.size(), plan->is_null() ? "" : told_difference(*plan, *file)));
  print(plan_table(tasks, outlook_by_task(*plan)));
  print(told_why(*plan));
  print(told_consumers(*plan));
  print_schedule(schedule, times);
  print_triggers(file->dag->triggers);
  if (!circle.empty()) warn(file->dag->name, circle);
  return kOk;
}

}  // namespace chappe::cli
