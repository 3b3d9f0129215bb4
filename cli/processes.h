/// \file
/// Child processes of the command line itself: the same program with other arguments.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace chappe::cli {

struct SpawnOptions {
  std::vector<std::string> arguments;  ///< Without the program's name.
  std::filesystem::path log;           ///< stdout and stderr are appended to it; "": as ours.
};

/// Starts /proc/self/exe in a process group of its own, so that a terminal's Ctrl-C reaches us alone. Its signal mask
/// is empty. Returns its process id. Errors: kUnavailable.
Result<int> spawn_self(const SpawnOptions& options);

}  // namespace chappe::cli
