#include "tests/simulation/pods.h"

#include <algorithm>

#include "tests/simulation/scheduler.h"
#include "tests/simulation/worker.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {
namespace {

using namespace std::chrono_literals;

constexpr Duration kWayMax = 300ms;  ///< Of a request, and of news.
constexpr Duration kLookEvery = 5s;
constexpr Duration kStartMax = 3s;      ///< Until a pod's worker runs.
constexpr Duration kInsistAfter = 30s;  ///< What a worker that is told to leave has time for.

}  // namespace

Pods::Pod* Pods::find(AttemptId attempt) {
  const auto found =
      std::find_if(pods_.begin(), pods_.end(), [&](const Pod& pod) { return pod.attempt == attempt && pod.there; });
  return found == pods_.end() ? nullptr : &*found;
}

std::size_t Pods::left() const {
  return static_cast<std::size_t>(std::count_if(pods_.begin(), pods_.end(), [](const Pod& pod) { return pod.there; }));
}

AttemptId Pods::attempt_of(std::uint32_t worker) const {
  for (const Pod& pod : pods_) {
    if (pod.worker == worker) return pod.attempt;
  }
  return {};
}

bool Pods::is_wanted(std::uint32_t scheduler, AttemptId attempt) const {
  return world_.schedulers[scheduler]->alive() && world_.schedulers[scheduler]->wants_pod(attempt);
}

void Pods::order(std::uint32_t scheduler, const PodOrder& order) {
  const AttemptId attempt = order.what.attempt;
  const bool wanted = order.dag != nullptr;
  world_.time.after(world_.up_to(kWayMax), [this, scheduler, attempt, wanted, joined = order.joined] {
    // With the process dies what it was about to ask for.
    if (!world_.schedulers[scheduler]->alive()) return;
    if (!wanted) return remove(attempt);
    Pod* pod = find(attempt);
    if (pod != nullptr && pod->ended) return report(attempt, PodSeen::What::kEnded);
    if (pod == nullptr && joined) return report(attempt, PodSeen::What::kGone);
    if (pod == nullptr && is_wanted(scheduler, attempt)) make(scheduler, attempt);
  });
}

void Pods::make(std::uint32_t scheduler, AttemptId attempt) {
  const auto number = static_cast<std::uint32_t>(world_.workers.size());
  world_.journal.note("pod is made", number, attempt.value, scheduler);
  world_.saw(Sight::kPodMade);
  pods_.push_back({.attempt = attempt, .worker = number});
  world_.workers.push_back(std::make_unique<Worker>(world_, number, true));
  world_.network.add_worker();
  world_.time.after(world_.up_to(kStartMax), [this, number] {
    const Pod& pod = *std::find_if(pods_.begin(), pods_.end(), [&](const Pod& each) { return each.worker == number; });
    if (!pod.there) return;  // Removed before it began.
    world_.workers[number]->boot();
    report(pod.attempt, PodSeen::What::kStarted);
  });
}

void Pods::remove(AttemptId attempt) {
  Pod* pod = find(attempt);
  if (pod == nullptr) return;
  Worker& worker = *world_.workers[pod->worker];
  if (!worker.alive()) {
    pod->there = false;
    worker.retire();
    return;
  }
  worker.evict();
  world_.time.after(kInsistAfter, [&worker] { worker.retire(); });
}

void Pods::watch() {
  const Scheduler* newest = world_.newest_scheduler();
  const bool ready = newest != nullptr && newest->has_ordered_pods() && !newest->standing_still();
  for (std::uint32_t number = 0; ready && number < world_.schedulers.size(); ++number) {
    if (world_.schedulers[number].get() == newest) sweep(number);
  }
  world_.time.after(kLookEvery, [this] { watch(); });
}

void Pods::sweep(std::uint32_t scheduler) {
  for (const Pod& pod : pods_) {
    if (!pod.there || is_wanted(scheduler, pod.attempt)) continue;
    world_.saw(Sight::kPodSwept);
    world_.time.after(world_.up_to(kWayMax), [this, scheduler, attempt = pod.attempt] {
      if (world_.schedulers[scheduler]->alive() && !is_wanted(scheduler, attempt)) remove(attempt);
    });
  }
}

void Pods::worker_ended(std::uint32_t worker) {
  for (Pod& pod : pods_) {
    if (pod.worker != worker || pod.ended) continue;
    pod.ended = true;
    if (!pod.there) return;  // Nobody hears of its node.
    // It is removed when nobody wants it any more.
    const bool wanted = std::any_of(world_.schedulers.begin(), world_.schedulers.end(),
                                    [&](const auto& each) { return each->alive() && each->wants_pod(pod.attempt); });
    if (!wanted && world_.newest_scheduler() != nullptr) pod.there = false;
    return report(pod.attempt, PodSeen::What::kEnded);
  }
}

/// To all that watch; those that are dead hear of it when they list.
void Pods::report(AttemptId attempt, PodSeen::What what) {
  for (std::uint32_t number = 0; number < world_.schedulers.size(); ++number) {
    world_.time.after(world_.up_to(kWayMax), [this, number, attempt, what] {
      if (!is_wanted(number, attempt)) return;
      PodSeen seen{.attempt = attempt, .what = what, .message = "its pod was seen so"};
      if (what == PodSeen::What::kEnded) seen.reason = Reason::kLostWorker;
      world_.schedulers[number]->take(std::move(seen));
    });
  }
}

void Pods::evict_some() {
  for (const Pod& pod : pods_) {
    if (!pod.there || !world_.workers[pod.worker]->alive()) continue;
    Worker& worker = *world_.workers[pod.worker];
    worker.evict();
    world_.saw(Sight::kPodEvicted);
    return world_.time.after(kInsistAfter, [&worker] { worker.retire(); });
  }
}

void Pods::lose_some() {
  for (Pod& pod : pods_) {
    if (!pod.there || pod.ended) continue;
    pod.there = false;
    world_.saw(Sight::kPodLost);
    return report(pod.attempt, PodSeen::What::kGone);
  }
}

}  // namespace chappe::simulation
