#include "engine/expr/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <span>

#include "engine/base/text.h"
#include "engine/expr/dates.h"
#include "engine/expr/functions.h"
#include "engine/expr/lexer.h"

namespace chappe::expr {
namespace {

template <typename T>
using Parse = tl::expected<T, SyntaxError>;

struct BinaryLevel {
  std::string_view symbol;
  Operator op;
};
constexpr std::array kEqualLevel = {BinaryLevel{"==", Operator::kEqual}, BinaryLevel{"!=", Operator::kNotEqual}};
constexpr std::array kOrderLevel = {BinaryLevel{"<", Operator::kLess}, BinaryLevel{"<=", Operator::kLessEqual},
                                    BinaryLevel{">", Operator::kGreater}, BinaryLevel{">=", Operator::kGreaterEqual}};
constexpr std::array kSumLevel = {BinaryLevel{"+", Operator::kAdd}, BinaryLevel{"-", Operator::kSubtract}};
constexpr std::array kTermLevel = {BinaryLevel{"*", Operator::kMultiply}, BinaryLevel{"/", Operator::kDivide},
                                   BinaryLevel{"%", Operator::kRemainder}};

Node make(Node::Kind kind, std::vector<Node> children) {
  Node node;
  node.kind = kind;
  node.children = std::move(children);
  return node;
}

Node literal(Value value) {
  Node node;
  node.literal = std::move(value);
  return node;
}

template <typename... Children>
std::vector<Node> list_of(Children&&... children) {
  std::vector<Node> out;
  (out.push_back(std::forward<Children>(children)), ...);
  return out;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) {}

  Parse<Parsed> parse() {
    if (auto first = advance(); !first) return tl::unexpected(first.error());
    auto root = choice();
    if (!root) return tl::unexpected(root.error());
    if (token_.kind != Token::Kind::kEnd) return wrong("expected the end of the expression");
    return Parsed{std::move(*root), std::move(references_)};
  }

 private:
  tl::unexpected<SyntaxError> wrong(std::string_view expected) const {
    const std::string found =
        token_.kind == Token::Kind::kEnd ? "it ends here" : fmt::format("found '{}'", token_.source);
    return tl::unexpected(SyntaxError{token_.offset, fmt::format("{}, but {}", expected, found)});
  }

  Parse<void> advance() {
    auto next = lexer_.next();
    if (!next) return tl::unexpected(next.error());
    token_ = std::move(*next);
    return {};
  }

  Parse<void> expect(std::string_view symbol) {
    if (!token_.is(symbol)) return wrong(fmt::format("expected '{}'", symbol));
    return advance();
  }

  /// Counts nesting while it lives.
  struct Depth {
    explicit Depth(std::size_t& value) : count(++value) {}
    ~Depth() { --count; }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;
    std::size_t& count;
  };
  Parse<void> check_depth() const {
    if (depth_ <= kDepthMax) return {};
    return tl::unexpected(SyntaxError{token_.offset, fmt::format("nested deeper than {} levels", kDepthMax)});
  }

  /// All references made since `first` may be absent.
  void guard(std::size_t first) {
    for (std::size_t i = first; i < references_.size(); ++i) references_[i].guarded = true;
  }

  Parse<Node> choice() {
    const Depth depth(depth_);
    if (auto ok = check_depth(); !ok) return tl::unexpected(ok.error());
    auto condition = coalesce();
    if (!condition || !token_.is("?")) return condition;
    if (auto ok = advance(); !ok) return tl::unexpected(ok.error());
    auto then = choice();
    if (!then) return then;
    if (auto ok = expect(":"); !ok) return tl::unexpected(ok.error());
    auto otherwise = choice();
    if (!otherwise) return otherwise;
    return make(Node::Kind::kConditional, list_of(std::move(*condition), std::move(*then), std::move(*otherwise)));
  }

  Parse<Node> coalesce() {
    std::vector<Node> operands;
    std::size_t first = references_.size();
    for (;;) {
      auto operand = logical("||", Node::Kind::kOr);
      if (!operand) return operand;
      operands.push_back(std::move(*operand));
      if (!token_.is("??")) break;
      guard(first);
      first = references_.size();
      if (auto ok = advance(); !ok) return tl::unexpected(ok.error());
    }
    if (operands.size() == 1) return std::move(operands[0]);
    return make(Node::Kind::kCoalesce, std::move(operands));
  }

