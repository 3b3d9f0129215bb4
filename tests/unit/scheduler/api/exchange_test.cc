#include "scheduler/api/exchange.h"

#include <gtest/gtest.h>

namespace chappe::api {
namespace {

const MemberTypes kMembers{{"dag_yaml", "string"}, {"params", "object"}};

std::string complaint(const std::string& body) {
  const auto read = read_body(body, kMembers);
  return read ? "fine" : read.error().message;
}

TEST(ReadBody, TakesWhatIsDeclared) {
  EXPECT_EQ(complaint(R"({"dag_yaml": "x", "params": {"a": 1}})"), "fine");
  EXPECT_EQ(complaint(R"({"params": null})"), "fine");
  EXPECT_EQ(complaint(""), "fine");
}

TEST(ReadBody, NamesTheNearestRightMember) {
  EXPECT_EQ(complaint(R"({"parms": {}})"), "unknown member 'parms' in the body; did you mean 'params'?");
}

TEST(ReadBody, RefusesOtherTypes) {
  EXPECT_EQ(complaint(R"({"params": []})"), "member 'params' of the body must be of type object, not array");
  EXPECT_EQ(complaint("[]"), "the body must be a JSON object");
  EXPECT_NE(complaint("{").find("not JSON"), std::string::npos);
}

TEST(Request, ReadsNumbersWithinBounds) {
  const Request request{.query = {{"limit", "7"}, {"huge", "99999999999999999999"}, {"word", "x"}, {"empty", ""}}};
  EXPECT_EQ(*request.number("limit", 1, 1, 10), 7U);
  EXPECT_EQ(*request.number("absent", 5, 1, 10), 5U);
  EXPECT_FALSE(request.number("limit", 1, 8, 10));
  for (const char* name : {"huge", "word", "empty"}) EXPECT_FALSE(request.number(name, 1, 0, 10)) << name;
}

TEST(Request, ReadsFlags) {
  const Request request{.query = {{"bare", ""}, {"yes", "true"}, {"no", "0"}, {"other", "maybe"}}};
  EXPECT_TRUE(*request.flag("bare"));
  EXPECT_TRUE(*request.flag("yes"));
  EXPECT_FALSE(*request.flag("no"));
  EXPECT_FALSE(*request.flag("absent"));
  EXPECT_FALSE(request.flag("other"));
}

TEST(Problem, SaysStatusAndCode) {
  const Answer answer = problem(Error{ErrorCode::kConflict, "taken"});
  EXPECT_EQ(answer.status, 409);
  EXPECT_EQ(answer.content_type, "application/problem+json");
  EXPECT_EQ(answer.body, R"({"type":"about:blank","title":"Conflict","status":409,"detail":"taken","code":"conflict"})"
                         "\n");
}

}  // namespace
}  // namespace chappe::api
