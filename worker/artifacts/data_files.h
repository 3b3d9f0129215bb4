/// \file
/// Measures data where they lie: the inputs of a check in its work directory, and an output before it is uploaded.
/// Blocking. What is compressed with gzip or Zstandard is told by its bytes, whatever its name.
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "engine/base/value.h"
#include "engine/model/data_check.h"
#include "engine/run/events.h"

namespace chappe::artifacts {

/// How a check went.
struct DataVerdict {
  Reason reason = Reason::kNone;  ///< kCheckFailed; kArtifactIo: a file could not be read.
  std::string message;
  std::string log;  ///< Every expectation with its figure, and which files were measured.
  Value figures;    ///< For kFiguresFile.
};

/// `directory`: where the work's inputs are. `stop` ends it with kArtifactIo.
DataVerdict check_data(const std::string& directory, const ResolvedWork& work, const std::atomic<bool>& stop);

/// What is wrong with the file, for people; "" for nothing. `file`: a descriptor, read from its beginning.
/// Errors: it cannot be read, or `stop` was set.
Result<std::string> why_unfit(int file, const DataExpectations& expected, const std::atomic<bool>& stop);

}  // namespace chappe::artifacts
