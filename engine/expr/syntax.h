/// \file
/// The syntax tree of an expression. Private to engine/expr.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/value.h"

namespace chappe::expr {

struct Function;

enum class Operator : std::uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kRemainder,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kEqual,
  kNotEqual,
};
std::string_view symbol_of(Operator op);

/// One construct of the grammar. What `children` holds depends on the kind.
struct Node {
  enum class Kind : std::uint8_t {
    kLiteral,      ///< `literal`
    kReference,    ///< `path`, a root name and constant members
    kAccess,       ///< child 0, computed index child 1
    kList,         ///< the elements
    kCall,         ///< `function`, the arguments
    kNot,          ///< child 0
    kNegate,       ///< child 0
    kChain,        ///< operands of one level of precedence, applied from the left; `operators` stand between them
    kAnd,          ///< two operands or more
    kOr,           ///< two operands or more
    kCoalesce,     ///< two operands or more: the first that is there
    kConditional,  ///< condition, then, else
  };
  Kind kind = Kind::kLiteral;
  Value literal;
  std::vector<std::string> path;
  std::vector<Operator> operators;
  const Function* function = nullptr;
  std::vector<Node> children;
};

/// Nesting of the grammar's constructs; the tree is not deeper than a small multiple of it.
inline constexpr std::size_t kTextMax = 4096;
inline constexpr std::size_t kDepthMax = 64;

}  // namespace chappe::expr
