// Tasks that run when something comes to another task. Drawn apart, so that the other seeds tell what they always told.
#include "tests/simulation/stories.h"
#include "tests/support/random_dag.h"

namespace chappe::simulation {
namespace {

Task hook_of(support::Chance& chance, const Dag& dag, std::uint32_t of) {
  Task hook;
  hook.id = "hook_" + dag.tasks[of].id;
  hook.hook = static_cast<HookEvent>(1 + chance.number(5));
  hook.hook_of = of;
  hook.foreach = dag.tasks[of].foreach;
  hook.allow_failure.always = true;
  hook.retry.limit = static_cast<std::uint16_t>(chance.number(2));
  hook.infra_retry = dag.tasks[of].infra_retry;
  WorkSpec work;
  if (chance.one_in(2)) {
    work.kind = hook.kind = TaskKind::kRun;
    work.script = expr::Template::literal("true");
    work.resources.cpu_milli = 500;
  }
  hook.work = std::make_shared<const WorkSpec>(std::move(work));
  if (chance.one_in(8)) hook.when = expr::Expression::parse("false").value();
  return hook;
}

/// What stood at `from` and behind it, among the handlers, has moved.
void move_up(Dag& dag, std::uint32_t from, std::uint32_t by) {
  const auto move = [&](std::uint32_t& task) { task += task >= from ? by : 0; };
  for (std::uint32_t i = from + by; i < dag.tasks.size(); ++i) {
    Task& task = dag.tasks[i];
    for (Dependency& edge : task.depends_on) move(edge.task);
    if (task.promote) move(task.promote->from_task);
    if (task.work == nullptr || task.work->inputs.empty()) continue;
    WorkSpec work = *task.work;
    for (InputArtifact& input : work.inputs) {
      if (input.from_task) move(*input.from_task);
    }
    task.work = std::make_shared<const WorkSpec>(std::move(work));
  }
}

}  // namespace

bool add_hooks(std::uint64_t seed, Dag& dag) {
  support::Chance chance(seed);
  if (!chance.one_in(3)) return true;
  const std::uint32_t tasks = static_cast<std::uint32_t>(dag.tasks.size()) - dag.handlers;
  bool foreseeable = true;
  std::vector<Task> hooks;
  for (std::uint32_t i = 0; i < tasks; ++i) {
    const auto& foreach = dag.tasks[i].foreach;
    if (chance.one_in(2) || (foreach && (foreach->late || foreach->depth_first))) continue;
    hooks.push_back(hook_of(chance, dag, i));
    const HookEvent event = hooks.back().hook;
    if (event == HookEvent::kStart || event == HookEvent::kRetry) foreseeable = false;
    const auto at = tasks + static_cast<std::uint32_t>(hooks.size()) - 1;
    dag.tasks[i].hooks.push_back(at);
    dag.hooks.push_back(at);
  }
  const auto count = static_cast<std::uint32_t>(hooks.size());
  dag.tasks.insert(dag.tasks.begin() + tasks, hooks.begin(), hooks.end());
  move_up(dag, tasks, count);
  dag.index_tasks();
  return foreseeable;
}

}  // namespace chappe::simulation
