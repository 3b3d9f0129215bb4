/// \file
/// Expression text to syntax tree, by recursive descent. Private to engine/expr.
#pragma once

#include <string_view>
#include <vector>

#include "engine/expr/expression.h"
#include "engine/expr/syntax.h"

namespace chappe::expr {

struct Parsed {
  Node root;
  std::vector<Reference> references;
};

/// Cost: linear in the text. Bounds: kTextMax, kDepthMax.
tl::expected<Parsed, SyntaxError> parse_expression(std::string_view text);

}  // namespace chappe::expr
