/// \file
/// The options of the daemons: what may be written on the command line, and so in a configuration file.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/daemons.h"

namespace chappe::cli {

inline constexpr const char* kDagsHelp = "A folder of DAG files that deploy themselves, and again when they change";

void add_scheduler_options(CLI::App* command, SchedulerOptions& options);
void add_wait_files(CLI::App* command, std::vector<std::string>& directories);

}  // namespace chappe::cli
