#include "worker/artifacts/patience.h"

#include <algorithm>
#include <thread>

namespace chappe::artifacts {

bool Waiting::rest() {
  constexpr std::chrono::milliseconds kLook{50};  // How soon a rest notices that nobody wants the transfer any more.
  const auto now = Clock::now();
  if (since_ == Clock::time_point()) {
    since_ = now;
    next_ = patience_.rest_min;
  }
  const auto until = now + next_;
  if (until > since_ + patience_.total) return false;
  next_ = std::min(next_ * 2, patience_.rest_max);
  while (!stop_.load(std::memory_order_relaxed) && Clock::now() < until) {
    std::this_thread::sleep_for(std::min<Clock::duration>(kLook, until - Clock::now()));
  }
  return !stop_.load(std::memory_order_relaxed);
}

}  // namespace chappe::artifacts
