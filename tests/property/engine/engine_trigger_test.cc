// The laws of trigger rules, over every combination of up to four upstream ends.
#include <gtest/gtest.h>

#include <string>

#include "engine/run/trigger.h"

namespace chappe {
namespace {

constexpr char kEnds[] = "sfuk";  // Success, failed, upstream_failed, skipped.

/// Every string over kEnds of this length.
std::vector<std::string> all_ends(std::size_t length) {
  std::vector<std::string> out{""};
  for (std::size_t i = 0; i < length; ++i) {
    std::vector<std::string> longer;
    for (const std::string& ends : out) {
      for (const char each : std::string(kEnds)) longer.push_back(ends + each);
    }
    out = std::move(longer);
  }
  return out;
}

UpstreamCounts counts(const std::string& ends, std::size_t seen) {
  UpstreamCounts out{.total = static_cast<std::uint32_t>(ends.size())};
  for (std::size_t i = 0; i < seen; ++i) {
    if (ends[i] == 's') ++out.success;
    if (ends[i] == 'f') ++out.failed;
    if (ends[i] == 'u') ++out.upstream_failed;
    if (ends[i] == 'k') ++out.skipped;
  }
  return out;
}

/// What each rule says once all upstream instances have ended, read from its description.
Verdict read_rule(TriggerRule rule, const std::string& ends) {
  const auto some = [&](const char* which) { return ends.find_first_of(which) != std::string::npos; };
  const auto only = [&](const char* which) { return ends.find_first_not_of(which) == std::string::npos; };
  const auto run_if = [](bool met, Verdict otherwise) { return met ? Verdict::kRun : otherwise; };
  switch (rule) {
    case TriggerRule::kAllSuccess:
      return run_if(only("s"), some("fu") ? Verdict::kUpstreamFailed : Verdict::kSkip);
    case TriggerRule::kAllFailed:
      return run_if(only("fu"), Verdict::kSkip);
    case TriggerRule::kAllDone:
    case TriggerRule::kAlways:
      return Verdict::kRun;
    case TriggerRule::kAllDoneMinOneSuccess:
    case TriggerRule::kOneSuccess:
      return run_if(some("s"), only("k") ? Verdict::kSkip : Verdict::kUpstreamFailed);
    case TriggerRule::kAllSkipped:
      return run_if(only("k"), Verdict::kSkip);
    case TriggerRule::kOneFailed:
      return run_if(some("fu"), Verdict::kSkip);
    case TriggerRule::kOneDone:
      return run_if(some("sf"), Verdict::kSkip);
    case TriggerRule::kNoneFailed:
      return run_if(only("sk"), Verdict::kUpstreamFailed);
    case TriggerRule::kNoneFailedMinOneSuccess:
      return run_if(only("sk") && some("s"), some("fu") ? Verdict::kUpstreamFailed : Verdict::kSkip);
    case TriggerRule::kNoneSkipped:
      return run_if(only("sfu"), Verdict::kSkip);
  }
  return Verdict::kWait;
}

class TriggerLaws : public testing::TestWithParam<int> {
 protected:
  TriggerRule rule() const { return static_cast<TriggerRule>(GetParam()); }
  static constexpr std::size_t kLengthMax = 4;
};

TEST_P(TriggerLaws, WhenAllHaveEndedTheVerdictIsWhatTheRuleSays) {
  for (std::size_t length = 1; length <= kLengthMax; ++length) {
    for (const std::string& ends : all_ends(length)) {
      EXPECT_EQ(judge(rule(), counts(ends, length)), read_rule(rule(), ends)) << name_of(rule()) << " of " << ends;
    }
  }
}

TEST_P(TriggerLaws, OnceDecidedMoreEndsNeverChangeTheVerdict) {
  for (const std::string& ends : all_ends(kLengthMax)) {
    Verdict decided = Verdict::kWait;
    for (std::size_t seen = 0; seen <= kLengthMax; ++seen) {
      const Verdict verdict = judge(rule(), counts(ends, seen));
      if (decided != Verdict::kWait) {
        EXPECT_EQ(verdict, decided) << name_of(rule()) << ": " << ends << " after " << seen;
      }
      decided = verdict;
    }
    EXPECT_NE(decided, Verdict::kWait) << name_of(rule()) << " waits for ever after " << ends;
  }
}

TEST_P(TriggerLaws, ATaskWithoutUpstreamRuns) { EXPECT_EQ(judge(rule(), {}), Verdict::kRun); }

INSTANTIATE_TEST_SUITE_P(Rules, TriggerLaws, testing::Range(0, 12),
                         [](const auto& rule) { return std::string(name_of(static_cast<TriggerRule>(rule.param))); });

}  // namespace
}  // namespace chappe
