// How long artifacts are kept. Drawn apart from the rest of a story, so that the other seeds tell what they always
// told.
#include "tests/simulation/stories.h"
#include "tests/support/random_dag.h"

namespace chappe::simulation {
namespace {

Duration some_retention(support::Chance& chance) {
  return chance.one_in(4) ? kForever : Duration(std::chrono::seconds(1 + chance.number(20)));
}

}  // namespace

void add_leaver(std::uint64_t seed, Dag& dag) {
  support::Chance chance(seed);
  if (!chance.one_in(2)) return;
  WorkSpec work{.kind = TaskKind::kRun, .script = expr::Template::literal("leave")};
  OutputArtifact& output = work.outputs.emplace_back();
  output.name = "out";
  output.path = "out.bin";
  Task& task = dag.tasks.emplace_back();
  task.id = "leave";
  task.kind = TaskKind::kRun;
  task.cache = CacheSpec{.key = {}, .scope = CacheSpec::Scope::kDag, .ttl = {}, .version = dag.name};
  task.work = std::make_shared<const WorkSpec>(std::move(work));
  add_retention(chance.number(1'000'000), dag);
}

void add_retention(std::uint64_t seed, Dag& dag) {
  support::Chance chance(seed);
  if (chance.one_in(2)) return;
  dag.retention.on_success = some_retention(chance);
  dag.retention.on_failure = some_retention(chance);
  if (chance.one_in(2)) dag.retention.keep_last = chance.number(3);
  for (Task& task : dag.tasks) {
    if (task.work == nullptr || task.work->outputs.empty() || !chance.one_in(3)) continue;
    WorkSpec work = *task.work;
    for (OutputArtifact& output : work.outputs) {
      if (output.asset.text().empty()) output.retention = some_retention(chance);
    }
    task.work = std::make_shared<const WorkSpec>(std::move(work));
  }
}

}  // namespace chappe::simulation
