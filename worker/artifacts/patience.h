/// \file
/// Waiting for an object store that is out of reach. What a task needs or has made is worth more than the slot that it
/// holds meanwhile: giving up would burn its tries one after the other, and throw away what it has computed.
#pragma once

#include <atomic>
#include <chrono>

namespace chappe::artifacts {

/// How long, and how often it is asked whether the store is back.
struct Patience {
  std::chrono::milliseconds rest_min{1'000};   ///< After the first failure; doubles with each.
  std::chrono::milliseconds rest_max{30'000};  ///< One request in so long: no storm of those who wait.
  std::chrono::milliseconds total{3'600'000};  ///< From the first failure. Then the attempt fails with kArtifactIo.
};

/// One transfer's waiting. Thread: one.
class Waiting {
 public:
  /// `stop` ends every rest at once; it must outlive this.
  Waiting(const Patience& patience, const std::atomic<bool>& stop) : patience_(patience), stop_(stop) {}

  /// Rests, and says whether to try again. False: patience is at its end, or `stop` is set.
  bool rest();
  /// The store answered: the next failure is a first one.
  void succeeded() { since_ = {}; }

 private:
  using Clock = std::chrono::steady_clock;
  const Patience patience_;
  const std::atomic<bool>& stop_;
  Clock::time_point since_{};  ///< Of the first failure; not set: there was none.
  std::chrono::milliseconds next_{};
};

}  // namespace chappe::artifacts
