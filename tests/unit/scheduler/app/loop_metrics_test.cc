#include "scheduler/app/loop_metrics.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chappe {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr WallTime kNoon{1'700'000'000'000'000};
constexpr AttemptId kFirst{1};

TaskChange change(TaskState from, TaskState to, AttemptId expect = kFirst, Reason reason = Reason::kNone) {
  TaskRow row{.key = {{1}, 0},
              .state = to,
              .attempt = kFirst,
              .attempt_no = 1,
              .ready_at = kNoon,
              .queued_at = kNoon + std::chrono::milliseconds(20)};
  row.end.reason = reason;
  return {.row = row, .expect_row = true, .expect_state = from, .expect_attempt = expect};
}

class LoopMetricsTest : public testing::Test {
 protected:
  std::string text_after(std::vector<TaskChange> tasks) {
    Persist persist;
    persist.tasks = std::move(tasks);
    metrics_.committed(persist, 0.001);
    return registry_.text();
  }
  void end_run(const std::string& dag, RunState state) {
    Persist persist;
    persist.run_changes.push_back(
        {.row = {.dag = dag, .state = state, .ended_at = kNoon}, .expect_state = RunState::kRunning});
    metrics_.committed(persist, 0.001);
  }
  metrics::Registry registry_;
  LoopMetrics metrics_{registry_};
};

TEST_F(LoopMetricsTest, CountAnAttemptOnceFromItsAssignmentToItsEnd) {
  const std::string text = text_after(
      {change(TaskState::kScheduled, TaskState::kQueued, {}), change(TaskState::kQueued, TaskState::kRunning),
       change(TaskState::kRunning, TaskState::kCommitting), change(TaskState::kCommitting, TaskState::kSuccess)});
  EXPECT_THAT(text, HasSubstr("chappe_attempts_assigned_total 1\n"));
  EXPECT_THAT(text, HasSubstr("chappe_attempts_ended_total{reason=\"success\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("chappe_tasks_ended_total{state=\"success\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("chappe_dispatch_seconds_bucket{le=\"0.01\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("chappe_dispatch_seconds_bucket{le=\"0.025\"} 1\n"));
}

TEST_F(LoopMetricsTest, CountAnAttemptThatIsTriedAgainAsEndedAndItsTaskNot) {
  const std::string text =
      text_after({change(TaskState::kRunning, TaskState::kUpForRetry, kFirst, Reason::kLostWorker)});
  EXPECT_THAT(text, HasSubstr("chappe_attempts_ended_total{reason=\"lost_worker\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("chappe_tasks_ended_total{state=\"failed\"} 0\n"));
}

TEST_F(LoopMetricsTest, KnowWhenADagLastSucceeded) {
  end_run("nightly", RunState::kFailed);
  EXPECT_THAT(registry_.text(), Not(HasSubstr("chappe_dag_last_success_timestamp_seconds{")));
  end_run("nightly", RunState::kSuccess);
  EXPECT_THAT(registry_.text(), HasSubstr("chappe_dag_last_success_timestamp_seconds{dag=\"nightly\"} 1700000000"));
  EXPECT_THAT(registry_.text(), HasSubstr("chappe_runs_ended_total{dag=\"nightly\",state=\"failed\"} 1\n"));
}

TEST_F(LoopMetricsTest, GiveOnlySoManyDagsALabel) {
  for (std::size_t i = 0; i <= LoopMetrics::kDagsMax; ++i) end_run(fmt::format("dag{}", i), RunState::kFailed);
  const std::string last = fmt::format("dag=\"dag{}\"", LoopMetrics::kDagsMax);
  EXPECT_THAT(registry_.text(), Not(HasSubstr(last)));
  EXPECT_THAT(registry_.text(), HasSubstr("chappe_runs_ended_total{dag=\"(other)\",state=\"failed\"} 1\n"));
  EXPECT_THAT(registry_.text(), HasSubstr("dag=\"dag0\""));
}

}  // namespace
}  // namespace chappe
