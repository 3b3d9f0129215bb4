/// \file
/// Small values that a task leaves behind in files.
#pragma once

#include <string>

#include "engine/lineage/objects.h"
#include "engine/model/dag.h"
#include "worker/artifacts/beneath.h"

namespace chappe::artifacts {

/// Reads one value. Errors: kInvalidInput: not there and without default, not JSON, past kValueFileMax or kValueMax, or
/// a metric that is no finite number.
Result<NamedValue> read_value(const Folder& folder, const OutputValue& spec);

}  // namespace chappe::artifacts
