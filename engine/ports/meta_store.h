/// \file
/// The metadata store as the scheduler's loop sees it: one writer, one transaction a batch.
#pragma once

#include "engine/base/result.h"
#include "engine/run/records.h"

namespace chappe {

/// Thread: one; the loop that owns the engine.
class MetaStore {
 public:
  virtual ~MetaStore() = default;

  /// Everything that is not final, counters, aliases. The epoch was raised, durably, when the store was opened.
  virtual Result<StoredState> load() = 0;

  /// Writes all of it, durably, or nothing; with no changes, it confirms that the store is the caller's, and waits for
  /// no disk. Errors: kConflict: a guard did not hold, or another scheduler has a newer epoch; kUnavailable: disk full
  /// and the like. After any error the outcome is unknown: the caller must stop the process and come back through
  /// load(). Cost: one fdatasync, and about 2 us a row.
  virtual Result<void> commit(const Persist& changes) = 0;

  /// Moves the log into the database where it has grown past its mark. Call when idle; never inside a batch.
  virtual Result<void> checkpoint_if_due() = 0;
};

}  // namespace chappe
