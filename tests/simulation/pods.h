/// \file
/// A cluster's API server, its nodes, and between them and each scheduler that one's real pod book
/// (scheduler/launch/pod_book.h). Pods and their workers outlive schedulers; what is told of them comes late, in any
/// order, or never, and lists are stale.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/run/events.h"
#include "scheduler/launch/pod_book.h"
#include "tests/simulation/plan.h"

namespace chappe::simulation {

class World;

class Pods {
 public:
  explicit Pods(World& world) : world_(world) {}

  void order(std::uint32_t scheduler, const PodOrder& order);
  /// It has ordered all that there was before it: from now on it lists and watches.
  void begin(std::uint32_t scheduler);
  /// The process of a pod's worker is gone.
  void worker_ended(std::uint32_t worker);
  /// The attempt whose key the worker has; 0: it has one of its own.
  AttemptId attempt_of(std::uint32_t worker) const;

  // ---- Faults ----
  void evict_some();
  /// The node of one is not heard of any more: the pod is gone, its worker goes on.
  void lose_some();
  /// Another process comes with the key of a pod whose worker has begun.
  void steal_some_key();

  std::size_t left() const;  ///< Pods that are there.

 private:
  struct Pod {
    std::string name;
    std::uint64_t uid = 0;
    AttemptId attempt;
    std::string run;
    std::uint32_t worker = 0;  ///< 0: it has none, and never will.
    MonoTime made_at;
    MonoTime gone_at;  ///< Where it is not there.
    bool there = true;
    bool deleting = false;
    bool started = false;
    bool ended = false;
  };
  struct Launcher {
    launch::PodBook book;
    std::set<AttemptId> ordered = {};
    bool begun = false;
    std::uint64_t wakes = 0;  ///< A planned look that is behind does nothing.
  };

  Launcher& launcher(std::uint32_t scheduler);
  void in_process(std::uint32_t scheduler, const std::function<void(Launcher&)>& what);
  void serve(std::uint32_t scheduler, Launcher& launcher);
  void ask(std::uint32_t scheduler, const launch::PodRequest& request);
  void list(std::uint32_t scheduler);

  launch::PodOutcome carry_out(const launch::PodRequest& request);
  Pod* find(const std::string& name);
  Pod& add(const launch::PodRequest& request, const std::string& run);
  void make(const launch::PodRequest& request);
  void take_name(const launch::PodRequest& request);
  void start(std::size_t number);
  void remove(Pod& pod);
  void is_gone(Pod& pod);
  void changed(const Pod& pod);
  static Value shown(const Pod& pod);

  World& world_;
  std::vector<Pod> pods_;                        ///< All that ever were.
  std::map<std::uint32_t, AttemptId> thieves_;   ///< By worker.
  std::map<std::uint32_t, Launcher> launchers_;  ///< By scheduler.
};

}  // namespace chappe::simulation
