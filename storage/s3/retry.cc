#include "storage/s3/retry.h"

#include <algorithm>
#include <array>

namespace chappe::s3 {

std::chrono::milliseconds rest_before(std::uint32_t next_try, const RetryPolicy& policy, double chance,
                                      std::optional<std::chrono::milliseconds> retry_after) {
  const std::uint32_t doublings = std::min(next_try >= 2 ? next_try - 2 : 0U, 20U);
  const auto ceiling = std::min(policy.backoff_min * (1 << doublings), policy.backoff_max);
  const std::chrono::milliseconds jittered(static_cast<std::int64_t>(chance * static_cast<double>(ceiling.count())));
  const auto least = std::min(retry_after.value_or(std::chrono::milliseconds{0}), policy.backoff_max);
  return std::max(jittered, least);
}

bool is_passing(int status, std::string_view code) {
  // Passing although their status is 4xx. BadDigest and its kin: the bytes were damaged on the way.
  static constexpr std::array<std::string_view, 9> kCodes = {
      "RequestTimeout", "SlowDown",      "Throttling",       "ThrottlingException",      "ConditionalRequestConflict",
      "BadDigest",      "InternalError", "OperationAborted", "XAmzContentSHA256Mismatch"};
  if (std::find(kCodes.begin(), kCodes.end(), code) != kCodes.end()) return true;
  return status == 429 || status == 408 || status == 500 || status == 502 || status == 503 || status == 504;
}

void RetryBudget::earn() {
  const std::lock_guard lock(mutex_);
  tokens_ = std::min(tokens_ + 0.1, kTokensMax);
}

bool RetryBudget::spend() {
  const std::lock_guard lock(mutex_);
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

}  // namespace chappe::s3
