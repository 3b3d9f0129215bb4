// Tasks that start runs of another DAG. Drawn apart, so that the other seeds tell what they always told.
#include "tests/simulation/stories.h"
#include "tests/support/random_dag.h"

namespace chappe::simulation {

Story make_child(const Plan& plan) {
  constexpr std::uint32_t kWaitMax = 20'000;
  support::Chance chance(plan.seed * 0x9E3779B97F4A7C15U + 83);
  Dag dag;
  dag.name = kChild;
  dag.version = dag.name + "-1";
  dag.max_runs = 1 + chance.number(3);
  add_wait(dag, std::chrono::milliseconds(chance.number(kWaitMax)));
  Task& checks = dag.tasks.emplace_back();
  checks.id = "check";
  checks.kind = TaskKind::kCheck;
  checks.depends_on.push_back({.task = 0});
  checks.checks.push_back({.expression = expr::Expression::parse(chance.one_in(3) ? "2 < 1" : "1 < 2").value()});
  add_leaver(plan.seed * 0x9E3779B97F4A7C15U + 85, dag);
  dag.index_tasks();
  Story child{.seed = plan.seed, .number = kChildNumber, .program_max = plan.program_max};
  child.dag = std::make_shared<const Dag>(std::move(dag));
  child.instances = Instances::expand(child.dag, {}).value();
  return child;
}

bool add_runs(std::uint64_t seed, Dag& dag) {
  support::Chance chance(seed);
  bool any = false;
  if (!chance.one_in(4)) return any;
  for (Task& task : dag.tasks) {
    const bool fits = task.kind == TaskKind::kNoop && task.teardown_of.empty() && task.handler == Handler::kNone;
    if (!fits || chance.one_in(2)) continue;
    task.kind = TaskKind::kDag;
    task.subdag = SubDagSpec{.dag = chance.one_in(8) ? "nobody" : kChild, .wait = !chance.one_in(3)};
    any = true;
  }
  return any;
}

}  // namespace chappe::simulation
