#include "scheduler/api/watch.h"

#include <algorithm>

#include "scheduler/api/context.h"
#include "scheduler/api/render.h"

namespace chappe::api {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kSnapshotsMax = 64;
constexpr std::size_t kActiveRowsMax = 200;  // Of each state, for a large run.
constexpr milliseconds kFreshLeast{8};
constexpr milliseconds kFreshMost{5'000};
constexpr int kCostShare = 10;
constexpr milliseconds kSilenceMax{10'000};  // Then an empty line, so that a dead peer is noticed.

constexpr TaskState kActive[] = {TaskState::kQueued, TaskState::kRunning, TaskState::kCommitting,
                                 TaskState::kUpForRetry, TaskState::kFailed};

/// Also those without a row, so that a watcher sees from the start what there is to do.
Result<std::vector<TaskRow>> all_instances(MetaReader& reader, const RunRow& run) {
  const auto rows = reader.tasks(run.seq, {.limit = kRowsMax});
  if (!rows) return rows;
  std::vector<TaskRow> all(run.instances);
  for (std::uint32_t index = 0; index < run.instances; ++index) all[index].key = {run.seq, index};
  for (const TaskRow& row : *rows) all[row.key.index] = row;
  return all;
}

Result<std::vector<TaskRow>> rows_to_tell(MetaReader& reader, const RunRow& run) {
  if (run.instances <= kRowsMax) return all_instances(reader, run);
  std::vector<TaskRow> rows;
  for (const TaskState state : kActive) {
    auto some = reader.tasks(run.seq, {.state = state, .limit = kActiveRowsMax});
    if (!some) return some;
    std::ranges::move(*some, std::back_inserter(rows));
  }
  std::ranges::sort(rows, {}, &TaskRow::key);
  return rows;
}

Result<SnapshotPtr> read_snapshot(MetaReader& reader, RunSeq seq) {
  auto run = reader.run_by_seq(seq);
  if (!run) return fail(run.error());
  const auto counts = reader.state_counts(*run);
  if (!counts) return fail(counts.error());
  auto rows = rows_to_tell(reader, *run);
  if (!rows) return fail(rows.error());
  return std::make_shared<const RunSnapshot>(RunSnapshot{*std::move(run), *counts, *std::move(rows)});
}

/// Rows of `now` that are not so in `before`; both by index.
std::vector<const TaskRow*> changed_rows(const RunSnapshot& now, const RunSnapshot* before) {
  std::vector<const TaskRow*> changed;
  auto old = before == nullptr ? std::vector<TaskRow>::const_iterator() : before->tasks.begin();
  for (const TaskRow& row : now.tasks) {
    if (before != nullptr) {
      while (old != before->tasks.end() && old->key < row.key) ++old;
      if (old != before->tasks.end() && *old == row) continue;
    }
    changed.push_back(&row);
  }
  return changed;
}

class RunWatch : public Stream {
 public:
  explicit RunWatch(RunSeq run) : run_(run) {}

  Piece next(Context& context) override {
    auto snapshot = context.watches.look(context.reader, run_);
    if (!snapshot) return failed(snapshot.error());
    const bool over = is_final((*snapshot)->run.state);
    Piece piece{.data = line(context, **snapshot), .last = over, .rest_ms = rest_ms()};
    seen_ = *snapshot;
    if (piece.data.empty() && WatchBoard::Clock::now() - told_at_ > kSilenceMax) piece.data = "\n";
    if (!piece.data.empty()) told_at_ = WatchBoard::Clock::now();
    return piece;
  }

 private:
  static Piece failed(const Error& error) {
    return {.data = to_json(ValueMap{{"error", error.message}}) + "\n", .last = true};
  }

  /// Short runs are watched closely, so that their end is not told late.
  std::uint32_t rest_ms() const {
    const auto age = std::chrono::duration_cast<milliseconds>(WatchBoard::Clock::now() - began_at_).count();
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(age / 10, 10, 100));
  }

  std::string line(Context& context, const RunSnapshot& now) const {
    if (seen_ != nullptr && seen_->run == now.run && seen_->counts == now.counts && seen_->tasks == now.tasks)
      return {};
    const auto instances = context.views.instances(context.reader, now.run);
    ValueList tasks;
    for (const TaskRow* row : changed_rows(now, seen_.get())) {
      tasks.push_back(task_json(*row, instances ? instances->get() : nullptr));
    }
    return to_json(
               ValueMap{{"run", run_json(now.run)}, {"counts", counts_json(now.counts)}, {"tasks", std::move(tasks)}}) +
           "\n";
  }

  RunSeq run_;
  SnapshotPtr seen_;
  WatchBoard::Clock::time_point began_at_ = WatchBoard::Clock::now();
  WatchBoard::Clock::time_point told_at_ = began_at_;
};

}  // namespace

SnapshotPtr WatchBoard::fresh_snapshot(RunSeq run, Clock::time_point at) {
  const std::scoped_lock lock(mutex_);
  const auto found = seen_.find(run);
  return found != seen_.end() && at < found->second.fresh_until ? found->second.snapshot : nullptr;
}

Result<SnapshotPtr> WatchBoard::look(MetaReader& reader, RunSeq run) {
  const auto asked_at = Clock::now();
  if (auto cached = fresh_snapshot(run, asked_at)) {
    // Counting a large run is dear, seeing that it is over is not: nobody waits for the end longer than needed.
    const auto row = reader.run_by_seq(run);
    if (!row) return fail(row.error());
    if (is_final(row->state) == is_final(cached->run.state)) return cached;
  }
  auto snapshot = read_snapshot(reader, run);
  if (!snapshot) return snapshot;
  const auto now = Clock::now();
  const auto fresh = std::clamp<Clock::duration>((now - asked_at) * kCostShare, kFreshLeast, kFreshMost);
  const std::scoped_lock lock(mutex_);
  seen_[run] = {*snapshot, now + fresh};
  if (seen_.size() > kSnapshotsMax) {
    seen_.erase(std::ranges::min_element(seen_, {}, [](const auto& entry) { return entry.second.fresh_until; }));
  }
  return snapshot;
}

std::shared_ptr<Stream> watch_run(RunSeq run) { return std::make_shared<RunWatch>(run); }

}  // namespace chappe::api
