// The laws over tasks that wait for times, for data and for people.
#include <fmt/format.h>

#include <algorithm>

#include "engine/model/waits.h"
#include "tests/simulation/laws.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {
namespace {

const Value* value_of(const Persist& persist, const TaskRow& row, std::string_view name) {
  for (const ValueRow& each : persist.values) {
    if (each.attempt == row.attempt && each.value.name == name) return &each.value.value;
  }
  return nullptr;
}

const Patience& patience_of(const Task& task) { return task.wait ? task.wait->patience : task.human->patience; }

constexpr Duration kGrain = std::chrono::milliseconds(1);

}  // namespace

/// Before the change counts.
void Laws::check_wait(const Persist& persist, const TaskChange& change) {
  const TaskRow& row = change.row;
  const auto run = runs_.find(row.key.run);
  if (run == runs_.end()) return;
  const Task& task = task_of(run->second, row.key);
  const bool waits = task.wait != nullptr || task.human != nullptr;
  const bool rests = task.loop.has_value() || task.subdag.has_value();  // Between iterations; for another run.
  const bool on_past = task.depends_on_past && !row.attempt;
  if (row.state == TaskState::kWaiting && on_past) world_.people.see_stuck(row.key);
  if (row.state == TaskState::kWaiting && !waits && !rests && !on_past)
    broken(Law::kWaits, name(row.key) + " waits, and has nothing to wait for");
  if (!waits) return;
  if (row.worker || holds_attempt(row.state)) broken(Law::kWaits, name(row.key) + " waits with a worker");
  if (row.state == TaskState::kWaiting && change.expect_state == TaskState::kNone && task.human) {
    world_.people.see_question(run->second.story->number, run->second.row.id,
                               run->second.story->instances->name_of(row.key.index));
  }
  const bool lasted = change.expect_state == TaskState::kWaiting;
  if (row.state == TaskState::kSuccess && row.attempt) check_wait_came(run->second, persist, row);
  if (lasted && row.state == TaskState::kFailed && row.end.reason == Reason::kTimeout) {
    world_.saw(Sight::kWaitGivenUp);
    check_wait_given_up(run->second, row);
  }
  if (lasted && row.state == TaskState::kSkipped) {
    world_.saw(Sight::kWaitSkipped);
    check_wait_given_up(run->second, row);
  }
}

bool Laws::has_come(const RunView& run, const Task& task, const AssetVersion& version) const {
  if (version.uri != task.wait->target.text() || !version.published_at.is_set()) return false;
  if (task.wait->newer_than.text().empty()) return version.published_at > run.row.interval_start;
  return version.id.value > static_cast<std::uint64_t>(task.wait->newer_than.text().at(sizeof "${{") - '0');
}

void Laws::check_wait_came(const RunView& run, const Persist& persist, const TaskRow& row) {
  const Task& task = task_of(run, row.key);
  if (task.human) return world_.saw(Sight::kQuestionAnswered);
  switch (task.wait->what) {
    case WaitSpec::For::kDuration: {
      world_.saw(Sight::kWaitEndedByTime);
      const bool early = row.end.ended_at - row.queued_at + kGrain < task.wait->length;
      if (early && !world_.plan.knows(Fault::kWallJump)) broken(Law::kWaits, name(row.key) + " ends before its time");
      return;
    }
    case WaitSpec::For::kAsset: {
      const Value* version = value_of(persist, row, "version");
      const Value* last = value_of(persist, row, "used_last");
      if (version == nullptr || last == nullptr) return broken(Law::kWaits, name(row.key) + " ends without a version");
      const AssetVersionId id{static_cast<std::uint64_t>(*version->as_int())};
      AssetVersion stored = world_.store.tables().asset_versions.at(id);
      for (const AssetPublished& each : persist.published) {
        if (each.id == id) stored.published_at = each.at;
      }
      world_.saw(*last->as_bool() ? Sight::kWaitUsedLast : Sight::kWaitEndedByAsset);
      if (!stored.published_at.is_set()) broken(Law::kWaits, name(row.key) + " ends with what is not published");
      if (*last->as_bool()) return check_wait_given_up(run, row);
      if (!has_come(run, task, stored)) broken(Law::kWaits, name(row.key) + " ends with a version that is too old");
      return;
    }
    default:
      world_.saw(Sight::kWaitEndedByLook);
      if (!world_.shows(task.wait->target.text())) broken(Law::kWaits, name(row.key) + " found what is not there");
  }
}

/// Not before its time; and nothing of what it waited for was durable by then.
void Laws::check_wait_given_up(const RunView& run, const TaskRow& row) {
  const Task& task = task_of(run, row.key);
  const TaskRow& old = rows_.at(row.key);
  const bool early = row.end.ended_at - old.queued_at + kGrain < *patience_of(task).timeout;
  if (early && !world_.plan.knows(Fault::kWallJump)) broken(Law::kWaits, name(row.key) + " is given up too early");
  if (task.human || task.wait->what != WaitSpec::For::kAsset) return;
  for (const auto& [id, version] : world_.store.tables().asset_versions) {
    if (has_come(run, task, version)) broken(Law::kWaits, name(row.key) + " is given up, and it has come");
  }
}

bool Laws::waits(const RunId& id, const std::string& instance) const {
  for (const auto& [seq, run] : runs_) {
    if (run.row.id != id) continue;
    const auto row = rows_.find({seq, run.story->instances->find(instance).value()});
    return row != rows_.end() && row->second.state == TaskState::kWaiting;
  }
  return false;
}

/// Who was told that the answer counts finds it in the store.
void Laws::check_answer(const Request& request) {
  for (const ValueRow& row : world_.store.tables().values) {
    const auto run = runs_.find(row.key.run);
    const bool same = row.value.name == "decision" && run->second.row.id == request.run &&
                      run->second.story->instances->name_of(row.key.index) == request.tasks.front();
    if (same && row.value.value == Value(request.answer)) return;
  }
  broken(Law::kRequests, "a person was told that an answer counts, and it is not stored");
}

}  // namespace chappe::simulation
