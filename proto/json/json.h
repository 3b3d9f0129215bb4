/// \file
/// JSON text to Value. (Value to text is engine/base's to_json.)
#pragma once

#include <string_view>

#include "engine/base/result.h"
#include "engine/base/value.h"

namespace chappe {

/// Errors: kInvalidInput "line L, column C: what", also for a duplicate key, depth over 64, or text over `bytes_max`.
Result<Value> parse_json(std::string_view text, std::size_t bytes_max = std::size_t{16} << 20);

}  // namespace chappe
