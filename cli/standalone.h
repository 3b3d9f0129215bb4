/// \file
/// A whole Chappe on one machine: a process that starts a scheduler and workers in a state directory and keeps them up.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/output.h"

namespace chappe::cli {

struct StandaloneConfig {
  std::filesystem::path state_dir;
  std::uint32_t workers = 1;                 ///< 1 to 64; they share the machine's cores.
  std::string object_store;                  ///< "": the state directory's.
  std::vector<std::string> scheduler_words;  ///< What the scheduler is told besides: "--pool", "database=4".
  std::string container_socket;              ///< As the worker's.
  bool quit_with_parent = false;
};

/// Runs until SIGTERM or SIGINT, or until a child cannot be kept up. One that died is started again, after a rest that
/// doubles from 100 ms to 10 s while it keeps dying. Returns an exit code.
int run_standalone(const StandaloneConfig& config);

}  // namespace chappe::cli
