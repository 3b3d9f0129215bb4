#include "engine/run/records.h"

#include <algorithm>
#include <array>

namespace chappe {
namespace {

constexpr std::array<std::string_view, 4> kRoles{"viewer", "operator", "author", "admin"};

}  // namespace

std::string_view name_of(Role role) { return kRoles[static_cast<std::size_t>(role) - 1]; }

std::optional<Role> parse_role(std::string_view name) {
  const auto found = std::find(kRoles.begin(), kRoles.end(), name);
  if (found == kRoles.end()) return std::nullopt;
  return static_cast<Role>(found - kRoles.begin() + 1);
}

bool Persist::empty() const { return *this == Persist{}; }

}  // namespace chappe
