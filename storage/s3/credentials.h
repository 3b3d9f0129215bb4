/// \file
/// Credentials in AWS's order: environment, web identity, shared files, container endpoint, instance metadata (IMDSv2).
///
/// A source that is configured and fails ends the search with its error: falling through to the machine's own role
/// would act under a name nobody chose.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "storage/s3/signer.h"

namespace chappe::s3 {

/// What the process was started with; tests hand in their own.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();

/// One setting of the profile in use (AWS_PROFILE, else "default"): of the credentials file first, then of the config
/// file. nullopt where neither has it.
std::optional<std::string> profile_setting(const Environment& environment, const std::string& name);

/// Thread: any. Fetched at the first use, kept, and fetched again five minutes before they expire.
class CredentialSource {
 public:
  explicit CredentialSource(Environment environment);
  /// Errors: kPermissionDenied: no source has any, or the one configured fails.
  Result<Credentials> get();
  /// The server refused them as expired: fetch anew.
  void invalidate();

 private:
  Environment environment_;
  std::mutex mutex_;
  std::optional<Credentials> current_;
};

}  // namespace chappe::s3
