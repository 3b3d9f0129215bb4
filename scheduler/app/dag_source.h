/// \file
/// Brings the engine DAGs that tasks start runs of: reads and parses them on a thread of its own.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "engine/run/events.h"
#include "scheduler/api/backend.h"
#include "scheduler/api/run_views.h"

namespace chappe {

/// Thread: bring() from any.
class DagSource {
 public:
  using Report = std::function<void(Event)>;  ///< Called on the thread of the source.

  DagSource(api::Backend& backend, Report report);
  ~DagSource();  ///< Does not wait for what is asked for: the engine asks again at a start.

  /// Reports DagBrought: the newest version of this name, or why there is none.
  void bring(WantedDag wanted);

 private:
  void serve(const std::stop_token& stop);
  Result<DagPtr> read(const std::string& name);

  api::Backend& backend_;
  Report report_;
  api::RunViews versions_;  ///< The last few that were asked for.
  std::unique_ptr<MetaReader> reader_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<WantedDag> wanted_;  ///< At most one for each task instance that waits.
  std::jthread thread_;
};

}  // namespace chappe
