// The law of runs that are pruned: none goes too soon, none that anything refers to goes, and what is marked goes in
// the end. What a version of an asset descends from stays, link by link.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/laws.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {

/// 0: of no run that is known.
RunSeq Laws::run_of_object(const std::string& key) const {
  const auto attempt = attempts_.find(attempt_of(key));
  return attempt == attempts_.end() ? RunSeq{} : attempt->second.run;
}

void Laws::check_pruned(const Persist& persist) {
  for (const RunPruned& pruned : persist.pruned) check_pruned(pruned);
  if (!persist.pruned.empty()) check_descent();
  for (const ArtifactRow& row : persist.artifacts) check_refers(row.key, row.object.key);
  for (const InputRow& row : persist.inputs) check_refers(row.key, row.object.key);
}

void Laws::check_pruned(const RunPruned& pruned) {
  world_.saw(Sight::kRunPruned);
  const RunView& view = runs_.at(pruned.run);
  const auto wrong = [&](const char* why) {
    broken(Law::kPruning, fmt::format("run {} is pruned, {}", pruned.run.value, why));
  };
  if (!is_final(view.row.state)) wrong("and is not over");
  const bool jumps = world_.plan.knows(Fault::kWallJump);
  if (!jumps && world_.wall() - view.row.ended_at < world_.plan.run_retention) wrong("and ended but now");
  if (!pruned_.insert(pruned.run).second) wrong("and was before");
  for (const auto& [id, row] : world_.store.tables().notifications) {
    if (row.run == pruned.run && row.state == NotificationState::kPending) wrong("and somebody is to be told of it");
  }
  for (const auto& [name, row] : world_.store.tables().states) {
    if (row.by_task.run == pruned.run) wrong("and a state is as it left it");
  }
  std::erase_if(committed_objects_, [&](const auto& each) { return run_of_object(each.first) == pruned.run; });
}

/// What is there refers to nothing that goes; nor does what a version of an asset was made from.
void Laws::check_descent() {
  const auto& tables = world_.store.tables();
  for (const ArtifactRow& row : tables.artifacts) check_refers(row.key, row.object.key);
  for (const InputRow& row : tables.inputs) check_refers(row.key, row.object.key);
  std::vector<std::pair<InstanceKey, AttemptId>> makers;
  for (const auto& [id, version] : tables.asset_versions) makers.emplace_back(version.producer, version.attempt);
  std::set<std::pair<InstanceKey, AttemptId>> seen;
  while (!makers.empty()) {
    const auto maker = makers.back();
    makers.pop_back();
    if (!seen.insert(maker).second) continue;
    if (pruned_.contains(maker.first.run)) broken(Law::kPruning, name(maker.first) + " made an asset, and is pruned");
    for (const InputRow& row : tables.inputs) {
      const bool is_input = row.key == maker.first && row.attempt == maker.second && row.object.producer.run;
      if (is_input) makers.emplace_back(row.object.producer, row.object.producer_attempt);
    }
  }
}

void Laws::check_refers(InstanceKey key, const std::string& object) {
  const RunSeq made_by = run_of_object(object);
  if (!pruned_.contains(made_by) || pruned_.contains(key.run)) return;
  broken(Law::kPruning, fmt::format("{} refers to {}, whose run is pruned", name(key), object));
}

void Laws::removes(const RemoveRunObjects& remove) {
  if (!pruned_.contains(remove.run)) broken(Law::kPruning, remove.prefix + " is removed, and its run is not pruned");
}

/// As check_objects(): what did not win may come late, from a worker that was away, when its run has gone already. And
/// what the store does not let go stays.
void Laws::check_all_pruned() {
  const auto& tables = world_.store.tables();
  if (!tables.pruning.empty()) broken(Law::kQuiet, "a run is marked, and does not go");
  for (const auto& [key, row] : tables.tasks) {
    if (pruned_.contains(key.run)) broken(Law::kQuiet, name(key) + " is left of a pruned run");
  }
  for (const auto& [key, object] : world_.objects.objects()) {
    const auto made = attempts_.find(attempt_of(key));
    if (made == attempts_.end() || !pruned_.contains(made->second.run)) continue;
    const TaskRow& row = rows_.at(made->second);
    const bool won = row.state == TaskState::kSuccess && row.attempt == made->first;
    if ((won && !world_.plan.refuses) || world_.plan.calm()) broken(Law::kQuiet, key + " is left of a pruned run");
  }
}

}  // namespace chappe::simulation
