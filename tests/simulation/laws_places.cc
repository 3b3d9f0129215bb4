// The laws over places: no more runs of a DAG or a group than each of them bears, in the order in which they came; and
// over what a run publishes.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/laws.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {

std::string Laws::place_of(const RunRow& row) {
  return row.group.empty() ? row.dag : fmt::format("group {}", row.group);
}

/// Follows a run from one state to another. `again`: a person lets it run once more.
void Laws::note_place(const RunRow& row, bool ran, bool again) {
  if (row.backfill) return;
  Places& places = places_[place_of(row)];
  const bool runs = row.state == RunState::kRunning;
  runs ? (void)places.taken.insert(row.seq) : (void)places.taken.erase(row.seq);
  row.state == RunState::kQueued ? (void)places.line.insert(row.seq) : (void)places.line.erase(row.seq);
  if (runs && !ran) runs_begun_[row.seq] = again;
}

/// A run may begin in the commit in which another one ends, so all of it is looked at together.
void Laws::check_places() {
  for (const auto& [seq, again] : runs_begun_) {
    const RunView& run = runs_.at(seq);
    const Places& places = places_.at(place_of(run.row));
    // What others wait on in their past begins at once.
    if (!places.taken.contains(seq) || again || has_tasks_on_past(*run.story->dag)) continue;
    const auto before = std::ranges::count_if(places.taken, [&](RunSeq other) {
      const auto begun = runs_begun_.find(other);
      return begun == runs_begun_.end() || (!begun->second && other < seq);
    });
    if (before >= run.story->dag->max_runs) broken(Law::kRoom, "more runs of a DAG or a group than max_runs");
    if (!places.line.empty() && *places.line.begin() < seq) {
      broken(Law::kRoom, "a run overtakes one that waits for its place");
    }
  }
  runs_begun_.clear();
  for (const auto& [name, places] : places_) {
    if (places.line.empty()) continue;
    const RunView& next = runs_.at(*places.line.begin());
    if (places.taken.size() < next.story->dag->max_runs) broken(Law::kRoom, "a run waits, and there is a place for it");
    const bool shared =
        std::ranges::any_of(places.taken, [&](RunSeq other) { return runs_.at(other).row.dag != next.row.dag; });
    if (shared) world_.saw(Sight::kRunQueuedBehindAnotherDag);
  }
}

/// Once it has succeeded, and then the outputs of attempts that have won.
void Laws::check_published(const RunView& run) {
  const bool publishes = run.row.state == RunState::kSuccess && !run.story->dag->outputs.empty();
  if (publishes != (run.row.outputs.as_map() != nullptr)) {
    return broken(Law::kRunVerdict, fmt::format("a run is {}, and publishes {}", name_of(run.row.state),
                                                publishes ? "nothing" : "something"));
  }
  if (!publishes) return;
  std::size_t told =
      run.row.outputs.find("absent")->as_map()->size() + run.row.outputs.find("values")->as_map()->size();
  for (const auto& [name, artifact] : *run.row.outputs.find("artifacts")->as_map()) {
    ++told;
    const auto& outputs = run.story->dag->outputs.artifacts;
    const auto output = std::ranges::find(outputs, name, &RunOutputs::Artifact::name);
    const auto winner = winner_.find({run.row.seq, run.story->instances->first(output->task)});
    if (winner == winner_.end() || to_text(winner->second) != to_text(*artifact.find("attempt"))) {
      broken(Law::kRunVerdict, "a run publishes what an attempt left that has not won");
    }
    world_.saw(Sight::kRunPublished);
  }
  const std::size_t names = run.story->dag->outputs.values.size() + run.story->dag->outputs.artifacts.size();
  if (told != names) broken(Law::kRunVerdict, "a run publishes more or less than its DAG names");
}

}  // namespace chappe::simulation
