/// \file
/// What a reader needs besides rows: the DAG that a run is pinned to, and the names of its task instances. Both follow
/// from immutable rows, so they are kept: the last few DAG versions and expansions that were asked for.
///
/// Thread: any.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "engine/ports/meta_reader.h"
#include "engine/run/instances.h"

namespace chappe::api {

/// The most recently used values by name. Thread: guarded by its owner.
template <typename T, std::size_t kMax>
class Recent {
 public:
  T find(const std::string& name) {
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (entry->first != name) continue;
      entries_.splice(entries_.begin(), entries_, entry);
      return entry->second;
    }
    return nullptr;
  }
  void keep(std::string name, T value) {
    entries_.emplace_front(std::move(name), std::move(value));
    if (entries_.size() > kMax) entries_.pop_back();
  }

 private:
  std::list<std::pair<std::string, T>> entries_;
};

using InstancesPtr = std::shared_ptr<const Instances>;

class RunViews {
 public:
  /// Errors: kNotFound, kCorrupt (the stored text does not load any more).
  Result<DagPtr> dag(MetaReader& reader, const std::string& version);
  /// The task instances of a run. Errors: as dag(), kCorrupt.
  Result<InstancesPtr> instances(MetaReader& reader, const RunRow& run);

 private:
  std::mutex mutex_;
  Recent<DagPtr, 16> dags_;
  Recent<InstancesPtr, 8> instances_;
};

}  // namespace chappe::api
