/// \file
/// What the HTTP API needs of the daemon around it. Implemented by scheduler/app; by a fake in tests.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/value.h"
#include "engine/ports/meta_reader.h"
#include "engine/ports/object_store.h"
#include "engine/run/events.h"
#include "proto/metrics/metrics.h"

namespace chappe::api {

/// A file of a watched folder that says something else than what is deployed.
struct DagComplaint {
  std::string file;
  std::string text;
};

/// Thread: all calls from any thread.
class Backend {
 public:
  virtual ~Backend() = default;

  using Done = std::function<void(Result<Value>)>;
  /// Hands a request (RunRequested, CancelRequested, RetryRequested, AliasMoveRequested; `ticket` is filled in by the
  /// daemon) to the engine. `done` is called once, on the loop's thread, after the commit: it must only pass the answer
  /// on. kUnavailable at once where the queue (1,024 requests) is full.
  virtual void request(Event event, Done done) = 0;
  /// Engine::explain() on the loop's thread. kNotFound for a run that is not live.
  virtual void explain(const RunId& run, std::string task, std::size_t limit, Done done) = 0;
  /// Engine::workers() on the loop's thread.
  virtual void workers(Done done) = 0;

  /// Engine::questions() on the loop's thread.
  virtual void questions(std::size_t limit, Done done) = 0;
  /// Of the watched folder, where there is one.
  virtual std::vector<DagComplaint> dag_complaints() { return {}; }

  virtual Result<std::unique_ptr<MetaReader>> open_reader() = 0;
  virtual ObjectStore& objects() = 0;
  /// What the daemon counts; the API adds what is asked of it.
  virtual metrics::Registry& metrics() = 0;
  /// 80 random bits for a RunId, and the time to go with it.
  virtual RunId new_run_id() = 0;
};

}  // namespace chappe::api
