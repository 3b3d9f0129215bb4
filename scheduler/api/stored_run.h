/// \file
/// A run as the store holds it, made whole for the engine.
#pragma once

#include "engine/base/result.h"
#include "engine/run/records.h"

namespace chappe {

/// Fills in what the store cannot know: the DAG of the run's version, and its parameters as values. Reads the DAG's
/// text: not for the scheduler's loop, but at its start.
/// Errors: kCorrupt: the stored text does not load.
Result<void> complete_stored_run(StoredRun& run);

}  // namespace chappe