  Parse<Node> logical(std::string_view symbol, Node::Kind kind) {
    std::vector<Node> operands;
    for (;;) {
      auto operand = kind == Node::Kind::kOr ? logical("&&", Node::Kind::kAnd) : equal();
      if (!operand) return operand;
      operands.push_back(std::move(*operand));
      if (!token_.is(symbol)) break;
      if (auto ok = advance(); !ok) return tl::unexpected(ok.error());
    }
    if (operands.size() == 1) return std::move(operands[0]);
    return make(kind, std::move(operands));
  }

  const BinaryLevel* operator_here(std::span<const BinaryLevel> level) const {
    for (const BinaryLevel& candidate : level) {
      if (token_.is(candidate.symbol)) return &candidate;
    }
    return nullptr;
  }

  /// One level of precedence. A row of operands is one node, so that long sums do not make deep trees.
  Parse<Node> chain(std::span<const BinaryLevel> level, Parse<Node> (Parser::*below)()) {
    auto first = (this->*below)();
    if (!first || operator_here(level) == nullptr) return first;
    Node node = make(Node::Kind::kChain, list_of(std::move(*first)));
    while (const BinaryLevel* here = operator_here(level)) {
      node.operators.push_back(here->op);
      if (auto ok = advance(); !ok) return tl::unexpected(ok.error());
      auto operand = (this->*below)();
      if (!operand) return operand;
      node.children.push_back(std::move(*operand));
    }
    return node;
  }

  Parse<Node> equal() { return chain(kEqualLevel, &Parser::order); }
  Parse<Node> order() { return chain(kOrderLevel, &Parser::sum); }
  Parse<Node> sum() { return chain(kSumLevel, &Parser::term); }
  Parse<Node> term() { return chain(kTermLevel, &Parser::unary); }

  Parse<Node> unary() {
    if (!token_.is("!") && !token_.is("-")) return postfix();
    const Depth depth(depth_);
    if (auto ok = check_depth(); !ok) return tl::unexpected(ok.error());
    const bool negate = token_.is("-");
    if (auto ok = advance(); !ok) return tl::unexpected(ok.error());
    // The smallest integer has no positive counterpart.
    if (negate && token_.kind == Token::Kind::kNumber) return number("-");
    auto operand = unary();
    if (!operand) return operand;
    return make(negate ? Node::Kind::kNegate : Node::Kind::kNot, list_of(std::move(*operand)));
  }

  Parse<Node> postfix() {
    auto base = primary();
    if (!base) return base;
    // Members with constant names belong to the reference, up to the first computed index.
    const bool named = base->kind == Node::Kind::kReference;
    const std::size_t reference = references_.size() - (named ? 1 : 0);
    bool constant = named;
    const std::size_t outer = depth_;
    while (token_.is(".") || token_.is("[")) {
      ++depth_;
      if (auto ok = constant ? Parse<void>{} : check_depth(); !ok) return tl::unexpected(ok.error());
      auto index = member();
      if (!index) return index;
      const std::string* name = index->literal.as_string();
      constant = constant && index->kind == Node::Kind::kLiteral && name != nullptr;
      if (constant) {
        references_[reference].path.push_back(*name);
        base->path.push_back(*name);
        --depth_;
      } else {
        base = make(Node::Kind::kAccess, list_of(std::move(*base), std::move(*index)));
      }
    }
    depth_ = outer;
    return base;
  }

  /// What stands behind "." or in "[ ]".
  Parse<Node> member() {
    const bool bracket = token_.is("[");
    if (auto ok = advance(); !ok) return tl::unexpected(ok.error());
    if (bracket) {
      auto index = choice();
      if (!index) return index;
      if (auto ok = expect("]"); !ok) return tl::unexpected(ok.error());
      return index;
    }
    if (token_.kind != Token::Kind::kName) return wrong("expected a name after '.'");
    Node name = literal(Value(std::string(token_.source)));
    if (auto ok = advance(); !ok) return tl::unexpected(ok.error());
    return name;
  }

  Parse<Node> primary() {
    if (token_.kind == Token::Kind::kNumber) return number("");
    if (token_.kind == Token::Kind::kName) return named();
    if (token_.kind == Token::Kind::kText) {
      Node text = literal(Value(std::move(token_.text)));
      if (auto ok = advance(); !ok) return tl::unexpected(ok.error());
      return text;
    }
    if (token_.is("(")) {
      if (auto ok = advance(); !ok) return tl::unexpected(ok.error());
      auto inner = choice();
      if (!inner) return inner;
      if (auto ok = expect(")"); !ok) return tl::unexpected(ok.error());
      return inner;
    }
    if (token_.is("[")) {
      if (auto ok = advance(); !ok) return tl::unexpected(ok.error());
      std::vector<std::size_t> starts;
      auto elements = choices_until("]", nullptr, starts);
      if (!elements) return tl::unexpected(elements.error());
      return make(Node::Kind::kList, std::move(*elements));
    }
    return wrong("expected a value");
  }

