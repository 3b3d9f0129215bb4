/// \file
/// From a task's WorkSpec to what a worker is told: expressions evaluated, inputs resolved to exact objects.
/// Private to engine/run.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "engine/run/engine_state.h"

namespace chappe {

/// Names, keys and hashes of all that one attempt reads. A work is told in at most 32 MiB (proto/wire).
inline constexpr std::size_t kInputTextMax = std::size_t{28} << 20;

/// Errors: kInvalidInput: more than kInputTextMax.
Result<void> check_fits(std::span<const ResolvedInput> inputs);

/// Shared by all instances of a run where nothing in the spec depends on the instance.
/// Errors: kInvalidInput, kNotFound: an expression fails, an input that must be there is absent, or they are too many.
Result<std::shared_ptr<const ResolvedWork>> resolve_work(LiveRun& run, std::uint32_t index, const EngineState& state);

}  // namespace chappe
