#include "worker/app/worker_metrics.h"

#include <string>

namespace chappe::worker {

WorkerMetrics::WorkerMetrics(metrics::Registry& registry)
    : registry_(registry),
      held_(registry.gauge("chappe_worker_attempts", "Attempts that this worker holds.")),
      connected_(registry.gauge("chappe_worker_connected", "1 while there is a connection to the scheduler.")),
      run_seconds_(registry.seconds("chappe_worker_run_seconds", "How long the programs of attempts ran.")),
      bytes_in_(registry.counter("chappe_worker_input_bytes_total", "Bytes of inputs that were fetched.")),
      bytes_out_(registry.counter("chappe_worker_output_bytes_total", "Bytes of outputs that were stored.")) {}

void WorkerMetrics::ended(const AttemptEnd& end) {
  const std::string reason = end.reason == Reason::kNone ? "success" : std::string(name_of(end.reason));
  registry_
      .counter("chappe_worker_attempts_ended_total", "Attempts that ran here, by why they ended.", {{"reason", reason}})
      .add();
  if (end.started_at.is_set()) {
    run_seconds_.observe(static_cast<double>((end.ended_at - end.started_at).count()) / 1e6);
  }
  bytes_in_.add(static_cast<double>(end.usage.bytes_in));
  bytes_out_.add(static_cast<double>(end.usage.bytes_out));
}

}  // namespace chappe::worker
