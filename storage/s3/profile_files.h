/// \file
/// The format of ~/.aws/credentials and ~/.aws/config. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace chappe::s3 {

/// The value of `name` in the section of `profile`, written "[NAME]" or "[profile NAME]". Comments begin with "#" or
/// ";"; indented lines belong to the setting above and are passed over.
std::optional<std::string> setting_of(std::string_view text, std::string_view profile, std::string_view name);

}  // namespace chappe::s3
