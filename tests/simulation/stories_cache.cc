// Results that are used again, and people who are told. Drawn apart from the rest of a story, so that the other seeds
// tell what they always told.
#include <fmt/format.h>

#include "tests/simulation/stories.h"
#include "tests/support/random_dag.h"

namespace chappe::simulation {

/// What a program leaves depends on its story, its name and its inputs: the first two stand in the version.
void add_caches(std::uint64_t seed, std::uint32_t story, Dag& dag) {
  support::Chance chance(seed);
  if (!chance.one_in(2)) return;
  for (Task& task : dag.tasks) {
    const bool fits = task.kind == TaskKind::kRun && !task.loop && task.handler == Handler::kNone;
    if (!fits || chance.one_in(3)) continue;
    CacheSpec cache{.version = fmt::format("{} {}", story, task.id)};
    cache.scope = static_cast<CacheSpec::Scope>(chance.number(3));
    if (chance.one_in(3)) cache.ttl = std::chrono::seconds(1 + chance.number(60));
    task.cache = std::move(cache);
  }
}

void add_notices(std::uint64_t seed, Dag& dag) {
  support::Chance chance(seed);
  if (chance.one_in(2)) return;
  for (std::uint32_t i = 0; i <= chance.number(2); ++i) {
    dag.says_notify = true;
    NotifyChannel& channel = dag.notify.emplace_back();
    for (const Notice notice : {Notice::kFailure, Notice::kSuccess, Notice::kRecovered, Notice::kLate, Notice::kGate}) {
      if (chance.one_in(2)) channel.on.push_back(notice);
    }
  }
}

}  // namespace chappe::simulation
