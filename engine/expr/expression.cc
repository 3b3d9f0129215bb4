#include "engine/expr/expression.h"

#include <fmt/format.h>

#include "engine/base/assert.h"
#include "engine/expr/functions.h"
#include "engine/expr/parser.h"

namespace chappe::expr {
namespace {

/// Of all values that an evaluation looks at or makes; keeps `[x, x, x, ...]` over large outputs within memory.
constexpr std::size_t kWorkBytesMax = std::size_t{128} << 20;
constexpr std::size_t kStepsMax = 100'000;

Failure invalid(std::string message) { return fail(ErrorCode::kInvalidInput, std::move(message)); }
/// "It is not there": what `??` and default() wait for. Becomes kInvalidInput where neither does.
Failure absent(std::string message) { return fail(ErrorCode::kNotFound, std::move(message)); }

std::string joined(std::span<const std::string> path) {
  std::string out;
  for (const std::string& name : path) {
    if (!out.empty()) out += '.';
    out += name;
  }
  return out;
}

/// Walks a syntax tree. Recursion is bounded by the parser's kDepthMax.
class Evaluation {
 public:
  explicit Evaluation(const Scope& scope) : scope_(scope) {}

  Result<Value> evaluate(const Node& node) {
    if (++steps_ > kStepsMax) return invalid(fmt::format("more than {} steps", kStepsMax));
    auto value = dispatch(node);
    // What the others answer with has been counted where it came from.
    const bool makes = node.kind == Node::Kind::kReference || node.kind == Node::Kind::kCall;
    if (!value || !makes) return value;
    return charged(std::move(*value));
  }

 private:
  Result<Value> charged(Value value) {
    bytes_ += bytes_of(value);
    if (bytes_ > kWorkBytesMax) return invalid(fmt::format("it handles more than {} bytes of values", kWorkBytesMax));
    return value;
  }

  Result<Value> dispatch(const Node& node) {
    switch (node.kind) {
      case Node::Kind::kLiteral:
        return node.literal;
      case Node::Kind::kReference:
        return reference(node);
      case Node::Kind::kAccess:
        return access(node);
      case Node::Kind::kList:
        return list(node);
      case Node::Kind::kCall:
        return call(node);
      case Node::Kind::kNot:
      case Node::Kind::kNegate:
        return unary(node);
      case Node::Kind::kChain:
        return chain(node);
      case Node::Kind::kAnd:
        return logical(node, false, "&&");
      case Node::Kind::kOr:
        return logical(node, true, "||");
      case Node::Kind::kCoalesce:
        return coalesce(node.children);
      case Node::Kind::kConditional:
        break;
    }
    auto chosen = condition(node.children[0], "?");
    if (!chosen) return fail(std::move(chosen.error()));
    return evaluate(node.children[*chosen ? 1 : 2]);
  }

  Result<Value> reference(const Node& node) {
    auto value = scope_.resolve(node.path);
    if (!value) return absent(fmt::format("{} is absent", joined(node.path)));
    for (std::size_t i = 1; i < node.path.size(); ++i) {
      auto inner = member(std::move(*value), node.path[i]);
      if (!inner) {
        const auto so_far = std::span(node.path).first(i + (inner.error().code == ErrorCode::kNotFound ? 1 : 0));
        return fail(inner.error().code, fmt::format("{} {}", joined(so_far), inner.error().message));
      }
      *value = std::move(*inner);
    }
    return std::move(*value);
  }

  static Result<Value> member(Value base, const std::string& name) {
    if (base.is_null()) return absent("is absent");
    ValueMap* map = base.as_map();
    if (map == nullptr) return invalid(fmt::format("has no member '{}': it is of type {}", name, base.type_name()));
    for (auto& [key, value] : *map) {
      if (key == name) return Result<Value>(std::move(value));
    }
    return absent("is absent");
  }

  Result<Value> access(const Node& node) {
    auto base = evaluate(node.children[0]);
    if (!base) return base;
    auto index = evaluate(node.children[1]);
    if (!index) return index;
    if (const auto* name = index->as_string()) {
      auto value = member(std::move(*base), *name);
      if (value) return value;
      return fail(value.error().code, fmt::format("'{}' {}", *name, value.error().message));
    }
    const auto* position = index->as_int();
    ValueList* list = base->as_list();
    if (base->is_null()) return absent("the list is absent");
    if (position == nullptr || list == nullptr) {
      return invalid(fmt::format("[ ] needs a list and an integer, or a map and a text, not {} and {}",
                                 base->type_name(), index->type_name()));
    }
    // As in Python, -1 is the last.
    const auto size = static_cast<std::int64_t>(list->size());
    if (*position >= size || *position < -size) {
      return absent(fmt::format("element {} of a list of {} is absent", *position, size));
    }
    return std::move((*list)[static_cast<std::size_t>(*position < 0 ? *position + size : *position)]);
  }

  Result<Value> list(const Node& node) {
    ValueList out;
    for (const Node& child : node.children) {
      auto value = evaluate(child);
      if (!value) return value;
      out.push_back(std::move(*value));
    }
    return Value(std::move(out));
  }

