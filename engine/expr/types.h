/// \file
/// What can be told of an expression's types before it is evaluated.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/value.h"
#include "engine/expr/expression.h"

namespace chappe::expr {

/// A name whose values are all of one type (or null).
struct Declared {
  std::string_view type;           ///< As Value::type_name() calls it.
  std::span<const Value> choices;  ///< Its only values; none: any.
};
/// nullopt: nothing is known of what stands at `path`.
using Declarations = std::function<std::optional<Declared>(std::span<const std::string> path)>;

/// What no evaluation could make right or true: a condition that is a number, an order between a text and a number, a
/// literal that a declared name never equals. What it does not know it takes for right.
std::vector<std::string> type_mistakes(const Expression& condition, const Declarations& declarations);
/// What of it no evaluation could make right, whatever its result is for.
std::vector<std::string> type_mistakes(const Template& text, const Declarations& declarations);

}  // namespace chappe::expr
