/// \file
/// The options of the daemons: what may be written on the command line, and so in a configuration file.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/daemons.h"

namespace chappe::cli {

void add_scheduler_options(CLI::App* command, SchedulerOptions& options);

/// Those that a scheduler on one machine has, too: for a command that starts one and hands them on.
void add_local_scheduler_options(CLI::App* command, SchedulerOptions& options);
/// What was given of them, on the command line or in the environment, as words for `chappe scheduler`.
std::vector<std::string> given_scheduler_words(const CLI::App& command);

}  // namespace chappe::cli
