#include "engine/run/engine_pruner.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

constexpr Duration kPruneEvery = std::chrono::hours(1);
constexpr Duration kPruneRest = std::chrono::milliseconds(5);  ///< Between two transactions: whoever waits comes first.

constexpr std::array<std::pair<std::string_view, std::string_view>, kKeptReasons> kKeptTexts{{
    {"", ""},
    {"live", "is not over"},
    {"newest", "is the newest of its DAG, or the newest that succeeded"},
    {"past", "may be what a run or a backfill of its DAG depends on that is not over"},
    {"parent", "was started by a run that is kept"},
    {"child", "started a run that made a version of an asset"},
    {"notification", "is still to be told of"},
    {"event", "is what a run is to be started for"},
    {"alias", "moved an alias"},
    {"state", "left a value that outlives runs"},
    {"retention", "has artifacts whose retention has not passed"},
    {"asset", "made a version of an asset"},
    {"used", "made what a run that is kept was handed"},
    {"dataset", "was the last to write a dataset outside"},
}};

}  // namespace

std::string_view name_of(Kept kept) { return kKeptTexts[static_cast<std::size_t>(kept)].first; }
std::string_view why_kept(Kept kept) { return kKeptTexts[static_cast<std::size_t>(kept)].second; }

std::string told_pruned(const RunRow& run) {
  return fmt::format("run {} was pruned on {}: its tasks, parameters, logs and artifacts are gone", run.id.text(),
                     to_iso8601(run.pruned_at));
}

void EnginePruner::adopt(const std::vector<RunRow>& marked) {
  for (const RunRow& row : marked) {
    if (CHAPPE_MUTANT(kForgetsMarkedRuns)) return;
    marked_[row.seq] = {};
    remove_objects(row);
  }
  if (state_.config.run_retention != kForever) next_ = state_.now.mono;
}

void EnginePruner::take(const PruneRequested& event) {
  if (requests_.size() < kRequestsMax) return requests_.push_back(event);
  state_.reply(event.ticket, fail(ErrorCode::kUnavailable, "too many others are pruning: ask again later"));
}

void EnginePruner::begin_pass() {
  if (!requests_.empty()) {
    pass_ = Pass{.asked = std::move(requests_.front())};
    requests_.pop_front();
  } else if (next_ && *next_ <= state_.now.mono) {
    const WallTime now = state_.now.wall;
    const Duration kept = state_.config.run_retention;
    next_ = state_.now.mono + std::min(kPruneEvery, kept);
    if (now.us <= kept.count()) return;
    pass_ = Pass{.asked = {.before = now + -kept, .requested_by = "scheduler"}};
  }
}

void EnginePruner::take(const PruneLooked& event) {
  if (!std::exchange(asked_, false)) return;
  for (const RunSeq run : event.emptied) {
    const auto found = marked_.find(run);
    if (found == marked_.end()) continue;
    found->second.has_rows = false;
    end_if_gone(run);
  }
  if (std::exchange(asked_for_pass_, false) && pass_) go_through(event);
  for (const auto& [run, marked] : marked_) {
    if (marked.has_rows) state_.out.persist.prune_rows.push_back(run);
  }
  rests_until_ = state_.now.mono + kPruneRest;
}

void EnginePruner::go_through(const PruneLooked& event) {
  std::vector<RunRow> goes;
  Pass& pass = *pass_;
  const bool is_another = pass.from != 0 && !event.runs.empty() && event.runs.front().row.seq != pass.within;
  if (is_another) {  // The one that was gone through is run again: of this one nothing has been.
    pass.from = 0;
    pass.within = {};
    return;
  }
  for (const PruneCandidate& each : event.runs) {
    const RunRow& row = each.row;
    Kept kept = each.kept;
    if (state_.find_run(row.seq) != nullptr) kept = Kept::kLive;
    const bool unfinished = kept == Kept::kNot && each.next != 0;
    if (unfinished || (kept == Kept::kNot && goes.size() == kPruneRunsMax)) {
      pass.from = each.next;
      pass.within = unfinished ? row.seq : RunSeq{};
      if (!unfinished) pass.from = 0;
      break;
    }
    pass.from = 0;
    pass.within = {};
    pass.asked.after = {row.ended_at, row.seq};
    ++pass.looked;
    if (kept == Kept::kNot) {
      goes.push_back(row);
    } else {
      ++pass.kept[kept];
    }
  }
  const bool all =
      event.runs.empty() || pass.asked.after == PrunePlace{event.runs.back().row.ended_at, event.runs.back().row.seq};
  if (all) pass.asked.after = event.end;
  if (!goes.empty()) mark(goes);
  if ((all && event.last) || (pass.asked.ticket && pass.looked >= kAnswerMax)) end_pass(all && event.last);
}

