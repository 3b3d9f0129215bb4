// The laws of the end: faults have stopped, everything came to rest. What is left over?
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/laws.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/worker.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {

bool Laws::all_runs_ended() const {
  return std::all_of(runs_.begin(), runs_.end(), [](const auto& each) { return is_final(each.second.row.state); });
}

bool Laws::ended(const RunId& run) const {
  return std::any_of(runs_.begin(), runs_.end(),
                     [&](const auto& each) { return each.second.row.id == run && is_final(each.second.row.state); });
}

std::string Laws::unfinished() const {
  std::string out;
  for (const auto& [id, row] : backfills_) {
    if (!is_final(row.state)) out += fmt::format("\n  backfill {} is {}", id.value, name_of(row.state));
  }
  for (const auto& [seq, run] : runs_) {
    if (is_final(run.row.state)) continue;
    out += fmt::format("\n  run {} is {}, stop {}, generation {}", seq.value, name_of(run.row.state),
                       static_cast<int>(run.row.stop), run.row.generation);
    for (auto it = rows_.lower_bound({seq, 0}); it != rows_.end() && it->first.run == seq; ++it) {
      const TaskRow& row = it->second;
      out += fmt::format("\n    {} {} #{} {} on worker {}", name(row.key), name_of(row.state), row.attempt_no,
                         to_text(row.attempt), row.worker.value);
    }
  }
  for (const auto& worker : world_.workers) {
    if (worker->held() + worker->programs() == 0) continue;
    out += fmt::format("\n  {} holds {}, runs {}", worker->incarnation(), worker->held(), worker->programs());
  }
  return out;
}

void Laws::check_quiet() {
  check_rows();
  check_processes();
  check_objects();
  check_all_removed();
  check_all_pruned();
  check_no_event_waits();
  check_dates();
  check_notified();
  for (const auto& [seq, run] : runs_) check_foretold(run);
}

void Laws::check_rows() {
  for (const auto& [key, row] : rows_) {
    const RunView& run = runs_.at(key.run);
    const bool unmoved = row.state == TaskState::kNone && run.row.stop != Stop::kNone;
    if (!is_final(row.state) && !unmoved) broken(Law::kQuiet, fmt::format("{} is {}", name(key), name_of(row.state)));
  }
  for (const auto& [seq, version] : versions_) {
    const TaskRow& row = rows_.at(version.producer);
    const bool counts = row.attempt == version.attempt && row.state == TaskState::kSuccess;
    const auto& stored = world_.store.tables().asset_versions.at(version.id);
    if (counts && !stored.published_at.is_set()) broken(Law::kVisibleOnce, version.key + " was never published");
  }
  for (std::uint32_t story = 0; story < world_.stories.size(); ++story) {
    if (!world_.people.run_of(story)) broken(Law::kRequests, "a request for a run was never granted");
  }
}

void Laws::check_processes() {
  const Scheduler& scheduler = *world_.newest_scheduler();
  if (scheduler.engine().live_runs() > 0) broken(Law::kQuiet, "the engine keeps a run that is over");
  const Value state = scheduler.engine().workers(scheduler.now());
  for (const Value& pool : *state.find("pools")->as_list()) {
    if (*pool.find("taken")->as_int() != 0) broken(Law::kQuiet, "slots of a pool are taken, and nothing runs");
  }
  for (const Value& worker : *state.find("items")->as_list()) {
    if (*worker.find("attempts")->as_int() != 0) broken(Law::kQuiet, "a worker has a lease, and nothing runs");
  }
  for (const auto& worker : world_.workers) {
    if (worker->held() > 0) broken(Law::kQuiet, "an agent holds an attempt, and nothing runs");
    if (worker->programs() > 0) broken(Law::kQuiet, "a program is left");
  }
}

/// Outputs of attempts that did not win may be left where a process died, a message was lost or the object store
/// failed: somebody who cleans up finds them. Otherwise nothing may be left.
void Laws::check_objects() {
  const bool clean = world_.plan.calm();
  for (const auto& [key, attempt] : committed_objects_) {
    if (!world_.objects.objects().contains(key)) broken(Law::kManifestExists, key + " is committed, and is gone");
  }
  for (const auto& [key, object] : world_.objects.objects()) {
    if (committed_objects_.contains(key) || unpublishable_.contains(attempt_of(key))) continue;
    world_.saw(Sight::kOrphanLeft);
    if (clean) broken(Law::kQuiet, key + " is left of an attempt that did not win");
  }
  for (const Objects::Upload& upload : world_.objects.uploads()) {
    const bool open = upload.state == Objects::Upload::State::kOpen;
    if (open && clean) broken(Law::kQuiet, "an upload is left open: " + upload.key);
    const auto winner = committed_objects_.find(upload.key);
    if (!open || winner == committed_objects_.end() || !shown_.contains(upload.key)) continue;
  }
}

void Laws::check_foretold(const RunView& run) {
  const Story& story = *run.story;
  const bool lies = world_.plan.knows(Fault::kForeignObject);
  if (!story.comparable || lies || world_.people.meddled_with(story.number)) return;
  world_.saw(Sight::kOracleCompared);
  const std::vector<Expected> expected = foretell(story);
  for (std::uint32_t index = 0; index < expected.size(); ++index) {
    const InstanceKey key{run.row.seq, index};
    const auto row = rows_.find(key);
    const TaskState state = row == rows_.end() ? TaskState::kNone : row->second.state;
    if (state != expected[index].state || (row != rows_.end() && row->second.allowed != expected[index].allowed)) {
      return broken(Law::kForetold,
                    fmt::format("{} is {}, and must be {}", name(key), name_of(state), name_of(expected[index].state)));
    }
    if (pruned_.contains(run.row.seq)) continue;  // What it left is gone.
    for (const auto& [output, content] : expected[index].outputs) {
      const auto& artifacts = world_.store.tables().artifacts;
      const bool same = std::any_of(artifacts.begin(), artifacts.end(), [&](const ArtifactRow& artifact) {
        return artifact.attempt == row->second.attempt && artifact.object.name == output &&
               artifact.object.sha256 == content;
      });
      if (!same) return broken(Law::kForetold, name(key) + " left other contents than it does without faults");
    }
  }
}

}  // namespace chappe::simulation
