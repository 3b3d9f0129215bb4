/// \file
/// What a trigger rule says about the ends of a task's upstream instances. Airflow 3's meaning, rule by rule.
#pragma once

#include <cstdint>

#include "engine/model/policies.h"

namespace chappe {

/// How the upstream instances of one task have ended so far.
struct UpstreamCounts {
  std::uint32_t total = 0;
  std::uint32_t success = 0;  ///< `failed` ones that `allow_failure` covers included.
  std::uint32_t failed = 0;   ///< Cancelled ones included.
  std::uint32_t upstream_failed = 0;
  std::uint32_t skipped = 0;

  std::uint32_t done() const { return success + failed + upstream_failed + skipped; }
  bool operator==(const UpstreamCounts&) const = default;
};

enum class Verdict : std::uint8_t { kWait, kRun, kSkip, kUpstreamFailed };

/// Decides as early as the counts allow: with all_success, the first failure decides. Once a verdict is not kWait, more
/// ends never change it (a law that tests/property checks).
Verdict judge(TriggerRule rule, const UpstreamCounts& upstream);

}  // namespace chappe
