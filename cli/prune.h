/// \file
/// `chappe prune` and its options.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "cli/commands.h"
#include "engine/run/prune.h"

namespace chappe::cli {

struct PruneOptions {
  std::string before;  ///< A time, or an age.
  std::string dag;     ///< "" for all.
  bool dry_run = false;
};

/// Why a run is kept, as the API names it, for people.
std::string why_kept_text(std::string_view why);

int prune_runs(const Session& session, const PruneOptions& options);

/// `command` becomes the one that was asked for. All must outlive `app`.
void add_prune_command(CLI::App& app, const Session& session, PruneOptions& options, std::function<int()>& command);

}  // namespace chappe::cli
