// Laws of the expression language, for whatever somebody may write.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <string>

#include "engine/expr/expression.h"

namespace chappe::expr {
namespace {

/// Any name has some value: of each type in turn.
class SomeScope : public Scope {
 public:
  std::optional<Value> resolve(std::span<const std::string> path) const override {
    switch (path[0].size() % 6) {
      case 0:
        return std::nullopt;
      case 1:
        return Value(std::numeric_limits<std::int64_t>::max());
      case 2:
        return Value(-0.5);
      case 3:
        return Value("text");
      case 4:
        return Value(ValueList{1, 2.5, "a", Value()});
      default:
        return Value(ValueMap{{"a", 1}, {"b", ValueList{}}});
    }
  }
};
const SomeScope kScope;

/// Words of the language in any order: mostly wrong, often nearly right.
rc::Gen<std::string> words() {
  static const std::vector<std::string> kWords = {"a",         "bb",        "ccc",
                                                  "dddd",      "eeeee",     "ffffff",
                                                  "1",         "0",         "9223372036854775807",
                                                  "1.5",       "1e308",     "'x'",
                                                  "\"",        "true",      "null",
                                                  "(",         ")",         "[",
                                                  "]",         ",",         ".",
                                                  "?",         ":",         "??",
                                                  "&&",        "||",        "!",
                                                  "-",         "+",         "*",
                                                  "/",         "%",         "==",
                                                  "<",         ">=",        " ",
                                                  "max(",      "len(",      "range(",
                                                  "split(",    "sort(",     "default(",
                                                  "format(",   "${{",       "}}",
                                                  "date_add(", "strftime(", "'2026-11-20'",
                                                  "'%Y'",      "'day'"};
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(kWords)),
                      [](const std::vector<std::string>& chosen) { return fmt::format("{}", fmt::join(chosen, "")); });
}

/// A well-formed expression of bounded depth.
rc::Gen<std::string> well_formed(int depth) {
  const auto leaf = rc::gen::element<std::string>("1", "-7", "2.5", "'t'", "true", "null", "ccc", "eeeee.a", "dddd[0]",
                                                  "ffffff", "9223372036854775807", "[]");
  if (depth == 0) return leaf;
  const auto below = rc::gen::lazy([depth] { return well_formed(depth - 1); });
  const auto binary = rc::gen::map(
      rc::gen::tuple(below,
                     rc::gen::element<std::string>("+", "-", "*", "/", "%", "==", "!=", "<", ">=", "&&", "||", "??"),
                     below),
      [](const auto& t) { return fmt::format("({} {} {})", std::get<0>(t), std::get<1>(t), std::get<2>(t)); });
  const auto one = rc::gen::map(
      rc::gen::pair(rc::gen::element<std::string>("abs", "len", "max", "min", "sum", "mean", "median", "round", "floor",
                                                  "int", "float", "string", "upper", "trim", "keys", "values", "sort",
                                                  "unique", "range", "to_json", "format", "!", "-"),
                    below),
      [](const auto& p) { return fmt::format("{}({})", p.first, p.second); });
  const auto two = rc::gen::map(
      rc::gen::tuple(rc::gen::element<std::string>("max", "contains", "starts_with", "split", "join", "default",
                                                   "round", "range", "format"),
                     below, below),
      [](const auto& t) { return fmt::format("{}({}, {})", std::get<0>(t), std::get<1>(t), std::get<2>(t)); });
  const auto choice = rc::gen::map(rc::gen::tuple(below, below, below), [](const auto& t) {
    return fmt::format("({} ? {} : {})", std::get<0>(t), std::get<1>(t), std::get<2>(t));
  });
  return rc::gen::oneOf(leaf, binary, one, two, choice);
}

/// Parses and evaluates; whatever comes out, it comes out, and an error says something.
void survive(const std::string& text) {
  const auto parsed = Expression::parse(text);
  if (!parsed) {
    RC_ASSERT(!parsed.error().message.empty());
    RC_ASSERT(parsed.error().offset <= text.size());
    return;
  }
  const auto value = parsed->evaluate(kScope);
  if (!value) RC_ASSERT(!value.error().message.empty());
  if (!value) RC_ASSERT(value.error().code == ErrorCode::kInvalidInput);
}

RC_GTEST_PROP(ExpressionLaws, AnyBytesParseOrAreRefused, (const std::string& text)) { survive(text); }

RC_GTEST_PROP(ExpressionLaws, AnyWordsParseOrAreRefused, ()) { survive(*words()); }

RC_GTEST_PROP(ExpressionLaws, AnyTemplateParsesOrIsRefused, ()) {
  const std::string text = *words();
  const auto parsed = Template::parse(text);
  if (parsed) (void)parsed->expand(kScope);  // Either is fine; not to come back is not.
  if (parsed) RC_ASSERT(parsed->text() == text);
}

RC_GTEST_PROP(ExpressionLaws, WellFormedOnesParseAndEvaluationIsTotal, ()) {
  const std::string text = *rc::gen::resize(20, well_formed(4));
  RC_PRE(text.size() <= 4096U);
  RC_ASSERT(Expression::parse(text).has_value());
  survive(text);
}

RC_GTEST_PROP(ExpressionLaws, EvaluationIsAFunction, ()) {
  const auto parsed = Expression::parse(*rc::gen::resize(20, well_formed(3)));
  RC_PRE(parsed.has_value());
  const auto once = parsed->evaluate(kScope), again = parsed->evaluate(kScope);
  RC_ASSERT(once.has_value() == again.has_value());
  if (once) RC_ASSERT(to_json(*once) == to_json(*again));
}

RC_GTEST_PROP(ExpressionLaws, ADefaultHelpsAgainstAbsenceOnly, ()) {
  const std::string text = *rc::gen::resize(20, well_formed(2));
  const auto plain = Expression::parse(text)->evaluate(kScope);
  const auto helped = Expression::parse("(" + text + ") ?? 'help'")->evaluate(kScope);
  if (plain && !plain->is_null()) RC_ASSERT(to_json(*plain) == to_json(*helped));
  if (plain && plain->is_null()) RC_ASSERT(*helped == Value("help"));
}

RC_GTEST_PROP(ExpressionLaws, ALiteralTemplateComesBackAsItIs, (const std::string& text)) {
  const std::string with_braces = text + "${{" + text;
  const Template literal = Template::literal(with_braces);
  RC_ASSERT(literal.is_literal());
  RC_ASSERT(*literal.expand(kScope) == with_braces);
  RC_ASSERT(Template::parse(literal.text())->literal_text() == with_braces);
}

RC_GTEST_PROP(ExpressionLaws, IntegersComputeLikeIntegers, (std::int32_t a, std::int32_t b)) {
  const auto eval = [](const std::string& text) { return *Expression::parse(text)->evaluate(kScope); };
  RC_ASSERT(eval(fmt::format("({}) + ({})", a, b)) == Value(std::int64_t{a} + b));
  RC_ASSERT(eval(fmt::format("({}) * ({})", a, b)) == Value(std::int64_t{a} * b));
  RC_ASSERT(eval(fmt::format("({}) < ({})", a, b)) == Value(a < b));
  RC_PRE(b != 0);
  // Division and remainder fit together.
  const auto rest = *eval(fmt::format("({}) % ({})", a, b)).as_int();
  RC_ASSERT((a - rest) % b == 0 && std::abs(rest) < std::abs(std::int64_t{b}));
}

}  // namespace
}  // namespace chappe::expr
