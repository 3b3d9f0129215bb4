// The laws over backfills: each date gets the runs that it should, and never two that are under way.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/laws.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {
namespace {

/// Read anew, not the engine's: may a date whose newest run has ended so get another one?
bool may_have_another(Reprocess reprocess, RunState newest) {
  if (newest == RunState::kSuccess) return reprocess == Reprocess::kCompleted;
  return reprocess != Reprocess::kNone;
}

std::string date(WallTime time) { return to_iso8601(time).substr(0, 13); }

}  // namespace

/// Before the run counts.
void Laws::check_backfill_run(const RunRow& row) {
  world_.saw(Sight::kBackfillMadeRun);
  const auto found = backfills_.find(row.backfill);
  if (found == backfills_.end()) return broken(Law::kBackfills, "a run of a backfill that is not durable");
  const BackfillRow& backfill = found->second;
  const auto refuse = [&](const std::string& what) {
    broken(Law::kBackfills, fmt::format("backfill {} of {}: {}", row.backfill.value, date(row.logical_time), what));
  };
  if (backfill.state != BackfillState::kRunning) refuse("makes a run, and does not run itself");
  if (row.state != RunState::kRunning) refuse("its run has to wait");
  if (row.logical_time < backfill.spec.from || backfill.spec.to < row.logical_time) refuse("it is none of its dates");
  std::uint32_t live = 0;
  const RunRow* newest = nullptr;
  for (const auto& [seq, run] : runs_) {
    const RunRow& other = run.row;
    if (other.backfill == row.backfill && !is_final(other.state)) ++live;
    if (other.dag != row.dag || other.logical_time != row.logical_time) continue;
    if (!is_final(other.state)) refuse("it has a run that is under way");
    if (other.backfill == row.backfill) refuse("it gets a second run");
    newest = &other;
  }
  if (live >= backfill.spec.max_active) refuse("more of its runs than max_active");
  if (newest != nullptr && !may_have_another(backfill.spec.reprocess, newest->state)) {
    refuse("it has a run, and reprocess leaves that alone");
  }
  ++made_[row.backfill];
}

void Laws::commit_backfill(const BackfillRow& row) {
  const auto [place, fresh] = backfills_.try_emplace(row.id, row);
  BackfillRow& old = place->second;
  const auto refuse = [&](const char* what) {
    broken(Law::kBackfills, fmt::format("backfill {}: {}", row.id.value, what));
  };
  for (const auto& [id, other] : backfills_) {
    if (fresh && id != row.id && other.dag == row.dag && !is_final(other.state)) refuse("its DAG has another one");
  }
  if (!fresh && is_final(old.state)) refuse("it changes, and is over");
  if (row.made < old.made || row.skipped < old.skipped || row.made + row.skipped > row.total) refuse("it miscounts");
  if (row.skipped > old.skipped) world_.saw(Sight::kBackfillSkipped);
  if (row.state == BackfillState::kPaused && old.state != row.state) world_.saw(Sight::kBackfillPaused);
  if (row.state == BackfillState::kCancelled) world_.saw(Sight::kBackfillCancelled);
  const bool live = std::any_of(runs_.begin(), runs_.end(), [&](const auto& each) {
    return each.second.row.backfill == row.id && !is_final(each.second.row.state);
  });
  if (row.state == BackfillState::kCompleted && live) refuse("it is over, and a run of it is not");
  if (row.state == BackfillState::kCompleted && row.made + row.skipped != row.total) refuse("it is over too early");
  old = row;
}

/// A date is decided with its run, in one transaction.
void Laws::check_backfills_counted() {
  for (const auto& [id, row] : backfills_) {
    const auto made = made_.find(id);
    if (row.made == (made == made_.end() ? 0 : made->second)) continue;
    broken(Law::kBackfills, fmt::format("backfill {} counts {} runs, and has others", id.value, row.made));
  }
}

bool Laws::all_backfills_ended() const {
  return std::all_of(backfills_.begin(), backfills_.end(),
                     [](const auto& each) { return is_final(each.second.state); });
}

std::optional<BackfillId> Laws::paused_backfill() const {
  for (const auto& [id, row] : backfills_) {
    if (row.state == BackfillState::kPaused) return id;
  }
  return std::nullopt;
}

/// In the end: no date of one that was let to its end is left out.
void Laws::check_dates() {
  for (const auto& [id, row] : backfills_) {
    if (row.state != BackfillState::kCompleted) continue;
    std::uint32_t dates = 0;
    const SchedulePlan& plan = world_.past->story.dag->schedule;
    for (auto time = row.spec.next(plan, {}); time; time = row.spec.next(plan, *time)) {
      ++dates;
      const bool has_run = std::any_of(runs_.begin(), runs_.end(), [&](const auto& each) {
        return each.second.row.dag == row.dag && each.second.row.logical_time == *time;
      });
      if (!has_run) broken(Law::kBackfills, fmt::format("backfill {} leaves {} out", id.value, date(*time)));
    }
    if (dates != row.total) broken(Law::kBackfills, fmt::format("backfill {} has other dates", id.value));
  }
}

}  // namespace chappe::simulation
