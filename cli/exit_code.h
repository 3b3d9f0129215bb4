/// \file
/// Exit codes of the command line. Source: docs of the commands; 128 + n stands for signal n.
#pragma once

#include <string_view>

namespace chappe::cli {

enum ExitCode : int {
  kOk = 0,
  kFailure = 1,
  kUsage = 2,  ///< Wrong arguments, or a DAG file or parameter with mistakes.
  kRunFailed = 3,
  kTimedOut = 4,  ///< The run was still going when waiting was given up.
  kRunCancelled = 5,
};

/// The code of a run that ended in `state`.
inline int exit_code_of_run(std::string_view state) {
  if (state == "success") return kOk;
  return state == "cancelled" ? kRunCancelled : kRunFailed;
}

}  // namespace chappe::cli
