/// \file
/// Answers a WantedPast through what a store knows.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "engine/run/events.h"
#include "engine/run/instances.h"

namespace chappe {

/// How a store answers. Errors of any of them are told in the answer.
struct PastTools {
  /// MetaReader::newest_before().
  std::function<Result<std::optional<RunRow>>(const std::string& dag, WallTime before)> newest_before;
  /// The task instances of a run that is over.
  std::function<Result<std::shared_ptr<const Instances>>(const RunRow& run)> instances;
  /// MetaReader::unwell().
  std::function<Result<std::optional<TaskState>>(RunSeq run, std::uint32_t first, std::uint32_t count)> unwell;
};

PastLooked look_up_past(const PastTools& tools, const WantedPast& wanted);

}  // namespace chappe
