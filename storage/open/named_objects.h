/// \file
/// Objects by the names that DAGs give them: KEY is in the configured store, "s3://BUCKET/KEY" in any bucket that this
/// process' own credentials reach.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/ports/object_store.h"

namespace chappe {

class NamedObjects {
 public:
  static constexpr std::size_t kBucketsMax = 100;  ///< Other than the configured store's.

  /// `own` must outlive this.
  explicit NamedObjects(ObjectStore& own) : own_(own) {}

  /// Does not touch the network. Errors: kInvalidInput: the name has no key; kUnsupported: it would be one bucket too
  /// many. Thread: any, concurrently; what it returns lives as long as this.
  Result<ObjectPlace> find(const std::string& name);

 private:
  Result<ObjectStore*> bucket(const std::string& name);

  ObjectStore& own_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<ObjectStore>> buckets_;
};

}  // namespace chappe
