// Deadlines of runs and of tasks. Drawn apart, so that the other seeds tell what they always told.
#include "tests/simulation/stories.h"
#include "tests/support/random_dag.h"

namespace chappe::simulation {

bool add_deadlines(std::uint64_t seed, Dag& dag) {
  constexpr std::uint32_t kLongest = 60'000;
  support::Chance chance(seed);
  if (!chance.one_in(3)) return false;
  if (chance.one_in(2)) {
    dag.deadline = Deadline{.from = static_cast<Deadline::From>(chance.number(3)),
                            .after = std::chrono::milliseconds(1 + chance.number(kLongest)),
                            .cancels = chance.one_in(4)};
  }
  for (Task& task : dag.tasks) {
    const bool worked_at = task.kind == TaskKind::kRun || task.kind == TaskKind::kDag;
    if (worked_at && chance.one_in(2)) task.deadline = std::chrono::milliseconds(1'000 + chance.number(kLongest));
  }
  return true;
}

}  // namespace chappe::simulation
