#include "storage/s3/profile_files.h"

#include <algorithm>

namespace chappe::s3 {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::string_view section_name(std::string_view line) {
  std::string_view name = trimmed(line.substr(1, line.find(']') - 1));
  if (name.starts_with("profile ")) name = trimmed(name.substr(8));
  return name;
}

}  // namespace

std::optional<std::string> setting_of(std::string_view text, std::string_view profile, std::string_view name) {
  bool is_inside = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with('[')) is_inside = section_name(line) == profile;
    const std::size_t equals = line.find('=');
    const bool is_setting = is_inside && equals != std::string_view::npos && line.find_first_of(" \t#;[") != 0;
    if (is_setting && trimmed(line.substr(0, equals)) == name) return std::string(trimmed(line.substr(equals + 1)));
  }
  return std::nullopt;
}

}  // namespace chappe::s3
