#include "scheduler/app/looker.h"

#include <algorithm>
#include <utility>

namespace chappe {
namespace {

constexpr double kJitter = 0.1;  ///< Of an interval: so that what began together does not stay together.
constexpr Duration kFirstWithin = std::chrono::seconds(1);

}  // namespace

Looker::Looker(Look look, Report report) : look_(std::move(look)), report_(std::move(report)) {}

Looker::~Looker() {
  for (Lane& lane : lanes_) {
    for (std::jthread& thread : lane.threads) thread.request_stop();
  }
  for (Lane& lane : lanes_) lane.threads.clear();
}

void Looker::order(const LookOrder& order) {
  {
    const std::lock_guard lock(mutex_);
    if (!order.every) return forget(order.target);
    Looked& looked = looked_[order.target];
    looked.every = *order.every;
    looked.order = ++orders_;
    std::uniform_real_distribution<double> share(0, 1);
    const auto first = std::min<Duration>(kFirstWithin, looked.every / 2) * share(chance_);
    plan(order.target, looked, std::chrono::duration_cast<Duration>(first));
    Lane& lane = lane_of(order.target);
    while (lane.threads.size() < kThreads[static_cast<std::size_t>(order.target.kind)]) {
      lane.threads.emplace_back([this, &lane](const std::stop_token& stop) { serve(lane, stop); });
    }
  }
  lane_of(order.target).changed.notify_one();
}

void Looker::forget(const LookTarget& target) {
  const auto found = looked_.find(target);
  if (found == looked_.end()) return;
  if (found->second.planned) lane_of(target).due.erase(*found->second.planned);
  looked_.erase(found);
}

void Looker::plan(const LookTarget& target, Looked& looked, Duration after) {
  Plan& due = lane_of(target).due;
  if (looked.planned) due.erase(*looked.planned);
  looked.planned = due.emplace(Clock::now() + after, target);
}

Duration Looker::spread(Duration time) {
  std::uniform_real_distribution<double> share(1 - kJitter, 1 + kJitter);
  return std::chrono::duration_cast<Duration>(time * share(chance_));
}

void Looker::serve(Lane& lane, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (lane.due.empty()) {
      lane.changed.wait(lock, stop, [&] { return !lane.due.empty(); });
      continue;
    }
    const auto first = lane.due.begin()->first;
    if (first > Clock::now()) {
      // What is planned meanwhile may be sooner, and what was planned may be gone.
      lane.changed.wait_until(lock, stop, first, [&] { return !lane.due.empty() && lane.due.begin()->first < first; });
      continue;
    }
    look_once(LookTarget(lane.due.begin()->second), lock);
  }
}

/// Requires: the target's plan is the first of its lane.
void Looker::look_once(const LookTarget& target, std::unique_lock<std::mutex>& lock) {
  Looked& before = looked_.at(target);
  const std::uint64_t order = before.order;
  lane_of(target).due.erase(*std::exchange(before.planned, std::nullopt));
  lock.unlock();
  LookReported seen = look_(target);
  lock.lock();
  const auto found = looked_.find(target);
  if (found == looked_.end() || found->second.order != order) return;
  const bool ended = seen.what != LookReported::What::kNotYet;
  const bool news = ended || found->second.told != seen.message;
  found->second.told = seen.message;
  if (ended) {
    forget(target);
  } else {
    plan(target, found->second, spread(found->second.every));
  }
  if (!news) return;
  lock.unlock();
  report_(std::move(seen));
  lock.lock();
}

}  // namespace chappe
