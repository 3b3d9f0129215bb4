/// \file
/// From a task's WorkSpec to what a worker is told: expressions evaluated, inputs resolved to exact objects.
/// Private to engine/run.
#pragma once

#include <memory>

#include "engine/run/engine_state.h"

namespace chappe {

/// Shared by all instances of a run where nothing in the spec depends on the instance.
/// Errors: kInvalidInput, kNotFound: an expression fails, or an input that must be there is absent.
Result<std::shared_ptr<const ResolvedWork>> resolve_work(LiveRun& run, std::uint32_t index, const EngineState& state);

}  // namespace chappe
