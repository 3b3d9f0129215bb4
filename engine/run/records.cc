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

constexpr std::array<std::string_view, 4> kNotificationStates{"pending", "sent", "summarised", "given_up"};

std::string_view name_of(NotificationState state) { return kNotificationStates[static_cast<std::size_t>(state)]; }

std::optional<NotificationState> parse_notification_state(std::string_view name) {
  const auto found = std::find(kNotificationStates.begin(), kNotificationStates.end(), name);
  if (found == kNotificationStates.end()) return std::nullopt;
  return static_cast<NotificationState>(found - kNotificationStates.begin());
}

bool Persist::empty() const { return *this == Persist{}; }

}  // namespace chappe
