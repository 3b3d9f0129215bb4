/// \file
/// Answers a CacheLookup through the ports: what the store knows of the result, and whether its objects are still
/// there.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/ports/meta_reader.h"
#include "engine/ports/object_store.h"
#include "engine/run/events.h"

namespace chappe {

/// What the store knows of a result that is looked up.
struct KnownResult {
  std::optional<CacheEntryRow> entry;
  std::vector<ArtifactRow> artifacts;
  std::vector<NamedValue> values;
  std::string pruned;                 ///< What is told of its run where that was pruned; "": it is there.
  std::vector<CacheEntryRow> others;  ///< Without an entry: other results of the task, the likeliest first.
};

Result<KnownResult> read_result(MetaReader& reader, const CacheLookup& lookup);

/// ObjectStore::head().
using HeadObject = std::function<Result<ObjectInfo>(const std::string& key)>;

/// The value that an object holds, verified.
using ReadValueObject = std::function<Result<Value>(const OutputObject& object)>;

/// One `head` for each of the result's objects, until one is not there; those that hold values are read.
CacheLooked check_result(const HeadObject& head, const ReadValueObject& read, const CacheLookup& lookup,
                         Result<KnownResult> known);

}  // namespace chappe
