/// \file
/// What may be written behind `chappe backfill`.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "cli/commands.h"

namespace chappe::cli {

/// Adds the command with its subcommands. `command` becomes what was asked for; it refers to `session` and `options`.
void add_backfill_commands(CLI::App& app, const Session& session, BackfillOptions& options,
                           std::function<int()>& command);

}  // namespace chappe::cli