void EnginePruner::mark(const std::vector<RunRow>& rows) {
  ValueList ids;
  for (const RunRow& row : rows) {
    state_.out.persist.pruned.push_back({row.seq, row.id, row.state, row.generation, state_.now.wall});
    marked_[row.seq] = {};
    marking_.insert(row.seq);
    if (!state_.lookups_under_way.empty()) fences_[row.seq] = *state_.lookups_under_way.rbegin();
    remove_objects(row);
    ids.emplace_back(row.id.text());
  }
  pass_->pruned += static_cast<std::uint32_t>(rows.size());
  const PruneRequested& asked = pass_->asked;
  state_.audit({asked.requested_by, asked.source}, "run.prune", rows.size() == 1 ? "run " + rows[0].id.text() : "runs",
               to_json(ValueMap{{"before", to_iso8601(asked.before)}, {"runs", std::move(ids)}}));
}

void EnginePruner::remove_objects(const RunRow& row) {
  state_.out.remove_runs.push_back({row.seq, run_prefix(row.dag, row.id)});
}

void EnginePruner::take(const RunObjectsRemoved& event) {
  const auto found = marked_.find(event.run);
  if (found == marked_.end()) return;
  found->second.has_objects = false;
  end_if_gone(event.run);
}

void EnginePruner::end_if_gone(RunSeq run) {
  const Marked& marked = marked_.at(run);
  if (marked.has_rows || marked.has_objects) return;
  state_.out.persist.prune_ended.push_back(run);
  marked_.erase(run);
}

/// `last`: there is nothing behind it.
void EnginePruner::end_pass(bool last) {
  ValueMap kept;
  for (const auto& [why, count] : pass_->kept) kept.emplace_back(name_of(why), std::int64_t{count});
  const PrunePlace& at = pass_->asked.after;
  state_.reply(pass_->asked.ticket,
               Value(ValueMap{{"pruned", std::int64_t{pass_->pruned}},
                              {"kept", std::move(kept)},
                              {"next", last ? Value() : Value(fmt::format("{}-{}", at.ended_at.us, at.run.value))}}));
  pass_.reset();
}

void EnginePruner::note_use(RunSeq run) {
  if (!pass_ || pass_->within != run || CHAPPE_MUTANT(kPrunesWhatIsUsedMeanwhile)) return;
  pass_->from = 0;
}

bool EnginePruner::has_room() const {
  return marked_.size() + kPruneRunsMax <= kMarkedMax && fences_.size() < kFencesMax;
}

void EnginePruner::ask() {
  marking_.clear();
  if (asked_) return;
  const auto wake = [&](MonoTime at) {
    state_.out.wake_at = state_.out.wake_at ? std::min(*state_.out.wake_at, at) : at;
  };
  if (!pass_) begin_pass();
  const bool has_rows =
      std::any_of(marked_.begin(), marked_.end(), [](const auto& each) { return each.second.has_rows; });
  if (has_rows || (pass_ && has_room())) {
    if (state_.now.mono < rests_until_) return wake(rests_until_);
    PruneQuery query;
    for (const auto& [run, marked] : marked_) {
      if (marked.has_rows) query.marked.push_back(run);
    }
    asked_for_pass_ = pass_ && has_room();
    if (asked_for_pass_) {
      query.before = pass_->asked.before;
      query.dag = pass_->asked.dag;
      query.after = pass_->asked.after;
      query.from = pass_->from;
    }
    state_.out.prune = std::move(query);
    asked_ = true;
    return wake(state_.now.mono);
  }
  if (next_ && !pass_) wake(*next_);
}

bool EnginePruner::outdates(const CacheLooked& event) const {
  if (!event.hit || CHAPPE_MUTANT(kUsesPrunedResults)) return false;
  const auto fence = fences_.find(event.hit->entry.producer.run);
  return fence != fences_.end() && event.serial <= fence->second;
}

void EnginePruner::looked_up() {
  const std::set<std::uint64_t>& lookups = state_.lookups_under_way;
  std::erase_if(fences_, [&](const auto& fence) { return lookups.empty() || fence.second < *lookups.begin(); });
}

}  // namespace chappe
