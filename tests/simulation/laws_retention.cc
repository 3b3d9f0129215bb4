// The law of what is collected: nothing goes too soon, nothing goes that somebody refers to, and what is due goes in
// the end.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/laws.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {
namespace {

bool is(const ArtifactCollected& what, const ArtifactRow& row) {
  return what.key == row.key && what.attempt == row.attempt && what.name == row.object.name;
}

/// By the DAG itself: its output's own retention, or that of the run's end. kForever: it stays.
Duration retention_of(const Dag& dag, const Task& task, const std::string& output, RunState end) {
  for (const OutputArtifact& each : task.work->outputs) {
    if (each.name == output && each.retention.count() != 0) return each.retention;
  }
  return end == RunState::kSuccess ? dag.retention.on_success : dag.retention.on_failure;
}

}  // namespace

/// It has newer runs of the same end enough.
bool Laws::is_past_newest(const RunRow& run, std::uint32_t keep_last) const {
  const bool success = run.state == RunState::kSuccess;
  std::uint32_t newer = 0;
  for (const auto& [seq, other] : world_.store.tables().runs) {
    const bool same = other.dag == run.dag && is_final(other.state) && (other.state == RunState::kSuccess) == success;
    if (same && seq > run.seq) ++newer;
  }
  return newer >= keep_last;
}

void Laws::check_collected(const Persist& persist) {
  for (const ArtifactCollected& what : persist.collected) check_collected(what);
  for (const std::string& key : persist.doomed) check_doomed(persist, key);
}

void Laws::check_collected(const ArtifactCollected& what) {
  world_.saw(Sight::kArtifactCollected);
  const auto wrong = [&](const char* why) {
    broken(Law::kRetention, fmt::format("{} of {} is collected, {}", what.name, name(what.key), why));
  };
  const auto& artifacts = world_.store.tables().artifacts;
  const auto row = std::find_if(artifacts.begin(), artifacts.end(), [&](const auto& each) { return is(what, each); });
  if (row == artifacts.end()) return wrong("and there is none");
  const RunView& view = runs_.at(what.key.run);
  const RunRow& run = world_.store.tables().runs.at(what.key.run);
  if (!is_final(view.row.state)) return wrong("and its run is not over");
  if (row->asset) wrong("and is a version of an asset");
  if (value_in_object(what.name)) wrong("and is a value");
  const Dag& dag = *view.story->dag;
  const Duration kept = retention_of(dag, task_of(view, what.key), what.name, run.state);
  const bool jumps = world_.plan.knows(Fault::kWallJump);
  if (kept == kForever || (!jumps && world_.wall() - run.ended_at < kept)) wrong("and its retention has not passed");
  if (!is_past_newest(run, dag.retention.keep_last)) wrong("and its run is among the newest");
}

/// Of this commit on nobody may refer to it.
void Laws::check_doomed(const Persist& persist, const std::string& key) {
  const auto& tables = world_.store.tables();
  const auto goes = [&](const ArtifactRow& row) {
    return std::any_of(persist.collected.begin(), persist.collected.end(),
                       [&](const auto& each) { return is(each, row); });
  };
  const auto holds = [&](const ArtifactRow& row) {
    return row.object.key == key && !row.collected_at.is_set() && !goes(row);
  };
  const bool held = std::any_of(tables.artifacts.begin(), tables.artifacts.end(), holds) ||
                    std::any_of(persist.artifacts.begin(), persist.artifacts.end(), holds);
  if (held) broken(Law::kRetention, key + " is doomed, and an artifact of some run refers to it");
  const bool version = std::any_of(tables.asset_versions.begin(), tables.asset_versions.end(),
                                   [&](const auto& each) { return each.second.key == key; });
  if (version) broken(Law::kRetention, key + " is doomed, and is a version of an asset");
  committed_objects_.erase(key);
  doomed_.insert(key);
}

void Laws::removes(const RemoveObjects& remove) {
  for (const std::string& key : remove.keys) {
    if (!doomed_.contains(key)) broken(Law::kRetention, key + " is removed, and that is not durable");
  }
  if (!removed_.insert(remove.keys.front()).second) world_.saw(Sight::kRemovedAgain);
}

/// Those that may be by now: a wall clock that jumps says nothing.
bool Laws::all_collected() const {
  if (world_.plan.knows(Fault::kWallJump)) return true;
  const auto& runs = world_.store.tables().runs;
  return std::all_of(runs.begin(), runs.end(), [&](const auto& each) {
    const RunRow& run = each.second;
    return !run.retention.due.is_set() || !is_past_newest(run, run.retention.keep_last);
  });
}

void Laws::check_all_removed() {
  if (!all_collected()) broken(Law::kRetention, "artifacts of some run are left that nobody keeps");
  if (!world_.store.tables().doomed.empty()) broken(Law::kQuiet, "an object is doomed, and nobody removes it");
  for (const std::string& key : doomed_) {
    if (world_.objects.objects().contains(key)) broken(Law::kQuiet, key + " is doomed, and is left");
  }
}

}  // namespace chappe::simulation
