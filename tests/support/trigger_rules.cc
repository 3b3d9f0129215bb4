#include "tests/support/trigger_rules.h"

namespace chappe::support {
namespace {

bool some(std::string_view ends, const char* which) { return ends.find_first_of(which) != std::string_view::npos; }
bool only(std::string_view ends, const char* which) { return ends.find_first_not_of(which) == std::string_view::npos; }

}  // namespace

char upstream_letter(const Dependency& edge, TaskState state, bool allowed) {
  if (!is_final(state)) return '-';
  const bool success = state == TaskState::kSuccess || allowed;
  const bool skipped = state == TaskState::kSkipped;
  if (!edge.plain) return (success ? edge.on_succeeded : skipped ? edge.on_skipped : edge.on_failed) ? 's' : 'k';
  if (success) return 's';
  if (skipped) return 'k';
  return state == TaskState::kUpstreamFailed ? 'u' : 'f';
}

bool rule_allows(TriggerRule rule, std::string_view ends) {
  if (ends.empty()) return true;
  switch (rule) {
    case TriggerRule::kAllSuccess:
      return only(ends, "s");
    case TriggerRule::kAllFailed:
      return only(ends, "fu");
    case TriggerRule::kAllDone:
      return only(ends, "sfuk");
    case TriggerRule::kAllDoneMinOneSuccess:
      return only(ends, "sfuk") && some(ends, "s");
    case TriggerRule::kAllSkipped:
      return only(ends, "k");
    case TriggerRule::kOneFailed:
      return some(ends, "fu");
    case TriggerRule::kOneSuccess:
      return some(ends, "s");
    case TriggerRule::kOneDone:
      return some(ends, "sf");
    case TriggerRule::kNoneFailed:
      return only(ends, "sk");
    case TriggerRule::kNoneFailedMinOneSuccess:
      return only(ends, "sk") && some(ends, "s");
    case TriggerRule::kNoneSkipped:
      return only(ends, "sfu");
    case TriggerRule::kAlways:
      return true;
  }
  return false;
}

Verdict read_rule(TriggerRule rule, std::string_view ends) {
  if (ends.empty()) return Verdict::kRun;
  const auto run_if = [](bool met, Verdict otherwise) { return met ? Verdict::kRun : otherwise; };
  switch (rule) {
    case TriggerRule::kAllSuccess:
      return run_if(only(ends, "s"), some(ends, "fu") ? Verdict::kUpstreamFailed : Verdict::kSkip);
    case TriggerRule::kAllFailed:
      return run_if(only(ends, "fu"), Verdict::kSkip);
    case TriggerRule::kAllDone:
    case TriggerRule::kAlways:
      return Verdict::kRun;
    case TriggerRule::kAllDoneMinOneSuccess:
    case TriggerRule::kOneSuccess:
      return run_if(some(ends, "s"), only(ends, "k") ? Verdict::kSkip : Verdict::kUpstreamFailed);
    case TriggerRule::kAllSkipped:
      return run_if(only(ends, "k"), Verdict::kSkip);
    case TriggerRule::kOneFailed:
      return run_if(some(ends, "fu"), Verdict::kSkip);
    case TriggerRule::kOneDone:
      return run_if(some(ends, "sf"), Verdict::kSkip);
    case TriggerRule::kNoneFailed:
      return run_if(only(ends, "sk"), Verdict::kUpstreamFailed);
    case TriggerRule::kNoneFailedMinOneSuccess:
      return run_if(only(ends, "sk") && some(ends, "s"), some(ends, "fu") ? Verdict::kUpstreamFailed : Verdict::kSkip);
    case TriggerRule::kNoneSkipped:
      return run_if(only(ends, "sfu"), Verdict::kSkip);
  }
  return Verdict::kWait;
}

bool waits_for_all(TriggerRule rule) {
  return rule != TriggerRule::kAlways && rule != TriggerRule::kOneSuccess && rule != TriggerRule::kOneFailed &&
         rule != TriggerRule::kOneDone;
}

bool concerns(Handler handler, RunState outcome) {
  return handler == Handler::kExit || (handler == Handler::kSuccess && outcome == RunState::kSuccess) ||
         (handler == Handler::kFailure && outcome == RunState::kFailed) ||
         (handler == Handler::kCancel && outcome == RunState::kCancelled);
}

}  // namespace chappe::support
