// Tasks that declare what they read and write outside. Drawn apart from the rest of a story, so that the other seeds
// tell what they always told.
#include "tests/simulation/stories.h"
#include "tests/support/random_dag.h"

namespace chappe::simulation {

void add_lineage(std::uint64_t seed, Dag& dag) {
  support::Chance chance(seed);
  if (!chance.one_in(3)) return;
  for (Task& task : dag.tasks) {
    const bool fits = runs_program(task) || task.kind == TaskKind::kNoop;
    if (!fits || !chance.one_in(3)) continue;
    LineageSpec lineage;
    lineage.inputs.push_back(expr::Template::literal("db://in"));
    if (chance.one_in(2)) lineage.outputs.push_back(expr::Template::literal("db://out"));
    task.lineage = std::make_shared<const LineageSpec>(std::move(lineage));
  }
}

}  // namespace chappe::simulation
