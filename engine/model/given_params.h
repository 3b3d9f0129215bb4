/// \file
/// Parameters that a file gives to runs which it starts: as they stand, or as expressions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/value.h"
#include "engine/expr/expression.h"

namespace chappe {

struct GivenParam {
  Value value;
  expr::Template expression;  ///< Instead of `value`, where not empty.
};
using GivenParams = std::vector<std::pair<std::string, GivenParam>>;

/// Their values. Errors: an expression's, with the parameter's name.
Result<ValueMap> evaluate(const GivenParams& params, const expr::Scope& scope);

}  // namespace chappe
