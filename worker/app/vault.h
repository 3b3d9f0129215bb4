/// \file
/// Reads secrets of a Vault (or OpenBao): the KV engine, version 2, over HTTP. Source: Vault's API documentation, "KV
/// secrets engine - version 2", "Read secret version".
#pragma once

#include <atomic>
#include <filesystem>
#include <string>

#include "engine/base/result.h"
#include "engine/base/value.h"
#include "proto/http/client.h"

namespace chappe::worker {

struct VaultConfig {
  std::string address;               ///< "https://HOST:8200"; "": there is none.
  std::string token;                 ///< Unless there is a file with it.
  std::filesystem::path token_file;  ///< Read for each request: an agent beside us renews it.
  std::string namespace_name;        ///< "": the root's.
  std::string ca_file;               ///< PEM; "": the system's.
};

class Vault {
 public:
  explicit Vault(VaultConfig config);

  /// All entries at `path` of the engine `mount`, as they are now. Blocks; given up soon after `stopped` is true. No
  /// message holds a value or the token.
  /// Errors: kInvalidInput: no Vault, no token, no right to read it, or nothing there. kUnavailable: try again later.
  Result<Value> read(const std::string& mount, const std::string& path, const std::atomic<bool>& stopped) const;

 private:
  Result<std::string> token() const;

  const VaultConfig config_;
  mutable http::Client client_;
};

}  // namespace chappe::worker
