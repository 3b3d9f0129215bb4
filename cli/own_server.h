/// \file
/// A scheduler and workers for the time of one command, where nobody else serves the state directory.
#pragma once

#include <cstdint>
#include <memory>

#include "cli/api_client.h"
#include "cli/commands.h"
#include "engine/base/result.h"

namespace chappe::cli {

class Companion;

class OwnServer {
 public:
  /// Requires: `session` outlives this.
  OwnServer(const Session& session, std::uint32_t workers);
  ~OwnServer();  ///< Ends what it started, and waits for that.

  /// The server there is, or one that is started now. Two commands that start at once share one; should its owner end
  /// first, the other starts its own and the run goes on.
  Result<ApiClient> find_or_start();

  /// Starts one where none serves, unless ours is about to bring its scheduler back.
  void revive();

  /// Tasks that still run are killed, and tried again when somebody serves the state directory next.
  void leave_at_once();

  /// What serves was started here, and ends with this.
  bool is_ours() const { return companion_ != nullptr; }

 private:
  const Session& session_;
  const std::uint32_t workers_;
  std::unique_ptr<Companion> companion_;
};

}  // namespace chappe::cli
