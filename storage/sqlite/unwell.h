/// \file
/// How a task of a run that is over ended, where it did not end well. Private to storage/sqlite.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/model/policies.h"
#include "storage/sqlite/connection.h"

namespace chappe::sqlite {

/// As MetaReader::unwell(). Throws Failed. Cost: O(count).
std::optional<TaskState> find_unwell(Connection& connection, RunSeq run, std::uint32_t first, std::uint32_t count);

}  // namespace chappe::sqlite
