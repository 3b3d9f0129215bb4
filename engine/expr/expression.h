/// \file
/// The `${{ }}` expressions of DAG files: one dialect, typed, without side effects, always ending.
///
///   or      := and ( "||" and )*                 and    := equal ( "&&" equal )*
///   choice  := or ( "??" or )* ( "?" choice ":" choice )?        (the start symbol)
///   equal   := order ( ("==" | "!=") order )*    order  := sum ( ("<" | "<=" | ">" | ">=") sum )*
///   sum     := term ( ("+" | "-") term )*        term   := unary ( ("*" | "/" | "%") unary )*
///   unary   := ("!" | "-") unary | postfix       postfix:= primary ( "." NAME | "[" choice "]" )*
///   primary := NUMBER | 'TEXT' | "TEXT" | true | false | null | NAME | NAME "(" choice, ... ")" | "(" choice ")"
///            | "[" choice, ... "]"
///
/// Names at the root are namespaces that the caller's Scope resolves (params, env, run, tasks, item, ...).
/// A name that resolves to nothing is *absent*: an error, unless `??` or `default()` stands ready for it.
/// `&&`, `||`, `??` and `? :` evaluate only what they need. Conditions take booleans and nothing else.
///
/// Numbers are 64-bit integers and doubles; overflow, NaN and infinities are errors. `+` joins texts and lists as well.
/// `==` compares any two values (an integer equals a float of the same value) and is false across types; `<` and its
/// like need two numbers or two texts. Quoted text knows \n \t \r \\ \' \" and the doubled quote.
///
/// Dates are texts as ISO 8601 writes them; engine/calendar/moment.h says how they are reckoned with.
///
/// Pure. Bounds: text 4 KiB, depth 64, texts of 1 MiB, 128 MiB of values looked at, 100,000 steps; past them an
/// error, never a hang: without loops, cost is linear in the text and in what the scope hands over.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/value.h"
#include "engine/calendar/zone.h"

namespace chappe::expr {

/// A place in the text of one expression, and what is wrong there.
struct SyntaxError {
  std::size_t offset = 0;  ///< Bytes from the start of the expression's text.
  std::string message;     ///< "what, and the nearest right thing".
};

/// A path of names as it was written, e.g. {"tasks", "train", "outputs", "auc"}, for static checks. It ends before the
/// first computed index.
struct Reference {
  std::vector<std::string> path;
  std::size_t offset = 0;
  bool guarded = false;  ///< Stands left of `??` or inside `default()`: it may be absent.
};

/// Answers the names at the root of an expression.
class Scope {
 public:
  virtual ~Scope() = default;
  /// The value of a root name ("params"), possibly a map that the expression then walks; nullopt: absent.
  /// `path` is the whole constant path of the reference (at least the root), so that a scope over much data need build
  /// only what is asked for: it returns the value at the root that holds at least `path`.
  virtual std::optional<Value> resolve(std::span<const std::string> path) const = 0;
  /// Whose clock dates are looked at with where nothing else says it: the DAG's. UTC unless overridden.
  virtual const calendar::Zone& zone() const;
};

struct Node;  // The syntax tree; private to expression.cc.

/// A parsed expression. Copies share the tree; immutable.
class Expression {
 public:
  Expression() = default;  ///< Empty: must not be evaluated.
  static tl::expected<Expression, SyntaxError> parse(std::string_view text);

  /// Errors: kInvalidInput with what failed ("tasks.train.outputs.auc is absent", "'<' needs two numbers ...").
  Result<Value> evaluate(const Scope& scope) const;
  /// evaluate(), and an error unless the result is true or false.
  Result<bool> evaluate_condition(const Scope& scope) const;

  const std::string& text() const { return text_; }
  const std::vector<Reference>& references() const;  ///< In the order of the text.
  bool empty() const { return root_ == nullptr; }
  bool operator==(const Expression& other) const { return text_ == other.text_; }

 private:
  std::string text_;
  std::shared_ptr<const Node> root_;
  std::shared_ptr<const std::vector<Reference>> references_;
};

/// A text with `${{ }}` parts in it, such as an environment value. `$${{` stands for a literal `${{`.
class Template {
 public:
  Template() = default;
  static tl::expected<Template, SyntaxError> parse(std::string_view text);
  /// A template without parts to evaluate.
  static Template literal(std::string text);

  /// Where the whole text is one `${{ }}`, its value keeps its type; otherwise the parts are joined to a string.
  Result<Value> evaluate(const Scope& scope) const;
  /// evaluate(), then to_text().
  Result<std::string> expand(const Scope& scope) const;

  bool is_literal() const { return parts_.empty(); }
  const std::string& text() const { return text_; }  ///< As written.
  /// The text without escapes. Requires: is_literal().
  const std::string& literal_text() const;
  /// Of its parts, in the order of the text.
  std::vector<Expression> expressions() const;
  /// The same text as a row of templates, each literal or one whole `${{ }}`.
  std::vector<Template> split() const;
  /// Of all parts, offsets counted from the start of the template.
  std::vector<Reference> references() const;
  bool operator==(const Template& other) const { return text_ == other.text_; }

 private:
  struct Part {
    std::string before;  ///< Literal text in front.
    Expression expression;
    std::size_t offset = 0;  ///< Of the expression's text in the template.
  };
  std::size_t expanded_max() const;
  Failure too_long() const;
  std::string text_;
  std::vector<Part> parts_;
  std::string after_;  ///< Literal text behind the last part; the whole text where there are no parts.
};

/// The functions that expressions may call, for messages and the manual: "max(list | number, ...)".
std::span<const std::string_view> function_signatures();

}  // namespace chappe::expr
