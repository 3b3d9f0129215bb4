#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "engine/model/dag.h"

namespace chappe {
namespace {

using testing::HasSubstr;

ParamSpec integer(std::string name) { return {.name = std::move(name), .type = ParamType::kInteger}; }

std::string refusal(const std::vector<ParamSpec>& specs, const Value& given) {
  const auto resolved = resolve_params(specs, given);
  return resolved ? "" : resolved.error().message;
}

TEST(Params, AreFilledInTheOrderOfTheSpecs) {
  ParamSpec year = integer("year");
  year.default_value = Value(2026);
  const std::vector<ParamSpec> specs = {year, integer("month"), {.name = "region", .required = true}};
  const auto resolved = resolve_params(specs, ValueMap{{"region", "north"}});
  ASSERT_TRUE(resolved);
  EXPECT_EQ(*resolved, (ValueMap{{"year", 2026}, {"month", Value()}, {"region", "north"}}));
  EXPECT_TRUE(resolve_params({year}, Value()));
}

TEST(Params, AllMistakesAreToldAtOnce) {
  ParamSpec region{.name = "region", .required = true};
  EXPECT_EQ(refusal({integer("year"), region}, ValueMap{{"year", "20x"}, {"regoin", "north"}}),
            "parameter 'year' needs an integer, not \"20x\" (string); parameter 'region' is required; there is no "
            "parameter 'regoin'; did you mean 'region'?");
  EXPECT_EQ(refusal({}, ValueMap{{"a", 1}}), "there is no parameter 'a': this DAG has none");
  EXPECT_EQ(refusal({}, ValueList{}), "parameters must be an object, not array");
}

TEST(Params, WholeFloatsAreIntegers) {
  const auto resolved = resolve_params({integer("n")}, ValueMap{{"n", 3.0}});
  ASSERT_TRUE(resolved);
  EXPECT_NE(resolved->front().second.as_int(), nullptr);
  EXPECT_THAT(refusal({integer("n")}, ValueMap{{"n", 3.5}}), HasSubstr("needs an integer"));
  EXPECT_EQ(refusal({{.name = "x", .type = ParamType::kNumber}}, ValueMap{{"x", 3}}), "");
}

TEST(Params, BoundsChoicesAndPatterns) {
  ParamSpec n = integer("n");
  n.minimum = 1;
  n.maximum = 5;
  EXPECT_FALSE(unfit(n, 1) || unfit(n, 5));
  EXPECT_EQ(unfit(n, 0), "must be at least 1, not 0");
  EXPECT_EQ(unfit(n, 6), "must be at most 5, not 6");
  ParamSpec s{.name = "s", .min_length = 2, .max_length = 3, .pattern = "^[^0-9]+$"};
  EXPECT_FALSE(unfit(s, "\xc3\xa9t\xc3\xa9"));  // Characters, not bytes.
  EXPECT_EQ(unfit(s, "a"), "must have at least 2 characters, not 1");
  EXPECT_EQ(unfit(s, "abcd"), "must have at most 3 characters, not 4");
  EXPECT_EQ(unfit(s, "a1"), "must match '^[^0-9]+$', not \"a1\"");
  ParamSpec e{.name = "e", .enumeration = {Value("a"), Value("b")}};
  EXPECT_EQ(unfit(e, "c"), "must be one of [\"a\",\"b\"], not \"c\"");
}

TEST(Params, ASecretStaysOutOfTheMessage) {
  ParamSpec secret{.name = "token", .secret = true, .pattern = "^t-"};
  EXPECT_THAT(*unfit(secret, "hunter2"), testing::Not(HasSubstr("hunter2")));
  EXPECT_THAT(*unfit(secret, 123456), testing::Not(HasSubstr("123456")));
}

TEST(Params, NoPatternHangs) {
  // Backtracking would take longer than the universe has.
  ParamSpec s{.name = "s", .pattern = "^(a+)+$"};
  EXPECT_TRUE(unfit(s, std::string(4000, 'a') + "b"));
  EXPECT_THAT(*unfit(s, std::string(5000, 'a')), HasSubstr("at most 4096 bytes"));
  EXPECT_FALSE(unfit_pattern(std::string(256, 'a')));
  EXPECT_THAT(*unfit_pattern(std::string(257, 'a')), HasSubstr("too large"));
  EXPECT_THAT(*unfit_pattern("((a{99}){99}){99}"), HasSubstr("too large"));
  EXPECT_THAT(*unfit_pattern("a{99999999999999999999}"), HasSubstr("too large"));
  EXPECT_THAT(*unfit_pattern("(a)\\1"), HasSubstr("back references"));
  EXPECT_THAT(*unfit_pattern("["), HasSubstr("regular expression"));
}

TEST(Dag, FindsTasksByTheirId) {
  Dag dag;
  dag.tasks.resize(2);
  dag.tasks[0].id = "a";
  dag.tasks[1].id = "b";
  dag.index_tasks();
  EXPECT_EQ(dag.find("b"), 1U);
  EXPECT_EQ(dag.find("c"), std::nullopt);
}

}  // namespace
}  // namespace chappe
