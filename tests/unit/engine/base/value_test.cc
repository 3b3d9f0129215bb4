#include "engine/base/value.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "proto/json/json.h"

namespace chappe {
namespace {

TEST(Value, NumbersCompareByWhatTheyAreWorth) {
  EXPECT_EQ(Value(1), Value(1.0));
  EXPECT_FALSE(Value(1) == Value("1"));
  EXPECT_FALSE(Value(1) == Value(true));
  // 2^53 + 1 is no double: the two must not be taken for equal.
  EXPECT_FALSE(Value(std::int64_t{9'007'199'254'740'993}) == Value(9'007'199'254'740'992.0));
}

TEST(Value, MapsCompareWithoutOrderListsWithIt) {
  EXPECT_EQ(Value(ValueMap{{"a", 1}, {"b", 2}}), Value(ValueMap{{"b", 2}, {"a", 1}}));
  EXPECT_FALSE(Value(ValueMap{{"a", 1}}) == Value(ValueMap{{"a", 1}, {"b", 2}}));
  EXPECT_FALSE(Value(ValueList{1, 2}) == Value(ValueList{2, 1}));
}

/// Looking every name up in turn would take many times as long as making the maps.
TEST(Value, WideMapsCompareWithoutOrder) {
  ValueMap wide;
  for (int i = 0; i < 10'000; ++i) wide.emplace_back("k" + std::to_string(i), i);
  ValueMap reversed(wide.rbegin(), wide.rend());
  EXPECT_TRUE(Value(wide) == Value(reversed));
  reversed[7].second = -1;
  EXPECT_FALSE(Value(wide) == Value(reversed));
}

TEST(Json, IsUtf8WhateverTheTextIs) {
  EXPECT_EQ(to_json("a\xff\xc3 \xe2\x82"), "\"a\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\"");
  EXPECT_TRUE(parse_json(to_json(ValueMap{{"\x80", "\xed\xa0\x80"}})));
}

TEST(Json, KeepsOrderAndEscapesWhatMustBe) {
  EXPECT_EQ(to_json(ValueMap{{"b", ValueList{1, Value(), true}}, {"a", "x"}}), R"({"b":[1,null,true],"a":"x"})");
  EXPECT_EQ(to_json("\"\\\n\x01\x7f\xc3\xa9"), "\"\\\"\\\\\\n\\u0001\x7f\xc3\xa9\"");
}

TEST(Json, FloatsReadBackEqualAndStayFloats) {
  for (const double number : {0.1, 1.0 / 3, 1e300, -2.5e-10, 3.0}) {
    const auto back = parse_json(to_json(number));
    ASSERT_TRUE(back) << to_json(number);
    EXPECT_EQ(*back, Value(number));
  }
  EXPECT_EQ(to_json(std::nan("")), "null");
  EXPECT_EQ(to_json(std::numeric_limits<double>::infinity()), "null");
}

TEST(Text, ShowsStringsBareAndNothingAsNothing) {
  EXPECT_EQ(to_text(Value("a b")), "a b");
  EXPECT_EQ(to_text(Value()), "");
  EXPECT_EQ(to_text(Value(ValueList{"a"})), R"(["a"])");
}

}  // namespace
}  // namespace chappe
