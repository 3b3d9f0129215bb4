#include "engine/model/secret_ref.h"

#include <fmt/format.h>

#include <array>

namespace chappe {

std::string_view name_of(SecretRef::Source source) {
  constexpr std::array<std::string_view, 4> kNames{"env", "file", "kubernetes", "vault"};
  return kNames[static_cast<std::size_t>(source)];
}

std::string where_is(const SecretRef& secret) {
  if (secret.source == SecretRef::Source::kVault) {
    return fmt::format("vault {}/{}, key {}", secret.mount, secret.place, secret.key);
  }
  if (secret.key.empty()) return fmt::format("{} {}", name_of(secret.source), secret.place);
  return fmt::format("{} {}, key {}", name_of(secret.source), secret.place, secret.key);
}

}  // namespace chappe
