/// \file
/// Waiting for a run: its progress until it ends, through lost connections and restarts of the scheduler.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cli/api_client.h"
#include "cli/output.h"

namespace chappe::cli {

struct FollowOptions {
  std::string run;
  std::optional<Duration> timeout;
  /// Ctrl-C cancels the run (and is waited for); otherwise it only ends the waiting.
  bool cancel_on_interrupt = false;
  /// Called on this thread each time that no server answered; may start one.
  std::function<void()> when_away;
  /// Finds the server again after the connection broke: it may have a new address. Called on another thread.
  std::function<Result<ApiClient>()> find_server;
};

struct Followed {
  int code = 0;  ///< Exit code.
  Value run;     ///< As last seen; null where it was never seen.
};

/// Requires: SIGINT and SIGTERM are blocked (block_interrupts()).
Followed follow_run(const FollowOptions& options, const Output& output);

/// Blocks SIGINT and SIGTERM in this thread and all that it starts, so that follow_run() can take them one by one.
void block_interrupts();

}  // namespace chappe::cli
