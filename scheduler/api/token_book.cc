#include "scheduler/api/token_book.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "engine/base/assert.h"

namespace chappe::api {
namespace {

constexpr std::size_t kTokenBytes = 32;

/// Takes the same time wherever two hashes differ.
bool equal_hashes(const Sha256Bytes& one, const Sha256Bytes& other) {
  unsigned difference = 0;
  for (std::size_t i = 0; i < one.size(); ++i) difference |= static_cast<unsigned>(one[i] ^ other[i]);
  return difference == 0;
}

/// Requires: 64 hex digits, as the engine was handed them.
Sha256Bytes parse_hash(const std::string& hex) {
  Sha256Bytes hash{};
  CHAPPE_ASSERT(hex.size() == 2 * hash.size());
  for (std::size_t i = 0; i < hash.size(); ++i) {
    const char* digits = hex.data() + 2 * i;
    CHAPPE_ASSERT(std::from_chars(digits, digits + 2, hash[i], 16).ptr == digits + 2);
  }
  return hash;
}

}  // namespace

bool allows(const std::optional<Role>& role, Permission permission) {
  if (permission == Permission::kNone) return true;
  return role && *role >= role_for(permission);
}

Role role_for(Permission permission) {
  CHAPPE_ASSERT(permission != Permission::kNone);
  return static_cast<Role>(permission);
}

std::string make_token() { return "chappe_" + random_hex(kTokenBytes); }

TokenBook::TokenBook(std::string_view admin_token, std::vector<TokenRow> rows) {
  if (!admin_token.empty()) admin_ = sha256(admin_token);
  for (TokenRow& row : rows) put(std::move(row));
}

Caller TokenBook::identify(std::string_view token, WallTime now) const {
  if (!admin_) return {.role = Role::kAdmin};
  if (token.empty()) return {.why = "no token"};
  const Sha256Bytes hash = sha256(token);
  const bool is_admin = equal_hashes(hash, *admin_);
  const std::scoped_lock lock(mutex_);
  const TokenRow* found = nullptr;
  for (const Known& known : known_) {
    if (equal_hashes(known.hash, hash)) found = &known.row;
  }
  if (is_admin) return {.principal = "admin", .role = Role::kAdmin};
  if (found == nullptr) return {.why = "no such token"};
  if (found->expires_at.is_set() && found->expires_at <= now) {
    return {.why = fmt::format("the token '{}' expired at {}", found->name, to_iso8601(found->expires_at))};
  }
  return {.principal = found->name, .role = found->role};
}

void TokenBook::put(TokenRow row) {
  remove(row.name);
  const Sha256Bytes hash = parse_hash(row.sha256);
  const std::scoped_lock lock(mutex_);
  known_.push_back({hash, std::move(row)});
}

void TokenBook::remove(std::string_view name) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(known_, [&](const Known& known) { return known.row.name == name; });
}

std::vector<TokenRow> TokenBook::rows() const {
  const std::scoped_lock lock(mutex_);
  std::vector<TokenRow> rows;
  for (const Known& known : known_) rows.push_back(known.row);
  std::ranges::sort(rows, {}, &TokenRow::name);
  return rows;
}

}  // namespace chappe::api
