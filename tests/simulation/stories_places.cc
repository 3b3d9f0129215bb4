// Runs that share their places by name, and what runs publish. Drawn apart, so that the other seeds tell what they
// always told.
#include <fmt/format.h>

#include "tests/simulation/stories.h"
#include "tests/support/random_dag.h"

namespace chappe::simulation {

void add_group(std::uint64_t seed, Dag& dag) {
  support::Chance chance(seed);
  if (dag.on_limit == OnLimit::kReplace || !chance.one_in(3)) return;  // It would cancel runs of others.
  dag.group = expr::Template::parse(chance.one_in(2) ? "a" : "${{ run.trigger == 'manual' ? 'a' : 'b' }}").value();
}

void add_run_outputs(std::uint64_t seed, Dag& dag) {
  support::Chance chance(seed);
  if (!chance.one_in(2)) return;
  for (std::uint32_t i = 0; i < dag.tasks.size(); ++i) {
    const Task& task = dag.tasks[i];
    if (task.work == nullptr || task.foreach) continue;
    for (const OutputValue& value : task.work->values) {
      const std::string text = fmt::format("${{{{ tasks.{}.outputs.{} }}}}", task.id, value.name);
      dag.outputs.values.emplace_back(task.id,
                                      GivenParam{.value = {}, .expression = expr::Template::parse(text).value()});
    }
    for (const OutputArtifact& output : task.work->outputs) {
      dag.outputs.artifacts.push_back({.name = task.id + "_file", .task = i, .artifact = output.name, .select = {}});
    }
  }
}

}  // namespace chappe::simulation
