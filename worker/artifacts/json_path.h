/// \file
/// The one form of JSONPath that values of a task use: "$", "$.a.b", "$.a[0]".
#pragma once

#include <string_view>

#include "engine/base/result.h"
#include "engine/base/value.h"

namespace chappe::artifacts {

/// What stands at `path` in `document`. Errors: kInvalidInput: not such a path; kNotFound: nothing stands there, with
/// the first part that is missing.
Result<Value> value_at(const Value& document, std::string_view path);

}  // namespace chappe::artifacts
