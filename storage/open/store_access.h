/// \file
/// The object store's address and credentials as the environment of a program that uses the same bucket itself: awscli,
/// DuckDB, boto3, R's aws.s3 and arrow look there.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "storage/s3/credentials.h"
#include "storage/s3/s3_client.h"

namespace chappe {

/// Variables that go together: whoever sets one of `names` by himself wants none of `variables`.
struct VariableGroup {
  std::vector<std::string_view> names;
  std::vector<std::pair<std::string, std::string>> variables;
};

/// Thread: any.
class StoreAccess {
 public:
  struct Variables {
    std::vector<VariableGroup> groups;  ///< Where the store is, in which region, and as whom.
    std::vector<std::string> secrets;   ///< Those of the values that nobody may see.
    std::string ca_file;                ///< Who signs for it; "": the system's.
  };

  /// Null: the store is none that programs have such variables for. Errors: kInvalidInput.
  static Result<std::unique_ptr<StoreAccess>> open(const std::string& uri, const s3::Environment& environment);

  /// Credentials are at hand and last for a while: variables() may be used as it is.
  bool is_ready() const;
  /// Sees to that. Blocks: credentials may come from afar. Errors: as of CredentialSource::get().
  Result<void> refresh();
  /// Requires: refresh() has succeeded once.
  std::shared_ptr<const Variables> variables() const;

 private:
  StoreAccess(s3::ClientConfig config, const s3::Environment& environment)
      : config_(std::move(config)), credentials_(environment) {}

  const s3::ClientConfig config_;
  s3::CredentialSource credentials_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Variables> variables_;
  std::atomic<std::int64_t> good_until_seconds_{0};  ///< Of the wall clock.
};

}  // namespace chappe
