// Tasks that leave values to later runs: one state for all. Drawn apart from the rest of a story, so that the other
// seeds tell what they always told.
#include "tests/simulation/stories.h"
#include "tests/support/random_dag.h"

namespace chappe::simulation {

bool add_states(std::uint64_t seed, Dag& dag) {
  support::Chance chance(seed);
  if (!chance.one_in(3)) return false;
  bool some = false;
  for (Task& task : dag.tasks) {
    const bool fits = task.kind == TaskKind::kRun && !task.foreach && !task.cache && task.handler == Handler::kNone;
    if (!fits || chance.one_in(2)) continue;
    WorkSpec work = *task.work;
    if (work.values.empty()) {
      OutputValue& value = work.values.emplace_back();
      value.name = kValueName;
      value.file = "n";
    }
    work.states.push_back({.name = kStateName, .default_value = Value(0), .write = work.values[0].name});
    work.states.back().scope = StateUse::Scope::kNamespace;
    task.work = std::make_shared<const WorkSpec>(std::move(work));
    some = true;
  }
  return some;
}

}  // namespace chappe::simulation
