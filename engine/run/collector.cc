#include "engine/run/collector.h"

#include <algorithm>
#include <utility>

#include "engine/base/mutant.h"

namespace chappe {
namespace {

constexpr Duration kLookAtRetentionEvery = std::chrono::minutes(1);  ///< The wall clock may be set meanwhile.
constexpr Duration kLookAgainMin = std::chrono::seconds(1);
constexpr Duration kLookAgainMax = std::chrono::hours(1);  ///< At a run that is kept because it is among the newest.
constexpr Backoff kRefusedRest{.initial = std::chrono::minutes(1), .factor = 2, .max = std::chrono::hours(1)};

void lower(std::optional<WallTime>& to, WallTime time) { to = to ? std::min(*to, time) : time; }

/// When the retention of an artifact passes; nullopt: never.
std::optional<WallTime> due_of(const RunRow& run, const ArtifactRow& artifact) {
  const bool stays = artifact.asset && !CHAPPE_MUTANT(kCollectsAssets);
  if (stays || value_in_object(artifact.object.name)) return std::nullopt;
  const Duration kept = artifact.retention.count() != 0 ? artifact.retention : run.retention.keep;
  if (kept == kForever) return std::nullopt;
  return run.ended_at + kept;
}

/// Of all artifacts of the DAG: the shortest time that one is kept.
Duration shortest(const Dag& dag, Duration keep) {
  for (const Task& task : dag.tasks) {
    if (task.work == nullptr) continue;
    for (const OutputArtifact& output : task.work->outputs) {
      if (output.retention.count() != 0) keep = std::min(keep, output.retention);
    }
  }
  return keep;
}

}  // namespace

void Collector::adopt(std::vector<std::string> doomed, std::optional<WallTime> next_due, Effects& out) {
  next_ = next_due;
  removing_ = std::move(doomed);
  if (!removing_.empty() && !CHAPPE_MUTANT(kForgetsDoomedObjects)) out.remove = RemoveObjects{removing_};
}

void Collector::plan(RunRow& row, const Dag& dag) {
  row.retention.due = {};
  if (!is_final(row.state)) return;
  const RetentionPolicy& policy = dag.retention;
  row.retention.keep = row.state == RunState::kSuccess ? policy.on_success : policy.on_failure;
  row.retention.keep_last = policy.keep_last;
  const Duration kept = shortest(dag, row.retention.keep);
  if (kept == kForever) return;
  row.retention.due = row.ended_at + kept;
  lower(next_, row.retention.due);
}

void Collector::take(const ExpiredLooked& event, bool live, WallTime now, const std::set<std::uint64_t>& lookups,
                     Effects& out) {
  if (!std::exchange(asked_, false)) return;
  const bool is_due = event.run && !live && event.run->retention.due.is_set() && event.run->retention.due <= now;
  if (!is_due) {
    run_ = {};
    next_ = event.run ? std::optional(now) : event.next;
    return;
  }
  RunRow row = *event.run;
  const bool is_kept = event.newer < row.retention.keep_last && !CHAPPE_MUTANT(kCollectsNewestRuns);
  if (is_kept) {
    postpone(event, row, now);
    run_ = {};
  } else {
    if (run_ != row.seq) later_.reset();
    mark(event, row, now, out);
    if (row.retention.collected > event.run->retention.collected) {
      marking_ = row.seq;
      if (!lookups.empty()) fences_[row.seq] = *lookups.rbegin();
    }
    run_ = event.last ? RunSeq{} : row.seq;
    if (event.last) row.retention.due = later_.value_or(WallTime{});
  }
  after_ = run_ ? event.end : ArtifactPlace{};
  next_ = now;
  if (row != *event.run) out.persist.run_changes.push_back({row, row.state});
}

/// An object goes with the last artifact that refers to it.
void Collector::mark(const ExpiredLooked& event, RunRow& row, WallTime now, Effects& out) {
  std::map<std::string, std::uint32_t> let_go;
  for (const ExpiredArtifact& artifact : event.artifacts) {
    const auto due = due_of(row, artifact.row);
    if (!due) continue;
    if (*due > now && !CHAPPE_MUTANT(kCollectsTooSoon)) {
      lower(later_, *due);
      continue;
    }
    const OutputObject& object = artifact.row.object;
    out.persist.collected.push_back({artifact.row.key, artifact.row.attempt, object.name, now});
    ++row.retention.collected;
    const bool is_last = ++let_go[object.key] == artifact.holders;
    if (is_last || CHAPPE_MUTANT(kCollectsWhatOthersHold)) removing_.push_back(object.key);
  }
  if (removing_.empty()) return;
  out.persist.doomed = removing_;
  out.remove = RemoveObjects{removing_};
}

/// Newer runs may end at any time, and nobody is in a hurry.
void Collector::postpone(const ExpiredLooked& event, RunRow& row, WallTime now) {
  Duration kept = kLookAgainMax;
  bool is_any = !event.last;
  for (const ExpiredArtifact& artifact : event.artifacts) {
    const auto due = due_of(row, artifact.row);
    if (due) kept = std::min(kept, *due - row.ended_at);
    is_any = is_any || due;
  }
  row.retention.due = is_any ? now + std::max(kept, kLookAgainMin) : WallTime{};
}

void Collector::take(const ObjectsRemoved& event, MonoTime now, Effects& out) {
  if (removing_.empty() || event.keys != removing_) return;
  const bool again = std::exchange(trying_again_, false);
  const std::set<std::string> refused(event.refused.begin(), event.refused.end());
  for (std::string& key : std::exchange(removing_, {})) {
    const bool gone = !refused.contains(key);
    if (gone || CHAPPE_MUTANT(kForgetsRefusedObjects)) {
      out.persist.removed.push_back(std::move(key));
    } else {
      refused_.push_back(std::move(key));
    }
  }
  if (refused.empty()) {
    if (again) refusals_ = 0;
    return;
  }
  // While it rests, others that are refused come along with the next round.
  if (!again && refusals_ > 0) return;
  refused_until_ = now + backoff_after(++refusals_, kRefusedRest, 0.5);
}

/// Where something was refused before: some of it, or when.
void Collector::try_again(MonoTime now, Effects& out) {
  if (refused_.empty() || asked_) return;
  if (refusals_ > 0 && now < refused_until_) {
    out.wake_at = out.wake_at ? std::min(*out.wake_at, refused_until_) : refused_until_;
    return;
  }
  while (!refused_.empty() && removing_.size() < kCollectMax) {
    removing_.push_back(std::move(refused_.front()));
    refused_.pop_front();
  }
  trying_again_ = true;
  out.remove = RemoveObjects{removing_};
}

void Collector::ask(Now now, Effects& out) {
  marking_ = {};
  if (removing_.empty()) try_again(now.mono, out);
  const bool waits = asked_ || !removing_.empty() || fences_.size() >= kFencesMax || refused_.size() >= kRefusedMax;
  if (!next_ || waits) return;
  if (*next_ <= now.wall) {
    out.expired = ExpiredQuery{.now = now.wall, .run = run_, .after = after_};
    asked_ = true;
    out.wake_at = now.mono;
    return;
  }
  const MonoTime at = now.mono + std::min(*next_ - now.wall, kLookAtRetentionEvery);
  out.wake_at = out.wake_at ? std::min(*out.wake_at, at) : at;
}

void Collector::looked_up(const std::set<std::uint64_t>& lookups) {
  std::erase_if(fences_, [&](const auto& fence) { return lookups.empty() || fence.second < *lookups.begin(); });
}

bool Collector::outdates(const CacheLooked& event) const {
  if (!event.hit || CHAPPE_MUTANT(kUsesCollectedResults)) return false;
  const auto fence = fences_.find(event.hit->entry.producer.run);
  return fence != fences_.end() && event.serial <= fence->second;
}

}  // namespace chappe
