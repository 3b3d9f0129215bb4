/// \file
/// Data outside: datasets that tasks declare (`lineage`), as rows of what succeeded, and objects that they read.
/// Private to engine/run.
#pragma once

#include <vector>

#include "engine/run/engine_state.h"

namespace chappe {

inline constexpr std::size_t kDatasetUriMax = 1024;  ///< Bytes.

/// Those of the instance's current attempt, each once. Errors: kInvalidInput: an expression fails, or gives no URI.
Result<std::vector<DatasetRow>> datasets_of(const LiveRun& run, std::uint32_t index);

/// The attempt succeeds: what it declares is recorded. That it can be was seen before the attempt began.
void record_datasets(const LiveRun& run, std::uint32_t index, Persist& persist);

/// The attempt ended, well or not: what it found when it read objects of S3 is recorded. Of a report only what the task
/// declares counts, each input once.
void record_reads(const LiveRun& run, std::uint32_t index, const AttemptOutputs& reported, Persist& persist);

}  // namespace chappe
