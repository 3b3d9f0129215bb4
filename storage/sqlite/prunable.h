/// \file
/// Finds runs that nothing refers to. Private to storage/sqlite. Throws Failed.
#pragma once

#include "engine/run/prune.h"
#include "storage/sqlite/connection.h"

namespace chappe::sqlite {

/// Cost: O(kPruneLooksMax) runs and O(kPruneInstancesMax) task instances, each by a few looks at an index; and all runs
/// that one of those started.
PruneLooked find_prunable(Connection& connection, const PruneQuery& query);

}  // namespace chappe::sqlite
