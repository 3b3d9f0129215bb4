#include "engine/expr/types.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/expr/dates.h"
#include "engine/expr/functions.h"
#include "engine/expr/parser.h"

namespace chappe::expr {
namespace {

constexpr std::string_view kUnknown;
constexpr std::string_view kBoolean = "boolean";

bool is_number(std::string_view type) { return type == "integer" || type == "number"; }
bool has_order(std::string_view type) { return is_number(type) || type == "string" || type == kUnknown; }
bool same_kind(std::string_view a, std::string_view b) { return a == b || (is_number(a) && is_number(b)); }
bool is_order(Operator op) { return op >= Operator::kLess && op <= Operator::kGreaterEqual; }
bool is_equality(Operator op) { return op == Operator::kEqual || op == Operator::kNotEqual; }

/// Walks a syntax tree. Recursion is bounded by the parser's kDepthMax.
class TypeCheck {
 public:
  explicit TypeCheck(const Declarations& declarations) : declarations_(declarations) {}

  void condition(const Node& node) {
    const std::string_view type = type_of(node);
    if (type == kUnknown || type == kBoolean) return;
    mistakes.push_back(fmt::format("a condition is true or false, and {} is of type {}", name_of(node), type));
  }

  std::vector<std::string> mistakes;

  /// kUnknown where it cannot be told. Notes the mistakes in what it is made of.
  std::string_view type_of(const Node& node) {
    switch (node.kind) {
      case Node::Kind::kLiteral:
        return node.literal.is_null() ? kUnknown : node.literal.type_name();
      case Node::Kind::kReference: {
        const auto declared = declarations_(node.path);
        return declared ? declared->type : kUnknown;
      }
      case Node::Kind::kNot:
      case Node::Kind::kAnd:
      case Node::Kind::kOr:
        for (const Node& child : node.children) condition(child);
        return kBoolean;
      case Node::Kind::kConditional:
        condition(node.children[0]);
        for (std::size_t i = 1; i < node.children.size(); ++i) (void)type_of(node.children[i]);
        return kUnknown;
      case Node::Kind::kCall:
        return call(node);
      case Node::Kind::kChain:
        return chain(node);
      default:
        return kUnknown;
    }
  }

 private:
  std::string_view call(const Node& node) {
    const Function& function = *node.function;
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      const std::string_view type = type_of(node.children[i]);
      const std::string_view wanted = i < function.kinds.size() ? expr::type_of(function.kinds[i]) : kUnknown;
      if (wanted == kUnknown || type == kUnknown || type == wanted) continue;
      mistakes.push_back(fmt::format("{}() needs {} as argument {}, and {} is of type {}: write {}", function.name,
                                     wanted == "integer" ? "an integer" : "a text", i + 1, name_of(node.children[i]),
                                     type, function.signature));
    }
    return function.result;
  }

  std::string_view chain(const Node& node) {
    std::string_view left = type_of(node.children[0]);
    for (std::size_t i = 0; i < node.operators.size(); ++i) {
      const std::string_view right = type_of(node.children[i + 1]);
      const bool compares = is_order(node.operators[i]) || is_equality(node.operators[i]);
      if (compares && i == 0) compare(node, left, right);
      left = compares ? kBoolean : kUnknown;
    }
    return left;
  }

  void compare(const Node& node, std::string_view left, std::string_view right) {
    const Operator op = node.operators[0];
    const Node& a = node.children[0];
    const Node& b = node.children[1];
    const bool differ = left != kUnknown && right != kUnknown && !same_kind(left, right);
    if (is_order(op) && (differ || !has_order(left) || !has_order(right))) {
      mistakes.push_back(fmt::format("'{}' needs two numbers or two texts; {} is of type {}, {} of type {}",
                                     symbol_of(op), name_of(a), shown(left), name_of(b), shown(right)));
    } else if (is_equality(op) && differ) {
      mistakes.push_back(fmt::format("{} is of type {}, and {} of type {}: they are never equal", name_of(a), left,
                                     name_of(b), right));
    } else if (is_equality(op)) {
      check_choice(a, b);
      check_choice(b, a);
    }
  }

  void check_choice(const Node& name, const Node& literal) {
    if (name.kind != Node::Kind::kReference || literal.kind != Node::Kind::kLiteral || literal.literal.is_null())
      return;
    const auto declared = declarations_(name.path);
    if (!declared || declared->choices.empty()) return;
    const auto& choices = declared->choices;
    if (std::find(choices.begin(), choices.end(), literal.literal) != choices.end()) return;
    mistakes.push_back(fmt::format("{} is never {}: its 'enum' does not have it", name_of(name), name_of(literal)));
  }

  static std::string_view shown(std::string_view type) { return type == kUnknown ? "unknown" : type; }

  static std::string name_of(const Node& node) {
    if (node.kind == Node::Kind::kReference) return fmt::format("'{}'", fmt::join(node.path, "."));
    if (node.kind == Node::Kind::kLiteral) return fmt::format("'{}'", to_text(node.literal));
    return "a part of it";
  }

  const Declarations& declarations_;
};

}  // namespace

std::vector<std::string> type_mistakes(const Expression& condition, const Declarations& declarations) {
  const auto parsed = parse_expression(condition.text());
  if (!parsed) return {};
  TypeCheck check(declarations);
  check.condition(parsed->root);
  return std::move(check.mistakes);
}

std::vector<std::string> type_mistakes(const Template& text, const Declarations& declarations) {
  TypeCheck check(declarations);
  for (const Expression& part : text.expressions()) {
    const auto parsed = parse_expression(part.text());
    if (parsed) (void)check.type_of(parsed->root);
  }
  return std::move(check.mistakes);
}

}  // namespace chappe::expr
