/// \file
/// The pods of a cluster, as schedulers order them, with a worker in each. They and their workers outlive schedulers;
/// what is told of them comes late.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/run/events.h"
#include "tests/simulation/plan.h"

namespace chappe::simulation {

class World;

class Pods {
 public:
  explicit Pods(World& world) : world_(world) {}

  /// As scheduler/launch does with it.
  void order(std::uint32_t scheduler, const PodOrder& order);
  /// From now on whoever is the scheduler looks now and then: what it has not ordered goes.
  void watch();
  /// The process of a pod's worker is gone.
  void worker_ended(std::uint32_t worker);
  /// The attempt whose key the worker has; 0: it has one of its own.
  AttemptId attempt_of(std::uint32_t worker) const;

  // ---- Faults ----
  void evict_some();
  /// The node of one is not heard of any more: the pod is gone, its worker goes on.
  void lose_some();

  std::size_t left() const;  ///< Pods that are there.

 private:
  struct Pod {
    AttemptId attempt;
    std::uint32_t worker = 0;
    bool there = true;
    bool ended = false;
  };
  Pod* find(AttemptId attempt);
  void make(std::uint32_t scheduler, AttemptId attempt);
  void sweep(std::uint32_t scheduler);
  void remove(AttemptId attempt);
  void report(AttemptId attempt, PodSeen::What what);
  bool is_wanted(std::uint32_t scheduler, AttemptId attempt) const;

  World& world_;
  std::vector<Pod> pods_;  ///< All that ever were.
};

}  // namespace chappe::simulation
