// The expression language by example: value, absence, error, bound.
#include "engine/expr/expression.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace chappe::expr {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

/// Holds one map of root names.
class MapScope : public Scope {
 public:
  explicit MapScope(ValueMap roots) : roots_(std::move(roots)) {}
  std::optional<Value> resolve(std::span<const std::string> path) const override {
    const Value* root = roots_.find(path[0]);
    return root == nullptr ? std::nullopt : std::optional(*root);
  }

 private:
  Value roots_;
};

const MapScope kScope(ValueMap{
    {"params", ValueMap{{"year", 2026}, {"name", "north"}, {"none", Value()}, {"list", ValueList{3, 1, 2}}}},
    {"tasks", ValueMap{{"train", ValueMap{{"outputs", ValueMap{{"auc", ValueList{0.7, 0.9}}}}}}}},
    {"empty", ValueList{}}});

/// The result as JSON, or "error: ...".
std::string eval(std::string_view text) {
  auto parsed = Expression::parse(text);
  if (!parsed) return fmt::format("syntax {}: {}", parsed.error().offset, parsed.error().message);
  auto value = parsed->evaluate(kScope);
  return value ? to_json(*value) : "error: " + value.error().message;
}

TEST(Expression, Literals) {
  EXPECT_EQ(eval("42"), "42");
  EXPECT_EQ(eval("-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(eval("1.5e3"), "1500.0");
  EXPECT_EQ(eval("'it''s'"), "\"it's\"");
  EXPECT_EQ(eval(R"("a\n\t\\\"'")"), R"("a\n\t\\\"'")");
  EXPECT_EQ(eval("[1, 'a', [true, null]]"), "[1,\"a\",[true,null]]");
  EXPECT_EQ(eval("[]"), "[]");
}

TEST(Expression, PrecedenceFromTheLeft) {
  EXPECT_EQ(eval("1 + 2 * 3 - 4"), "3");
  EXPECT_EQ(eval("(1 + 2) * 3"), "9");
  EXPECT_EQ(eval("10 - 4 - 3"), "3");
  EXPECT_EQ(eval("1 + 1 == 2 && 3 > 2 || false"), "true");
  EXPECT_EQ(eval("!true || true"), "true");
  EXPECT_EQ(eval("-2 * -3"), "6");
  EXPECT_EQ(eval("true ? 1 : false ? 2 : 3"), "1");
  EXPECT_EQ(eval("params.none ?? 1 == 1"), "true");
}

TEST(Expression, IntegersAreExactAndOverflowIsAnError) {
  EXPECT_EQ(eval("9223372036854775807 + 0"), "9223372036854775807");
  EXPECT_THAT(eval("9223372036854775807 + 1"), HasSubstr("does not fit 64 bits"));
  EXPECT_THAT(eval("-9223372036854775808 - 1"), HasSubstr("does not fit 64 bits"));
  EXPECT_THAT(eval("9223372036854775807 * 2"), HasSubstr("does not fit 64 bits"));
  EXPECT_THAT(eval("-9223372036854775808 / -1"), HasSubstr("does not fit 64 bits"));
  EXPECT_THAT(eval("-(-9223372036854775808)"), HasSubstr("does not fit 64 bits"));
  EXPECT_EQ(eval("-9223372036854775808 % -1"), "0");
  EXPECT_THAT(eval("9223372036854775808"), StartsWith("syntax"));
}

TEST(Expression, DivisionIsExactOrAFloat) {
  EXPECT_EQ(eval("6 / 3"), "2");
  EXPECT_EQ(eval("7 / 2"), "3.5");
  EXPECT_EQ(eval("7 % 3"), "1");
  EXPECT_EQ(eval("-7 % 3"), "2");
  EXPECT_THAT(eval("1 / 0"), StartsWith("error"));
  EXPECT_THAT(eval("1 % 0"), StartsWith("error"));
  EXPECT_THAT(eval("1e308 * 10"), HasSubstr("finite"));
}

TEST(Expression, EqualityAcrossTypesIsFalseAndOrderIsAnError) {
  EXPECT_EQ(eval("1 == '1'"), "false");
  EXPECT_EQ(eval("1 == 1.0"), "true");
  EXPECT_EQ(eval("null == false"), "false");
  EXPECT_EQ(eval("[1, 2] == [1, 2.0]"), "true");
  EXPECT_EQ(eval("'a' != 1"), "true");
  EXPECT_THAT(eval("1 < '1'"), HasSubstr("two numbers or two texts"));
  EXPECT_EQ(eval("'a' < 'b'"), "true");
  // A double cannot tell these apart; the comparison can.
  EXPECT_EQ(eval("9007199254740993 > 9007199254740992.0"), "true");
  EXPECT_EQ(eval("9223372036854775807 < 9223372036854775808.0"), "true");
}

TEST(Expression, ConditionsTakeBooleansOnly) {
  EXPECT_THAT(eval("1 && true"), HasSubstr("'&&' needs true or false"));
  EXPECT_THAT(eval("!'a'"), HasSubstr("needs true or false"));
  EXPECT_THAT(eval("null ? 1 : 2"), HasSubstr("needs true or false"));
  EXPECT_FALSE(Expression::parse("1")->evaluate_condition(kScope));
  EXPECT_EQ(Expression::parse("params.year > 2000")->evaluate_condition(kScope), true);
}

TEST(Expression, WhatIsNotNeededIsNotEvaluated) {
  EXPECT_EQ(eval("false && 1 / 0 == 1"), "false");
  EXPECT_EQ(eval("true || missing"), "true");
  EXPECT_EQ(eval("true ? 1 : missing"), "1");
  EXPECT_EQ(eval("1 ?? missing"), "1");
}

TEST(Expression, AbsenceIsAnErrorUnlessSomethingStandsReady) {
  EXPECT_EQ(eval("params.month"), "error: params.month is absent");
  EXPECT_EQ(eval("missing.a.b"), "error: missing.a.b is absent");
  EXPECT_EQ(eval("params.none.deep"), "error: params.none.deep is absent");
  EXPECT_EQ(eval("params.month ?? 12"), "12");
  EXPECT_EQ(eval("params.none ?? 12"), "12");
  EXPECT_EQ(eval("default(params.month, 'x')"), "\"x\"");
  EXPECT_EQ(eval("(params.month + 1) ?? missing ?? 3"), "3");
  EXPECT_EQ(eval("max(empty) ?? 0"), "0");
  EXPECT_EQ(eval("params.list[7] ?? 'none'"), "\"none\"");
  // A mistake is not an absence.
  EXPECT_THAT(eval("(1 / 0) ?? 1"), StartsWith("error"));
  EXPECT_THAT(eval("params.year.deep ?? 1"), HasSubstr("params.year has no member 'deep': it is of type integer"));
}

TEST(Expression, MembersAndElements) {
  EXPECT_EQ(eval("params['name']"), "\"north\"");
  EXPECT_EQ(eval("params.list[0]"), "3");
  EXPECT_EQ(eval("params.list[-1]"), "2");
  EXPECT_EQ(eval("params[params.name] ?? 'no'"), "\"no\"");
  EXPECT_EQ(eval("[[1, 2], [3]][0][1]"), "2");
  EXPECT_THAT(eval("params.year[0]"), HasSubstr("needs a list and an integer"));
}

TEST(Expression, Folds) {
  EXPECT_EQ(eval("max(tasks.train.outputs.auc)"), "0.9");
  EXPECT_EQ(eval("min(3, 1, 2)"), "1");
  EXPECT_EQ(eval("max('a', 'c', 'b')"), "\"c\"");
  EXPECT_THAT(eval("max(1, 'a')"), HasSubstr("numbers only, or texts only"));
  EXPECT_EQ(eval("sum([])"), "0");
  EXPECT_EQ(eval("sum(params.list)"), "6");
  EXPECT_EQ(eval("sum(1, 0.5)"), "1.5");
  EXPECT_EQ(eval("mean(1, 2)"), "1.5");
  EXPECT_EQ(eval("mean([9223372036854775807, 9223372036854775807])"), "9.223372036854776e+18");
  EXPECT_EQ(eval("median(params.list)"), "2.0");
  EXPECT_EQ(eval("median([4, 1, 3, 2])"), "2.5");
  EXPECT_EQ(eval("len('\xc3\xa9t\xc3\xa9') + len([1]) + len(params)"), "8");
}

TEST(Expression, NumbersAndConversions) {
  EXPECT_EQ(eval("[abs(-3), abs(-1.5), round(2.5), round(-2.5), round(3.14159, 2)]"), "[3,1.5,3,-3,3.14]");
  EXPECT_EQ(eval("[floor(-1.5), ceil(-1.5), floor(3)]"), "[-2,-1,3]");
  EXPECT_EQ(eval("[int('12'), int(' -3 '), int(2.9), int(-2.9), int(true)]"), "[12,-3,2,-2,1]");
  EXPECT_EQ(eval("[float('1e3'), float(2), float(false)]"), "[1000.0,2.0,0.0]");
  EXPECT_EQ(eval("[string(1), string('a'), string(null), string([1])]"), "[\"1\",\"a\",\"\",\"[1]\"]");
  EXPECT_THAT(eval("int('12x')"), StartsWith("error"));
  EXPECT_THAT(eval("int('')"), StartsWith("error"));
  EXPECT_THAT(eval("float('nan')"), StartsWith("error"));
  EXPECT_THAT(eval("round(1e300)"), HasSubstr("does not fit"));
  EXPECT_THAT(eval("abs(-9223372036854775808)"), HasSubstr("does not fit"));
  EXPECT_EQ(eval("round(1e300, 5)"), "1e+300");
}

TEST(Expression, Texts) {
  EXPECT_EQ(eval("upper('ab') + lower('CD') + trim(' x ')"), "\"ABcdx\"");
  EXPECT_EQ(eval("[contains('abc', 'b'), contains([1, 2], 2.0), contains(params, 'year'), contains([], 1)]"),
            "[true,true,true,false]");
  EXPECT_EQ(eval("[starts_with('abc', 'ab'), ends_with('abc', 'ab')]"), "[true,false]");
  EXPECT_EQ(eval("split('a,b,,c', ',')"), "[\"a\",\"b\",\"\",\"c\"]");
  EXPECT_EQ(eval("join([1, 'b', null], '-')"), "\"1-b-\"");
  EXPECT_EQ(eval("replace('aXbX', 'X', '--')"), "\"a--b--\"");
  EXPECT_EQ(eval("format('{} of {} {{}}', 1, [2])"), "\"1 of [2] {}\"");
  EXPECT_EQ(eval("to_json(params.list)"), "\"[3,1,2]\"");
  EXPECT_THAT(eval("split('a', '')"), StartsWith("error"));
  EXPECT_THAT(eval("replace('a', '', 'b')"), StartsWith("error"));
  EXPECT_THAT(eval("format('{} {}', 1)"), HasSubstr("more '{}' than values"));
  EXPECT_THAT(eval("format('{}', 1, 2)"), HasSubstr("more values"));
  EXPECT_THAT(eval("format('{:>3}', 1)"), HasSubstr("'{}' only"));
}

TEST(Expression, ListsAndMaps) {
  EXPECT_EQ(eval("sort(params.list)"), "[1,2,3]");
  EXPECT_EQ(eval("sort(['b', 'a'])"), "[\"a\",\"b\"]");
  EXPECT_EQ(eval("unique([1, 1.0, '1', 2, [1], [1.0]])"), "[1,\"1\",2,[1]]");
  EXPECT_EQ(eval("range(3) + range(1, 3) + range(5, 0, -2)"), "[0,1,2,1,2,5,3,1]");
  EXPECT_EQ(eval("len(keys(params)) == len(values(params))"), "true");
  EXPECT_THAT(eval("sort([1, 'a'])"), StartsWith("error"));
  EXPECT_THAT(eval("range(0, 1, 0)"), StartsWith("error"));
  EXPECT_EQ(eval("range(9223372036854775806, 9223372036854775807, 5)"), "[9223372036854775806]");
}

TEST(Expression, SyntaxErrorsNameThePlaceAndTheRemedy) {
  EXPECT_EQ(eval("1 +"), "syntax 3: expected a value, but it ends here");
  EXPECT_EQ(eval("(1"), "syntax 2: expected ')', but it ends here");
  EXPECT_EQ(eval("1 2"), "syntax 2: expected the end of the expression, but found '2'");
  EXPECT_EQ(eval("a = 1"), "syntax 2: '=' means nothing here; write '==' to compare");
  EXPECT_EQ(eval("a & b"), "syntax 2: '&' means nothing here; write '&&'");
  EXPECT_EQ(eval("len"), "error: len is absent");
  EXPECT_EQ(eval("lenn('a')"), "syntax 0: there is no function 'lenn'; did you mean 'len'?");
  EXPECT_EQ(eval("len()"), "syntax 0: 0 arguments do not fit: write len(text | list | map)");
  EXPECT_EQ(eval("'open"), "syntax 0: the quoted text never ends");
  EXPECT_EQ(eval("'\\q'"), "syntax 1: unknown escape '\\q'; known are \\n, \\t, \\r, \\\\, \\' and \\\"");
  EXPECT_EQ(eval("a."), "syntax 2: expected a name after '.', but it ends here");
  EXPECT_THAT(eval("1a"), StartsWith("syntax 0"));
  EXPECT_THAT(eval(""), StartsWith("syntax 0"));
}

TEST(Expression, ReferencesAreListedForStaticChecks) {
  const auto parsed = Expression::parse("tasks.train.outputs['auc'][0] > (params.x ?? env[run.id]) && default(a.b, c)");
  const auto& references = parsed->references();
  ASSERT_EQ(references.size(), 6U);
  EXPECT_THAT(references[0].path, ElementsAre("tasks", "train", "outputs", "auc"));
  EXPECT_FALSE(references[0].guarded);
  EXPECT_THAT(references[1].path, ElementsAre("params", "x"));
  EXPECT_TRUE(references[1].guarded);
  EXPECT_EQ(references[1].offset, 33U);
  EXPECT_THAT(references[2].path, ElementsAre("env"));
  EXPECT_FALSE(references[2].guarded);
  EXPECT_THAT(references[3].path, ElementsAre("run", "id"));
  EXPECT_TRUE(references[4].guarded);
  EXPECT_FALSE(references[5].guarded);
  EXPECT_TRUE(Expression().references().empty());
}

TEST(Expression, TheScopeSeesTheWholePath) {
  class PathScope : public Scope {
   public:
    std::optional<Value> resolve(std::span<const std::string> path) const override {
      seen.assign(path.begin(), path.end());
      return std::nullopt;
    }
    mutable std::vector<std::string> seen;
  } scope;
  EXPECT_FALSE(Expression::parse("tasks.a.outputs.b[0].c")->evaluate(scope));
  EXPECT_THAT(scope.seen, ElementsAre("tasks", "a", "outputs", "b"));
}

// ---- Bounds -------------------------------------------------------------------------------------------------------

std::string repeat(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

TEST(ExpressionBounds, Text) {
  EXPECT_EQ(eval(std::string(4094, ' ') + "12"), "12");
  EXPECT_THAT(eval(std::string(4095, ' ') + "12"), HasSubstr("at most 4096 bytes"));
}

TEST(ExpressionBounds, Depth) {
  EXPECT_EQ(eval(repeat("(", 63) + "1" + repeat(")", 63)), "1");
  EXPECT_THAT(eval(repeat("(", 64) + "1" + repeat(")", 64)), HasSubstr("deeper than 64"));
  EXPECT_THAT(eval(repeat("!", 1000) + "true"), HasSubstr("deeper"));
  EXPECT_THAT(eval(repeat("[", 1000)), HasSubstr("deeper"));
  EXPECT_THAT(eval("a" + repeat("[0]", 1000)), HasSubstr("deeper"));
  EXPECT_THAT(eval(repeat("true ? 1 : ", 300) + "1"), HasSubstr("deeper"));
  // A long row is not a deep one.
  EXPECT_EQ(eval("1" + repeat("+1", 2000)), "2001");
  EXPECT_EQ(eval("false" + repeat("||false", 500)), "false");
  EXPECT_EQ(eval("a" + repeat(".b", 1000) + " ?? 5"), "5");
}

/// One long text, one long list.
const MapScope kLarge(ValueMap{{"text", std::string(600'000, 'x')}, {"list", ValueList(400'000, Value(1))}});

std::string refusal(std::string_view text) {
  const auto value = Expression::parse(text)->evaluate(kLarge);
  return value ? "" : value.error().message;
}

TEST(ExpressionBounds, Texts) {
  EXPECT_EQ(refusal("text"), "");
  EXPECT_THAT(refusal("text + text"), HasSubstr("over 1048576 bytes"));
  EXPECT_THAT(refusal("replace(text, 'x', 'yy')"), HasSubstr("over 1048576 bytes"));
  EXPECT_THAT(refusal("join([text, text], ',')"), HasSubstr("over 1048576 bytes"));
  EXPECT_THAT(refusal("format('{}{}', text, text)"), HasSubstr("over 1048576 bytes"));
  EXPECT_FALSE(Template::parse("${{ text }}${{ text }}")->expand(kLarge));
  EXPECT_FALSE(Template::parse("${{ [text, text] }}")->expand(kLarge));
}

TEST(ExpressionBounds, Values) {
  EXPECT_EQ(eval("len(range(100000))"), "100000");
  EXPECT_THAT(eval("range(-9223372036854775808, 9223372036854775807)"), HasSubstr("at most 100000"));
  EXPECT_THAT(refusal("split(text, 'x')"), HasSubstr("at most 100000"));
  // Large outputs may be looked at, but not piled up.
  EXPECT_EQ(refusal("max(list)"), "");
  EXPECT_THAT(refusal("[" + repeat("list,", 500) + "1]"), HasSubstr("bytes of values"));
}

// ---- Templates ----------------------------------------------------------------------------------------------------

std::string expand(std::string_view text) {
  auto parsed = Template::parse(text);
  if (!parsed) return fmt::format("syntax {}: {}", parsed.error().offset, parsed.error().message);
  auto out = parsed->expand(kScope);
  return out ? *out : "error: " + out.error().message;
}

TEST(Template, JoinsItsParts) {
  EXPECT_EQ(expand("plain"), "plain");
  EXPECT_EQ(expand(""), "");
  EXPECT_EQ(expand("${{params.year}}/${{ params.name }}.csv"), "2026/north.csv");
  EXPECT_EQ(expand("a ${{ '}}' }} b"), "a }} b");
  EXPECT_EQ(expand("$${{ kept }} ${{ 1 }}"), "${{ kept }} 1");
  EXPECT_EQ(expand("${HOME} $(ls) {{ x }}"), "${HOME} $(ls) {{ x }}");
}

TEST(Template, OneWholeExpressionKeepsItsType) {
  EXPECT_EQ(*Template::parse("${{ params.list }}")->evaluate(kScope), Value(ValueList{3, 1, 2}));
  EXPECT_EQ(*Template::parse(" ${{ 1 }}")->evaluate(kScope), Value(" 1"));
}

TEST(Template, SplitsIntoItsParts) {
  const auto texts = [](std::string_view text) {
    std::vector<std::string> out;
    for (const Template& part : Template::parse(text)->split()) {
      out.push_back(part.is_literal() ? "'" + part.literal_text() + "'" : part.text());
    }
    return out;
  };
  EXPECT_EQ(texts(""), std::vector<std::string>{});
  EXPECT_EQ(texts("a $${{ b"), std::vector<std::string>{"'a ${{ b'"});
  EXPECT_EQ(texts("a${{ x }}${{y}}b"), (std::vector<std::string>{"'a'", "${{x}}", "${{y}}", "'b'"}));
}

TEST(Template, ErrorsCountFromTheStartOfTheTemplate) {
  EXPECT_EQ(expand("abc ${{ 1 + }}"), "syntax 12: expected a value, but it ends here");
  EXPECT_EQ(expand("abc ${{ 1"), "syntax 4: '${{' is never closed by '}}'");
  EXPECT_EQ(expand("abc ${{ 'x }}"), "syntax 4: '${{' is never closed by '}}'");
  EXPECT_EQ(expand("${{ }}"), "syntax 4: expected a value, but it ends here");
  const auto parsed = Template::parse("ab ${{ params.x }}");
  EXPECT_EQ(parsed->references()[0].offset, 7U);
}

TEST(Template, LiteralsAreTakenAsTheyAre) {
  const Template literal = Template::literal("a ${{ b }}");
  EXPECT_TRUE(literal.is_literal());
  EXPECT_EQ(literal.literal_text(), "a ${{ b }}");
  EXPECT_EQ(literal.text(), "a $${{ b }}");
  EXPECT_EQ(Template::parse(literal.text())->literal_text(), "a ${{ b }}");
}

TEST(Functions, SignaturesAreListedInOrder) {
  EXPECT_EQ(function_signatures().size(), 38U);
  EXPECT_EQ(function_signatures().front(), "abs(number)");
  EXPECT_TRUE(std::is_sorted(function_signatures().begin(), function_signatures().end()));
}

}  // namespace
}  // namespace chappe::expr
