/// \file
/// What this process uses, from /proc/self.
#pragma once

namespace chappe::metrics {

struct ProcessUse {
  double cpu_seconds = 0;
  double resident_bytes = 0;
  double open_descriptors = 0;
  double started_at = 0;  ///< Seconds since 1970.
};

/// About 20 microseconds. What cannot be read is 0.
ProcessUse read_process_use();

}  // namespace chappe::metrics
