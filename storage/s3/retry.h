/// \file
/// When a request is repeated, and how long it rests before. Pure, but for RetryBudget's lock.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>

namespace chappe::s3 {

struct RetryPolicy {
  std::uint32_t tries_max = 8;                 ///< The first included.
  std::chrono::milliseconds backoff_min{100};  ///< Ceiling of the first rest; doubles with each.
  std::chrono::milliseconds backoff_max{20'000};
  std::chrono::milliseconds deadline{180'000};  ///< No try begins later than this after the first.
};

/// Full jitter: somewhere between nothing and the ceiling of this try. `chance` in [0, 1); `retry_after`, where the
/// server said one (bounded by backoff_max), is the least. Source: AWS Architecture Blog, "Exponential Backoff And
/// Jitter".
std::chrono::milliseconds rest_before(std::uint32_t next_try, const RetryPolicy& policy, double chance,
                                      std::optional<std::chrono::milliseconds> retry_after);

/// Whether an answer of that status and S3 error code may be different the next time.
bool is_passing(int status, std::string_view code);

/// Keeps repeats to a tenth of all requests in the long run, so that a store that is down is not also stormed.
/// Thread: any.
class RetryBudget {
 public:
  void earn();   ///< A request was made.
  bool spend();  ///< False: no repeat now.

 private:
  static constexpr double kTokensMax = 100;
  std::mutex mutex_;
  double tokens_ = 50;
};

}  // namespace chappe::s3
