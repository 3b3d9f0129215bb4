// Tasks that measure data in place of running a program, some with a condition that is asked first. Drawn apart from
// the rest of a story, so that the other seeds tell what they always told.
#include "engine/model/data_check.h"
#include "tests/simulation/stories.h"
#include "tests/support/random_dag.h"

namespace chappe::simulation {

void add_checks(std::uint64_t seed, Dag& dag) {
  support::Chance chance(seed);
  if (!chance.one_in(3)) return;
  for (Task& task : dag.tasks) {
    const bool reads = task.kind == TaskKind::kRun && !task.work->inputs.empty();
    if (!reads || task.cache || task.loop || !task.work->outputs.empty() || !chance.one_in(2)) continue;
    DataCheck check;
    for (std::uint32_t i = 0; i < task.work->inputs.size(); ++i) {
      check.sources.push_back(task.work->inputs[i].name);
      check.data.push_back({i, {.format = DataFormat::kCsv, .rows = {1, {}}}});
    }
    WorkSpec work = *task.work;
    work.kind = task.kind = TaskKind::kData;
    work.check = std::make_shared<const DataCheck>(std::move(check));
    task.work = std::make_shared<const WorkSpec>(std::move(work));
    if (chance.one_in(2)) {
      task.checks.push_back({.expression = expr::Expression::parse(chance.one_in(3) ? "2 < 1" : "1 < 2").value()});
    }
  }
}

/// The conditions that stories have are "1 < 2" and "2 < 1".
bool holds(const CheckCondition& condition) { return condition.expression.text() == "1 < 2"; }

}  // namespace chappe::simulation
