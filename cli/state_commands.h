/// \file
/// `chappe state ...` and its options.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "cli/commands.h"

namespace chappe::cli {

/// `command` becomes the one that was asked for. All must outlive `app`.
void add_state_commands(CLI::App& app, const Session& session, StateOptions& options, std::function<int()>& command);

}  // namespace chappe::cli
