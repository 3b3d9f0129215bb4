#include "scheduler/api/webhook_secrets.h"

#include <fmt/format.h>

#include <span>

#include "storage/digest/digest.h"

namespace chappe::api {
namespace {

std::string hmac_hex(std::string_view key, std::string_view text) {
  // The bytes of a text are bytes.
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(key.data());  // NOLINT
  return to_hex(hmac_sha256(std::span(bytes, key.size()), text));
}

/// Requires: `expected` has no secret length.
bool same_text(std::string_view given, std::string_view expected) {
  if (given.size() != expected.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned>(static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(expected[i]));
  }
  return difference == 0;
}

}  // namespace

std::string WebhookSecrets::secret_of(std::string_view dag, std::string_view webhook) const {
  return hmac_hex(key_, fmt::format("webhook\n{} {}\n{}\n", dag.size(), dag, webhook));
}

bool WebhookSecrets::is_secret(std::string_view given, std::string_view dag, std::string_view webhook) const {
  return !key_.empty() && same_text(given, secret_of(dag, webhook));
}

bool WebhookSecrets::is_signature(std::string_view signature, std::string_view body, std::string_view dag,
                                  std::string_view webhook) const {
  constexpr std::string_view kScheme = "sha256=";
  if (key_.empty() || !signature.starts_with(kScheme)) return false;
  return same_text(signature.substr(kScheme.size()), hmac_hex(secret_of(dag, webhook), body));
}

}  // namespace chappe::api
