/// \file
/// What an engine thinks of its runs, as text to compare: an engine made from what is durable must think the same.
#pragma once

#include <string>

#include "engine/run/engine.h"

namespace chappe::support {

/// One line a task instance. A rest that has passed is no change worth a write, so `up_for_retry` reads `scheduled`.
std::string dump_of_runs(const Engine& engine);

}  // namespace chappe::support
