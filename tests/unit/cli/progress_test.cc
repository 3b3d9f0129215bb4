#include "cli/progress.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "proto/json/json.h"

namespace chappe::cli {
namespace {

constexpr Output kTerminal{.live = true};
const WallTime kNow = *parse_iso8601("2026-11-20T03:00:10Z");

Value task(int index, std::string_view name, std::string_view state, std::string_view more = "") {
  return *parse_json(fmt::format(R"({{"index":{},"name":"{}","state":"{}"{}}})", index, name, state, more));
}

Value line(int count, ValueList tasks, ValueMap counts) {
  return ValueMap{{"run", ValueMap{{"id", "01J"},
                                   {"dag", "demo"},
                                   {"state", "running"},
                                   {"task_count", count},
                                   {"created_at", "2026-11-20T03:00:00Z"}}},
                  {"counts", std::move(counts)},
                  {"tasks", std::move(tasks)}};
}

TEST(Progress, ShowsEveryTaskOfASmallRunInTheOrderOfTheFile) {
  Progress progress(kTerminal);
  progress.update(
      line(2,
           {task(0, "ingest", "success", R"(,"started_at":"2026-11-20T03:00:01Z","ended_at":"2026-11-20T03:00:04Z")"),
            task(1, "train", "running", R"(,"started_at":"2026-11-20T03:00:04Z","attempt_no":2)")},
           {{"success", 1}, {"running", 1}}));
  EXPECT_EQ(progress.block(24, 80, kNow), (std::vector<std::string>{
                                              "demo 01J running 10s   1 success  1 running",
                                              "  ingest  success             3.0s",
                                              "  train   running             6.0s  attempt 2",
                                          }));
}

TEST(Progress, ShowsOfALargeRunWhatAPersonLooksFor) {
  Progress progress(kTerminal);
  ValueList tasks;
  for (int i = 0; i < 100; ++i)
    tasks.push_back(task(i, fmt::format("t{}", i), i == 70 ? "failed" : i == 50 ? "running" : "success"));
  progress.update(line(100, std::move(tasks), {{"success", 98}, {"running", 1}, {"failed", 1}}));
  const auto block = progress.block(10, 80, kNow);
  ASSERT_EQ(block.size(), 3U);
  EXPECT_TRUE(block[1].starts_with("  t70  failed")) << block[1];
  EXPECT_TRUE(block[2].starts_with("  t50  running")) << block[2];
}

TEST(Progress, TellsInAPipeThatARunBeginsBeforeItsTasksAndEndsAfterThem) {
  Progress progress(Output{});
  Value last = line(1, {task(0, "one", "success")}, {{"success", 1}});
  (*last.as_map())[0].second.as_map()->at(2).second = "success";  // The run's state.
  testing::internal::CaptureStderr();
  progress.update(line(1, {task(0, "one", "running")}, {{"running", 1}}));
  progress.update(last);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "run 01J running\none running\none success\nrun 01J success\n");
}

TEST(Progress, NeverIsTallerOrWiderThanTheTerminal) {
  Progress progress(kTerminal);
  ValueList tasks;
  for (int i = 0; i < 100; ++i) tasks.push_back(task(i, std::string(200, 'n'), "running"));
  progress.update(line(100, std::move(tasks), {{"running", 100}}));
  const auto block = progress.block(10, 40, kNow);
  EXPECT_LT(block.size(), 10U);
  for (const std::string& one : block) EXPECT_LE(one.size(), 40U);
}

TEST(Progress, KeepsWhatTheStreamDoesNotRepeat) {
  Progress progress(kTerminal);
  progress.update(line(2, {task(0, "a", "running"), task(1, "b", "none")}, {{"running", 1}, {"none", 1}}));
  progress.update(line(2, {task(0, "a", "success")}, {{"success", 1}, {"none", 1}}));
  EXPECT_EQ(progress.block(24, 80, kNow).size(), 3U);
  EXPECT_FALSE(progress.is_over());
}

}  // namespace
}  // namespace chappe::cli
