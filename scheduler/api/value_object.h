/// \file
/// Values that attempts left in objects because they are too large for a row.
#pragma once

#include "engine/base/value.h"
#include "engine/lineage/objects.h"
#include "engine/ports/object_store.h"

namespace chappe {

/// Reads the value, and checks that it is the one that was recorded. Blocks; holds at most kValueMax bytes and the
/// value. Errors: kCorrupt: it is not, or no JSON; those of the store.
Result<Value> read_value_object(ObjectStore& store, const OutputObject& object);

}  // namespace chappe
