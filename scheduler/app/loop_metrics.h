/// \file
/// What the loop tells Prometheus: what was decided and made durable, and how long that took. No label holds a run or
/// an attempt; DAGs have one, up to a bound.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <set>
#include <string>

#include "engine/run/events.h"
#include "engine/run/records.h"
#include "proto/metrics/metrics.h"

namespace chappe {

class LoopMetrics {
 public:
  static constexpr std::size_t kDagsMax = 1'000;  ///< DAGs with a label of their own; the others are "(other)".

  /// `registry` must outlive it.
  explicit LoopMetrics(metrics::Registry& registry);

  /// One pass: so many events, and the engine took so long over them.
  void stepped(std::size_t events, double seconds);
  /// The pass is durable. Cost: about 50 ns a task that changed.
  void committed(const Persist& changes, double seconds);

 private:
  void count(const TaskChange& change);
  void count(const RunChange& change);
  std::string label_of(const std::string& dag);

  metrics::Registry& registry_;
  metrics::Counter events_;
  metrics::Seconds step_seconds_;
  metrics::Counter commits_;
  metrics::Seconds commit_seconds_;
  metrics::Counter assigned_;
  metrics::Seconds dispatch_seconds_;
  metrics::Counter late_;
  std::map<Reason, metrics::Counter> attempts_;  ///< By why they ended.
  std::map<TaskState, metrics::Counter> tasks_;  ///< By how they ended.
  std::set<std::string> dags_;
};

}  // namespace chappe
