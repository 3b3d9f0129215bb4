/// \file
/// The scheduler's state directory: made at the first start, read at every other. See scheduler.h for what is in it.
#pragma once

#include <filesystem>
#include <string>

#include "engine/base/result.h"
#include "proto/transport/keys.h"

namespace chappe {

struct StateDir {
  std::filesystem::path root;
  std::string token;  ///< Of the API.
  transport::KeyPair scheduler_keys;
  std::filesystem::path authorized_workers;

  std::string webhook_key;  ///< What the secrets of webhooks are derived from.
  std::filesystem::path database() const { return root / "chappe.db"; }
  std::filesystem::path endpoint_file() const { return root / "endpoint.json"; }
};

/// Makes whatever is missing: the directory (mode 0700), the token, the keys of the scheduler and of a worker, and the
/// list of workers that may connect, with that worker in it.
/// Errors: kPermissionDenied, kInvalidInput: it cannot be made, or what is there is not ours.
Result<StateDir> open_state_dir(const std::filesystem::path& root);

/// Writes a file under a temporary name and renames it: readers see the old text or the new one, whole.
Result<void> write_file_atomically(const std::filesystem::path& file, const std::string& text, unsigned mode);

}  // namespace chappe
