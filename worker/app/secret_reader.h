/// \file
/// Looks up what a DAG names by reference. Only what the operator of the worker has opened can be had.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/secret_ref.h"
#include "worker/app/vault.h"

namespace chappe::worker {

/// What DAGs may name; by itself nothing.
struct SecretSources {
  std::vector<std::string> env;  ///< Names of our own variables; NAME* stands for several.
  std::filesystem::path files;   ///< A directory; "": none.
  VaultConfig vault;
};

/// One as the task is to have it.
struct Secret {
  std::string name;
  std::string value;
  bool as_file = false;
};

/// Thread: any, concurrently.
class SecretReader {
 public:
  using Getenv = std::function<std::optional<std::string>(const std::string& name)>;
  SecretReader(SecretSources sources, Getenv getenv)
      : sources_(std::move(sources)), getenv_(std::move(getenv)), vault_(sources_.vault) {}

  /// All of them, in order. Blocks where they are in Vault, which is asked once for each path. Errors name the secret
  /// and where it should be, never a value: kInvalidInput: it cannot be had here; kUnavailable: not now.
  Result<std::vector<Secret>> read(const std::vector<SecretRef>& secrets, const std::atomic<bool>& stopped) const;

 private:
  Result<std::string> from_env(const SecretRef& secret) const;
  Result<std::string> from_pod(const SecretRef& secret) const;
  Result<std::string> from_file(const SecretRef& secret) const;

  const SecretSources sources_;
  const Getenv getenv_;
  const Vault vault_;
};

/// `name` is one of the names, or begins as one that ends in `*` does.
bool is_named(std::string_view name, const std::vector<std::string>& names);

}  // namespace chappe::worker