  Result<Value> call(const Node& node) {
    if (node.function->name == "default") return coalesce(node.children);
    std::vector<Value> arguments;
    for (const Node& child : node.children) {
      auto value = evaluate(child);
      if (!value) return value;
      arguments.push_back(std::move(*value));
    }
    if (node.function->call_in != nullptr) return node.function->call_in(arguments, scope_.zone());
    return node.function->call(arguments);
  }

  Result<Value> unary(const Node& node) {
    if (node.kind == Node::Kind::kNot) {
      auto operand = condition(node.children[0], "!");
      if (!operand) return fail(std::move(operand.error()));
      return Value(!*operand);
    }
    auto operand = evaluate(node.children[0]);
    if (!operand) return operand;
    if (!operand->is_number()) return invalid(fmt::format("'-' needs a number, not {}", operand->type_name()));
    if (const auto* real = operand->as_float()) return Value(-*real);
    return subtract(Value(0), *operand);
  }

  Result<Value> chain(const Node& node) {
    auto left = evaluate(node.children[0]);
    for (std::size_t i = 0; left && i < node.operators.size(); ++i) {
      auto right = evaluate(node.children[i + 1]);
      if (!right) return right;
      left = apply(node.operators[i], *left, *right);
      if (left) left = charged(std::move(*left));
    }
    return left;
  }

  static Result<Value> apply(Operator op, const Value& a, const Value& b) {
    switch (op) {
      case Operator::kAdd:
        return add(a, b);
      case Operator::kSubtract:
        return subtract(a, b);
      case Operator::kMultiply:
        return multiply(a, b);
      case Operator::kDivide:
        return divide(a, b);
      case Operator::kRemainder:
        return remainder(a, b);
      case Operator::kEqual:
        return Value(a == b);
      case Operator::kNotEqual:
        return Value(!(a == b));
      default:
        return ordered(op, a, b);
    }
  }

  static Result<Value> ordered(Operator op, const Value& a, const Value& b) {
    if (!comparable(a, b)) {
      return invalid(fmt::format("'{}' needs two numbers or two texts, not {} and {}", symbol_of(op), a.type_name(),
                                 b.type_name()));
    }
    const int order = compare(a, b);
    if (op == Operator::kLess) return Value(order < 0);
    if (op == Operator::kLessEqual) return Value(order <= 0);
    return Value(op == Operator::kGreater ? order > 0 : order >= 0);
  }

  Result<bool> condition(const Node& node, std::string_view symbol) {
    auto value = evaluate(node);
    if (!value) return fail(std::move(value.error()));
    if (const bool* truth = value->as_bool()) return *truth;
    return invalid(fmt::format("'{}' needs true or false, not {}", symbol, value->type_name()));
  }

  /// Stops at the first operand that decides: `deciding` is true for "||".
  Result<Value> logical(const Node& node, bool deciding, std::string_view symbol) {
    for (const Node& child : node.children) {
      auto truth = condition(child, symbol);
      if (!truth) return fail(std::move(truth.error()));
      if (*truth == deciding) return Value(deciding);
    }
    return Value(!deciding);
  }

  Result<Value> coalesce(const std::vector<Node>& operands) {
    for (std::size_t i = 0; i + 1 < operands.size(); ++i) {
      auto value = evaluate(operands[i]);
      if (value ? !value->is_null() : value.error().code != ErrorCode::kNotFound) return value;
    }
    return evaluate(operands.back());
  }

  const Scope& scope_;
  std::size_t steps_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace

const calendar::Zone& Scope::zone() const {
  static const calendar::ZonePtr utc = calendar::Zone::utc();
  return *utc;
}

tl::expected<Expression, SyntaxError> Expression::parse(std::string_view text) {
  auto parsed = parse_expression(text);
  if (!parsed) return tl::unexpected(std::move(parsed.error()));
  Expression out;
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  out.text_ = text.substr(start, text.find_last_not_of(" \t\r\n") - start + 1);
  out.root_ = std::make_shared<const Node>(std::move(parsed->root));
  out.references_ = std::make_shared<const std::vector<Reference>>(std::move(parsed->references));
  return out;
}

const std::vector<Reference>& Expression::references() const {
  static const std::vector<Reference> kNone;
  return references_ == nullptr ? kNone : *references_;
}

Result<Value> Expression::evaluate(const Scope& scope) const {
  CHAPPE_ASSERT(!empty());
  auto value = Evaluation(scope).evaluate(*root_);
  if (!value) return fail(ErrorCode::kInvalidInput, std::move(value.error().message));
  const auto* text = value->as_string();
  if (text == nullptr || text->size() <= kTextBytesMax) return value;
  return invalid(fmt::format("the result has over {} bytes", kTextBytesMax));
}

Result<bool> Expression::evaluate_condition(const Scope& scope) const {
  auto value = evaluate(scope);
  if (!value) return fail(std::move(value.error()));
  if (const bool* truth = value->as_bool()) return *truth;
  return invalid(fmt::format("'{}' is {}, not true or false", text_, value->type_name()));
}

}  // namespace chappe::expr
