#include "proto/json/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace chappe {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string complaint(std::string_view text) {
  const Result<Value> value = parse_json(text);
  EXPECT_FALSE(value.has_value()) << text;
  if (value.has_value()) return "";
  EXPECT_EQ(value.error().code, ErrorCode::kInvalidInput);
  return value.error().message;
}

TEST(ParseJson, ReadsEveryKindOfValue) {
  const Result<Value> value = parse_json(R"({"a": [null, true, -7, 2.5, "x\u00e9\n"], "b": {}})");
  ASSERT_TRUE(value.has_value()) << value.error().message;
  const ValueMap expected{{"a", ValueList{Value(), true, -7, 2.5, "x\xc3\xa9\n"}}, {"b", ValueMap{}}};
  EXPECT_EQ(*value, Value(expected));
}

TEST(ParseJson, KeepsIntegersApartFromFloats) {
  EXPECT_NE(parse_json("3")->as_int(), nullptr);
  EXPECT_NE(parse_json("3.0")->as_float(), nullptr);
  EXPECT_EQ(*parse_json("-9223372036854775808")->as_int(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(*parse_json("18446744073709551615")->as_float(), 18446744073709551615.0);
}

TEST(ParseJson, KeepsTheOrderOfMembers) {
  const Result<Value> value = parse_json(R"({"z": 1, "a": 2})");
  ASSERT_TRUE(value.has_value());
  EXPECT_EQ(value->as_map()->front().first, "z");
}

TEST(ParseJson, TellsLineAndColumnOfAMistake) {
  EXPECT_THAT(complaint("{\n  \"a\": nul\n}"), StartsWith("line 2, column 11: "));
  EXPECT_THAT(complaint("[1, 2"), StartsWith("line 1, column 5: "));
  EXPECT_THAT(complaint(""), StartsWith("line 1, column 1: "));
  EXPECT_THAT(complaint("1 2"), StartsWith("line 1, column 3: "));
}

TEST(ParseJson, RefusesADuplicateKeyAmongFewAndAmongMany) {
  EXPECT_THAT(complaint("{\"a\": 1,\n \"a\": 2}"), StartsWith("line 2, column 4: key \"a\" is there twice"));
  std::string many = "{";
  for (int i = 0; i < 1000; ++i) many += "\"k" + std::to_string(i) + "\": 0, ";
  EXPECT_THAT(complaint(many + "\"k3\": 1}"), HasSubstr("key \"k3\" is there twice"));
  EXPECT_THAT(complaint(many + "\"n\": 1, \"n\": 1}"), HasSubstr("key \"n\" is there twice"));
  EXPECT_TRUE(parse_json(many + "\"n\": 1}").has_value());
}

TEST(ParseJson, ReadsSixtyFourLevelsAndNoMore) {
  const auto nested = [](std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
  EXPECT_TRUE(parse_json(nested(64)).has_value());
  EXPECT_THAT(complaint(nested(65)), HasSubstr("nested deeper than 64 levels"));
  EXPECT_THAT(complaint(std::string(1'000'000, '[')), StartsWith("line 1, column 65: "));
}

TEST(ParseJson, RefusesTextOverItsBound) {
  EXPECT_TRUE(parse_json("[1, 2]", 6).has_value());
  EXPECT_FALSE(parse_json("[1, 22]", 6).has_value());
}

TEST(ParseJson, RefusesWhatJsonLacks) {
  for (const char* text : {"NaN", "Infinity", "1e999", "'a'", "[1,]", "{\"a\"}", "01", "\"\xff\"", "/* */ 1"}) {
    EXPECT_FALSE(parse_json(text).has_value()) << text;
  }
}

TEST(ParseJson, QuotesNoMoreThanTheBeginningOfALongMistake) {
  EXPECT_LT(complaint("[\"" + std::string(100'000, 'x')).size(), 300u);
}

TEST(ParseJson, ReadsBackWhatToJsonWrote) {
  const Value value(ValueMap{{"s", "a\"b\\\x01"}, {"n", ValueList{0, -1, 0.1, 1e300}}, {"m", ValueMap{{"", true}}}});
  EXPECT_EQ(parse_json(to_json(value)).value(), value);
}

}  // namespace
}  // namespace chappe
