#include "scheduler/app/dag_source.h"

#include <fmt/format.h>

#include <utility>

namespace chappe {

DagSource::DagSource(api::Backend& backend, Report report)
    : backend_(backend), report_(std::move(report)), thread_([this](const std::stop_token& stop) { serve(stop); }) {}

DagSource::~DagSource() {
  thread_.request_stop();
  thread_.join();
}

void DagSource::bring(WantedDag wanted) {
  {
    const std::lock_guard lock(mutex_);
    wanted_.push_back(std::move(wanted));
  }
  changed_.notify_one();
}

void DagSource::serve(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    WantedDag wanted;
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [&] { return !wanted_.empty(); })) return;
      wanted = std::move(wanted_.front());
      wanted_.pop_front();
    }
    auto dag = read(wanted.dag);
    report_(DagBrought{wanted.key, wanted.attempt, std::move(dag), backend_.new_run_id()});
  }
}

Result<DagPtr> DagSource::read(const std::string& name) {
  if (reader_ == nullptr) {
    auto opened = backend_.open_reader();
    if (!opened) return fail(std::move(opened.error()));
    reader_ = std::move(*opened);
  }
  const auto newest = reader_->newest_dag_version(name);
  if (!newest && newest.error().code == ErrorCode::kNotFound) {
    return fail(ErrorCode::kNotFound,
                fmt::format("the scheduler has no DAG '{}': run or submit its file once, then it has", name));
  }
  if (!newest) return fail(newest.error());
  return versions_.dag(*reader_, newest->version);
}

}  // namespace chappe
