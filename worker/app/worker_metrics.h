/// \file
/// What a worker tells Prometheus. No label holds a run, a task or an attempt.
#pragma once

#include "engine/run/records.h"
#include "proto/metrics/metrics.h"

namespace chappe::worker {

class WorkerMetrics {
 public:
  /// `registry` must outlive it.
  explicit WorkerMetrics(metrics::Registry& registry);

  /// An attempt is over here, whether or not the scheduler wants it any more.
  void ended(const AttemptEnd& end);
  void holds(std::size_t attempts) const { held_.set(static_cast<double>(attempts)); }
  void is_connected(bool connected) const { connected_.set(connected ? 1 : 0); }

 private:
  metrics::Registry& registry_;
  metrics::Gauge held_;
  metrics::Gauge connected_;
  metrics::Seconds run_seconds_;
  metrics::Counter bytes_in_;
  metrics::Counter bytes_out_;
};

}  // namespace chappe::worker
