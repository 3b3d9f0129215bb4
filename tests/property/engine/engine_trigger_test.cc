// The laws of trigger rules, over every combination of up to four upstream ends.
#include <gtest/gtest.h>

#include <string>

#include "engine/run/trigger.h"
#include "tests/support/trigger_rules.h"

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

class TriggerLaws : public testing::TestWithParam<int> {
 protected:
  TriggerRule rule() const { return static_cast<TriggerRule>(GetParam()); }
  static constexpr std::size_t kLengthMax = 4;
};

TEST_P(TriggerLaws, WhenAllHaveEndedTheVerdictIsWhatTheRuleSays) {
  for (std::size_t length = 1; length <= kLengthMax; ++length) {
    for (const std::string& ends : all_ends(length)) {
      EXPECT_EQ(judge(rule(), counts(ends, length)), support::read_rule(rule(), ends))
          << name_of(rule()) << " of " << ends;
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
