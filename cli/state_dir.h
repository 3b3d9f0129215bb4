/// \file
/// Where the daemons of this user keep their state, and which scheduler serves it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "engine/base/result.h"

namespace chappe::cli {

/// `given`, or CHAPPE_STATE_DIR, or $XDG_STATE_HOME/chappe, or ~/.local/state/chappe. Errors: kInvalidInput: no home.
Result<std::filesystem::path> find_state_dir(const std::string& given);

/// What a scheduler wrote into STATE/endpoint.json when it was ready.
struct Endpoint {
  std::string api;      ///< URL.
  std::string workers;  ///< ZeroMQ endpoint.
  int pid = 0;
};

/// Nullopt where no scheduler is ready, or the one that wrote the file is gone.
std::optional<Endpoint> read_endpoint(const std::filesystem::path& state_dir);
/// The first line of STATE/token. Errors: kNotFound, kPermissionDenied.
Result<std::string> read_token(const std::filesystem::path& state_dir);

/// A whole file. Errors: kNotFound, kPermissionDenied, kInvalidInput (over `bytes_max`, a directory).
Result<std::string> read_file(const std::filesystem::path& file, std::size_t bytes_max);

}  // namespace chappe::cli
