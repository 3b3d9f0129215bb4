// The shapes of runs: fan-outs over results, and such that need not succeed as a whole. Drawn apart from the rest of a
// story, so that the other seeds tell what they always told.
#include <fmt/format.h>

#include <set>

#include "tests/simulation/stories.h"
#include "tests/support/random_dag.h"
#include "tests/support/trigger_rules.h"

namespace chappe::simulation {
namespace {

/// Some program upstream that is one instance: it says how many items there are.
std::optional<std::uint32_t> source_of(const Dag& dag, const Task& task) {
  for (const Dependency& edge : task.depends_on) {
    const Task& upstream = dag.tasks[edge.task];
    if (upstream.kind == TaskKind::kRun && !upstream.foreach) return edge.task;
  }
  return std::nullopt;
}

void leave_value(Task& task) {
  if (!task.work->values.empty()) return;
  WorkSpec work = *task.work;
  OutputValue& value = work.values.emplace_back();
  value.name = kValueName;
  value.file = "n";
  task.work = std::make_shared<const WorkSpec>(std::move(work));
}

void fan_out_late(Dag& dag, Task& task) {
  ForEach& foreach = *task.foreach;
  foreach
    .sequence.reset();
  foreach
    .late = true;
  const auto source = source_of(dag, task);
  if (source) leave_value(dag.tasks[*source]);
  const std::string count = source ? fmt::format("tasks.{}.outputs.{} ?? 2", dag.tasks[*source].id, kValueName) : "2";
  foreach
    .expression = expr::Template::parse(fmt::format("${{{{ range(0, {}) }}}}", count)).value();
}

void loop(support::Chance& chance, Task& task) {
  LoopSpec loop;
  loop.until = expr::Expression::parse(fmt::format("iteration >= {}", 1 + chance.number(3))).value();
  loop.max_iterations = 1 + chance.number(3);
  loop.interval = std::chrono::seconds(chance.number(20));
  task.loop = std::move(loop);
}

}  // namespace

bool add_shapes(std::uint64_t seed, Dag& dag) {
  support::Chance chance(seed);
  bool foreseeable = true;
  if (!chance.one_in(3)) return foreseeable;
  for (Task& task : dag.tasks) {
    if (task.kind == TaskKind::kRun && chance.one_in(4)) loop(chance, task);
    if (!task.foreach) continue;
    if (chance.one_in(2)) {
      fan_out_late(dag, task);
      foreseeable = foreseeable && support::waits_for_all(task.trigger_rule);
    }
    if (chance.one_in(4)) {
      task.foreach->min_share = 0.25 * (1 + chance.number(3));
      foreseeable = false;  // Which of those that fail are tolerated: the first ones.
    }
  }
  return foreseeable;
}

bool add_depth_first(std::uint64_t seed, Dag& dag) {
  support::Chance chance(seed);
  bool foreseeable = true;
  if (!chance.one_in(2)) return foreseeable;
  for (std::uint32_t i = 0; i < dag.tasks.size(); ++i) {
    Task& task = dag.tasks[i];
    if (!task.foreach) continue;
    std::set<std::uint32_t> leaders;
    for (const Dependency& edge : task.depends_on) {
      const auto& above = dag.tasks[edge.task].foreach;
      if (above) leaders.insert(above->depth_first ? above->leader : edge.task);
    }
    if (leaders.size() != 1 || chance.one_in(4)) continue;
    const std::uint32_t leader = *leaders.begin();
    ForEach own{.late = dag.tasks[leader].foreach->late, .depth_first = true, .leader = leader};
    own.max_parallel = task.foreach->max_parallel;
    own.on_empty = task.foreach->on_empty;
    task.foreach = std::move(own);
    dag.tasks[leader].followers.push_back(i);
    if (!support::waits_for_all(task.trigger_rule)) foreseeable = false;
  }
  return foreseeable;
}

void add_teardown(std::uint64_t seed, Dag& dag) {
  support::Chance chance(seed);
  if (!chance.one_in(3)) return;
  Task& task = dag.tasks[dag.tasks.size() - dag.handlers - 1];
  const bool plain = (task.kind == TaskKind::kRun || task.kind == TaskKind::kNoop) && !task.foreach && !task.loop;
  if (!plain) return;
  for (const Dependency& edge : task.depends_on) {
    if (!dag.tasks[edge.task].foreach) task.teardown_of = {edge.task};
  }
  if (task.teardown_of.empty()) return;
  task.trigger_rule = TriggerRule::kAllDone;
  task.when = {};
  task.allow_failure = {};
  task.allow_failure.always = !chance.one_in(3);
}

}  // namespace chappe::simulation
