/// \file
/// The secrets that webhooks are called with: one each, derived from one key of the installation, so that none is
/// stored. Another key makes all of them invalid.
#pragma once

#include <string>
#include <string_view>

namespace chappe::api {

/// Thread: any.
class WebhookSecrets {
 public:
  /// `key`: at least 32 random bytes as text; "": nobody is let in by a secret.
  explicit WebhookSecrets(std::string key) : key_(std::move(key)) {}

  /// 64 hex digits. HMAC-SHA-256 of the key over "webhook", DAG and name, a line each.
  std::string secret_of(std::string_view dag, std::string_view webhook) const;
  /// Takes the same time wherever it differs.
  bool is_secret(std::string_view given, std::string_view dag, std::string_view webhook) const;
  /// Whether `signature` is "sha256=" and the HMAC-SHA-256 of the secret over `body`, in hex: GitHub's scheme.
  bool is_signature(std::string_view signature, std::string_view body, std::string_view dag,
                    std::string_view webhook) const;

 private:
  std::string key_;
};

}  // namespace chappe::api
