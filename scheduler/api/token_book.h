/// \file
/// Who may ask for what: the tokens of the API, as the server looks them up for each request.
///
/// A token is 256 random bits, shown once to whoever makes it. Only its SHA-256 is kept: in the metadata store, where
/// the engine writes it in one transaction with the audit log, and here. The token of the state directory is the
/// admin's and stands in no table: it cannot be revoked by mistake, and a lost store does not lock its owner out.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/run/records.h"
#include "scheduler/api/routes.h"
#include "storage/digest/digest.h"

namespace chappe::api {

/// Who asks.
struct Caller {
  std::string principal = "anonymous";  ///< "admin", or the name of a token.
  std::optional<Role> role;             ///< Not set: nobody that is known.
  std::string why;                      ///< Where `role` is not set: what is wrong.
};

/// Roles and permissions stand in one order: each role may do all that those before it may.
bool allows(const std::optional<Role>& role, Permission permission);
/// The least role that has the permission. Requires: not kNone.
Role role_for(Permission permission);

/// "chappe_" and 64 hex digits: a prefix that scanners for leaked secrets can look for.
std::string make_token();

/// Thread: any.
class TokenBook {
 public:
  /// `admin_token`: "" where everybody is let in as admin; only on loopback.
  TokenBook(std::string_view admin_token, std::vector<TokenRow> rows);

  /// Takes the same time for each token, right or wrong, once it is hashed.
  Caller identify(std::string_view token, WallTime now) const;
  /// A token that is durable from now on.
  void put(TokenRow row);
  /// One that is revoked for good.
  void remove(std::string_view name);
  std::vector<TokenRow> rows() const;

 private:
  struct Known {
    Sha256Bytes hash;
    TokenRow row;
  };
  std::optional<Sha256Bytes> admin_;
  mutable std::mutex mutex_;
  std::vector<Known> known_;
};

}  // namespace chappe::api
