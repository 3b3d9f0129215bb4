/// \file
/// What a store in memory knows of a result that is looked up: as read_result() reads it from a real one.
#pragma once

#include "engine/ports/result_lookup.h"
#include "tests/support/memory_meta_store.h"

namespace chappe::support {

KnownResult find_result(const StoredTables& tables, const CacheLookup& lookup);

}  // namespace chappe::support
