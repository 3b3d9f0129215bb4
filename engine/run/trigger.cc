#include "engine/run/trigger.h"

#include "engine/base/assert.h"
#include "engine/base/mutant.h"

namespace chappe {

Verdict judge(TriggerRule rule, const UpstreamCounts& up) {
  if (up.total == 0) return Verdict::kRun;
  const bool all_done = up.done() == up.total;
  const std::uint32_t failures = up.failed + up.upstream_failed;
  const auto once_done = [&](Verdict verdict) { return all_done ? verdict : Verdict::kWait; };
  switch (rule) {
    case TriggerRule::kAlways:
      return Verdict::kRun;
    case TriggerRule::kAllDone:
      return once_done(Verdict::kRun);
    case TriggerRule::kAllSuccess:
      // A skip waits for the rest: which of two ends came first must not decide what the run looks like.
      if (failures > 0) return Verdict::kUpstreamFailed;
      if (CHAPPE_MUTANT(kStartsBeforeAllAreDone) && up.success > 0) return Verdict::kRun;
      return once_done(up.skipped > 0 ? Verdict::kSkip : Verdict::kRun);
    case TriggerRule::kAllFailed:
      if (up.success + up.skipped > 0) return Verdict::kSkip;
      return once_done(Verdict::kRun);
    case TriggerRule::kAllSkipped:
      if (up.success + failures > 0) return Verdict::kSkip;
      return once_done(Verdict::kRun);
    case TriggerRule::kNoneFailed:
      if (failures > 0) return Verdict::kUpstreamFailed;
      return once_done(Verdict::kRun);
    case TriggerRule::kNoneFailedMinOneSuccess:
      if (failures > 0) return Verdict::kUpstreamFailed;
      return once_done(up.success > 0 && !CHAPPE_MUTANT(kSkipsInsteadOfRunning) ? Verdict::kRun : Verdict::kSkip);
    case TriggerRule::kNoneSkipped:
      if (up.skipped > 0) return Verdict::kSkip;
      return once_done(Verdict::kRun);
    case TriggerRule::kOneSuccess:
      if (up.success > 0) return Verdict::kRun;
      return once_done(up.skipped == up.total ? Verdict::kSkip : Verdict::kUpstreamFailed);
    case TriggerRule::kOneFailed:
      if (failures > 0) return Verdict::kRun;
      return once_done(Verdict::kSkip);
    case TriggerRule::kOneDone:
      if (up.success + up.failed > 0) return Verdict::kRun;
      return once_done(Verdict::kSkip);
    case TriggerRule::kAllDoneMinOneSuccess:
      if (up.success > 0) return once_done(Verdict::kRun);
      return once_done(up.skipped == up.total ? Verdict::kSkip : Verdict::kUpstreamFailed);
  }
  CHAPPE_ASSERT(false);
}

}  // namespace chappe
