/// \file
/// From a task's check of data to what a worker is told. Private to engine/run.
#pragma once

#include "engine/expr/expression.h"
#include "engine/run/live_run.h"

namespace chappe {

/// With the format of each file: as it was written down, else as the name of the file or of the asset says.
/// Errors: kInvalidInput: neither does.
Result<DataCheck> resolve_data(const LiveRun& run, const expr::Scope& scope, const WorkSpec& spec);

}  // namespace chappe
