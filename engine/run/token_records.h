/// \file
/// What the metadata store keeps of the tokens of the API.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/time.h"

namespace chappe {

/// What a token allows: each role may do all that those before it may. The numbers are stored: never renumber.
enum class Role : std::uint8_t {
  kViewer = 1,    ///< See runs, logs, assets.
  kOperator = 2,  ///< Trigger, cancel, retry.
  kAuthor = 3,    ///< Bring in DAGs; move aliases.
  kAdmin = 4,     ///< Make and revoke tokens; read the audit log.
};
std::string_view name_of(Role role);
std::optional<Role> parse_role(std::string_view name);

/// A token of the API as the scheduler keeps it: not the token, its hash.
struct TokenRow {
  std::string name;
  Role role = Role::kViewer;
  std::string sha256;  ///< Of the token, 64 hex digits.
  std::string created_by;
  WallTime created_at;
  WallTime expires_at;  ///< Not set: never.
  bool operator==(const TokenRow&) const = default;
};

/// "There is this token now", or "there is none of this name any more".
struct TokenChange {
  TokenRow row;
  bool revoked = false;
  bool operator==(const TokenChange&) const = default;
};

}  // namespace chappe
