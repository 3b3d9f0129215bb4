// What clients see of how an attempt ended.
#include "scheduler/api/render.h"

#include <gtest/gtest.h>

namespace chappe::api {
namespace {

Value exit_code_of(Reason reason, std::int32_t code, bool started = true) {
  AttemptRow row{.attempt = {1}};
  row.end = {.reason = reason, .exit_code = code, .ended_at = {20}};
  if (started) row.end.started_at = {10};
  return *attempt_json(row, "failed").find("exit_code");
}

TEST(Render, TellsTheExitCodeOfAProgramThatEnded) {
  EXPECT_EQ(exit_code_of(Reason::kNone, 0), Value(std::int64_t{0}));
  EXPECT_EQ(exit_code_of(Reason::kExitCode, 3), Value(std::int64_t{3}));
  EXPECT_EQ(exit_code_of(Reason::kOom, 137), Value(std::int64_t{137}));
  EXPECT_EQ(exit_code_of(Reason::kCheckFailed, 0), Value(std::int64_t{0}));
  EXPECT_EQ(exit_code_of(Reason::kInvalidOutput, 0), Value(std::int64_t{0}));
}

TEST(Render, TellsNoExitCodeWhereThereWasNone) {
  for (const Reason reason : {Reason::kLostWorker, Reason::kQueueTimeout, Reason::kTimeout, Reason::kLaunchFailed,
                              Reason::kCancelled, Reason::kArtifactIo, Reason::kUpstream}) {
    EXPECT_TRUE(exit_code_of(reason, 0).is_null()) << name_of(reason);
  }
  EXPECT_TRUE(exit_code_of(Reason::kNone, 0, false).is_null()) << "it never began";
}

TEST(Render, ShowsWhenARunWasPruned) {
  RunRow run;
  EXPECT_TRUE(run_json(run).find("pruned_at")->is_null());
  run.pruned_at = {1'800'000'000'000'000};
  EXPECT_EQ(*run_json(run).find("pruned_at"), Value("2027-01-15T08:00:00.000000Z"));
}

}  // namespace
}  // namespace chappe::api
