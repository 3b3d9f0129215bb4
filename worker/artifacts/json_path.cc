#include "worker/artifacts/json_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace chappe::artifacts {
namespace {

Failure malformed(std::string_view path) {
  return fail(ErrorCode::kInvalidInput, fmt::format("'{}' is not a path like '$', '$.a.b' or '$.a[0]'", path));
}

/// Cuts ".name" off the front; "" when there is no name.
std::string_view take_name(std::string_view& rest) {
  const std::size_t end = std::min(rest.find_first_of(".[", 1), rest.size());
  const std::string_view name = rest.substr(1, end - 1);
  rest.remove_prefix(end);
  return name;
}

/// Cuts "[12]" off the front.
std::optional<std::size_t> take_position(std::string_view& rest) {
  const std::size_t end = rest.find(']');
  if (end == std::string_view::npos) return std::nullopt;
  std::size_t position = 0;
  const auto [stop, error] = std::from_chars(rest.data() + 1, rest.data() + end, position);
  if (error != std::errc() || stop != rest.data() + end) return std::nullopt;
  rest.remove_prefix(end + 1);
  return position;
}

}  // namespace

Result<Value> value_at(const Value& document, std::string_view path) {
  if (path.empty() || path.front() != '$') return malformed(path);
  const Value* value = &document;
  std::string_view rest = path.substr(1);
  while (!rest.empty()) {
    if (rest.front() == '.') {
      const std::string_view name = take_name(rest);
      if (name.empty() || name.find(']') != std::string_view::npos) return malformed(path);
      value = value->find(name);
    } else if (rest.front() == '[') {
      const std::optional<std::size_t> position = take_position(rest);
      if (!position) return malformed(path);
      const ValueList* list = value->as_list();
      value = list != nullptr && *position < list->size() ? &(*list)[*position] : nullptr;
    } else {
      return malformed(path);
    }
    if (value == nullptr) {
      return fail(ErrorCode::kNotFound, fmt::format("there is no {}", path.substr(0, path.size() - rest.size())));
    }
  }
  return *value;
}

}  // namespace chappe::artifacts
