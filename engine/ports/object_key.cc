#include "engine/ports/object_key.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/text.h"

namespace chappe {
namespace {

bool has_bad_segment(std::string_view key) {
  for (std::size_t start = 0; start <= key.size();) {
    const std::size_t end = std::min(key.find('/', start), key.size());
    const std::string_view segment = key.substr(start, end - start);
    if (segment.empty() || segment == "." || segment == "..") return true;
    start = end + 1;
  }
  return false;
}

}  // namespace

Result<void> check_object_key(std::string_view key) {
  const auto refuse = [&](std::string_view why) {
    return fail(ErrorCode::kInvalidInput, fmt::format("object key \"{}\" {}", key.substr(0, 100), why));
  };
  if (key.empty() || key.size() > kObjectKeyBytesMax) {
    return refuse(fmt::format("must have 1 to {} bytes", kObjectKeyBytesMax));
  }
  if (!is_utf8(key) || key.find('\0') != std::string_view::npos) return refuse("must be UTF-8 text without NUL");
  if (has_bad_segment(key)) return refuse("must not have an empty, \".\" or \"..\" segment between slashes");
  return {};
}

}  // namespace chappe
