#include "tests/support/law_checker.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/engine_dump.h"
#include "tests/support/trigger_rules.h"

namespace chappe::support {
namespace {

const Task& task_of(const EngineWorld& world, InstanceKey key) {
  return world.dag_of_run(key.run)->tasks[world.instances(key.run).task_of(key.index)];
}

bool leased(const TaskRow& row) { return row.state == TaskState::kQueued || row.state == TaskState::kRunning; }

std::string upstream_of(const EngineWorld& world, InstanceKey key) {
  const auto& rows = world.store().tables().tasks;
  const Instances& instances = world.instances(key.run);
  std::string letters;
  for (const Dependency& edge : task_of(world, key).depends_on) {
    for (std::uint32_t i = 0; i < instances.count(edge.task); ++i) {
      const auto row = rows.find({key.run, instances.first(edge.task) + i});
      letters += row == rows.end() ? '-' : upstream_letter(edge, row->second.state, row->second.allowed);
    }
  }
  return letters;
}

}  // namespace

bool rule_allows(const EngineWorld& world, InstanceKey key) {
  return rule_allows(task_of(world, key).trigger_rule, upstream_of(world, key));
}

void LawChecker::check(const Effects& effects) {
  check_assignments(effects);
  check_drops(effects);
  check_final_states();
  check_budgets();
  check_rooms();
  check_pools();
  constexpr int kEvery = 4;  // The dearest of the laws; a difference stays for a while.
  if (++checks_ % kEvery == 0) check_restored();
}

void LawChecker::check_assignments(const Effects& effects) {
  std::set<AttemptId> now;
  for (const WorkerSend& send : effects.send) {
    for (const Assignment& each : send.assign) {
      const std::string name = world_.instances(each.key.run).name_of(each.key.index);
      EXPECT_GT(each.attempt, newest_) << name << ": an attempt id was given again";
      EXPECT_TRUE(now.insert(each.attempt).second) << name << ": assigned twice at once";
      EXPECT_TRUE(rule_allows(world_, each.key))
          << name << ": its rule does not allow it: " << upstream_of(world_, each.key);
      const RunRow& run = world_.store().tables().runs.at(each.key.run);
      const Task& task = task_of(world_, each.key);
      const bool handles = task.handler != Handler::kNone || task.is_hook();
      const bool stopped = handles ? run.stop >= Stop::kCutShort : run.stop != Stop::kNone;
      EXPECT_TRUE(run.state == RunState::kRunning && !stopped) << name << ": its run is over or stopped";
      EXPECT_EQ(world_.store().tables().tasks.at(each.key).attempt, each.attempt) << name << ": sent, but not durable";
    }
  }
  if (!now.empty()) newest_ = *now.rbegin();
}

void LawChecker::begins(const Assignment& what) {
  const std::string name = world_.instances(what.key.run).name_of(what.key.index);
  EXPECT_TRUE(begun_.insert({what.key, what.attempt_no}).second) << name << " #" << what.attempt_no << " began twice";
}

void LawChecker::check_drops(const Effects& effects) const {
  for (const DropOutputs& drop : effects.drop) {
    const TaskRow& row = world_.store().tables().tasks.at(drop.what.key);
    const bool won = row.state == TaskState::kCommitting || row.state == TaskState::kSuccess;
    EXPECT_FALSE(won && row.attempt == drop.what.attempt) << "the winner's outputs are dropped";
  }
}

void LawChecker::check_final_states() {
  for (const auto& [key, row] : world_.store().tables().tasks) {
    if (task_of(world_, key).is_hook()) continue;  // There may be more for it to hear.
    const std::uint32_t generation = world_.store().tables().runs.at(key.run).generation;
    const auto before = final_.find(key);
    if (before != final_.end() && before->second.first == generation) {
      EXPECT_EQ(before->second.second, row) << world_.instances(key.run).name_of(key.index) << " left a final state";
    }
    if (is_final(row.state)) final_[key] = {generation, row};
  }
}

void LawChecker::check_budgets() const {
  for (const auto& [key, row] : world_.store().tables().tasks) {
    const Task& task = task_of(world_, key);
    EXPECT_LE(row.user_tries, task.retry.limit + 1) << task.id;
    EXPECT_LE(row.infra_tries, task.infra_retry.limit + 1) << task.id;
    // What failed for good must have used its budget up, or not be covered by it.
    const bool tries_left = row.infra_tries <= task.infra_retry.limit;
    EXPECT_FALSE(row.state == TaskState::kFailed && is_infrastructure(row.end.reason) && tries_left &&
                 world_.store().tables().runs.at(key.run).stop == Stop::kNone)
        << task.id << " failed with infrastructure tries left";
  }
}

void LawChecker::check_rooms() const {
  std::map<WorkerSeq, std::uint64_t> cpu;
  std::map<WorkerSeq, std::uint64_t> noops;
  for (const auto& [key, row] : world_.store().tables().tasks) {
    if (!leased(row)) continue;
    const Task& task = task_of(world_, key);
    if (task.kind == TaskKind::kNoop) {
      ++noops[row.worker];
    } else {
      cpu[row.worker] += scaled(task.work->resources, task.retry.scale, row.user_tries).cpu_milli;
    }
  }
  constexpr std::uint64_t kCpuMax = 2000;  // Of one task of random_dag().
  for (const auto& [seq, used] : cpu) {
    const WorkerRow& row = world_.store().tables().workers.at(seq);
    const WorkerHello& hello = world_.workers().at(row.name).hello;
    EXPECT_LE(used, row.cpu_milli + hello.prefetch * kCpuMax) << row.name;
  }
  for (const auto& [seq, held] : noops) {
    const WorkerRow& row = world_.store().tables().workers.at(seq);
    EXPECT_LE(held, world_.workers().at(row.name).hello.noop_depth) << row.name;
  }
}

void LawChecker::check_pools() const {
  std::map<std::string, std::int64_t> taken;
  for (const auto& [key, row] : world_.store().tables().tasks) {
    if (leased(row)) taken[task_of(world_, key).pool] += task_of(world_, key).slots;
  }
  const Value state = world_.engine().workers(world_.now);
  for (const Value& pool : *state.find("pools")->as_list()) {
    const std::string name = to_text(*pool.find("pool"));
    const std::int64_t slots = *pool.find("slots")->as_int();
    EXPECT_EQ(*pool.find("taken")->as_int(), taken[name]) << "pool " << name;
    EXPECT_TRUE(slots == 0 || taken[name] <= slots) << "pool " << name;
  }
}

/// An engine that is made from what is durable stands where this one stands.
void LawChecker::check_restored() const {
  auto stored = world_.store().load();
  ASSERT_TRUE(stored) << stored.error().message;
  const auto restored = Engine::restore(std::move(*stored), world_.config(), world_.now);
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(dump_of_runs(*restored), dump_of_runs(world_.engine()));
}

void LawChecker::check_quiet() const {
  for (const auto& [seq, run] : world_.store().tables().runs) {
    EXPECT_TRUE(is_final(run.state)) << "run " << seq.value << " is " << name_of(run.state);
  }
  for (const auto& [key, row] : world_.store().tables().tasks) {
    // Of a run that was to run again, and was cancelled before its turn came.
    const RunRow& run = world_.store().tables().runs.at(key.run);
    if (row.state == TaskState::kNone && run.state == RunState::kCancelled && !run.started_at.is_set()) continue;
    EXPECT_TRUE(is_final(row.state)) << world_.instances(key.run).name_of(key.index) << " is " << name_of(row.state);
  }
  const Value state = world_.engine().workers(world_.now);
  for (const Value& pool : *state.find("pools")->as_list()) EXPECT_EQ(*pool.find("taken")->as_int(), 0);
  for (const Value& worker : *state.find("items")->as_list()) EXPECT_EQ(*worker.find("attempts")->as_int(), 0);
  EXPECT_EQ(world_.engine().live_runs(), 0u);
}

}  // namespace chappe::support