  /// "choice, ..." and the closing symbol. References of the first argument of default() are guarded.
  /// `starts`: where each begins.
  Parse<std::vector<Node>> choices_until(std::string_view closing, const Function* function,
                                         std::vector<std::size_t>& starts) {
    std::vector<Node> out;
    const std::size_t first = references_.size();
    while (!token_.is(closing)) {
      if (!out.empty()) {
        if (auto ok = expect(","); !ok) return tl::unexpected(ok.error());
      }
      starts.push_back(token_.offset);
      auto element = choice();
      if (!element) return tl::unexpected(element.error());
      out.push_back(std::move(*element));
      if (out.size() == 1 && function != nullptr && function->name == "default") guard(first);
    }
    if (auto ok = advance(); !ok) return tl::unexpected(ok.error());
    return out;
  }

  Parse<Node> named() {
    const std::string name(token_.source);
    const std::size_t offset = token_.offset;
    if (auto ok = advance(); !ok) return tl::unexpected(ok.error());
    if (token_.is("(")) return call(name, offset);
    if (name == "true" || name == "false") return literal(Value(name == "true"));
    if (name == "null") return literal(Value());
    references_.push_back({.path = {name}, .offset = offset});
    Node node = make(Node::Kind::kReference, {});
    node.path = {name};
    return node;
  }

  Parse<Node> call(const std::string& name, std::size_t offset) {
    const Function* function = find_function(name);
    if (function == nullptr) {
      const auto near = nearest(name, function_names());
      return tl::unexpected(SyntaxError{offset, fmt::format("there is no function '{}'{}", name,
                                                            near ? fmt::format("; did you mean '{}'?", *near) : "")});
    }
    if (auto ok = advance(); !ok) return tl::unexpected(ok.error());
    std::vector<std::size_t> starts;
    auto arguments = choices_until(")", function, starts);
    if (!arguments) return tl::unexpected(arguments.error());
    if (arguments->size() < function->arguments_min || arguments->size() > function->arguments_max) {
      return tl::unexpected(SyntaxError{
          offset, fmt::format("{} arguments do not fit: write {}", arguments->size(), function->signature)});
    }
    for (std::size_t i = 0; i < std::min(arguments->size(), function->kinds.size()); ++i) {
      const Node& argument = (*arguments)[i];
      if (argument.kind != Node::Kind::kLiteral) continue;
      std::string mistake = literal_mistake(*function, function->kinds[i], argument.literal);
      if (!mistake.empty()) return tl::unexpected(SyntaxError{starts[i], std::move(mistake)});
    }
    Node node = make(Node::Kind::kCall, std::move(*arguments));
    node.function = function;
    return node;
  }

  Parse<Node> number(std::string_view sign) {
    const std::string text = std::string(sign) + std::string(token_.source);
    const std::size_t offset = token_.offset;
    if (auto ok = advance(); !ok) return tl::unexpected(ok.error());
    const char* end = text.data() + text.size();
    if (text.find_first_of(".eE") == std::string::npos) {
      std::int64_t integer = 0;
      const auto [rest, error] = std::from_chars(text.data(), end, integer);
      if (error == std::errc() && rest == end) return literal(Value(integer));
    } else {
      double real = 0;
      const auto [rest, error] = std::from_chars(text.data(), end, real);
      if (error == std::errc() && rest == end && std::isfinite(real)) return literal(Value(real));
    }
    return tl::unexpected(SyntaxError{offset, fmt::format("'{}' is not a number that fits 64 bits", text)});
  }

  Lexer lexer_;
  Token token_;
  std::size_t depth_ = 0;
  std::vector<Reference> references_;
};

}  // namespace

std::string_view symbol_of(Operator op) {
  constexpr std::string_view kSymbols[] = {"+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!="};
  return kSymbols[static_cast<std::size_t>(op)];
}

tl::expected<Parsed, SyntaxError> parse_expression(std::string_view text) {
  if (text.size() > kTextMax) {
    return tl::unexpected(SyntaxError{kTextMax, fmt::format("an expression has at most {} bytes", kTextMax)});
  }
  return Parser(text).parse();
}

}  // namespace chappe::expr
