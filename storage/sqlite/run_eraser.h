/// \file
/// Deletes what stands of runs that were pruned, but their own rows. Private to storage/sqlite. Throws Failed.
#pragma once

#include <array>
#include <vector>

#include "storage/sqlite/connection.h"

namespace chappe::sqlite {

/// Of these runs, which were pruned: those of which only their rows are left.
std::vector<RunSeq> emptied_of(const Connection& connection, std::vector<RunSeq> runs);

class RunEraser {
 public:
  explicit RunEraser(const Connection& connection);

  /// Of a Persist: pruned, prune_rows and prune_ended. Within a transaction of the caller's.
  void write(const Persist& changes);

 private:
  void mark(const RunPruned& pruned);
  void erase(RunSeq run, std::size_t& rows_max);

  const Connection& connection_;
  Statement mark_;
  Statement marked_;
  Statement fan_outs_;
  Statement events_;  ///< What repeated ones are known by stays.
  Statement ended_;
  Statement forget_results_;
  std::vector<Statement>
      with_;  ///< What goes with the next instances: the images that they ran in, their pods' workers.
  std::vector<Statement> rows_;  ///< One a table.
};

}  // namespace chappe::sqlite
