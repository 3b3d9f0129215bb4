/// \file
/// The target of a request ("/api/v1/runs?limit=5"), taken apart once and strictly, and matched with route patterns.
///
/// Percent-encoding is undone after the path was cut at its slashes, exactly once, so that an encoded slash stays in
/// its segment. Empty segments, "." and "..", control characters and text that is not UTF-8 are refused: there is one
/// spelling of a path, and it either matches a route or is not found.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "scheduler/api/exchange.h"

namespace chappe::api {

struct Target {
  std::vector<std::string> segments;
  TextPairs query;
};

/// Errors: kInvalidInput.
Result<Target> parse_target(std::string_view text);

/// The variables of `pattern` ("/api/v1/runs/{id}") where the path fits; nullopt where it does not.
std::optional<TextPairs> match(std::string_view pattern, const std::vector<std::string>& segments);

}  // namespace chappe::api
