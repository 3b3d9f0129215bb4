/// \file
/// Reads back what a scheduler needs to go on.
#pragma once

#include "storage/sqlite/connection.h"

namespace chappe::sqlite {

/// Within a transaction of the caller's, so that all of it is of one moment. Throws Failed.
StoredState load_state(Connection& connection);
/// Throws Failed: kNotFound.
StoredRun load_run(Connection& connection, const RunId& id);

/// First and last row id of a run's task instances.
struct RowRange {
  std::int64_t first;
  std::int64_t last;
};
inline RowRange rows_of(RunSeq run) { return {InstanceKey{run, 0}.row(), InstanceKey{run, 0xffffffffU}.row()}; }

}  // namespace chappe::sqlite
